"""A fleet with a past, written straight into a migrated database: what the pages are looked at with.

Twelve machines at two sites, eight points each, readings that get denser towards now, a gap of hours, an alarm in each
state of ISA-18.2 and tickets along the road with their evidence. The same seed gives the same fleet, but for the time:
it ends where `now` says. `python tests/acceptance/seed.py URL [TENANT]` fills a database for looking at by hand.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt
import psycopg
from argon2 import PasswordHasher
from psycopg import Connection
from psycopg.rows import TupleRow

from notify.assessment import Assessment
from notify.storage import StorageCare
from prognosis.faults import library

LOGIN = "ada@demo.example"
PASSWORD = "correct horse battery staple"
_NAMESPACE = UUID("1d0f3f0a-3f6c-4b8e-9b55-5f0c63f6f0aa")
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """How one point behaves: its mean at full load, what an idle machine shows, and its noise (one sigma)."""

    name: str
    quantity: str
    unit: str
    loaded: float
    idle: float
    noise: float


@dataclass(frozen=True, slots=True)
class Machine:
    """`drifts` by point: how far it has moved by now, over so many hours."""

    device: str
    kind: str
    model: str
    site: str
    drifts: dict[str, tuple[float, float]] = field(default_factory=dict)
    silent_h: float = 0.0
    first_seen_days: float = 60.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One occurrence, in hours before now. `band` is what its leading point would normally show."""

    device: str
    point: str
    rule: str
    detector: str
    fault: str
    severity: str
    state: str
    active: bool
    since_h: float
    raised_h: float
    returned_h: float | None
    band: tuple[float, float, float, float]
    contributions: dict[str, float]
    message: str
    score: float


POINTS: dict[str, tuple[Point, ...]] = {
    "pump": (
        Point("vibration_velocity", "vibration_velocity", "mm/s", 1.9, 0.3, 0.11),
        Point("bearing_temperature", "temperature", "degC", 61.0, 34.0, 0.6),
        Point("motor_temperature", "temperature", "degC", 72.0, 36.0, 0.8),
        Point("motor_current", "current", "A", 41.0, 4.0, 0.5),
        Point("discharge_pressure", "pressure", "bar", 6.2, 1.1, 0.05),
        Point("suction_pressure", "pressure", "bar", 1.35, 1.1, 0.02),
        Point("flow", "flow", "m3/h", 118.0, 0.0, 1.6),
        Point("shaft_speed", "speed", "rpm", 1484.0, 0.0, 1.5),
    ),
    "gearmotor": (
        Point("vibration_velocity", "vibration_velocity", "mm/s", 2.3, 0.4, 0.12),
        Point("vibration_acceleration", "vibration_acceleration", "g", 0.42, 0.05, 0.03),
        Point("gearbox_oil_temperature", "temperature", "degC", 68.0, 33.0, 0.5),
        Point("bearing_temperature", "temperature", "degC", 58.0, 32.0, 0.6),
        Point("motor_temperature", "temperature", "degC", 76.0, 35.0, 0.8),
        Point("motor_current", "current", "A", 27.5, 3.0, 0.4),
        Point("motor_power", "power", "kW", 13.2, 0.9, 0.2),
        Point("shaft_speed", "speed", "rpm", 72.0, 0.0, 0.3),
    ),
    "compressor": (
        Point("vibration_velocity", "vibration_velocity", "mm/s", 2.8, 0.5, 0.15),
        Point("discharge_temperature", "temperature", "degC", 88.0, 38.0, 0.9),
        Point("oil_temperature", "temperature", "degC", 74.0, 36.0, 0.6),
        Point("discharge_pressure", "pressure", "bar", 9.4, 5.8, 0.08),
        Point("intake_pressure", "pressure", "bar", 0.98, 1.01, 0.005),
        Point("motor_current", "current", "A", 96.0, 9.0, 1.2),
        Point("motor_power", "power", "kW", 54.0, 3.1, 0.7),
        Point("flow", "flow", "m3/h", 512.0, 0.0, 6.0),
    ),
}

