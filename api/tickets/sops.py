"""Procedures: those of the fault library, and a tenant's own beside them, every version kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints, model_validator

from api import ROOT
from api.access.auth import Manager, Staff
from api.errors import BadValue
from api.fleet.assessment import ProcedureOut
from api.models import Answered, Asked, Instant, Line, Message, Reason, example
from api.paging import Cursor, Limit, Page, after_number, after_text, page
from prognosis.faults import built_in_procedures
from prognosis.procedures import MOST_STEPS, Step, step_of
from store import procedures
from store.procedures import OwnProcedure
from tickets.steps import Kind

router = APIRouter(prefix=f"{ROOT}/sops", tags=["tickets"])

Fault = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{0,64}$")]
Model = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128, pattern=r"^[^\x00-\x1f\x7f:]*$")]
Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
_OF = "A failure mode, or a symptom of a report; empty: any fault"

_EXAMPLE: dict[str, Any] = {
    "kind": "repair",
    "fault": "bearing_wear",
    "model": "NK 80-200",
    "name": "Bearing of the NK 80",
    "skills": ["mechanical"],
    "steps": [
        {"do": "Switch off, lock and tag out.", "warn": "Hot water stands in the casing."},
        {"do": "Press the bearing on.", "replaces": "bearing"},
        {"do": "Align the coupling.", "measure": "offset", "unit": "mm", "high": 0.05},
    ],
}


class StepIn(Asked):
    """One step."""

    do: Message = Field(min_length=1, max_length=500)
    warn: Message = Field("", description="Read before it")
    measure: Message = Field("", max_length=200, description="What is written down there")
    unit: Word = ""
    low: float | None = Field(None, description="Its limits, where there are any")
    high: float | None = None
    replaces: Word = Field("", description="The key part that goes in: its serial numbers are written down")
    picture: str = Field("", max_length=64, description="What it looks like: what `POST sops/pictures` answered")

    @model_validator(mode="after")
    def _whole(self) -> StepIn:
        self.step()
        return self

    def step(self) -> Step:
        return step_of(self.model_dump())


class SopIn(Asked):
    """A procedure, whole, as the next version. Without steps one's own is taken back."""

    model_config = Asked.model_config | example(**_EXAMPLE, version=0, reason="The maker's torque has changed")

    kind: Kind
    fault: Fault = Field("", description=_OF)
    model: Model = Field("", description="Of machine; empty: any")
    name: Line
    skills: Annotated[list[Word], Field(max_length=20)] = Field(default_factory=list)
    steps: Annotated[list[StepIn], Field(max_length=MOST_STEPS)]
    version: int = Field(ge=0, lt=2**31 - 1, description="The version that was read before; 0: it is new")
    reason: Reason


class SopOut(Answered):
    """One version of a tenant's own procedure."""

    model_config = Answered.model_config | example(
        **{**_EXAMPLE, "steps": []},
        id="own:repair:bearing_wear:NK 80-200",
        version=3,
        reason="The maker's torque has changed",
        changed_at="2026-11-22T09:02:00Z",
        changed_by="kim",
    )

    id: str = Field(description="What a ticket's procedure is chosen by")
    kind: Kind
    fault: str
    model: str
    version: int
    name: str
    skills: list[str]
    steps: list[dict[str, Any]]
    reason: str
    changed_at: Instant
    changed_by: str


class LibraryOut(Answered):
    """The built-in procedures."""

    model_config = Answered.model_config | example(items=[])

    items: list[ProcedureOut]


@router.get("", summary="A tenant's own procedures")
def list_sops(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: Annotated[Kind | None, Query(description="Only of this kind")] = None,
    model: Annotated[Model | None, Query(description="Only for this model of machine, or for any")] = None,
) -> Page[SopOut]:
    """Those that hold, in order of kind, fault and model."""
    with caller.transaction() as conn:
        rows = procedures.procedures(conn, limit=limit + 1, after=after_text(cursor), kind=kind, model=model)
    return page(rows, limit, _sop_out, lambda row: (row.place,))


@router.get("/library", summary="Procedures of the fault library")
def list_library(caller: Staff) -> LibraryOut:
    """What a ticket is given where the tenant has none of its own."""
    return LibraryOut(items=[ProcedureOut.model_validate(one) for one in built_in_procedures().values()])


@router.get("/versions", summary="What a procedure has been")
def list_sop_versions(
    caller: Staff,
    kind: Annotated[Kind, Query(description="Of this kind")],
    fault: Annotated[Fault, Query(description=_OF)] = "",
    model: Annotated[Model, Query(description="Of machine; empty: any")] = "",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[SopOut]:
    """Every version with who wrote it, when and why; newest first."""
    with caller.transaction() as conn:
        rows = procedures.versions(conn, kind, fault, model, limit=limit + 1, before=_version(cursor))
    return page(rows, limit, _sop_out, lambda row: (row.version,))


@router.put("", summary="Write a procedure")
def write_sop(caller: Manager, asked: SopIn) -> SopOut:
    """Add the next version, for tickets whose work begins from now on. 404 names a picture that is not kept; 409 where
    somebody else has written a version meanwhile."""
    who = caller.principal
    said = asked.model_dump(exclude={"steps", "version"})
    with caller.transaction() as conn:
        written = procedures.write(
            conn,
            who.tenant,
            **said,
            steps=[one.step() for one in asked.steps],
            seen_version=asked.version,
            who=who.name,
            now=datetime.now(UTC),
        )
    return _sop_out(written)


def _sop_out(row: OwnProcedure) -> SopOut:
    return SopOut.model_validate(row)


def _version(cursor: str | None) -> int | None:
    before = after_number(cursor)
    if before is not None and not 0 < before < 2**31:
        raise BadValue("query.cursor", "this cursor is none of ours: begin with the first page")
    return before
