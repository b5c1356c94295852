"""Tickets: opened once a fault, moved by the table, every step kept.

One open ticket per machine and fault is held by a unique index, whatever comes at once: `open_or_join` asks the index,
never a look beforehand. An alarm event is taken once in all, so that whoever is unsure whether it arrived sends it
again. A ticket is locked before it is changed, and its clocks change under that lock.
"""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.clocks import Clock, ClockName, apply, tighten
from tickets.evidence import Report, title
from tickets.priority import LEVEL_OF, PRIORITY_OF, Level, Priority, worse
from tickets.roles import Role
from tickets.states import ENDED, GUARANTEE, OPENING, REOPENS_WITHIN, State, Verdict, check

_SQL = queries("tickets")

# Each further turn needs a ticket that opened or closed between two of our statements: a hundred in a row is a fault.
_TURNS = 100
_CODE_BYTES = 10  # 80 bits: nobody guesses the code of another's ticket


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket. `code` follows it without an account; `evidence` is that of its worst alarm."""

    id: UUID
    code: str
    device: str
    fault: str
    source: str
    title: str
    description: str
    state: str
    held_from: str | None
    verdict: str | None
    priority: str
    level: str
    assignee: str
    leading_point: str
    since: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One step of a ticket: who, when, why."""

    id: int
    event_id: UUID | None
    at: datetime
    kind: str
    who: str
    from_state: str | None
    to_state: str | None
    note: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JoinedAlarm:
    """An alarm that belongs to a ticket."""

    id: UUID
    point: str
    detector: str
    severity: str
    state: str
    active: bool
    raised_at: datetime
    returned_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the holder of a ticket's code may see of it."""

    code: str
    device: str
    title: str
    state: str
    priority: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    steps: Sequence[Mapping[str, str]]


class Outcome(StrEnum):
    """What an alarm event did."""

    OPENED = "opened"
    JOINED = "joined"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Opening:
    """The ticket that an alarm event belongs to. `again`: it had been taken before, and nothing was done now."""

    ticket: Ticket
    outcome: Outcome
    again: bool


# Reading -----------------------------------------------------------------------------------------------------------


def tickets(
    conn: Transaction,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    device: str | None = None,
    states: Sequence[str] | None = None,
    priorities: Sequence[str] | None = None,
    assignee: str | None = None,
    is_open: bool | None = None,
) -> list[Ticket]:
    """Tickets, newest first, beginning after the (opened_at, id) `after`."""
    after_at, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(Ticket)) as cursor:
        return cursor.execute(
            _SQL["tickets"],
            {
                "limit": limit,
                "after_at": after_at,
                "after_id": after_id,
                "device": device,
                "states": None if states is None else list(states),
                "priorities": None if priorities is None else list(priorities),
                "assignee": assignee,
                "is_open": is_open,
            },
        ).fetchall()


def ticket(conn: Transaction, ticket_id: UUID) -> Ticket:
    """One ticket, or NotFound."""
    return _one(conn, "ticket", ticket_id)


def events(conn: Transaction, ticket_id: UUID) -> list[TicketEvent]:
    """What happened to one ticket, in order."""
    with conn.cursor(row_factory=class_row(TicketEvent)) as cursor:
        return cursor.execute(_SQL["events"], {"id": ticket_id}).fetchall()


