"""What became of the messages of a tenant, summed up for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.queries import queries
from store.transactions import Transaction


@dataclass(frozen=True, slots=True)
class Totals:
    """Messages by their fate, and sequence numbers that never came."""

    messages: int
    stored: int
    duplicate: int
    rejected: int
    dropped: int
    missing: int
    found: int


@dataclass(frozen=True, slots=True)
class DeviceIntake:
    """The same of one device; without a name: of who is no device of ours. `contested` and `late` count readings."""

    device: str
    messages: int
    stored: int
    duplicate: int
    rejected: int
    dropped: int
    missing: int
    found: int
    contested: int
    late: int


def totals(conn: Transaction, since: datetime) -> Totals:
    """Of all messages since an hour."""
    with conn.cursor(row_factory=class_row(Totals)) as cursor:
        found = cursor.execute(queries("intake")["totals"], {"since": since}).fetchone()
    return found or Totals(0, 0, 0, 0, 0, 0, 0)


def devices(
    conn: Transaction, since: datetime, *, limit: int, had: int = 0, device: str | None = None
) -> list[DeviceIntake]:
    """By device without the first `had`, those first that have lost or were refused something."""
    with conn.cursor(row_factory=class_row(DeviceIntake)) as cursor:
        return cursor.execute(
            queries("intake")["devices"], {"since": since, "device": device, "had": had, "limit": limit}
        ).fetchall()