RIVERSIDE, QUAY = "Riverside works", "North quay"
MACHINES = (
    Machine("pump-101", "pump", "NK 80-200", RIVERSIDE),
    Machine(
        "pump-102",
        "pump",
        "NK 80-200",
        RIVERSIDE,
        drifts={"vibration_velocity": (3.4, 26), "bearing_temperature": (14.0, 22), "motor_current": (4.5, 18)},
    ),
    Machine("pump-103", "pump", "NK 65-160", RIVERSIDE),
    Machine("gearmotor-201", "gearmotor", "R97 DRN160", RIVERSIDE),
    Machine("gearmotor-202", "gearmotor", "R97 DRN160", RIVERSIDE, drifts={"gearbox_oil_temperature": (11.0, 60)}),
    Machine("compressor-301", "compressor", "GA 55", RIVERSIDE),
    Machine("pump-104", "pump", "NK 80-200", QUAY, drifts={"discharge_pressure": (-0.9, 50)}),
    Machine("pump-105", "pump", "NK 65-160", QUAY),
    Machine("gearmotor-203", "gearmotor", "R77 DRN132", QUAY),
    Machine("gearmotor-204", "gearmotor", "R77 DRN132", QUAY, first_seen_days=0.4),
    Machine("compressor-302", "compressor", "GA 55", QUAY),
    Machine("compressor-303", "compressor", "GA 37", QUAY, silent_h=3.2),
)

ALARMS = (
    Alarm(
        "pump-102",
        "vibration_velocity",
        "bearing_wear",
        "pca",
        "bearing",
        "critical",
        "unacknowledged",
        True,
        26,
        9.5,
        None,
        (5.21, 1.93, 1.55, 2.31),
        {
            "vibration_velocity": 0.56,
            "bearing_temperature": 0.27,
            "motor_current": 0.11,
            "motor_temperature": 0.04,
            "flow": 0.02,
        },
        "Vibration velocity 5.2 mm/s, expected 1.6 to 2.3: moving together with bearing temperature",
        3.1,
    ),
    Alarm(
        "pump-102",
        "bearing_temperature",
        "temperature_drift",
        "drift",
        "bearing",
        "high",
        "unacknowledged",
        True,
        22,
        6.0,
        None,
        (74.6, 61.2, 58.4, 63.9),
        {"bearing_temperature": 1.0},
        "Bearing temperature has risen 13 °C in 22 h",
        1.9,
    ),
    Alarm(
        "gearmotor-202",
        "gearbox_oil_temperature",
        "temperature_drift",
        "drift",
        "lubrication",
        "medium",
        "acknowledged",
        True,
        60,
        31.0,
        None,
        (78.1, 68.0, 65.2, 70.9),
        {"gearbox_oil_temperature": 0.81, "bearing_temperature": 0.13, "motor_temperature": 0.06},
        "Gearbox oil temperature has risen 10 °C in 60 h",
        1.6,
    ),
    Alarm(
        "compressor-301",
        "discharge_temperature",
        "discharge_limit",
        "limits",
        "cooling",
        "low",
        "returned_unacknowledged",
        False,
        15,
        14.8,
        13.1,
        (97.2, 88.0, 70.0, 95.0),
        {"discharge_temperature": 1.0},
        "Discharge temperature 97 °C, above 95 °C",
        1.1,
    ),
    Alarm(
        "pump-104",
        "discharge_pressure",
        "pressure_shift",
        "shift",
        "impeller",
        "medium",
        "shelved",
        True,
        50,
        28.0,
        None,
        (5.34, 6.2, 6.0, 6.4),
        {"discharge_pressure": 0.74, "flow": 0.2, "motor_current": 0.06},
        "Discharge pressure 5.3 bar, expected 6.0 to 6.4",
        1.4,
    ),
    Alarm(
        "pump-105",
        "flow",
        "flow_limit",
        "limits",
        "flow",
        "low",
        "out_of_service",
        True,
        120,
        119.0,
        None,
        (104.0, 118.0, 110.0, 126.0),
        {"flow": 1.0},
        "Flow 104 m³/h, below 110 m³/h",
        1.2,
    ),
    Alarm(
        "gearmotor-203",
        "motor_current",
        "current_limit",
        "limits",
        "overload",
        "low",
        "suppressed",
        True,
        40,
        39.9,
        None,
        (33.0, 27.5, 20.0, 32.0),
        {"motor_current": 1.0},
        "Motor current 33 A, above 32 A",
        1.0,
    ),
    Alarm(
        "compressor-303",
        "vibration_velocity",
        "silence",
        "silence",
        "silence",
        "high",
        "unacknowledged",
        True,
        3.2,
        3.1,
        None,
        (float("nan"),) * 4,
        {},
        "Nothing heard for 3 h: expected a reading each minute",
        6.4,
    ),
    Alarm(
        "pump-101",
        "motor_temperature",
        "temperature_limit",
        "limits",
        "cooling",
        "medium",
        "normal",
        False,
        75,
        74.6,
        72.2,
        (88.4, 72.0, 40.0, 85.0),
        {"motor_temperature": 1.0},
        "Motor temperature 88 °C, above 85 °C",
        1.2,
    ),
    Alarm(
        "compressor-302",
        "discharge_pressure",
        "pressure_shift",
        "shift",
        "valve",
        "high",
        "normal",
        False,
        130,
        129.0,
        121.0,
        (7.9, 9.4, 9.1, 9.7),
        {"discharge_pressure": 0.7, "flow": 0.3},
        "Discharge pressure 7.9 bar, expected 9.1 to 9.7",
        2.2,
    ),
)


