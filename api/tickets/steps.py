"""A ticket's work orders: the steps that it was given, how each stands, and which other procedure it may be given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from api import ROOT
from api.access.auth import FieldStaff, Staff
from api.models import Answered, Asked, DevicePath, Instant, Message, Reason, example
from api.tickets.customers import Concerned
from store import fleet, tickets
from store.tickets import proposals, steps
from store.tickets.steps import Work
from tickets.steps import Kind, Marked, StepState

router = APIRouter(prefix=ROOT, tags=["tickets"])

# More than any procedure has steps; a work order's number is the database's.
StepNumber = Annotated[int, Path(ge=1, le=1000, description="The step", examples=[4])]
WorkNumber = Annotated[int, Path(ge=1, le=2**63 - 1, description="A work order of the ticket", examples=[17])]
Serial = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]

_STEP = {
    "number": 7,
    "do": "Align the coupling.",
    "warn": "",
    "measure": "offset at the coupling",
    "unit": "mm",
    "low": None,
    "high": 0.1,
    "replaces": "",
    "picture": "",
    "state": "done",
    "value": 0.14,
    "beyond": "above 0.1",
    "new_serial": "",
    "old_serial": "",
    "note": "",
    "at": "2026-11-22T10:20:00Z",
    "who": "kim",
}
_WORK = {
    "id": 17,
    "turn": 0,
    "kind": "repair",
    "procedure": "bearing.replace",
    "version": "b82c656ea2c1",
    "source": "library",
    "name": "Replace a rolling bearing",
    "at": "2026-11-22T09:02:00Z",
    "who": "kim",
    "in_force": True,
    "left": 0,
    "steps": [_STEP],
}


class WorkStepOut(Answered):
    """One step as it stands."""

    number: int
    do: str
    warn: str = Field(description="Read before it")
    measure: str = Field(description="What is written down there; empty: nothing")
    unit: str
    low: float | None
    high: float | None
    replaces: str = Field(description="The key part that goes in")
    picture: str = Field(description="What it looks like: see `GET sops/pictures/{picture}`; empty: there is none")
    state: StepState
    value: float | None
    beyond: str = Field(description="What of its limits the value is, as `above 0.1`; empty within them")
    new_serial: str
    old_serial: str
    note: str
    at: Instant | None
    who: str


class WorkOut(Answered):
    """A procedure that the ticket was given, as it read then."""

    model_config = Answered.model_config | example(**_WORK)

    id: int
    turn: int = Field(description="How often the ticket had been reopened by then")
    kind: Kind
    procedure: str
    version: str = Field(description="The tenant's own number; else what its text comes to")
    source: Literal["library", "own", "plan"]
    name: str
    at: Instant
    who: str
    in_force: bool = Field(description="No other took its place")
    left: int = Field(description="Steps that are neither done nor left out")
    steps: list[WorkStepOut]

    @classmethod
    def of(cls, work: Work) -> WorkOut:
        own = {name: getattr(work, name) for name in cls.model_fields if name != "steps"}
        return cls(**own, steps=[_step_out(one) for one in work.steps])


class MarkIn(Asked):
    """What is said of a step: done, with what it asks for; left out, with the reason; or open again."""

    model_config = Asked.model_config | example(state="done", value=0.04)

    state: StepState
    value: float | None = Field(None, description="Measured, in the step's unit")
    new_serial: Serial = Field("", description="Of the key part that went in")
    old_serial: Serial = Field("", description="Of the one that came out; empty where there was none")
    note: Message = ""

    def marked(self) -> Marked:
        return Marked(**self.model_dump())


class OfferedOut(Answered):
    """A procedure that the ticket may be given."""

    id: str
    kind: Kind
    source: Literal["library", "own", "plan"]
    version: str
    name: str
    skills: list[str]
    steps: int = Field(description="How many")


class ProceduresOut(Answered):
    """The procedures that a ticket may be given, those that fit best first."""

    model_config = Answered.model_config | example(
        items=[
            {
                "id": "bearing.replace",
                "kind": "repair",
                "source": "library",
                "version": "b82c656ea2c1",
                "name": "Replace a rolling bearing",
                "skills": ["mechanical", "alignment"],
                "steps": 8,
            }
        ]
    )

    items: list[OfferedOut]


class ChoiceIn(Asked):
    """Another procedure, and why."""

    model_config = Asked.model_config | example(procedure="base.tighten", note="The bearing is sound: a foot is loose")

    procedure: Annotated[str, Field(min_length=1, max_length=300)]
    note: Reason


class ReplacementOut(Answered):
    """A key part that went into a machine."""

    at: Instant
    ticket_id: UUID
    title: str
    part: str = Field(description="Its number in the parts ledger, or what the step calls it")
    new_serial: str
    old_serial: str = Field(description="Of the one that came out; empty where nobody has said")
    who: str


class ReplacementsOut(Answered):
    """Key parts that went into a machine, newest first."""

    model_config = Answered.model_config | example(
        items=[
            {
                "at": "2026-11-22T10:20:00Z",
                "ticket_id": "0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
                "title": "pump-01: vibration velocity 3.1 mm/s above normal",
                "part": "bearing",
                "new_serial": "B-2211",
                "old_serial": "B-0907",
                "who": "kim",
            }
        ]
    )

    items: list[ReplacementOut]


@router.get("/tickets/{ticket_id}/procedures", summary="Procedures that a ticket may be given")
def list_offered(caller: Staff, ticket_id: UUID) -> ProceduresOut:
    """What its plan, its diagnosis, the tenant and the fault library have for it."""
    with caller.transaction() as conn:
        found = proposals.offered(conn, tickets.ticket(conn, ticket_id))
    return ProceduresOut(
        items=[
            OfferedOut.model_validate(
                {
                    "id": one.procedure.id,
                    "kind": one.kind,
                    "source": one.source,
                    "version": one.version,
                    "name": one.procedure.name,
                    "skills": list(one.procedure.skills),
                    "steps": len(one.procedure.steps),
                }
            )
            for one in found
        ]
    )


@router.put("/tickets/{ticket_id}/procedures", summary="Give a ticket another procedure")
def choose(caller: FieldStaff, ticket_id: UUID, asked: ChoiceIn) -> WorkOut:
    """It takes the place of the one of its kind; what was ticked off of that stays on the ticket. 409 while it is not
    worked on."""
    who = caller.principal
    with caller.transaction() as conn:
        given = steps.choose(
            conn, who.tenant, ticket_id, asked.procedure, note=asked.note, who=who.name, now=datetime.now(UTC)
        )
        return WorkOut.of(given)


@router.put("/tickets/{ticket_id}/steps/{work_id}/{number}", summary="Tick a step off")
def mark_step(caller: FieldStaff, ticket_id: UUID, work_id: WorkNumber, number: StepNumber, asked: MarkIn) -> WorkOut:
    """Done, left out with a reason, or taken back, which is told in the ticket's story. 422 says what is missing; 409
    while the ticket is not worked on."""
    who = caller.principal
    with caller.transaction() as conn:
        work = steps.mark(
            conn, who.tenant, ticket_id, work_id, number, asked.marked(), who=who.name, now=datetime.now(UTC)
        )
        return WorkOut.of(work)


@router.get("/devices/{device}/replacements", summary="Key parts that went into a machine")
def list_replacements(
    caller: Concerned, device: DevicePath, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> ReplacementsOut:
    """By serial number, old and new: from the parts ledger, and from the steps of work orders."""
    with caller.transaction() as conn:
        fleet.device(conn, datetime.now(UTC), device)
        found = steps.replacements(conn, device, limit)
    return ReplacementsOut(items=[ReplacementOut.model_validate(one) for one in found])


def _step_out(one: steps.WorkStep) -> WorkStepOut:
    of_step = {name: getattr(one.step, name) for name in one.step.__dataclass_fields__}
    stands = {name: getattr(one, name) for name in one.__dataclass_fields__ if name != "step"}
    return WorkStepOut(**of_step, **stands)
