"""Alarm events into the database: the alarm, its history and what the world is told, in the caller's transaction.

Applying an event twice changes nothing: its ids are made from what it names.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from psycopg.types.json import Jsonb

from alarms.events import AlarmEvent, Kind
from alarms.states import QUIET, Action, State, move
from detectors.scores import Scope, Snapshot
from store import alarm_moves, provenance
from store.alarm_moves import rfc3339
from store.connection import Session
from store.provenance import Origin
from store.queries import queries
from telemetry import instant

# What the chart of an alarm shows before the departure and after the edge: as much as lies between, and at least this.
_MARGIN_LEAST_US = 120_000_000


def apply(conn: Session, events: Iterable[AlarmEvent], origins: Mapping[UUID, Origin] | None = None) -> int:
    """Store edges in their order; returns how many were new.

    `origins`: what raises rest on, by occurrence, where their scores follow from readings.
    """
    return sum(_apply_one(conn, event, (origins or {}).get(event.occurrence_id)) for event in events)


def save_state(conn: Session, snapshots: Mapping[str, Snapshot]) -> None:
    """Store the memory of every detector."""
    with conn.cursor() as cursor:
        for name, snapshot in snapshots.items():
            cursor.execute(queries("occurrences")["save_state"], [name, _pack(snapshot)])


def load_state(conn: Session) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The memories stored; one that cannot be read is left out, and its detector starts afresh."""
    found = {}
    for name, state in conn.execute(queries("occurrences")["load_states"]):
        try:
            found[name] = _unpack(state)
        except (ValueError, KeyError, OSError, BadZipFile):
            continue
    return found


def remembered(conn: Session) -> list[str]:
    """The names under which something is remembered."""
    return [name for (name,) in conn.execute(queries("occurrences")["remembered"])]


def load_one(conn: Session, name: str) -> dict[str, npt.NDArray[Any]] | None:
    """The memory of one detector; None where there is none that can be read."""
    row = conn.execute(queries("occurrences")["load_one_state"], {"name": name}, binary=True).fetchone()
    try:
        return None if row is None else _unpack(row[0])
    except (ValueError, KeyError, OSError, BadZipFile):
        return None


def evidence_to_json(event: AlarmEvent) -> dict[str, Any]:
    """The evidence of an event with the window that a chart of it shows."""
    evidence = event.evidence
    margin_us = max(event.at_us - event.since_us, _MARGIN_LEAST_US)
    return {
        "point": event.point,
        "unit": event.unit,
        "observed": _finite(evidence.observed),
        "expected": _finite(evidence.expected),
        "low": _finite(evidence.low),
        "high": _finite(evidence.high),
        "since": rfc3339(instant(evidence.since_us)),
        "contributions": {point: round(share, 4) for point, share in evidence.contributions.items()},
        "window": {
            "from": rfc3339(instant(event.since_us - margin_us)),
            "to": rfc3339(instant(event.at_us + margin_us)),
        },
    }


def _apply_one(conn: Session, event: AlarmEvent, origin: Origin | None) -> bool:
    sql = queries("occurrences")
    values = _values(event)
    if event.kind is Kind.RAISED:
        _raise(conn, values, origin or provenance.of(event))
    held = conn.execute(sql["occurrence_for_update"], values).fetchone()
    if held is None or (event.kind is Kind.RETURNED and not held[1]):
        return False
    state = _state_after(State(held[0]), event.kind, latch=held[2])
    values["state"] = state.value
    if conn.execute(sql["note_edge"], values).fetchone() is None:
        return False
    if event.kind is Kind.ESCALATED:
        conn.execute(sql["worsen_alarm"], values)
    elif event.kind is Kind.CHATTERING:
        conn.execute(sql["note_chatter"], values)
    elif event.kind is Kind.RETURNED:
        conn.execute(sql["return_alarm"], values)
    elif event.kind is Kind.RAISED and alarm_moves.settle(conn, datetime.now(UTC), event.occurrence_id, raised=True):
        return True
    if event.opens_ticket and event.kind in (Kind.RAISED, Kind.ESCALATED) and state not in QUIET:
        payload = alarm_moves.parcel(values | {"score": _finite(event.score), "evidence": evidence_to_json(event)})
        conn.execute(sql["tell"], values | {"destination": "tickets", "payload": Jsonb(payload)})
    return True


def _values(event: AlarmEvent) -> dict[str, Any]:
    return {
        "id": event.occurrence_id,
        "event_id": event.event_id,
        "tenant": event.tenant,
        "device_id": event.machine,
        "device": event.device,
        "stream_id": event.subject if event.scope is Scope.STREAM else None,
        "point": event.point,
        "rule": event.rule,
        "detector": event.detector,
        "fault": event.fault,
        "severity": event.severity.value,
        "state": State.UNACKNOWLEDGED.value,
        "since": instant(event.since_us),
        "at": instant(event.at_us),
        "kind": event.kind.value,
        "score": _finite(event.score) or 0.0,
        "message": event.message,
        "evidence": Jsonb(evidence_to_json(event)),
        "latch": event.latch,
        "quiet_with_parent": event.quiet_with_parent,
        "opens_ticket": event.opens_ticket,
        "rises": event.rises,
        "hold_s": event.hold_s,
    }


def _raise(conn: Session, values: dict[str, Any], origin: Origin) -> None:
    """A new occurrence carries its alarm on: what of it was open before ends, and a shelf that it was on stays."""
    sql = queries("occurrences")
    conn.execute(sql["end_forgotten"], values)
    rests_on = {"provenance": Jsonb(origin.provenance), "memory_id": origin.memory_id}
    if conn.execute(sql["raise_alarm"], values | rests_on).fetchone() is not None:
        conn.execute(sql["take_over_shelf"], values)
        conn.execute(sql["follow"], values)


def _state_after(state: State, kind: Kind, *, latch: bool) -> State:
    """A raise finds its own row as it begins; a worse severity asks for attention again."""
    match kind:
        case Kind.RAISED | Kind.CHATTERING:
            return state
        case Kind.ESCALATED:
            return State.UNACKNOWLEDGED if state is State.ACKNOWLEDGED else state
        case Kind.RETURNED:
            return move(state, Action.LATCH if latch else Action.RETURN)


def _pack(snapshot: Snapshot) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(snapshot))
    return buffer.getvalue()


def _unpack(state: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