def seed(
    database_url: str, tenant: str, now: datetime | None = None, days: float = 7.0, dense_minutes: float = 40.0
) -> None:
    """Fill `tenant`: ten-minute readings for `days`, each minute for 36 hours, every two seconds at the end."""
    now = now or datetime.now(UTC)
    with psycopg.connect(database_url, options="-c timezone=UTC") as conn:
        conn.execute("INSERT INTO tenants (id, name) VALUES (%s, 'Demo works') ON CONFLICT DO NOTHING", [tenant])
        _users(conn, tenant)
        devices = _machines(conn, tenant, now)
        streams = {(device, point): id_ for id_, device, point in _streams(conn, tenant)}
        _readings(conn, streams, now, days, dense_minutes)
        conn.commit()
        _assess(database_url, now - timedelta(days=3))  # before anything stands against a machine
        alarms = _alarms(conn, tenant, devices, streams, now)
        _tickets(conn, tenant, devices, alarms, now)
        _past(conn, tenant, devices, now)
        _intake(conn, tenant, devices, now)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("ANALYZE readings")
        StorageCare(database_url).count(conn, now)
    _assess(database_url, now)


def _assess(database_url: str, now: datetime) -> None:
    """Health and diagnoses as `notify` makes them."""
    assessor = Assessment(database_url, library())
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as conn:
        assessor.assess(conn, now)
        assessor.diagnose(conn)


def _intake(conn: Connection[TupleRow], tenant: str, devices: dict[str, int], now: datetime) -> None:
    """A quiet day, one machine that has lost messages, and one that says what cannot be taken."""
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hour) for hour in range(6)]
    for number, device in enumerate([*sorted(devices), ""]):
        rejected = {0: 120, len(devices): 37}.get(number, 0)
        for hour in hours:
            conn.execute(
                "INSERT INTO ledger (tenant, device, hour, messages, messages_stored, messages_duplicate,"
                " messages_rejected, rejected, stored, duplicates, missing)"
                " VALUES (%s, %s, %s, %s, %s, 3, %s, %s, %s, 3, %s)",
                [tenant, device, hour, 3603 + rejected, 3600, rejected, rejected, 3600, 14 if number == 1 else 0],
            )
    for device, reason in ((sorted(devices)[0], "temperature: a text is no number"), (None, "not a topic of ours")):
        for minute in range(3):
            payload = b'{"temperature": "warm"}'
            conn.execute(
                "INSERT INTO rejects (at, tenant, device, topic, payload, bytes, reason, whole, alone)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, true, true)",
                [now - timedelta(minutes=minute), tenant, device, f"plant/{device}", payload, len(payload), reason],
            )


@cache
def _password_hash() -> str:
    """A tenth of a second, once."""
    return PasswordHasher().hash(PASSWORD)


def user(conn: Connection[TupleRow], tenant: str, login: str, name: str, role: str) -> None:
    """Somebody who can sign in with `PASSWORD`."""
    conn.execute(
        "INSERT INTO users (tenant, login, name, role, password_hash) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (login) DO NOTHING",
        [tenant, login, name, role, _password_hash()],
    )


