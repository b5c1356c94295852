"""What can keep the local stack from running: each is one line, addressed to the operator, that says what to do.

Catch `StackError` at the outside, print it, and exit 1.
"""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot run as asked; the message is one line for the operator."""


class Unsupported(StackError):
    """This machine cannot run the local stack at all; the message ends with what to do instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason.rstrip('.')}. Use `docker compose up` instead,"
            " or give `--database-url` and `--mqtt-url` of servers you have."
        )


class Busy(StackError):
    """Another stack is running on the same folder."""


class PortTaken(StackError):
    """Something else listens on the port that was asked for."""


class StartFailed(StackError):
    """A part of the stack ended, or was not ready in time, before it had ever been ready."""
