"""The times that devices give: which can be, and what follows for a reading."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.reading.refusals import BadMessage
from telemetry import Quality, microseconds

# A clock that shows an earlier year was never set. One that runs ahead by more than a day is no clock to store by: such
# rows would lie in chunks of their own for years.
EARLIEST_MS = 946_684_800_000
MAX_AHEAD_MS = 86_400_000
# The end of what a clock may show that is mended afterwards: with the year 2100 no sum of times overflows.
LATEST_MS = 4_102_444_800_000
# Devices' clocks wander by seconds; readings from further ahead are kept but would hide all that comes after.
FUTURE_TOLERANCE_MS = 300_000


def quality_of(ms: float, arrived_us: int) -> int:
    """The quality that follows from a stamp, in ms since 1970, of what arrived then.

    Raises
    ------
    BadMessage
        It cannot be.
    """
    if not ms >= EARLIEST_MS:
        raise BadMessage("ts: before the year 2000; milliseconds since 1970 are wanted")
    ahead_ms = ms - arrived_us / 1000
    if ahead_ms > MAX_AHEAD_MS:
        raise BadMessage("ts: more than a day ahead of the server's clock")
    return Quality.FUTURE if ahead_ms > FUTURE_TOLERANCE_MS else Quality.GOOD


def rfc3339_us(stamp: str) -> int:
    """µs since 1970; without an offset, UTC. BadMessage where it is no time."""
    if len(stamp) > 40:
        raise BadMessage("ts: not RFC 3339")
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise BadMessage("ts: not RFC 3339") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return microseconds(moment)
