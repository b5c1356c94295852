"""A year of alarms and tickets, for `bench.boards`: what a tenant with 500 machines at 20 sites has behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from store.connection import Session

TENANT = "demo"
MACHINES, SITES, ENGINEERS = 500, 20, 30
OPEN_TICKETS, CLOSED_TICKETS = 10_000, 50_000
ALARM_EVENTS = 500_000
_YEAR_S = 365 * 86_400
_SEVERITIES = np.array(["low", "medium", "high", "critical"])
_EVIDENCE = {
    "point": "flow",
    "unit": "m3/h",
    "observed": 3.9,
    "expected": 5.0,
    "low": 4.6,
    "high": 5.4,
    "contributions": {f"point_{n}": 0.125 for n in range(8)},
    "window": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"},
}


def fill(conn: Session, now: datetime) -> None:
    """A year that ends at `now`. Triggers rest meanwhile: nobody listens, and nothing of it is an act of anybody."""
    rng = np.random.default_rng(0)
    machines = [(f"pump-{n:03d}", f"Hall {n % SITES + 1}", now - timedelta(days=400)) for n in range(MACHINES)]
    _copy(
        conn,
        "devices",
        "tenant device kind site first_seen_at",
        ((TENANT, device, "pump", site, seen) for device, site, seen in machines),
    )
    ids = [row[0] for row in conn.execute("SELECT id FROM devices ORDER BY device")]
    _fill_readings(conn, now)
    conn.execute("SET session_replication_role = replica")
    conn.execute("ALTER TABLE alarm_events ENABLE ALWAYS TRIGGER note_call")  # but for what the KPIs are counted from
    alarms = fill_alarms(conn, rng, ids, now)
    _fill_tickets(conn, rng, ids, alarms, now)
    _fill_services(conn, now)
    conn.execute("SET session_replication_role = origin")
    conn.execute("VACUUM ANALYZE")


def _fill_readings(conn: Session, now: datetime) -> None:
    """Eight points a machine; a day of the first, every ten minutes: what the fleet's small lines are drawn from."""
    for n in range(8):
        conn.execute(
            "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
            " SELECT id, tenant, device, %s, %s, 'bar' FROM devices",
            [f"point_{n}", "temperature" if n == 0 else "pressure"],
        )
    ids = [row[0] for row in conn.execute("SELECT id FROM streams WHERE point = 'point_0'")]
    times = [now - timedelta(minutes=10 * step) for step in range(144)]
    _copy(conn, "readings", "time stream_id value", ((at, stream, 61.0) for stream in ids for at in times))


