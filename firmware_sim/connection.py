"""What goes wrong on the way to a broker."""

from __future__ import annotations


class Unreachable(ConnectionError):
    """The broker does not answer."""


class Refused(ConnectionError):
    """The broker answers, and says no: wrong credentials, or a topic that these credentials may not write."""