def _users(conn: Connection[TupleRow], tenant: str) -> None:
    user(conn, tenant, LOGIN, "Ada Okafor", "dispatcher")
    user(conn, tenant, "ben@demo.example", "Ben Lindqvist", "engineer")
    user(conn, tenant, "owner@demo.example", "Rosa Marín", "owner")
    user(conn, tenant, "admin@demo.example", "Admin", "administrator")


def _machines(conn: Connection[TupleRow], tenant: str, now: datetime) -> dict[str, int]:
    found = {}
    for m in MACHINES:
        row = conn.execute(
            "INSERT INTO devices (tenant, device, kind, model, site, firmware, online, online_at, first_seen_at,"
            " learnt_at) VALUES (%s, %s, %s, %s, %s, '1.4.2', %s, %s, %s, %s) RETURNING id",
            [
                tenant,
                m.device,
                m.kind,
                m.model,
                m.site,
                not m.silent_h,
                now - timedelta(hours=m.silent_h or 50),
                now - timedelta(days=m.first_seen_days),
                now - timedelta(days=m.first_seen_days - 1) if m.first_seen_days > 1 else None,
            ],
        ).fetchone()
        assert row is not None
        found[m.device] = int(row[0])
        for p in POINTS[m.kind]:
            conn.execute(
                "INSERT INTO streams (device_id, tenant, device, point, quantity, unit, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [row[0], tenant, m.device, p.name, p.quantity, p.unit, now - timedelta(days=m.first_seen_days)],
            )
    return found


def _streams(conn: Connection[TupleRow], tenant: str) -> list[TupleRow]:
    return conn.execute("SELECT id, device, point FROM streams WHERE tenant = %s", [tenant]).fetchall()


def _whole_hour(time_us: int) -> int:
    """What is counted by the hour is then the same whenever it is seeded."""
    return time_us - time_us % (60 * _MINUTE_US)


def _times(now_us: int, days: float, dense_minutes: float) -> npt.NDArray[np.int64]:
    """Coarse, then each minute for more than a day, then every two seconds: one record without an overlap.

    The hour before the last may be the newest that is counted: the day that is counted begins with it.
    """
    day = _whole_hour(now_us) - 36 * 60 * _MINUTE_US
    dense = now_us - int(dense_minutes * _MINUTE_US)
    return np.concatenate(
        [
            np.arange(now_us - int(days * 1440 * _MINUTE_US), day, 10 * _MINUTE_US),
            np.arange(day, dense, _MINUTE_US),
            np.arange(dense, now_us, 2_000_000),
        ]
    ).astype(np.int64)


