"""What the pages show at a glance: each machine with what stands against it, small lines, counts, marks on charts.

Everything here reads, under the caller's tenant. The cost grows with the number of streams (an index probe each), never
with the length of their history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from alarms.policy import DEFAULT_POLICY
from store.queries import queries
from store.transactions import Transaction

# A machine that has been silent for longer counts as never heard: each further day costs one more index probe a
# stream.
HEARD_WITHIN = timedelta(days=31)
# Without a word for so long a machine is offline, whatever its rhythm. Sooner, the silence detector knows better: it
# has learnt how often each stream speaks.
OFFLINE_AFTER = timedelta(days=1)
# A machine that the detectors do not know after a day is one they cannot learn, such as one with a single point.
LEARNING_FOR = timedelta(days=1)

STATUSES = ("fault", "attention", "offline", "learning", "healthy")

_SQL = queries("overview")


@dataclass(frozen=True, slots=True)
class Glance:
    """A machine, the worst of its open alarms, the most urgent of its open tickets, and the point that leads.

    Shelved, suppressed and out-of-service alarms do not count. `alarms` counts the open ones; `severity`, `detector`
    and `message` are of the worst, None where there is none.
    """

    id: int
    device: str
    kind: str
    model: str
    site: str
    firmware: str
    online: bool | None
    online_at: datetime | None
    first_seen_at: datetime
    learnt_at: datetime | None
    alarms: int
    severity: str | None
    detector: str | None
    message: str | None
    ticket_id: UUID | None
    ticket_title: str | None
    ticket_state: str | None
    priority: str | None
    stream_id: int | None
    point: str | None
    unit: str | None
    heard_at: datetime | None
    gateway: str = ""
    presence: str = "unknown"
    presence_at: datetime | None = None
    expected_s: float | None = None
    offline_reason: str = ""
    clock_offset_s: float | None = None
    clock_drift_ppm: float | None = None
    clock_policy: str = "keep"
    mode: str = ""
    mode_since: datetime | None = None

    def status(self, now: datetime) -> str:
        """One of `STATUSES`. What is wrong with a machine goes before whether it can be heard."""
        silent = self.detector in ("silence", "site")
        if self.severity in ("critical", "high") and not silent:
            return "fault"
        gone = self.presence in ("silent", "lost", "site_lost", "stopped")
        if self.online is False or silent or gone or self.heard_at is None or now - self.heard_at > OFFLINE_AFTER:
            return "offline"
        if self.severity is not None or self.ticket_id is not None:
            return "attention"
        learning = self.learnt_at is None and now - self.first_seen_at < LEARNING_FOR
        return "learning" if learning else "healthy"


@dataclass(frozen=True, slots=True)
class Counts:
    """What stands in the head of each page."""

    alarms: int
    unacknowledged: int
    tickets: int


@dataclass(frozen=True, slots=True)
class Mark:
    """One alarm as it is drawn on a chart: a band from `since` until it returned."""

    id: UUID
    point: str
    severity: str
    state: str
    active: bool
    since: datetime
    raised_at: datetime
    returned_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class PointNow:
    """One point of a machine with its latest reading, None where there is none within `HEARD_WITHIN`."""

    id: int
    point: str
    quantity: str
    unit: str
    latest_at: datetime | None
    latest_value: float | None


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm in a list, with its site and the ticket that it belongs to. `is_of_flood`: it was told with one."""

    id: UUID
    device: str
    site: str
    point: str
    severity: str
    state: str
    active: bool
    since: datetime
    raised_at: datetime
    returned_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    shelved_until: datetime | None
    shelved_by: str | None
    shelve_reason: str | None
    quiet_because: str
    rises: int
    held_s: float | None
    message: str
    stale: bool
    is_of_flood: bool
    ticket_id: UUID | None


@dataclass(frozen=True, slots=True)
class TicketLine:
    """One ticket in a list, with its site; `assignee` by name."""

    id: UUID
    device: str
    site: str
    title: str
    state: str
    priority: str
    assignee: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    login: str
    name: str
    role: str


