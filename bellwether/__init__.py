"""The composition root: the `bellwether` command, its settings, and the local stack.

No imports here: `bellwether.stack.packages` runs before any dependency is installed.
"""
