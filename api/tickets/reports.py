"""Reports of people: one record of a fault in standard terms, how complete it is, and what is still asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field, model_validator

from api import ROOT
from api.models import Answered, Asked, DeviceName, Instant, Line, Message, Name, Prose, example
from api.once import OnceOnly
from api.tickets.answers import TicketOut, shown
from api.tickets.attachments import Reader, Reporter
from store import reports, tickets
from store.reports import Said
from store.tickets import Outcome, Ticket
from store.transactions import Transaction
from tickets.intake import COMPLETE, OF_THE_FILE, SYMPTOMS, Intake, Service, completeness, missing
from tickets.priority import FaultClass

router = APIRouter(prefix=ROOT, tags=["tickets"])

MOST_WINDOWS = 5
# A clock that is a little ahead of ours.
_AHEAD = timedelta(minutes=5)
# Of these alone nobody knows what it is.
_NEED_WORDS = frozenset({"minor", "other"})


def _known(symptom: str) -> str:
    if symptom not in SYMPTOMS:
        raise ValueError(f"one of {', '.join(SYMPTOMS)}")
    return symptom


Symptom = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(SYMPTOMS)})]


class Window(Asked):
    """When it suits."""

    begins_at: Instant = Field(alias="from")
    ends_at: Instant = Field(alias="to")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.ends_at <= self.begins_at:
            raise ValueError("a window ends after it begins")
        return self


class MoreIn(Asked):
    """What else is said of a fault; what is left out stays as it was said before."""

    model_config = Asked.model_config | example(
        error_code="", began_at="2026-11-22T06:30:00Z", service="on_site", contact="Night shift, 555 0101"
    )

    symptom: Symptom | None = None
    words: Prose = Field("", description="What happened, in the reporter's own words")
    error_code: Annotated[Line, Field(max_length=64)] | None = Field(
        None, description="What the device shows; `none`: it shows none"
    )
    situation: Message = Field("", description="What it was doing")
    began_at: Instant | None = None
    contact: Message = Field("", description="Whom to call about this, and how")
    service: Service | None = None
    windows: Annotated[list[Window], Field(max_length=MOST_WINDOWS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_begun(self) -> Self:
        if self.began_at is not None and self.began_at > datetime.now(UTC) + _AHEAD:
            raise ValueError("it has begun already: began_at is ahead")
        return self

    def said(self, report_id: UUID) -> Said:
        """As the store keeps it."""
        code = self.error_code
        return Said(
            report_id,
            symptom=self.symptom or "",
            words=self.words,
            error_code="" if code is not None and code.lower() == "none" else code,
            situation=self.situation,
            began_at=self.began_at,
            contact=self.contact,
            service=self.service or "",
            windows=[(window.begins_at, window.ends_at) for window in self.windows],
        )


class ReportIn(MoreIn):
    """A fault as a person reports it. The device by its name or by the serial number on its plate."""

    model_config = Asked.model_config | example(
        serial="NK-2231-0077",
        symptom="leakage",
        words="A puddle under the pump since the early shift, about a litre an hour.",
        situation="at full load",
        began_at="2026-11-22T06:30:00Z",
        service="on_site",
        windows=[{"from": "2026-11-23T07:00:00Z", "to": "2026-11-23T15:00:00Z"}],
    )

    device: DeviceName | None = None
    serial: Name | None = None
    symptom: Symptom
    fault_class: FaultClass | None = Field(None, description="What is lost, where it is more than the symptom says")

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if (self.device is None) == (self.serial is None):
            raise ValueError("name the device, or its serial number")
        if self.symptom in _NEED_WORDS and not self.words:
            raise ValueError("say what it is, in words")
        return self


class GapOut(Answered):
    """What nobody has said yet."""

    field: str
    question: str
    weight_percent: int = Field(description="How much of the whole record it is")


_RECORD: dict[str, Any] = {
    "completeness_percent": 90,
    "complete": False,
    "missing": [{"field": "error_code", "question": "Does it show an error code?", "weight_percent": 5}],
}


class ReportOut(Answered):
    """The ticket that a report belongs to, and what is still to be asked."""

    outcome: Outcome = Field(description="It opened this ticket, joined it, or reopened it")
    ticket: TicketOut
    completeness_percent: int
    complete: bool
    missing: list[GapOut]


class ReportedOut(Answered):
    """One report."""

    id: UUID
    at: Instant
    who: str
    symptom: str
    words: str
    error_code: str | None
    situation: str
    began_at: Instant | None
    contact: str
    service: str
    windows: list[dict[str, str]]


class IntakeOut(Answered):
    """All that is known of a ticket's fault, from the device's file, from telemetry and from reports."""

    model_config = Answered.model_config | example(
        device="pump-01",
        serial="NK-2231-0077",
        customer="Riverside Dairy",
        contact="Mira Quill, 555 0100",
        symptom="leakage",
        words="A puddle under the pump since the early shift.",
        began_at="2026-11-22T06:30:00Z",
        situation="at full load",
        error_code=None,
        service="on_site",
        windows=1,
        evidence=2,
        reports=[],
        **_RECORD,
    )

    device: str
    serial: str
    customer: str
    contact: str
    symptom: str
    words: str
    began_at: Instant | None
    situation: str
    error_code: str | None = Field(description="Empty: it shows none; null: nobody has said")
    service: str
    windows: int
    evidence: int = Field(description="Files, alarms and measurements that lie with it")
    completeness_percent: int
    complete: bool = Field(description="At least 95 %")
    missing: list[GapOut]
    reports: list[ReportedOut]


@router.post(
    "/reports",
    response_model=ReportOut,
    status_code=201,
    responses={200: {"model": ReportOut, "description": "The report joined a ticket, or reopened one"}},
    summary="Report a fault",
)
def report(caller: Reporter, once: OnceOnly, asked: ReportIn) -> JSONResponse:
    """One fault, one ticket: opens one (201); or joins the open one of this device and fault, whether a person or an
    alarm opened it, or reopens the one that closed within 72 hours (200).

    Which fault a symptom belongs to, what is lost with it, and what the completeness is made of: `docs/reports.md`.
    """
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, ReportOut]:
            device = asked.device or reports.device_of_serial(conn, asked.serial or "")
            opening = reports.take(
                conn,
                who.tenant,
                device,
                asked.said(uuid4()),
                lost=asked.fault_class,
                who=who.name,
                now=datetime.now(UTC),
            )
            known = reports.intake(conn, opening.ticket)
            answered = ReportOut(outcome=opening.outcome, ticket=shown(conn, opening.ticket), **standing(known))
            return 201 if opening.outcome is Outcome.OPENED else 200, answered

        return once.answer(caller, conn, do)


@router.get("/tickets/{ticket_id}/intake", summary="What is known of a ticket's fault")
def get_intake(caller: Reader, ticket_id: UUID) -> IntakeOut:
    """The record of step one: what is there, how complete it is, and the questions that are open."""
    with caller.transaction() as conn:
        return _intake_out(conn, tickets.ticket(conn, ticket_id))


@router.post("/tickets/{ticket_id}/intake", response_model=IntakeOut, status_code=201, summary="Say what was missing")
def add_to_intake(caller: Reporter, once: OnceOnly, ticket_id: UUID, asked: MoreIn) -> JSONResponse:
    """Add to what is known. What came before stays to be read."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, IntakeOut]:
            said = asked.said(uuid4())
            now = datetime.now(UTC)
            return 201, _intake_out(conn, reports.add(conn, who.tenant, ticket_id, said, who=who.name, now=now))

        return once.answer(caller, conn, do)


def standing(known: Intake) -> dict[str, Any]:
    """How complete a record is and what it lacks, as answers and pages show it."""
    share = completeness(known)
    gaps = [GapOut(field=gap.field, question=gap.question, weight_percent=gap.weight) for gap in missing(known)]
    return {"completeness_percent": round(100 * share), "complete": share >= COMPLETE, "missing": gaps}


def askable(known: Intake) -> frozenset[str]:
    """Of what is missing that which a person may say here; the rest stands in the device's file, or is a file."""
    return frozenset(gap.field for gap in missing(known)) - OF_THE_FILE - {"device", "evidence"}


def _intake_out(conn: Transaction, ticket: Ticket) -> IntakeOut:
    known = reports.intake(conn, ticket)
    fields = {name: getattr(known, name) for name in Intake.__dataclass_fields__}
    kept = [ReportedOut.model_validate(one) for one in reports.reports(conn, ticket.id)]
    return IntakeOut(**fields, **standing(known), reports=kept)
