"""What moves an alarm that the process does not: people, the plant's design, and time.

Each change locks its alarm first, so that a person and the process cannot both move it from the same state. What was
quiet and comes back standing is told then, as if it had just been raised. Windows, outages and parents are held against
the alarms as a whole (`settle`): whatever was missed, by a crash or by two at once, is found the next time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from alarms.states import QUIET, Action, State, move
from store.connection import Session
from store.errors import NotFound
from store.queries import queries

# How long a parent that is heard again still speaks for its children. Too short: each of them is told of in the moment
# before it is heard. Too long: a child that stayed away is told of so much later.
PARENT_GRACE = timedelta(seconds=90)
BY_ITSELF = "bellwether"

_SQL = queries("alarm_moves")
_KINDS = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.RESET: "reset",
    Action.SHELVE: "shelved",
    Action.UNSHELVE: "unshelved",
    Action.SUPPRESS: "suppressed",
    Action.UNSUPPRESS: "unsuppressed",
    Action.TAKE_OUT: "taken_out_of_service",
    Action.GIVE_BACK: "returned_to_service",
}


def make(conn: Session, alarm_id: UUID, action: Action, *, who: str, note: str, now: datetime) -> State:
    """Make one move; an alarm that was quiet is suppressed again where something else asks for it.

    Raises
    ------
    NotFound, NotAllowed
    """
    state = _make(conn, alarm_id, action, who=who, note=note, now=now)
    if action in (Action.UNSHELVE, Action.UNSUPPRESS, Action.GIVE_BACK):
        settle(conn, now, alarm_id)
        _tell(conn, alarm_id)
    return state


def settle(conn: Session, now: datetime, alarm_id: UUID | None = None, *, raised: bool = False) -> int:
    """Bring every alarm, or one, to where windows, outages and parents have it; returns how many moves that took.

    `raised`: it has just been, in the telemetry's own time, and windows of that time count as well. Alarms that
    somebody else is moving are left for the next time.
    """
    wanted = {"id": alarm_id, "now": now, "grace": PARENT_GRACE, "raised": raised}
    rows = conn.execute(_SQL["unsettled"], wanted).fetchall()
    for found, state, out_of_service, suppressed in rows:
        if state == State.OUT_OF_SERVICE:
            make(conn, found, Action.GIVE_BACK, who=BY_ITSELF, note="the rule is in service again", now=now)
        elif state == State.SUPPRESSED:
            make(conn, found, Action.UNSUPPRESS, who=BY_ITSELF, note="nothing suppresses it any more", now=now)
        else:
            action = Action.TAKE_OUT if out_of_service else Action.SUPPRESS
            _make(conn, found, action, who=BY_ITSELF, note=out_of_service or suppressed, now=now)
    return len(rows)


def unshelve_due(conn: Session, now: datetime) -> int:
    """Bring back what has been on the shelf for its time; returns how many. For `notify`."""
    due = conn.execute(_SQL["shelf_times_up"], {"now": now}).fetchall()
    for (alarm_id,) in due:
        make(conn, alarm_id, Action.UNSHELVE, who=BY_ITSELF, note="its time on the shelf is over", now=now)
    return len(due)


def parcel(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm event as the tickets API takes it, from the columns of its alarm beside `event_id`, `kind` and `at`."""
    plain = ("rule", "detector", "point", "severity", "score", "message", "evidence")
    return {
        "source": "alarm",
        "device": alarm["device"],
        "fault": alarm["fault"],
        "alarm": {
            "event_id": str(alarm["event_id"]),
            "occurrence_id": str(alarm["id"]),
            "kind": alarm["kind"],
            "since": rfc3339(alarm["since"]),
            "at": rfc3339(alarm["at"]),
            **{name: alarm[name] for name in plain},
        },
    }


def rfc3339(at: datetime) -> str:
    """To the millisecond, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _make(conn: Session, alarm_id: UUID, action: Action, *, who: str, note: str, now: datetime) -> State:
    """Lock, find the next state, record the change."""
    row = conn.execute(_SQL["lock"], {"id": alarm_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no alarm {alarm_id}")
    before, active, latch, severity, tenant = row
    state = move(State(before), action, active=active, latch=latch)
    because = note if state in QUIET and state is not State.SHELVED else ""
    conn.execute(_SQL["moved"], {"id": alarm_id, "state": state, "because": because})
    said = {"kind": _KINDS[action], "state": state, "severity": severity, "who": who, "note": note}
    conn.execute(_SQL["record"], {"id": alarm_id, "tenant": tenant, "at": now, **said})
    return state


def _tell(conn: Session, alarm_id: UUID) -> None:
    """Tell of an alarm that nobody was told of while it was quiet."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["to_tell"], {"id": alarm_id}).fetchone()
    if row is not None:
        event_id = uuid4()
        payload = parcel(row | {"at": row["raised_at"], "event_id": event_id, "kind": "raised"})
        conn.execute(_SQL["tell"], {"event_id": event_id, "tenant": row["tenant"], "payload": Jsonb(payload)})
