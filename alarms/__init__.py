"""What follows from a score: rules with hysteresis and delays, alarm states, and the events that tell of them.

Pure: nothing here reads the clock, the network or the database; what needs the time takes `now_us`.
"""
