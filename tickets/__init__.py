"""The life of a ticket: its states as a table, its priority, its clocks and its title.

Pure: nothing here reads the clock, the network or the database; what needs the time takes `now`.
"""
