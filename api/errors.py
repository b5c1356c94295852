"""What a caller can get wrong, beside what the domain says itself; `api.problems` turns all of it into answers."""

from __future__ import annotations

from collections.abc import Mapping


class NotSignedIn(Exception):
    """Nobody, or somebody whose credentials open nothing (any more)."""


class NotForYou(Exception):
    """Somebody, but this is for others."""


class TooMany(Exception):
    """Too much at once from one place."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BadValue(Exception):
    """A value that no model can judge alone; `field` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotTried(Exception):
    """A rule that is to be in force, and was not tried as it is."""


class OverBudget(Exception):
    """A rule that would alarm more than its people can bear; `proposal` are the fields of one that would not."""

    def __init__(self, message: str, proposal: Mapping[str, object]) -> None:
        super().__init__(message)
        self.proposal = proposal
