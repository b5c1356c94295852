"""What the detectors still learn of a machine, as far as its stored readings tell."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from detectors.first_opinions import Heard, Waiting, waiting
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

# The longest that a detector learns at the intervals that machines have: points heard for longer are not looked at.
LONGEST = timedelta(days=20)
_MOST_POINTS = 120

_SQL = queries("learning")


def of_machine(conn: Transaction, device: str, now: datetime) -> list[Waiting]:
    """What can't be judged yet, the soonest first; empty for a machine that is known. NotFound: no such machine."""
    found = conn.execute(_SQL["machine"], {"device": device}).fetchone()
    if found is None:
        raise NotFound(f"there is no device {device}")
    machine, together_known = found
    asked = {"machine": machine, "now": now, "longest": LONGEST, "limit": _MOST_POINTS}
    points = [
        Heard(point, math.nan if interval_s is None else float(interval_s), changing, (now - since).total_seconds())
        for point, since, interval_s, changing in conn.execute(_SQL["points"], asked)
    ]
    return waiting(points, together_known=together_known) if points else []