def fill_alarms(
    conn: Session, rng: np.random.Generator, ids: list[int], now: datetime, events: int = ALARM_EVENTS
) -> list[UUID]:
    """Occurrences until there are so many events: raised, mostly acknowledged, returned; a few machines call most."""
    count = events * 10 // 27  # 2.7 events each
    machine = np.minimum(rng.zipf(1.3, count) - 1, len(ids) - 1)
    raised_s = np.sort(rng.random(count)) * _YEAR_S
    raised_s[: count // 50] = np.round(raised_s[: count // 50] / 7200) * 7200  # floods
    stood_s = rng.exponential(3600.0, count) + 1
    acked = rng.random(count) < 0.7
    severity = _SEVERITIES[np.searchsorted([0.78, 0.94, 0.99], rng.random(count))]
    chance = rng.random(count)
    occurrences = [UUID(bytes=rng.bytes(16), version=4) for _ in range(count)]
    begin = now - timedelta(seconds=_YEAR_S)
    rows, told = [], []
    standing: set[tuple[int, int]] = set()
    for n, occurrence in enumerate(occurrences):
        device = int(machine[n])
        at = begin + timedelta(seconds=float(raised_s[n]))
        back, seen = at + timedelta(seconds=float(stood_s[n])), at + timedelta(seconds=float(stood_s[n]) / 3)
        point = n % 8
        stands = back > now and (device, point) not in standing
        if stands:
            standing.add((device, point))
        back = min(back, now)
        is_acked = bool(acked[n]) and seen <= now
        state = ("acknowledged" if is_acked else "unacknowledged") if stands else "normal"
        rows.append(
            (
                occurrence,
                TENANT,
                ids[device],
                f"pump-{device:03d}",
                f"point_{point}",
                f"rule-{point}",
                "shift",
                "condition",
                severity[n],
                state,
                stands,
                at,
                at,
                None if stands else back,
                seen if is_acked else None,
                "ada@demo.example" if n % 3 else "bob@demo.example",
                2.0,
                "Discharge pressure 5.3 bar, expected 6.0 to 6.4",
                Jsonb(_EVIDENCE),
                at,
            )
        )
        who = rows[-1][15]
        told.append((occurrence, at, "raised", "unacknowledged", severity[n], "bellwether", Jsonb(_EVIDENCE)))
        if is_acked:
            told.append((occurrence, seen, "acknowledged", "acknowledged", severity[n], who, None))
        if chance[n] < 0.02 and not stands:
            shelf = at + timedelta(seconds=1)
            told.append((occurrence, shelf, "shelved", "shelved", severity[n], who, None))
            told.append((occurrence, back, "unshelved", "normal", severity[n], "bellwether", None))
        elif not stands:
            told.append((occurrence, back, "returned", "normal", severity[n], "bellwether", Jsonb(_EVIDENCE)))
        if chance[n] > 0.99:
            told.append((occurrence, at, "chattering", "unacknowledged", severity[n], "bellwether", None))
    _copy(
        conn,
        "alarms",
        "id tenant device_id device point rule detector fault severity state "
        "active since raised_at returned_at acked_at acked_by score message evidence changed_at",
        rows,
    )
    _copy(
        conn,
        "alarm_events",
        "event_id occurrence_id at recorded_at kind state severity who evidence tenant",
        ((UUID(bytes=rng.bytes(16), version=4), row[0], row[1], *row[1:], TENANT) for row in told),
    )
    return occurrences


def _fill_tickets(conn: Session, rng: np.random.Generator, ids: list[int], alarms: list[UUID], now: datetime) -> None:
    """Open ones of the last weeks, each of another fault, and closed ones of the year, with what belongs to them."""
    count = OPEN_TICKETS + CLOSED_TICKETS
    tickets = [UUID(bytes=rng.bytes(16), version=4) for _ in range(count)]
    opened = [
        now - timedelta(seconds=float(s))
        for s in np.concatenate([rng.random(OPEN_TICKETS) * 40 * 86_400, rng.random(CLOSED_TICKETS) * _YEAR_S])
    ]
    worked = ("accepted", "diagnosing", "on_site", "repairing", "testing", "quality_check", "handed_over", "closed")
    states = ("new", "triaged", "dispatched", "accepted", "diagnosing", "on_site", "repairing", "testing")
    verdicts = ("confirmed", "confirmed", "other_fault", "sensor_fault", "no_fault")

    def lines() -> Iterator[tuple[Any, ...]]:
        for n, ticket in enumerate(tickets):
            device, is_open = n % MACHINES, n < OPEN_TICKETS
            at = opened[n]
            over = None if is_open else min(at + timedelta(days=2), now)
            yield (
                (
                    ticket,
                    TENANT,
                    f"{n:020d}",
                    ids[device],
                    f"pump-{device:03d}",
                    f"fault-{n // MACHINES:03d}",
                    "alarm",
                    "Discharge pressure fell",
                    states[n % 8] if is_open else "closed",
                    None if is_open else verdicts[n % 5],
                    ("urgent", "high", "medium", "low")[n % 4],
                    "general",
                    f"engineer-{n % ENGINEERS:02d}@demo.example",
                    at,
                    at,
                    over or at,
                    over,
                    Jsonb(_EVIDENCE),
                )
            )

    _copy(
        conn,
        "tickets",
        "id tenant code device_id device fault source title state "
        "verdict priority level assignee since opened_at updated_at closed_at evidence",
        lines(),
    )
    _copy(
        conn,
        "ticket_events",
        "ticket_id tenant at kind who from_state to_state",
        (
            (ticket, TENANT, opened[n] + timedelta(minutes=10 * step), "moved", "ada@demo.example", before, state)
            for n, ticket in enumerate(tickets)
            for road in [states[:5] if n < OPEN_TICKETS else worked]
            for step, (before, state) in enumerate(zip(("new", *road), road, strict=False))
        ),
    )
    _copy(
        conn,
        "ticket_clocks",
        "ticket_id clock tenant started_at due_at warn_at stopped_at",
        (
            (
                ticket,
                clock,
                TENANT,
                at,
                at + timedelta(days=2),
                at + timedelta(days=1),
                None if n < OPEN_TICKETS else at + timedelta(hours=30),
            )
            for n, (ticket, at) in enumerate(zip(tickets, opened, strict=True))
            for clock in ("response", "on_site")
        ),
    )
    _copy(
        conn,
        "ticket_alarms",
        "ticket_id alarm_id tenant added_at",
        (
            (ticket, alarm, TENANT, opened[n])
            for n, (ticket, alarm) in enumerate(zip(tickets, alarms[::-1], strict=False))
        ),
    )


def _fill_services(conn: Session, now: datetime) -> None:
    """Parts for a part of the repairs, and what customers said of some; then what became of each ticket."""
    conn.execute("UPDATE devices SET model = 'P-' || (20 + 10 * mod(id, 6))")
    conn.execute(
        "WITH central AS (INSERT INTO part_places (tenant, kind, name) VALUES (%(tenant)s, 'central', 'Central')"
        " RETURNING id), repair AS (INSERT INTO part_places (tenant, kind, name) VALUES (%(tenant)s, 'repair', 'x')"
        " RETURNING id), kept AS (INSERT INTO parts (tenant, number, name, value, created_by)"
        " SELECT %(tenant)s, 'part-' || n, 'Part', 10 * n, 'ada' FROM generate_series(1, 40) n RETURNING id),"
        " lots AS (INSERT INTO part_lots (tenant, part_id, lot) SELECT %(tenant)s, id, '' FROM kept"
        " RETURNING id, part_id)"
        " INSERT INTO part_stock (place_id, lot_id, part_id, tenant, outside, quantity)"
        " SELECT central.id, lots.id, lots.part_id, %(tenant)s, false, 500 FROM lots, central, repair",
        {"tenant": TENANT},
    )
    conn.execute(
        "INSERT INTO part_moves (tenant, at, kind, part_id, lot_id, from_id, to_id, quantity, ticket_id, who)"
        " SELECT t.tenant, t.closed_at, 'issue', l.part_id, l.id, c.id, r.id, 1, t.id, 'ada'"
        " FROM (SELECT *, row_number() OVER () AS n FROM tickets WHERE state = 'closed') t"
        " JOIN part_lots l ON l.part_id = 1 + mod(t.n, 40) JOIN part_places c ON c.kind = 'central'"
        " JOIN part_places r ON r.kind = 'repair' WHERE mod(t.n, 2) = 0"
    )
    conn.execute(
        "INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash, reached_at,"
        " answered_at, how, csat, nps, answers, device_id, engineer)"
        " SELECT tenant, id, 0, 0, closed_at, closed_at + INTERVAL '1 day',"
        " closed_at + INTERVAL '14 days', sha256(id::text::bytea), closed_at, closed_at, 'link', 80 + mod(n, 20),"
        " 4 + mod(n, 7),"
        " '{}', device_id, assignee"
        " FROM (SELECT *, row_number() OVER () AS n FROM tickets WHERE closed_at < %s) t WHERE mod(n, 3) = 0",
        [now],
    )
    conn.execute("ANALYZE")  # who does not know how many there are looks through all of them, for each ticket
    conn.execute("SELECT count_outcomes(array_agg(id)) FROM tickets")


def _copy(conn: Session, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns.split()))
    )
    with conn.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)
