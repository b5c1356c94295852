"""The fleet: devices, their streams, and how each stands at a glance.

Everything here reads, under the caller's tenant, except `describe_device`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from psycopg.rows import class_row

from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

# A stream that has been silent for longer shows no latest value: each further day costs one more index probe a stream.
HEARD_WITHIN = timedelta(days=31)

_SQL = queries("fleet")


class Condition(StrEnum):
    """A device at a glance, from the worst to the best."""

    ALARM = "alarm"  # an active alarm of high or critical severity
    ATTENTION = "attention"  # any other active alarm, or one that nobody has acknowledged
    OFFLINE = "offline"
    NORMAL = "normal"
    UNKNOWN = "unknown"  # never heard


class DeviceState(StrEnum):
    """Where a device is in its life."""

    REGISTERED = "registered"  # known by name, never heard
    ADMITTED = "admitted"
    RETIRED = "retired"  # its messages are turned away


@dataclass(frozen=True, slots=True)
class StreamNow:
    """A stream with its latest reading, None where there is none within `HEARD_WITHIN`."""

    id: int
    device: str
    point: str
    quantity: str
    unit: str
    latest_at: datetime | None
    latest_value: float | None


@dataclass(frozen=True, slots=True)
class Device:
    """A device and what stands against it. Shelved alarms, and those out of service, do not count.

    `online` is None where it never said. `first_seen_at` is when it was registered, where that came first.
    """

    device: str
    kind: str
    model: str
    site: str
    firmware: str
    online: bool | None
    online_at: datetime | None
    first_seen_at: datetime
    retired_at: datetime | None
    replaced_by: str | None
    replaces: str | None
    active_alarms: int
    unacknowledged_alarms: int
    worst_severity: str | None
    open_tickets: int
    worst_priority: str | None
    heard_at: datetime | None
    streams: int

    @property
    def state(self) -> DeviceState:
        if self.retired_at is not None:
            return DeviceState.RETIRED
        heard = self.online is not None or self.streams > 0
        return DeviceState.ADMITTED if heard else DeviceState.REGISTERED

    @property
    def condition(self) -> Condition:
        if self.worst_severity in {"critical", "high"}:
            return Condition.ALARM
        if self.active_alarms or self.unacknowledged_alarms:
            return Condition.ATTENTION
        if self.online is False:
            return Condition.OFFLINE
        return Condition.NORMAL if self.heard_at is not None else Condition.UNKNOWN


@dataclass(frozen=True, slots=True)
class LedgerHour:
    """What became of one device's messages of one hour of arrival."""

    device: str
    hour: datetime
    messages: int
    messages_stored: int
    messages_duplicate: int
    messages_rejected: int
    messages_dropped: int
    stored: int
    duplicates: int
    late: int
    contested: int
    dropped: int
    rejected: int
    missing: int
    found: int
    played: int


@dataclass(frozen=True, slots=True)
class SequenceRun:
    """Which sequence numbers of one boot of a device have come; spans are [first, end)."""

    device: str
    boot: int | None
    begins: int
    below: int
    waiting: list[list[int]]
    lost: list[list[int]]
    missing: int
    found: int
    restarts: int
    heard_at: datetime


def devices(
    conn: Transaction,
    now: datetime,
    *,
    limit: int,
    after: str | None = None,
    site: str | None = None,
    kind: str | None = None,
) -> list[Device]:
    """Devices by name, beginning after the one named `after`."""
    return _devices(conn, now, limit=limit, after=after, site=site, kind=kind)


def device(conn: Transaction, now: datetime, name: str) -> Device:
    """One device, or NotFound."""
    found = _devices(conn, now, limit=1, device=name)
    if not found:
        raise NotFound(f"there is no device {name}")
    return found[0]


def describe_device(
    conn: Transaction, name: str, *, kind: str | None = None, model: str | None = None, site: str | None = None
) -> None:
    """Say what a device is and where it stands; None leaves what was said before. NotFound where there is none."""
    said = {"device": name, "kind": kind, "model": model, "site": site}
    if conn.execute(_SQL["describe_device"], said).fetchone() is None:
        raise NotFound(f"there is no device {name}")


def streams(
    conn: Transaction,
    now: datetime,
    *,
    limit: int,
    device: str | None = None,
    after: tuple[str, str] | None = None,
) -> list[StreamNow]:
    """Streams by (device, point) with their latest readings, beginning after `after`."""
    after_device, after_point = after or (None, None)
    with conn.cursor(row_factory=class_row(StreamNow)) as cursor:
        return cursor.execute(
            _SQL["streams"],
            {
                "limit": limit,
                "device": device,
                "after_device": after_device,
                "after_point": after_point,
                "heard_since": now - HEARD_WITHIN,
            },
        ).fetchall()


def ledger(
    conn: Transaction,
    *,
    limit: int,
    device: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: tuple[datetime, str] | None = None,
) -> list[LedgerHour]:
    """The ledger, newest hour first, beginning after the (hour, device) `after`."""
    after_hour, after_device = after or (None, None)
    with conn.cursor(row_factory=class_row(LedgerHour)) as cursor:
        return cursor.execute(
            _SQL["ledger"],
            {
                "limit": limit,
                "device": device,
                "start": start,
                "end": end,
                "after_hour": after_hour,
                "after_device": after_device,
            },
        ).fetchall()


def sequences(conn: Transaction, device: str) -> list[SequenceRun]:
    """The boots of a device whose numbers are remembered, the latest heard first."""
    with conn.cursor(row_factory=class_row(SequenceRun)) as cursor:
        return cursor.execute(_SQL["sequences"], [device]).fetchall()


def heartbeats(conn: Transaction) -> dict[str, float]:
    """Seconds since each role of ours was last seen."""
    return dict(conn.execute(_SQL["heartbeats"]).fetchall())


def _devices(conn: Transaction, now: datetime, *, limit: int, **wanted: str | None) -> list[Device]:
    filters = dict.fromkeys(("after", "device", "site", "kind")) | wanted
    with conn.cursor(row_factory=class_row(Device)) as cursor:
        return cursor.execute(
            _SQL["devices"], {**filters, "limit": limit, "heard_since": now - HEARD_WITHIN}
        ).fetchall()
