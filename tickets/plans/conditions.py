"""How long a machine has been beyond a limit, by the hours that are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tickets.plans.triggers import Beyond, Side

# A condition is not followed over a silence longer than this, and is not believed when it is older.
SILENCE = timedelta(hours=24)
_HOUR = timedelta(hours=1)


def beyond_for(beyond: Beyond, hours: Sequence[tuple[datetime, float]], now: datetime) -> float:
    """For how many hours, of those that are known, a machine has been beyond a limit; 0 where it is not any more.

    `hours` are the beginnings of hours and their means, in order. A silence of a day ends what was before it.
    """
    if not hours or now - hours[-1][0] > SILENCE + _HOUR:
        return 0.0
    found, later = 0, hours[-1][0]
    for at, value in reversed(hours):
        is_beyond = value > beyond.limit if beyond.side is Side.ABOVE else value < beyond.limit
        if not is_beyond or later - at > SILENCE:
            break
        found, later = found + 1, at
    return float(found)