def _load(time_us: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Two shifts a day, a slow night, a wandering demand; between 0.55 and 1. It ends at nine in the morning."""
    hour = ((time_us - time_us[-1]) / 3.6e9 + 9) % 24
    shift = 1 / (1 + np.exp(-(hour - 6) * 2)) - 1 / (1 + np.exp(-(hour - 22) * 2))
    slow = np.interp(time_us, np.linspace(time_us[0], time_us[-1], 60), rng.normal(0, 0.04, 60))
    return np.asarray(np.clip(0.68 + 0.27 * shift + slow, 0.55, 1.0))


def _readings(
    conn: Connection[TupleRow], streams: dict[tuple[str, str], int], now: datetime, days: float, dense_minutes: float
) -> None:
    now_us = int(now.timestamp() * 1e6)
    most = int(days * 144 + 37 * 60 + dense_minutes * 30) + 1
    with conn.cursor().copy("COPY readings (time, stream_id, value, quality) FROM STDIN") as copy:
        for index, m in enumerate(MACHINES):
            rng = np.random.default_rng(1000 + index)
            time_us = _times(now_us, days, dense_minutes)
            load = _load(time_us, rng)
            heard = (time_us > now_us - m.first_seen_days * 86.4e9) & (time_us < now_us - m.silent_h * 3.6e9)
            # A gap of two hours and a half, twelve hours ago: the line to the site was down.
            if m.site == RIVERSIDE:
                back = _whole_hour(now_us) - 12 * 60 * _MINUTE_US
                heard &= (time_us < back - 150 * _MINUTE_US) | (time_us > back)
            for p in POINTS[m.kind]:
                # Drawn backwards from now, since how many readings there are depends on the minute.
                noise = rng.normal(0, p.noise, most)[len(time_us) - 1 :: -1]
                value = p.loaded + noise
                if p.name != "shaft_speed":
                    value += (p.loaded - p.idle) * (0.16 * load - 0.14)
                if p.name in m.drifts:
                    by, hours = m.drifts[p.name]
                    value += by * np.clip((time_us - now_us) / (hours * 3.6e9) + 1, 0, 1) ** 1.4
                at = np.datetime_as_string(time_us[heard].astype("datetime64[us]")).tolist()
                rows = zip(at, np.char.mod("%.4f", value[heard]).tolist(), strict=True)
                stream = streams[m.device, p.name]
                copy.write("".join(f"{time}Z\t{stream}\t{read}\t0\n" for time, read in rows))


def _alarms(
    conn: Connection[TupleRow], tenant: str, devices: dict[str, int], streams: dict[tuple[str, str], int], now: datetime
) -> dict[tuple[str, str], UUID]:
    found = {}
    for a in ALARMS:
        id_ = uuid5(_NAMESPACE, f"{tenant}/{a.device}/{a.rule}/{now.isoformat()}")
        found[a.device, a.rule] = id_
        since, raised = now - timedelta(hours=a.since_h), now - timedelta(hours=a.raised_h)
        returned = None if a.returned_h is None else now - timedelta(hours=a.returned_h)
        acked = raised + timedelta(minutes=14) if a.state in ("acknowledged", "normal") else None
        evidence = _evidence(a, since)
        shelved = a.state == "shelved"
        conn.execute(
            "INSERT INTO alarms (id, tenant, device_id, device, stream_id, point, rule, detector, fault, severity,"
            " state, active, since, raised_at, returned_at, acked_at, acked_by, shelved_until, shelved_by,"
            " shelve_reason, score, message, evidence) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                id_,
                tenant,
                devices[a.device],
                a.device,
                streams[a.device, a.point],
                a.point,
                a.rule,
                a.detector,
                a.fault,
                a.severity,
                a.state,
                a.active,
                since,
                raised,
                returned,
                acked,
                acked and "Ben Lindqvist",
                now + timedelta(hours=5) if shelved else None,
                "Ada Okafor" if shelved else None,
                "Throttled on purpose until the tank is cleaned" if shelved else None,
                a.score,
                a.message,
                json.dumps(evidence),
            ],
        )
        history = [("raised", raised, "unacknowledged", "bellwether", "")]
        if acked:
            history.append(("acknowledged", acked, "acknowledged", "Ben Lindqvist", ""))
        if shelved:
            history.append(("shelved", raised + timedelta(hours=1), "shelved", "Ada Okafor", "Throttled on purpose"))
        if returned:
            history.append(("returned", returned, a.state, "bellwether", ""))
        for kind, at, state, who, note in history:
            conn.execute(
                "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, score, who,"
                " note, evidence) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [uuid5(id_, kind), id_, tenant, at, kind, state, a.severity, a.score, who, note, json.dumps(evidence)],
            )
    return found


def _evidence(a: Alarm, since: datetime) -> dict[str, object]:
    observed, expected, low, high = (None if np.isnan(v) else v for v in a.band)
    return {
        "point": a.point,
        "observed": observed,
        "expected": expected,
        "low": low,
        "high": high,
        "since": since.isoformat(),
        "contributions": a.contributions,
    }


# device, rule of its alarm (or None), fault, source, title, state, priority, level, assignee, opened (h ago), closed
_TICKETS = (
    (
        "pump-102",
        "bearing_wear",
        "bearing",
        "alarm",
        "Bearing wear on pump-102",
        "diagnosing",
        "urgent",
        "emergency",
        "ben@demo.example",
        9.5,
        None,
    ),
    (
        "gearmotor-202",
        "temperature_drift",
        "lubrication",
        "alarm",
        "Gearbox oil runs hotter on gearmotor-202",
        "triaged",
        "high",
        "major",
        "",
        3.2,
        None,
    ),
    (
        "compressor-303",
        "silence",
        "silence",
        "alarm",
        "compressor-303 has fallen silent",
        "new",
        "medium",
        "general",
        "",
        3.1,
        None,
    ),
    (
        "pump-104",
        "pressure_shift",
        "impeller",
        "alarm",
        "Discharge pressure is low on pump-104",
        "on_hold",
        "medium",
        "general",
        "ben@demo.example",
        27.5,
        None,
    ),
    (
        "pump-103",
        None,
        "seal",
        "person",
        "Drip at the shaft seal",
        "accepted",
        "low",
        "general",
        "ben@demo.example",
        30.0,
        None,
    ),
    (
        "compressor-302",
        "pressure_shift",
        "valve",
        "alarm",
        "Discharge pressure drops on compressor-302",
        "closed",
        "high",
        "major",
        "ben@demo.example",
        128.0,
        96.0,
    ),
    (
        "pump-101",
        "temperature_limit",
        "cooling",
        "alarm",
        "Motor of pump-101 ran hot",
        "cancelled",
        "medium",
        "general",
        "ada@demo.example",
        74.0,
        70.0,
    ),
)
_ROAD = ("new", "triaged", "dispatched", "accepted", "diagnosing", "on_hold", "closed", "cancelled")
_CLOCKS_H = {"emergency": (1, 12), "major": (4, 24), "general": (8, 48)}


def _tickets(
    conn: Connection[TupleRow], tenant: str, devices: dict[str, int], alarms: dict[tuple[str, str], UUID], now: datetime
) -> None:
    by_rule = {(a.device, a.rule): a for a in ALARMS}
    for device, rule, fault, source, title, state, priority, level, assignee, opened_h, closed_h in _TICKETS:
        opened = now - timedelta(hours=opened_h)
        closed = None if closed_h is None else now - timedelta(hours=closed_h)
        alarm = by_rule.get((device, rule or ""))
        since = now - timedelta(hours=alarm.since_h) if alarm else opened
        code = uuid5(_NAMESPACE, f"{tenant}/{device}/{fault}").hex[:16].upper()
        row = conn.execute(
            "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, description, state, priority,"
            " level, assignee, leading_point, since, opened_at, updated_at, closed_at, evidence, held_from, verdict)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            [
                tenant,
                code,
                devices[device],
                device,
                fault,
                source,
                title,
                alarm.message if alarm else "Water on the base plate each morning, a cup or so. No noise.",
                state,
                priority,
                level,
                assignee,
                alarm.point if alarm else "",
                since,
                opened,
                closed or opened + timedelta(hours=min(1.0, opened_h / 2)),
                closed,
                json.dumps(_evidence(alarm, since) if alarm else {}),
                "diagnosing" if state == "on_hold" else None,
                "confirmed" if state == "closed" else None,
            ],
        ).fetchone()
        assert row is not None
        _ticket_events(conn, tenant, row[0], state, opened, alarm, assignee)
        if rule:
            for key, id_ in alarms.items():
                if key[0] == device and by_rule[key].fault == fault:
                    conn.execute(
                        "INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant) VALUES (%s, %s, %s)",
                        [row[0], id_, tenant],
                    )
        _clocks(conn, tenant, row[0], state, level, opened, closed)


def _ticket_events(
    conn: Connection[TupleRow],
    tenant: str,
    ticket: UUID,
    state: str,
    opened: datetime,
    alarm: Alarm | None,
    assignee: str,
) -> None:
    def event(kind: str, at: datetime, who: str, before: str | None, after: str | None, note: str = "") -> None:
        conn.execute(
            "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, from_state, to_state, note)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [ticket, tenant, at, kind, who, before, after, note],
        )

    event(
        "opened", opened, "bellwether" if alarm else "Rosa Marín", None, "new", alarm.message if alarm else "Seal drips"
    )
    before, at = "new", opened
    for step in _ROAD[1 : _ROAD.index(state) + 1]:
        if step in ("closed", "cancelled") and step != state:
            continue
        at += timedelta(minutes=9)
        event("moved", at, assignee or "Ada Okafor", before, step)
        before = step
    if state == "diagnosing":
        note = "Listened at the drive end: a rough, rising tone. Grease looks dark.\nTaking the spectrum next."
        event("comment", at + timedelta(minutes=25), "Ben Lindqvist", None, None, note)


# device, days ago, title, verdict, last words, hours until it was normal again, how its points had moved
_PAST = (
    (
        "pump-103",
        193.0,
        "pump-103: vibration velocity 150 % above normal (with bearing temperature)",
        "confirmed",
        "Drive-end bearing replaced: spalled outer race, grease black.",
        41.0,
        {"vibration": 2.9, "bearing_temperature": 2.2, "current": 1.1, "winding_temperature": 0.2, "flow": -0.1},
    ),
    (
        "pump-101",
        88.0,
        "pump-101: vibration velocity 70 % above normal",
        "other_fault",
        "Coupling was out of line by 0.4 mm: aligned by laser.",
        20.0,
        {"vibration": 2.4, "bearing_temperature": 1.3, "current": 0.4},
    ),
    (
        "pump-105",
        51.0,
        "pump-105: flow 30 % below normal",
        "confirmed",
        "Strainer cleaned.",
        9.0,
        {"flow": -2.6, "discharge_pressure": -1.2, "vibration": 0.1},
    ),
)


def _past(conn: Connection[TupleRow], tenant: str, devices: dict[str, int], now: datetime) -> None:
    """Faults of long ago, with what they turned out to be."""
    for device, days, title, verdict, words, hours, signature in _PAST:
        since = now - timedelta(days=days)
        code = uuid5(_NAMESPACE, f"{tenant}/{device}/past").hex[:16].upper()
        ends = since + timedelta(hours=hours)
        row = conn.execute(
            "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, state, priority, level,"
            " assignee, since, opened_at, updated_at, closed_at, verdict) VALUES"
            " (%s, %s, %s, %s, 'condition', 'alarm', %s, 'closed', 'high', 'major', 'ben@demo.example', %s, %s, %s, %s,"
            " %s) RETURNING id",
            [tenant, code, devices[device], device, title, since, since, ends, ends, verdict],
        ).fetchone()
        alarm = uuid5(_NAMESPACE, f"{tenant}/{device}/past alarm")
        conn.execute(
            "INSERT INTO alarms (id, tenant, device_id, device, point, rule, detector, fault, severity, state, active,"
            " since, raised_at, returned_at, score, message, evidence) VALUES"
            " (%s, %s, %s, %s, '', 'multivariate', 'multivariate', 'condition', 'high', 'normal', false, %s, %s, %s, 3,"
            " %s, '{}')",
            [alarm, tenant, devices[device], device, since, since, ends, title],
        )
        assert row is not None
        ticket = {"ticket": row[0], "tenant": tenant, "alarm": alarm, "at": ends, "words": words}
        conn.execute(
            "INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant) VALUES (%(ticket)s, %(alarm)s, %(tenant)s)", ticket
        )
        conn.execute(
            "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, from_state, to_state, note)"
            " VALUES (%(ticket)s, %(tenant)s, %(at)s, 'moved', 'Ben Lindqvist', 'testing', 'closed', %(words)s)",
            ticket,
        )
        conn.execute(
            "INSERT INTO episodes (ticket_id, tenant, device_id, kind, since, signature)"
            " VALUES (%s, %s, %s, 'pump', %s, %s)",
            [row[0], tenant, devices[device], since, json.dumps(signature)],
        )


def _clocks(
    conn: Connection[TupleRow],
    tenant: str,
    ticket: UUID,
    state: str,
    level: str,
    opened: datetime,
    closed: datetime | None,
) -> None:
    answered = state not in ("new", "triaged")
    for clock, hours in zip(("response", "on_site"), _CLOCKS_H[level], strict=True):
        due = opened + timedelta(hours=hours)
        stopped = closed or (opened + timedelta(minutes=18) if clock == "response" and answered else None)
        paused = opened + timedelta(hours=2) if state == "on_hold" and not stopped else None
        conn.execute(
            "INSERT INTO ticket_clocks (ticket_id, clock, tenant, started_at, due_at, warn_at, paused_at, stopped_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [ticket, clock, tenant, opened, due, opened + (due - opened) * 0.75, paused, stopped],
        )


if __name__ == "__main__":
    seed(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "demo", days=30)
