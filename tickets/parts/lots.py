"""Lots: what came together, what expires when, and which of them goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class OnShelf:
    """So many of one lot at one place. `expires_on` is its last good day; None: it keeps."""

    lot_id: int
    lot: str
    expires_on: date | None
    quantity: int


class TooFew(Exception):
    """There is not enough to take; says what there is."""


def is_expired(expires_on: date | None, today: date) -> bool:
    return expires_on is not None and expires_on < today


def last_good_day(shelf_days: int | None, today: date, said: date | None) -> date | None:
    """When what is received today expires: as its label says, else after the days that such parts keep."""
    return said if said is not None or shelf_days is None else today + timedelta(days=shelf_days)


def pick(there: Sequence[OnShelf], quantity: int, today: date) -> list[tuple[OnShelf, int]]:
    """Which lots to take `quantity` from: first what expires first, never what has expired.

    Raises
    ------
    TooFew
        What is good is less; the message says how much has expired.
    """
    good = sorted(
        (lot for lot in there if lot.quantity > 0 and not is_expired(lot.expires_on, today)),
        key=lambda lot: (lot.expires_on or date.max, lot.lot_id),
    )
    taken = list[tuple[OnShelf, int]]()
    left = quantity
    for lot in good:
        if left:
            taken.append((lot, min(lot.quantity, left)))
            left -= taken[-1][1]
    if left:
        expired = sum(lot.quantity for lot in there if is_expired(lot.expires_on, today))
        beside = f", and {expired} that expired" if expired else ""
        raise TooFew(f"there are {quantity - left}{beside}: {quantity} cannot be taken")
    return taken