def clocks(conn: Transaction, ticket_id: UUID) -> list[Clock]:
    """Every clock that a ticket has had, the oldest first."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return [_clock(row) for row in cursor.execute(_SQL["clocks"], {"id": ticket_id})]


def clocks_of(conn: Transaction, ticket_ids: Iterable[UUID]) -> dict[UUID, dict[ClockName, Clock]]:
    """The present clocks of some tickets."""
    found: dict[UUID, dict[ClockName, Clock]] = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_SQL["clocks_of"], {"ids": list(ticket_ids)}):
            clock = _clock(row)
            found.setdefault(row["ticket_id"], {})[clock.name] = clock
    return found


def alarms_of(conn: Transaction, ticket_id: UUID) -> list[JoinedAlarm]:
    """The alarms that belong to one ticket."""
    with conn.cursor(row_factory=class_row(JoinedAlarm)) as cursor:
        return cursor.execute(_SQL["alarms_of"], {"id": ticket_id}).fetchall()


def track(conn: Transaction, code: str) -> Tracked:
    """A ticket by its code, without an account. NotFound where there is none."""
    with conn.cursor(row_factory=class_row(Tracked)) as cursor:
        row = cursor.execute(_SQL["track"], {"code": code.upper().replace("-", "").strip()}).fetchone()
    if row is None:
        raise NotFound("there is no ticket with this code")
    return row


# Opening -----------------------------------------------------------------------------------------------------------


def open_or_join(conn: Transaction, tenant: str, report: Report, *, who: str, now: datetime) -> Opening:
    """Take an alarm event: open a ticket for its machine and fault, join the open one, or reopen the last.

    Needs a transaction at READ COMMITTED: each turn looks at what others have committed meanwhile.

    Raises
    ------
    NotFound
        There is no such machine.
    Conflict
        The event was taken before, for another machine or fault.
    """
    machine = conn.execute(_SQL["machine"], {"device": report.device}).fetchone()
    if machine is None:
        raise NotFound(f"there is no device {report.device}")
    place = {"device_id": machine[0], "fault": report.fault}
    for _ in range(_TURNS):
        known = _known(conn, report, place)
        if known is not None:
            return known
        joined = conn.execute(_SQL["lock_open"], place).fetchone()
        if joined is not None:
            # Another may have taken the same event while this one waited for the lock.
            return _known(conn, report, place) or _join(conn, tenant, joined[0], report, who, now)
        closed = conn.execute(_SQL["lock_closed"], {**place, "closed_since": now - REOPENS_WITHIN}).fetchone()
        if closed is not None:
            reopened = _reopen_by_alarm(conn, tenant, closed[0], report, who, now)
            if reopened is not None:
                return reopened
            continue
        opened = _insert(
            conn,
            tenant,
            machine[0],
            device=report.device,
            fault=report.fault,
            source="alarm",
            title=title(report),
            description="",
            priority=PRIORITY_OF[report.severity],
            leading_point=report.finding.point,
            since=report.since,
            evidence=_evidence(report),
            now=now,
        )
        if opened is not None:
            _record_alarm(conn, tenant, opened, report, Outcome.OPENED, who, now, None, State.NEW)
            _save_clocks(conn, tenant, opened, apply(OPENING, {}, LEVEL_OF[PRIORITY_OF[report.severity]], now).values())
            return Opening(ticket(conn, opened), Outcome.OPENED, again=False)
    raise Conflict(f"tickets of {report.device} open and close faster than they can be joined")


def open_by_person(
    conn: Transaction,
    tenant: str,
    *,
    device: str,
    title: str,
    description: str,
    priority: Priority,
    who: str,
    now: datetime,
) -> Ticket:
    """A ticket that a person reports, always a new one: two reports may be of two faults. NotFound: no machine."""
    machine = conn.execute(_SQL["machine"], {"device": device}).fetchone()
    if machine is None:
        raise NotFound(f"there is no device {device}")
    opened = _insert(
        conn,
        tenant,
        machine[0],
        device=device,
        fault=f"report-{secrets.token_hex(8)}",
        source="person",
        title=title,
        description=description,
        priority=priority,
        leading_point="",
        since=now,
        evidence={},
        now=now,
    )
    if opened is None:
        raise Conflict("there is such a ticket already")
    _record(conn, tenant, opened, "opened", who, now, to_state=State.NEW, note=description)
    _save_clocks(conn, tenant, opened, apply(OPENING, {}, LEVEL_OF[priority], now).values())
    return ticket(conn, opened)


# Working -----------------------------------------------------------------------------------------------------------


def move(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    to: State,
    *,
    role: Role,
    who: str,
    now: datetime,
    note: str = "",
    assignee: str = "",
    verdict: Verdict | None = None,
) -> Ticket:
    """Take a ticket one move further along the table. `assignee` empty leaves whoever has it.

    Raises
    ------
    NotFound
        There is no such ticket.
    tickets.states.NotAllowed, NotForRole, Missing
        The table refuses.
    Conflict
        It would be the second open ticket of its machine and fault, is closed for longer than the guarantee, or the
        assignee is nobody who could be sent.
    """
    before = _one(conn, "lock", ticket_id)
    state, held_from = State(before.state), State(before.held_from) if before.held_from else None
    sent = assignee or before.assignee
    step = check(state, to, role, held_from=held_from, assignee=sent, note=note, verdict=verdict)
    if assignee:
        _assert_assignable(conn, assignee)
    if to is State.REOPENED:
        _assert_can_reopen(before, now)
    after = replace(
        before,
        state=to,
        held_from=state if to is State.ON_HOLD else None,
        verdict=verdict if to is State.CLOSED else None,
        assignee=who if step.takes else sent,
        closed_at=now if to in ENDED else None,
    )
    _save(conn, after, now)
    _save_moves(conn, tenant, before, step.clocks, who, now)
    detail = {"assignee": who if step.takes else assignee} if step.takes or assignee else {}
    if verdict is not None and to is State.CLOSED:
        detail["verdict"] = verdict
    _record(conn, tenant, ticket_id, "moved", who, now, from_state=state, to_state=to, note=note, detail=detail)
    return ticket(conn, ticket_id)


def assign(
    conn: Transaction, tenant: str, ticket_id: UUID, assignee: str, *, role: Role, who: str, note: str, now: datetime
) -> Ticket:
    """Send somebody: the ticket is dispatched where the table has that move, else it only changes hands.

    Raises as `move` does.
    """
    before = _one(conn, "lock", ticket_id)
    state = State(before.state)
    if state in ENDED:
        raise Conflict(f"a ticket that is {state.value} is nobody's")
    if state in {State.NEW, State.TRIAGED, State.DISPATCHED, State.ACCEPTED, State.REOPENED}:
        return move(
            conn, tenant, ticket_id, State.DISPATCHED, role=role, who=who, now=now, note=note, assignee=assignee
        )
    _assert_assignable(conn, assignee)
    _save(conn, replace(before, assignee=assignee), now)
    _record(conn, tenant, ticket_id, "assigned", who, now, note=note, detail={"assignee": assignee})
    return ticket(conn, ticket_id)


def comment(conn: Transaction, tenant: str, ticket_id: UUID, note: str, *, who: str, now: datetime) -> Ticket:
    """Add a remark, also to a ticket that has ended. NotFound where there is none."""
    _one(conn, "lock", ticket_id)
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    _record(conn, tenant, ticket_id, "comment", who, now, note=note)
    return ticket(conn, ticket_id)


# How it is done ----------------------------------------------------------------------------------------------------


def _one(conn: Transaction, query: str, ticket_id: UUID) -> Ticket:
    with conn.cursor(row_factory=class_row(Ticket)) as cursor:
        row = cursor.execute(_SQL[query], {"id": ticket_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no ticket {ticket_id}")
    return row


def _known(conn: Transaction, report: Report, place: Mapping[str, Any]) -> Opening | None:
    """What the event did when it was first taken; None where it never was."""
    row = conn.execute(_SQL["holder_of_event"], {"event_id": report.event_id}).fetchone()
    if row is None:
        return None
    holder = ticket(conn, row[0])
    if (holder.device, holder.fault) != (report.device, place["fault"]):
        raise Conflict(f"event {report.event_id} was taken for {holder.device}, {holder.fault}")
    return Opening(holder, _OUTCOME_OF[row[1]], again=True)


_OUTCOME_OF = {"opened": Outcome.OPENED, "alarm": Outcome.JOINED, "reopened": Outcome.REOPENED}
_KIND_OF = {outcome: kind for kind, outcome in _OUTCOME_OF.items()}


def _save(conn: Transaction, after: Ticket, now: datetime) -> None:
    try:
        conn.execute(
            _SQL["moved"],
            {
                "id": after.id,
                "state": after.state,
                "held_from": after.held_from,
                "verdict": after.verdict,
                "assignee": after.assignee,
                "closed_at": after.closed_at,
                "now": now,
            },
        )
    except UniqueViolation as error:
        raise Conflict("there is an open ticket of this machine and fault already") from error


def _insert(
    conn: Transaction, tenant: str, device_id: int, *, priority: Priority, evidence: Mapping[str, Any], **fields: Any
) -> UUID | None:
    row = conn.execute(
        _SQL["open"],
        {
            **fields,
            "tenant": tenant,
            "code": base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode(),
            "device_id": device_id,
            "priority": priority,
            "level": LEVEL_OF[priority],
            "evidence": Jsonb(evidence),
        },
    ).fetchone()
    return None if row is None else row[0]


def _join(conn: Transaction, tenant: str, ticket_id: UUID, report: Report, who: str, now: datetime) -> Opening:
    before = ticket(conn, ticket_id)
    conn.execute(_SQL["touch"], {"id": ticket_id, "now": now})
    _record_alarm(conn, tenant, ticket_id, report, Outcome.JOINED, who, now, None, None)
    _raise_priority(conn, tenant, before, report, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.JOINED, again=False)


def _reopen_by_alarm(
    conn: Transaction, tenant: str, ticket_id: UUID, report: Report, who: str, now: datetime
) -> Opening | None:
    """None where another ticket of the machine and fault has opened meanwhile: the index refuses a second."""
    before = ticket(conn, ticket_id)
    try:
        with conn.transaction():
            conn.execute(_SQL["reopen"], {"id": ticket_id, "now": now})
    except UniqueViolation:
        return None
    _record_alarm(conn, tenant, ticket_id, report, Outcome.REOPENED, who, now, State.CLOSED, State.REOPENED)
    _save_moves(conn, tenant, before, OPENING, who, now)
    _raise_priority(conn, tenant, before, report, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.REOPENED, again=False)


def _raise_priority(conn: Transaction, tenant: str, before: Ticket, report: Report, who: str, now: datetime) -> None:
    """A worse alarm leads the ticket from now on, and holds its clocks to the stricter promise."""
    was = Priority(before.priority)
    priority = worse(was, PRIORITY_OF[report.severity])
    if priority is was:
        return
    level = LEVEL_OF[priority]
    conn.execute(
        _SQL["raise"],
        {
            "id": before.id,
            "priority": priority,
            "level": level,
            "leading_point": report.finding.point,
            "evidence": Jsonb(_evidence(report)),
        },
    )
    tightened = [tighten(clock, level, now) for clock in clocks_of(conn, [before.id]).get(before.id, {}).values()]
    _save_clocks(conn, tenant, before.id, tightened)
    _record(conn, tenant, before.id, "raised_priority", who, now, detail={"from": was, "to": priority, "level": level})


def _save_moves(
    conn: Transaction, tenant: str, before: Ticket, effects: Mapping[ClockName, Any], who: str, now: datetime
) -> None:
    """The clocks after a move; one that was found broken only now is told of."""
    present = clocks_of(conn, [before.id]).get(before.id, {})
    after = apply(effects, present, Level(before.level), now)
    _save_clocks(conn, tenant, before.id, (clock for name, clock in after.items() if clock != present.get(name)))
    for name, clock in after.items():
        was = present.get(name)
        if was is not None and was.started_at == clock.started_at and clock.breached_at and not was.breached_at:
            detail = {"clock": name, "due_at": clock.breached_at.isoformat()}
            _record(conn, tenant, before.id, "clock_breached", who, now, detail=detail)


def _save_clocks(conn: Transaction, tenant: str, ticket_id: UUID, changed: Iterable[Clock]) -> None:
    for clock in changed:
        conn.execute(
            _SQL["set_clock"],
            {
                "id": ticket_id,
                "tenant": tenant,
                "clock": clock.name,
                "started_at": clock.started_at,
                "due_at": clock.due_at,
                "warn_at": clock.warn_at,
                "paused_at": clock.paused_at,
                "stopped_at": clock.stopped_at,
                "warned_at": clock.warned_at,
                "breached_at": clock.breached_at,
            },
        )


def _record_alarm(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    report: Report,
    outcome: Outcome,
    who: str,
    now: datetime,
    from_state: State | None,
    to_state: State | None,
) -> None:
    taken = _record(
        conn,
        tenant,
        ticket_id,
        _KIND_OF[outcome],
        who,
        now,
        event_id=report.event_id,
        from_state=from_state,
        to_state=to_state,
        note=report.message,
        detail=_evidence(report),
    )
    if not taken:
        raise Conflict(f"event {report.event_id} was taken for another machine or fault")
    conn.execute(_SQL["link"], {"id": ticket_id, "alarm_id": report.occurrence_id, "now": now})


def _record(
    conn: Transaction,
    tenant: str,
    ticket_id: UUID,
    kind: str,
    who: str,
    now: datetime,
    *,
    event_id: UUID | None = None,
    from_state: State | None = None,
    to_state: State | None = None,
    note: str = "",
    detail: Mapping[str, Any] | None = None,
) -> bool:
    row = conn.execute(
        _SQL["record"],
        {
            "id": ticket_id,
            "tenant": tenant,
            "event_id": event_id,
            "at": now,
            "kind": kind,
            "who": who,
            "from_state": from_state,
            "to_state": to_state,
            "note": note,
            "detail": Jsonb(detail or {}),
        },
    ).fetchone()
    return row is not None


def _assert_assignable(conn: Transaction, login: str) -> None:
    row = conn.execute(_SQL["is_assignable"], {"login": login}).fetchone()
    if row is None or not row[0]:
        raise Conflict(f"{login} is nobody who could be sent")


def _assert_can_reopen(before: Ticket, now: datetime) -> None:
    if before.closed_at is None or now - before.closed_at > GUARANTEE:
        raise Conflict(f"the ticket has been closed for more than {GUARANTEE.days} days: report the fault anew")


def _evidence(report: Report) -> dict[str, Any]:
    """An alarm's evidence as it is kept: numbers that there are none of are null."""
    finding = report.finding
    numbers = {name: getattr(finding, name) for name in ("observed", "expected", "low", "high")}
    return {
        "occurrence_id": str(report.occurrence_id),
        "kind": report.kind,
        "rule": report.rule,
        "detector": report.detector,
        "severity": report.severity.value,
        "since": report.since.isoformat(),
        "at": report.at.isoformat(),
        "score": report.score if math.isfinite(report.score) else None,
        "message": report.message,
        "point": finding.point,
        "unit": finding.unit,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "contributions": dict(finding.contributions),
        "window": None
        if finding.window is None
        else {"from": finding.window[0].isoformat(), "to": finding.window[1].isoformat()},
    }


def _clock(row: Mapping[str, Any]) -> Clock:
    fields = {name: value for name, value in row.items() if name not in {"ticket_id", "clock"}}
    return Clock(ClockName(row["clock"]), **fields)