def glances(conn: Transaction, now: datetime, device: str | None = None) -> list[Glance]:
    """Every machine by site and name, or the one named `device` (an empty list where there is none)."""
    with conn.cursor(row_factory=class_row(Glance)) as cursor:
        return cursor.execute(_SQL["glances"], {"device": device, "heard_since": now - HEARD_WITHIN}).fetchall()


def samples(
    conn: Transaction, streams: Sequence[int], start: datetime, width: timedelta, steps: int
) -> dict[int, list[float | None]]:
    """The last reading of each of `steps` steps of `width`, by stream; None where a step has none.

    A sample, not a summary: what happens between two of them is not seen. Charts come from `store.readings`.
    """
    lines: dict[int, list[float | None]] = {stream: [None] * steps for stream in streams}
    rows = conn.execute(_SQL["samples"], {"streams": list(streams), "start": start, "width": width, "steps": steps})
    for stream, step, value in rows:
        lines[stream][step] = value
    return lines


def counts(conn: Transaction) -> Counts:
    """Open alarms, those of them that nobody has acknowledged, and open tickets."""
    with conn.cursor(row_factory=class_row(Counts)) as cursor:
        row = cursor.execute(_SQL["counts"]).fetchone()
    return row or Counts(0, 0, 0)


def marks(conn: Transaction, device: str, start: datetime, end: datetime, limit: int) -> list[Mark]:
    """Alarms of a machine that touch [start, end), newest first."""
    with conn.cursor(row_factory=class_row(Mark)) as cursor:
        return cursor.execute(_SQL["marks"], {"device": device, "start": start, "end": end, "limit": limit}).fetchall()


def sites(conn: Transaction) -> list[str]:
    """The sites that machines stand at, by name."""
    return [site for (site,) in conn.execute(_SQL["sites"]).fetchall()]


def points(conn: Transaction, device: str, now: datetime, limit: int) -> list[PointNow]:
    """A machine's points, those that say most of its health first."""
    with conn.cursor(row_factory=class_row(PointNow)) as cursor:
        return cursor.execute(
            _SQL["points"], {"device": device, "heard_since": now - HEARD_WITHIN, "limit": limit}
        ).fetchall()


def alarm_lines(
    conn: Transaction,
    *,
    limit: int,
    had: int = 0,
    states: Sequence[str] | None = None,
    severity: str | None = None,
    site: str | None = None,
    device: str | None = None,
    worst_first: bool = False,
    stale: bool = False,
    stale_h: int = DEFAULT_POLICY.stale_h,
    but_sites: Sequence[str] = (),
) -> list[AlarmLine]:
    """Alarms without the first `had`, and without those at `but_sites`; `device` is any part of a name.

    What stands unchanged for `stale_h` hours is marked; with `stale`, there is nothing else.
    """
    with conn.cursor(row_factory=class_row(AlarmLine)) as cursor:
        return cursor.execute(
            _SQL["alarm_lines"],
            {
                "limit": limit,
                "had": had,
                "states": None if states is None else list(states),
                "severity": severity,
                "site": site,
                "device": device,
                "worst_first": worst_first,
                "stale": stale,
                "stale_h": stale_h,
                "but_sites": list(but_sites),
            },
        ).fetchall()


def ticket_lines(
    conn: Transaction,
    *,
    limit: int,
    had: int = 0,
    states: Sequence[str] | None = None,
    priority: str | None = None,
    site: str | None = None,
    device: str | None = None,
    worst_first: bool = False,
) -> list[TicketLine]:
    """Tickets without the first `had`; `device` is any part of a name."""
    with conn.cursor(row_factory=class_row(TicketLine)) as cursor:
        return cursor.execute(
            _SQL["ticket_lines"],
            {
                "limit": limit,
                "had": had,
                "states": None if states is None else list(states),
                "priority": priority,
                "site": site,
                "device": device,
                "worst_first": worst_first,
            },
        ).fetchall()


def people(conn: Transaction) -> list[Person]:
    """Everybody of the tenant who can sign in, by name."""
    with conn.cursor(row_factory=class_row(Person)) as cursor:
        return cursor.execute(_SQL["people"]).fetchall()
