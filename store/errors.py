"""What can go wrong, by who must act."""

from __future__ import annotations


class Unavailable(Exception):
    """The database cannot be reached: nobody acts, it heals, the loop that owns the connection tries again."""


class Misconfigured(Exception):
    """The operator must act before anything can start; the message names the setting and the remedy."""


class NotFound(Exception):
    """There is no such thing for the caller."""


class Conflict(Exception):
    """The thing is not in a state that allows this."""


class Refused(Exception):
    """The database will not have this content; the same without the guilty part it may."""
