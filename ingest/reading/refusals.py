"""Why a message, or a part of it, is not taken, in the words that its maker reads in `rejects`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Parts of one message that are told apart in `rejects`: more of the same kind say nothing new.
MAX_REJECTS = 20

_WHAT = {
    str: "a text",
    bytes: "a string of bytes",
    dict: "an object",
    list: "a list",
    type(None): "null",
    bool: "true or false",
    np.ndarray: "a list",
}


class BadMessage(ValueError):
    """Why a message, or a part of it, cannot be stored: the text is the reason. Caught in `ingest.decoding`."""


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """A value that its format can say and nobody here reads; `what` it is, in a reason's words."""

    what: str


def what(value: Any) -> str:
    """What a value is, in a reason's words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number" if -1.7e308 < value < 1.7e308 else "a value beyond what a number can hold"
    if isinstance(value, Unread):
        return value.what
    return _WHAT.get(type(value), "something else")


def told(reasons: list[str]) -> list[str]:
    """The reasons worth a row each; of too many, the first and how many more."""
    if len(reasons) <= MAX_REJECTS:
        return reasons
    return [*reasons[: MAX_REJECTS - 1], f"and {len(reasons) - MAX_REJECTS + 1} more, the like"]
