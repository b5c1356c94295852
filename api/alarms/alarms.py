"""Alarms: seen, acknowledged, reset, shelved. Who may do what is in the table of `alarms.states`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.events import Severity
from alarms.states import MOVES, Action, State, actions_of, who_may
from api import ROOT
from api.access.auth import Allow, Anyone, Caller
from api.alarms.episodes import LikeOut, likes_of
from api.alarms.provenance import ProvenanceOut, provenance_of
from api.errors import BadValue
from api.models import Answered, Asked, DeviceFilter, Instant, Prose, Reason, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import alarm_policy, alarms, rules
from store.alarms import Alarm
from store.transactions import Transaction

MayAcknowledge = Annotated[Caller, Depends(Allow(who_may(Action.ACKNOWLEDGE)))]
MayReset = Annotated[Caller, Depends(Allow(who_may(Action.RESET)))]
MayShelve = Annotated[Caller, Depends(Allow(who_may(Action.SHELVE)))]
MayUnshelve = Annotated[Caller, Depends(Allow(who_may(Action.UNSHELVE)))]

router = APIRouter(prefix=f"{ROOT}/alarms", tags=["alarms"])


class AlarmOut(Answered):
    """One alarm, from raise to return-to-normal."""

    model_config = Answered.model_config | example(
        id="3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a11",
        device="pump-01",
        point="flow",
        rule="shift",
        detector="shift",
        fault="condition",
        severity="high",
        state="unacknowledged",
        active=True,
        since="2026-11-21T22:31:00Z",
        raised_at="2026-11-21T22:31:20Z",
        returned_at=None,
        acked_at=None,
        acked_by=None,
        shelved_until=None,
        shelved_by=None,
        shelve_reason=None,
        score=3.4,
        message="flow 3.9 m3/h, normal 9.2 to 10.8 m3/h",
        evidence={"point": "flow", "unit": "m3/h", "observed": 3.9, "expected": 10.0, "low": 9.2, "high": 10.8},
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        latch=False,
        quiet_because="",
        rises=1,
        chatters=0,
        held_s=None,
        flood_id=None,
        stale=False,
    )

    id: UUID
    device: str
    point: str
    rule: str
    detector: str
    fault: str
    severity: Severity
    state: State
    active: bool = Field(description="Whether the condition stands")
    since: Instant = Field(description="When the departure began")
    raised_at: Instant
    returned_at: Instant | None
    acked_at: Instant | None
    acked_by: str | None
    shelved_until: Instant | None
    shelved_by: str | None
    shelve_reason: str | None
    score: float = Field(description="The highest so far; 1 is the limit")
    message: str
    evidence: dict[str, Any]
    ticket_id: UUID | None
    latch: bool = Field(description="Whether it stays after its return, until somebody resets it")
    quiet_because: str = Field(description="By what it is suppressed or out of service; empty where it is not")
    rises: int = Field(description="How often its score rose above the limit, as of its last change")
    chatters: int = Field(description="How often it was found to chatter")
    held_s: float | None = Field(description="It must be calm for so long to return; null: it does not chatter")
    flood_id: UUID | None = Field(description="The flood that it was told with, along the chain; null: none")
    stale: bool = Field(description="It stands, and nothing about it has changed for the tenant's `stale_h`")


class RationalisationOut(Answered):
    """What an alarm comes of, what follows if nobody acts, what is to be done, and how soon."""

    cause: str
    consequence: str
    action: str
    respond_within_s: float


class AlarmMoveOut(Answered):
    """What the caller may do with an alarm, and what must be said with it."""

    action: Action
    needs: list[str]


class AlarmEventOut(Answered):
    """One change of an alarm."""

    event_id: UUID
    at: Instant
    kind: str
    state: State
    severity: Severity
    score: float | None
    who: str
    note: str
    evidence: dict[str, Any] | None


class AlarmWithEvents(AlarmOut):
    """An alarm and what happened to it."""

    events: list[AlarmEventOut]
    like: list[LikeOut] = Field(description="Past episodes like its ticket's; empty where it has none")
    rationalisation: RationalisationOut | None = Field(description="What its rule says; null: nobody has said")
    provenance: ProvenanceOut | None = Field(description="What its raise rests on; null: nothing was kept")
    moves: list[AlarmMoveOut] = Field(description="What you may do with it; a rule is taken out at `out-of-service`")


class Acknowledgement(Asked):
    """Somebody has seen it."""

    model_config = Asked.model_config | example(note="On my way")

    note: Prose = ""


class Resetting(Asked):
    """Somebody has looked."""

    model_config = Asked.model_config | example(note="The relief valve is closed again")

    note: Prose = ""


class Shelving(Asked):
    """It bothers nobody until then, and why."""

    model_config = Asked.model_config | example(reason="Cleaning until noon", until="2026-11-22T12:00:00Z")

    reason: Reason
    until: Instant = Field(description="Within the time of the tenant's `alarm-policy`")


class Unshelving(Asked):
    """It is back."""

    model_config = Asked.model_config | example(note="Cleaning is done")

    note: Prose = ""


@router.get("", summary="Alarms")
def list_alarms(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    state: Annotated[list[State] | None, Query(description="Only in these states")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only of these severities")] = None,
    active: Annotated[bool | None, Query(description="Whether the condition stands")] = None,
    is_open: Annotated[bool | None, Query(alias="open", description="In any state but normal")] = None,
    stale: Annotated[bool | None, Query(description="Whether it has stood unchanged for the tenant's time")] = None,
) -> Page[AlarmOut]:
    """Alarms, newest first."""
    with caller.transaction() as conn:
        rows = alarms.alarms(
            conn,
            limit=limit + 1,
            after=after_time_id(cursor),
            device=device,
            states=state,
            severities=severity,
            active=active,
            is_open=is_open,
            stale=stale,
        )
    return page(rows, limit, AlarmOut.model_validate, lambda row: (row.raised_at, row.id))


@router.get("/{alarm_id}", summary="One alarm with its events")
def get_alarm(caller: Anyone, alarm_id: UUID) -> AlarmWithEvents:
    """An alarm and what happened to it."""
    with caller.transaction() as conn:
        found = alarms.alarm(conn, alarm_id)
        events = [AlarmEventOut.model_validate(event) for event in alarms.events(conn, alarm_id)]
        like = likes_of(conn, found.ticket_id)
        why = rules.rationalisation(conn, found.rule)
        provenance = provenance_of(conn, alarm_id, found.rule, found.detector)
    moves = [
        AlarmMoveOut(action=action, needs=sorted(MOVES[State(found.state)][action].needs))
        for action in actions_of(State(found.state), caller.principal.role)
    ]
    return AlarmWithEvents(
        **_shown(found).model_dump(),
        events=events,
        like=like,
        moves=moves,
        provenance=provenance,
        rationalisation=None if why is None else RationalisationOut.model_validate(why),
    )


@router.post("/{alarm_id}/acknowledge", response_model=AlarmOut, summary="Acknowledge an alarm")
def acknowledge(caller: MayAcknowledge, once: OnceOnly, alarm_id: UUID, asked: Acknowledgement) -> JSONResponse:
    """Say that somebody has seen it."""
    who = caller.principal.name
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (200, _shown(alarms.acknowledge(conn, alarm_id, who=who, note=asked.note, now=_now()))),
        )


@router.post("/{alarm_id}/reset", response_model=AlarmOut, summary="Reset a latched alarm")
def reset(caller: MayReset, once: OnceOnly, alarm_id: UUID, asked: Resetting) -> JSONResponse:
    """Say that somebody has looked: it has returned, was acknowledged, and is normal from now on."""
    who = caller.principal.name
    with caller.transaction() as conn:
        return once.answer(
            caller, conn, lambda: (200, _shown(alarms.reset(conn, alarm_id, who=who, note=asked.note, now=_now())))
        )


@router.post("/{alarm_id}/shelve", response_model=AlarmOut, summary="Shelve an alarm")
def shelve(caller: MayShelve, once: OnceOnly, alarm_id: UUID, asked: Shelving) -> JSONResponse:
    """Let it bother nobody for a time. It comes back as what it has become meanwhile."""
    who, now = caller.principal.name, _now()
    with caller.transaction() as conn:

        def do() -> tuple[int, AlarmOut]:
            check_shelf(conn, asked.until, now)
            return 200, _shown(alarms.shelve(conn, alarm_id, who=who, reason=asked.reason, until=asked.until, now=now))

        return once.answer(caller, conn, do)


@router.post("/{alarm_id}/unshelve", response_model=AlarmOut, summary="Unshelve an alarm")
def unshelve(caller: MayUnshelve, once: OnceOnly, alarm_id: UUID, asked: Unshelving) -> JSONResponse:
    """Bring it back as what it has become meanwhile."""
    who = caller.principal.name
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (200, _shown(alarms.unshelve(conn, alarm_id, who=who, note=asked.note, now=_now()))),
        )


def check_shelf(conn: Transaction, until: datetime, now: datetime) -> None:
    """Refuse a time that is over, or longer than the tenant allows."""
    longest_h = alarm_policy.policy(conn).policy.longest_shelf_h
    if not now < until <= now + timedelta(hours=longest_h):
        raise BadValue("body.until", f"a time to come, at most {longest_h} hours from now")


def _shown(alarm: Alarm) -> AlarmOut:
    return AlarmOut.model_validate(alarm)


def _now() -> datetime:
    return datetime.now(UTC)
