"""All of it in one go, or by halves until what cannot be taken stands alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from store.errors import Misconfigured, Refused, Unavailable

log = logging.getLogger("bellwether.ingest")

T = TypeVar("T")
R = TypeVar("R")


def whole_or_halves(
    items: Sequence[T], take: Callable[[Sequence[T]], R], refuse: Callable[[T, str], R]
) -> Iterator[tuple[Sequence[T], R]]:
    """Take some items together; where that fails for what is in them, take their halves.

    Yields each part that was taken with what `take` gave for it, in order; for an item that fails alone, what `refuse`
    gave for it and the reason. What whoever asks does with a part is none of this: if it raises, nothing is halved.

    Parameters
    ----------
    take
        Takes items whole or not at all.
    refuse
        Notes why an item was not taken.

    Raises
    ------
    Unavailable, Misconfigured
        Nothing in the items is to blame.
    """
    if not items:
        return
    try:
        taken = take(items)
    except (Unavailable, Misconfigured):
        raise
    except Exception as error:
        if not isinstance(error, Refused):  # a mistake of ours must cost one message: it would come again for ever
            log.exception("messages could not be stored", extra={"messages": len(items)})
        if len(items) == 1:
            taken = refuse(items[0], _reason(error))
        else:
            half = len(items) // 2
            yield from whole_or_halves(items[:half], take, refuse)
            yield from whole_or_halves(items[half:], take, refuse)
            return
    yield items, taken


def _reason(error: Exception) -> str:
    """Why a message could not be stored, in words for a reject."""
    if isinstance(error, Refused):
        return f"refused by the database: {error}"[:500]
    return f"could not be stored: {type(error).__name__}: {error}"[:500]
