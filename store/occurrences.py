"""Alarm events into the database: the alarm, its history and what the world is told, in the caller's transaction.

Applying an event twice changes nothing: its ids are made from what it names.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from psycopg.types.json import Jsonb

from alarms.events import AlarmEvent, Kind
from alarms.states import MOVES, Action, State
from detectors.scores import Scope, Snapshot
from store.connection import Session
from store.queries import queries
from telemetry import instant

# What the chart of an alarm shows before the departure and after the edge: as much as lies between, and at least this.
_MARGIN_LEAST_US = 120_000_000
_ACTIONS = {Kind.RAISED: Action.RAISE, Kind.RETURNED: Action.RETURN}


def apply(conn: Session, events: Iterable[AlarmEvent]) -> int:
    """Store edges in their order; returns how many were new."""
    return sum(_apply_one(conn, event) for event in events)


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
    row = conn.execute(queries("occurrences")["load_one_state"], {"name": name}).fetchone()
    try:
        return None if row is None else _unpack(row[0])
    except (ValueError, KeyError, OSError, BadZipFile):
        return None


def event_to_json(event: AlarmEvent) -> dict[str, Any]:
    """An alarm event as the tickets API takes it. A number that is not finite becomes null."""
    return {
        "source": "alarm",
        "device": event.device,
        "fault": event.fault,
        "alarm": {
            "event_id": str(event.event_id),
            "occurrence_id": str(event.occurrence_id),
            "kind": event.kind.value,
            "rule": event.rule,
            "detector": event.detector,
            "point": event.point,
            "severity": event.severity.value,
            "since": _rfc3339(event.since_us),
            "at": _rfc3339(event.at_us),
            "score": _finite(event.score),
            "message": event.message,
            "evidence": evidence_to_json(event),
        },
    }


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
        "since": _rfc3339(evidence.since_us),
        "contributions": {point: round(share, 4) for point, share in evidence.contributions.items()},
        "window": {"from": _rfc3339(event.since_us - margin_us), "to": _rfc3339(event.at_us + margin_us)},
    }


def _apply_one(conn: Session, event: AlarmEvent) -> bool:
    sql = queries("occurrences")
    values = {
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
    }
    if event.kind is Kind.RAISED:
        conn.execute(sql["end_forgotten"], values)
        conn.execute(sql["raise_alarm"], values)
    held = conn.execute(sql["occurrence_for_update"], values).fetchone()
    if held is None or (event.kind is Kind.RETURNED and not held[1]):
        return False
    values["state"] = _state_after(State(held[0]), event.kind).value
    if conn.execute(sql["note_edge"], values).fetchone() is None:
        return False
    if event.kind is Kind.ESCALATED:
        conn.execute(sql["worsen_alarm"], values)
    elif event.kind is Kind.RETURNED:
        conn.execute(sql["return_alarm"], values)
    if event.opens_ticket and event.kind is not Kind.RETURNED:
        conn.execute(sql["tell"], values | {"destination": "tickets", "payload": Jsonb(event_to_json(event))})
    return True


def _state_after(state: State, kind: Kind) -> State:
    """A raise finds its own row, unacknowledged; a worse severity asks for attention again."""
    if kind is Kind.ESCALATED:
        return State.UNACKNOWLEDGED if state is State.ACKNOWLEDGED else state
    return MOVES[state].get(_ACTIONS[kind], state)


def _pack(snapshot: Snapshot) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(snapshot))
    return buffer.getvalue()


def _unpack(state: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _rfc3339(time_us: int) -> str:
    return instant(time_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")
