"""The ledger of problems and what is done about them. What comes again is proposed by a round, once at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store import terms as term_store
from store.connection import Session, act_for
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.improvement import JUDGED, Recurrence, State, judge, step

_SQL = queries("corrective_actions")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Action:
    """One problem, and what is done about it. `cases`: how often it had come when it was written down."""

    id: UUID
    kind: str
    model: str
    fault: str
    problem: str
    cases: int
    root_cause: str
    action: str
    owner: str
    due_at: datetime | None
    state: str
    note: str
    effect: Mapping[str, Any] | None
    made_at: datetime
    made_by: str
    done_at: datetime | None
    closed_at: datetime | None
    changed_at: datetime
    changed_by: str

    def is_overdue(self, now: datetime) -> bool:
        return self.state == State.OPEN and self.due_at is not None and self.due_at < now


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said of an action: why it is so, what is done, who sees to it and by when."""

    note: str = ""
    root_cause: str = ""
    action: str = ""
    owner: str = ""
    due_at: datetime | None = None


def actions(
    conn: Transaction,
    *,
    limit: int,
    states: Sequence[State] | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Action]:
    """Actions, newest first."""
    return _rows(conn, limit=limit, states=states, after=after)


def action(conn: Transaction, action_id: UUID) -> Action:
    """One, or NotFound."""
    found = _rows(conn, limit=1, action_id=action_id)
    if not found:
        raise NotFound(f"there is no corrective action {action_id}")
    return found[0]


def write(conn: Transaction, tenant: str, problem: str, *, model: str, fault: str, who: str, now: datetime) -> Action:
    """Write down a problem that a person has seen."""
    fields = {"tenant": tenant, "problem": problem, "model": model, "fault": fault, "who": who, "now": now}
    (made,) = conn.execute(_SQL["write_action"], fields).fetchall()[0]
    return action(conn, made)


def decide(conn: Transaction, action_id: UUID, to: State, said: Decision, *, who: str, now: datetime) -> Action:
    """Take an action one step further. What a decision leaves empty stays as it was.

    Raises
    ------
    NotFound
    tickets.improvement.NoSuchStep, NotShown
    Conflict
        Something is missing, the owner is nobody here, or another action on the same problem is open.
    """
    conn.execute(_SQL["lock_action"], {"id": action_id})
    before = action(conn, action_id)
    step(State(before.state), to)
    seen = recurrence(conn, before, now) if to in JUDGED else None
    judge(to, seen)
    after = replace(
        before,
        state=to,
        note=said.note or before.note,
        root_cause=said.root_cause or before.root_cause,
        action=said.action or before.action,
        owner=said.owner or before.owner,
        due_at=said.due_at or before.due_at,
        effect=(asdict(seen) if seen else {}) if to in JUDGED else None,
        done_at=now if to is State.DONE else None if to is State.OPEN else before.done_at,
        closed_at=now if to in JUDGED | {State.DISMISSED} else None,
    )
    _assert_whole(conn, after, said)
    _keep(conn, after, who, now)
    return action(conn, action_id)


def recurrence(conn: Transaction, of: Action, now: datetime) -> Recurrence | None:
    """How often the problem came before it was written down and since its action was done; None where nothing counts
    it, as of a problem that is none of a model or fault."""
    if of.done_at is None or not (of.model or of.fault):
        return None
    span = term_store.in_force(conn).follow_up.frequent_in
    before = _came(conn, of, of.made_at - span, of.made_at)
    return Recurrence(before, span / _DAY, _came(conn, of, of.done_at, now), (now - of.done_at) / _DAY)


def propose(conn: Session, now: datetime) -> int:
    """Write down the problems of all tenants that came often enough; how many are new. The connection must be outside
    of a transaction: each tenant is one."""
    with conn.transaction():
        tenants = [name for (name,) in conn.execute(_SQL["tenants"]).fetchall()]
    return sum(_propose(conn, tenant, now) for tenant in tenants)


def _propose(conn: Session, tenant: str, now: datetime) -> int:
    with conn.transaction():
        act_for(conn, tenant)
        rules = term_store.in_force(conn).follow_up
        fields = {"tenant": tenant, "since": now - rules.frequent_in, "least": rules.frequent, "now": now}
        return conn.execute(_SQL["propose"], fields).rowcount


def _came(conn: Transaction, of: Action, begin: datetime, end: datetime) -> int:
    kind = "fault" if of.kind == "person" else of.kind
    fields = {"kind": kind, "model": of.model, "fault": of.fault, "begin": begin, "end": end}
    (times,) = conn.execute(_SQL["came"], fields).fetchall()[0]
    return int(times)


def _assert_whole(conn: Transaction, after: Action, said: Decision) -> None:
    """What a state needs is said with it, or was before."""
    if after.state == State.OPEN:
        for name in ("root_cause", "action", "owner", "due_at"):
            if not getattr(after, name):
                raise Conflict(f"an open action needs its {name.replace('_at', ' date').replace('_', ' ')}")
        ((is_person,),) = conn.execute(_SQL["is_person"], {"login": after.owner}).fetchall()
        if not is_person:
            raise Conflict(f"{after.owner} is nobody who could see to it")
    elif not said.note:
        raise Conflict(f"say why it is {after.state.replace('_', ' ')}: a note")


def _keep(conn: Transaction, after: Action, who: str, now: datetime) -> None:
    fields = {**asdict(after), "effect": None if after.effect is None else Jsonb(dict(after.effect))}
    try:
        conn.execute(_SQL["keep_action"], {**fields, "who": who, "now": now})
    except UniqueViolation as error:
        raise Conflict("another action on this problem is open already") from error


def _rows(
    conn: Transaction,
    *,
    limit: int,
    action_id: UUID | None = None,
    states: Sequence[State] | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Action]:
    after_at, after_id = after or (None, None)
    wanted = None if states is None else [state.value for state in states]
    fields = {"id": action_id, "states": wanted, "after_at": after_at, "after_id": after_id, "limit": limit}
    with conn.cursor(row_factory=class_row(Action)) as cursor:
        return cursor.execute(_SQL["actions"], fields).fetchall()
