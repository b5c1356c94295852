"""A look at a machine after its repair, by `notify`: its rows are read, compared, and the verdict is kept.

A look is one transaction under the check's lock. What is settled leaves its line in the ticket's story, and a repair
that did not hold a parcel, in that transaction: who is killed in between has done nothing, and the next does it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from prognosis.after_repair import Finding, Outcome, compare
from prognosis.running import ROW_US, SETTLES_US, Point, Table
from store.assessment import DIAGNOSIS_POINTS, points
from store.connection import Session, act_for
from store.queries import queries
from store.tickets.history import record
from tickets.after_repair import next_look
from tickets.terms import HOUSE

_SQL = queries("after_repair")

# A fault is there before anybody sees it; what lies before that is healthy, so far back.
GUARD, BASELINE = timedelta(hours=6), timedelta(days=14)
# The last hours before the repair show what was off.
BEFORE = timedelta(hours=12)
_ROW = timedelta(microseconds=ROW_US)
_ROWS_AN_HOUR = 6
# What is shown: what is off, and what is nearest to it.
_MOST_SHOWN, _MOST_NAMED = 24, 3
_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A check whose turn it is."""

    id: UUID
    tenant: str


def due(conn: Session, now: datetime, limit: int) -> list[Due]:
    """Checks of all tenants whose turn it is."""
    return [Due(*row) for row in conn.execute(_SQL["due"], {"now": now, "limit": limit}).fetchall()]


def look(conn: Session, turn: Due, now: datetime) -> str:
    """See how a machine does after its repair; the outcome where the check is settled by it, else empty.

    The connection must be inside a transaction.
    """
    act_for(conn, turn.tenant)
    with conn.cursor(row_factory=dict_row) as cursor:
        kept = cursor.execute(_SQL["hold"], {"id": turn.id, "now": now}).fetchone()
    if kept is None:
        return ""
    wanted_h = kept["wanted_h"] or float(HOUSE["after_repair_h"])
    finding, spans = _compared(conn, kept, wanted_h, now)
    ran_h = finding.rows / _ROWS_AN_HOUR
    said = finding.outcome is not Outcome.CANNOT_SAY
    look_at = None if said else next_look(kept["begins_at"], ran_h, wanted_h, now)
    reason = told(finding) if said else finding.reason
    found = _found(finding, spans, wanted_h) | _beside(conn, kept, spans)
    fields = {"outcome": finding.outcome, "reason": reason, "ran_h": ran_h, "found": Jsonb(found)}
    conn.execute(_SQL["looked"], {"id": turn.id, "now": now, "look_at": look_at, **fields})
    if look_at is not None:
        return ""
    detail = {"outcome": finding.outcome, "stage": kept["stage"]}
    record(conn, turn.tenant, kept["ticket_id"], "after_repair", "bellwether", now, note=reason, detail=detail)
    if finding.outcome is Outcome.NOT_WELL:
        conn.execute(_SQL["send"], {"id": turn.id, "tenant": turn.tenant})
    return finding.outcome.value


def postpone(conn: Session, turn: Due, now: datetime) -> None:
    """Look at one later that could not be looked at."""
    conn.execute(_SQL["postpone"], {"id": turn.id, "now": now, "look_at": now + _AGAIN})


def told(finding: Finding) -> str:
    """What a verdict rests on, in words: the points that are off, and how far."""
    if finding.outcome is Outcome.WELL:
        return "all is as it was in health"
    named = []
    for one in finding.off[:_MOST_NAMED]:
        unit, at = f" {one.unit}" if one.unit else "", f" at {one.mode}" if one.mode else ""
        match one.why:
            case "still":
                named.append(f"{one.point}{at} rests at {one.now:.4g}{unit}")
            case "swing":
                swing = f"swings by {one.swing_now:.3g}{unit} in ten minutes"
                named.append(f"{one.point}{at} {swing}, {one.swing_usual:.3g} in health")
            case _:
                named.append(f"{one.point}{at} is {one.now:.4g}{unit}, {one.low:.4g} to {one.high:.4g} in health")
    more = len(finding.off) - len(named)
    return "; ".join(named) + (f"; {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class _Spans:
    """Which times are compared."""

    healthy: Sequence[tuple[datetime, datetime]]
    before: tuple[datetime, datetime]
    after: tuple[datetime, datetime]


def _compared(conn: Session, kept: Mapping[str, Any], wanted_h: float, now: datetime) -> tuple[Finding, _Spans]:
    spans = _spans(conn, kept, now)
    table = _table(conn, kept["device_id"], [*spans.healthy, spans.before, spans.after])
    healthy = np.zeros(len(table.time_us), bool)
    for span in spans.healthy:
        healthy |= _within(table, span)
    settled = (spans.after[0] + timedelta(microseconds=SETTLES_US), spans.after[1])
    flags = healthy, _within(table, spans.before), _within(table, settled)
    return compare(table, *flags, wanted_rows=round(wanted_h * _ROWS_AN_HOUR)), spans


def _spans(conn: Session, kept: Mapping[str, Any], now: datetime) -> _Spans:
    """The healthy baseline ends before the fault began, and begins after the repair before; other faults are no part
    of it."""
    since = min(one for one in (kept["since"], kept["alarmed_since"], kept["begins_at"]) if one is not None)
    until, begins = since - GUARD, since - GUARD - BASELINE
    asked = {"device": kept["device_id"], "ticket": kept["ticket_id"], "from": begins, "until": until}
    with conn.cursor(row_factory=dict_row) as cursor:
        ill = cursor.execute(_SQL["ill"], asked).fetchall()
    begins = max([begins, *(one["closed_at"] for one in ill if one["repaired"] and not one["lasts"])])
    healthy = [(begins, until)]
    for one in ill:
        first, last = one["since"] - GUARD, one["closed_at"]
        healthy = [s for a, b in healthy for s in ((a, min(b, first)), (max(a, last), b)) if s[0] < s[1]]
    repaired_from = kept["repaired_from"] or kept["begins_at"]
    before = (max(since, repaired_from - BEFORE), repaired_from)
    row_s = _ROW.total_seconds()
    whole = datetime.fromtimestamp(now.timestamp() // row_s * row_s, UTC)  # the row that goes on is none yet
    return _Spans(healthy, before, (kept["begins_at"], max(whole, kept["begins_at"])))


def _table(conn: Session, device_id: int, spans: Sequence[tuple[datetime, datetime]]) -> Table:
    own = points(conn, device_id, DIAGNOSIS_POINTS)
    times = {"begins": [begin for begin, _ in spans], "ends": [end for _, end in spans]}
    rows = conn.execute(_SQL["rows"], {"streams": [one.id for one in own], **times}).fetchall()
    blocks = conn.execute(_SQL["blocks"], {"device": device_id, **times}).fetchall()
    axes = sorted({axis for axis, _, _ in blocks})
    columns: dict[int | str, int] = {key: n for n, key in enumerate([*(one.id for one in own), *axes])}
    at = sorted({row[1] for row in rows} | {block[1] for block in blocks})
    place = {time_us: n for n, time_us in enumerate(at)}
    level, swing = np.full((2, len(at), len(columns)), np.nan)
    for stream, time_us, mean, width in rows:
        level[place[time_us], columns[stream]] = mean
        swing[place[time_us], columns[stream]] = width
    for axis, time_us, velocity in blocks:
        level[place[time_us], columns[axis]] = velocity
    of_blocks = [Point(f"{axis} (waveform)", "vibration_velocity", "mm/s", rare=True) for axis in axes]
    found = [*(Point(one.point, one.quantity, one.unit) for one in own), *of_blocks]
    return Table(found, np.array(at, np.int64), level, swing)


def _within(table: Table, span: tuple[datetime, datetime]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    begin, end = (round(one.timestamp() * 1e6) for one in span)
    return (table.time_us >= begin) & (table.time_us + ROW_US <= end)


def _found(finding: Finding, spans: _Spans, wanted_h: float) -> dict[str, Any]:
    """What a page shows of a look."""
    healthy_h = sum((end - begin).total_seconds() for begin, end in spans.healthy) / 3600
    return {
        "wanted_h": wanted_h,
        "baseline": {
            "from": spans.healthy[0][0].isoformat() if spans.healthy else None,
            "to": spans.healthy[-1][1].isoformat() if spans.healthy else None,
            "hours": round(healthy_h, 1),
        },
        "points": [one.to_json() for one in finding.points[:_MOST_SHOWN]],
        "compared": len(finding.points),
        "off": len(finding.off),
    }


def _beside(conn: Session, kept: Mapping[str, Any], spans: _Spans) -> dict[str, Any]:
    """Health and alarms, which stand beside the verdict and are no part of it."""
    asked = {"device": kept["device_id"], "since": spans.after[0]}
    row = conn.execute(
        _SQL["beside"], asked | {"before_from": spans.before[0], "before_to": spans.before[1]}
    ).fetchone()
    before, now, alarms = row or (None, None, 0)
    return {"health": {"before": before, "now": now}, "alarms": alarms}
