"""The page on which a person reports a fault, and what a ticket's page shows of it: what is known, asked, and filed.

Forms with files are read only once it is known who sends them: see `api.uploads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from alarms.roles import STAFF, Role
from api.access.auth import Caller, Manager, require
from api.errors import BadValue
from api.page_frame import PageRoute, answer, head_of, moment_of, wants_part
from api.tickets.attachments import READERS, REPORTERS
from api.tickets.reports import MoreIn, ReportIn, askable, standing
from api.tickets.uploads import files_of, form_of, judge, keep
from store import attachments, reports
from store import tickets as ticket_store
from store.attachments import TooMuch
from store.errors import NotFound
from store.reports import KeptReport
from store.tickets import Opening, Ticket
from store.transactions import Transaction
from tickets.attachments import KINDS, NotTaken
from tickets.intake import SYMPTOMS, Service
from tickets.priority import FaultClass
from tickets.states import ENDED, State

MACHINES = 200
LONGEST_TEXT = 8000

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MANAGERS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})
Reporter = Annotated[Caller, Depends(require(*REPORTERS))]

SERVICES = {
    Service.ON_SITE: "Somebody comes",
    Service.SEND_IN: "I send it in",
    Service.REMOTE: "Help from afar",
}
LOST = {
    FaultClass.SAFETY: "Somebody may be hurt",
    FaultClass.LINE_DOWN: "Production stands",
    FaultClass.FUNCTION_LOST: "It no longer does its work",
    FaultClass.DEGRADED: "It works, but badly",
    FaultClass.COSMETIC: "Nothing yet",
}


class MoreTyped(BaseModel):
    """What a form adds to a ticket: text as it comes, empty where nothing is said."""

    model_config = ConfigDict(extra="ignore", str_max_length=LONGEST_TEXT, str_strip_whitespace=True)

    symptom: str = ""
    words: str = ""
    error_code: str = ""
    situation: str = ""
    began: str = ""
    contact: str = ""
    service: str = ""
    window_from: str = ""
    window_to: str = ""

    def fields(self, request: Request) -> dict[str, Any]:
        """What was said, for `MoreIn` to judge."""
        names = ("symptom", "words", "error_code", "situation", "contact", "service")
        said: dict[str, Any] = {name: getattr(self, name) for name in names if getattr(self, name)}
        if self.began:
            said["began_at"] = moment_of(request, "began", self.began)
        if self.window_from or self.window_to:
            begins, ends = moment_of(request, "window", self.window_from), moment_of(request, "window", self.window_to)
            said["windows"] = [{"from": begins, "to": ends}]
        return said


class Typed(MoreTyped):
    """A report as it is typed. `once` is made with the form: sent twice, it is one report."""

    machine: str = ""
    lost: str = ""
    once: str = ""


@router.get("/report")
def report_page(request: Request, caller: Reporter) -> Response:
    device = request.query_params.get("device", "")[:64]
    with caller.transaction() as conn:
        return _form(request, conn, caller, Typed(machine=device))


@router.post("/report")
async def report(request: Request, caller: Reporter) -> Response:
    """Take the report; a file of it that cannot be taken keeps nothing else back, and is named."""
    async with form_of(request) as form:
        return await run_in_threadpool(_report, request, caller, form)


@router.post("/tickets/{ticket_id}/intake")
def say_more(request: Request, caller: Reporter, ticket_id: UUID, typed: Annotated[MoreTyped, Form()]) -> Response:
    who, wrong = caller.principal, ""
    with caller.transaction() as conn:
        try:
            said = MoreIn.model_validate(typed.fields(request)).said(uuid4())
            reports.add(conn, who.tenant, ticket_id, said, who=who.name, now=datetime.now(UTC))
        except (ValidationError, BadValue) as error:
            wrong = _told(error)
        return _section(request, conn, caller, ticket_id, wrong)


@router.post("/tickets/{ticket_id}/files")
async def add_files(request: Request, caller: Reporter, ticket_id: UUID) -> Response:
    async with form_of(request) as form:
        return await run_in_threadpool(_add_files, request, caller, ticket_id, form)


@router.post("/tickets/{ticket_id}/files/{file_id}/remove")
def take_out(request: Request, caller: Manager, ticket_id: UUID, file_id: UUID) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        attachments.remove(conn, who.tenant, ticket_id, file_id, who=who.name, now=datetime.now(UTC))
        return _section(request, conn, caller, ticket_id)


def section_of(conn: Transaction, caller: Caller, ticket: Ticket, wrong: str = "") -> dict[str, Any] | None:
    """What a ticket's page shows of what was reported; None for whom it is not."""
    role = caller.principal.role
    if role not in READERS:
        return None
    known = reports.intake(conn, ticket)
    said = reports.reports(conn, ticket.id)
    files = attachments.attachments(conn, ticket.id)
    return {
        "known": known,
        **standing(known),
        "askable": askable(known),
        "reports": said,
        "windows": next((_spans(one) for one in reversed(said) if one.windows), []),
        "files": [{**asdict(one), "is_image": KINDS[one.kind].is_image} for one in files],
        "may_remove": role in MANAGERS,
        "is_staff": role in STAFF,
        "may_say": role in REPORTERS,
        "is_open": State(ticket.state) not in ENDED,
        "wrong": wrong,
        **_words(caller),
    }


def _report(request: Request, caller: Caller, form: FormData) -> Response:
    said = {name: text for name, text in form.items() if isinstance(text, str)}
    typed = Typed.model_validate({name: text[:LONGEST_TEXT] for name, text in said.items()})
    with caller.transaction() as conn:
        try:
            Typed.model_validate(said)  # too long to be taken whole: shown as far as it could be
            opening = _take(request, conn, caller, typed)
        except (ValidationError, BadValue, NotFound) as error:
            return _form(request, conn, caller, typed, _told(error))
    wrong = _keep_files(caller, opening.ticket.id, form, "fault")
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        t = ticket_store.ticket(conn, opening.ticket.id)
        values = {**shell, "t": t, "outcome": opening.outcome, "intake": section_of(conn, caller, t, wrong)}
        return _answer(request, "done", values)


def _take(request: Request, conn: Transaction, caller: Caller, typed: Typed) -> Opening:
    said = typed.fields(request)
    lost = {"fault_class": typed.lost} if typed.lost else {}
    if not typed.machine:
        raise BadValue("machine", "say which machine it is")
    try:
        device = reports.device_of_serial(conn, typed.machine)
    except NotFound:
        device = typed.machine
    asked = ReportIn.model_validate({**said, **lost, "device": device})
    who = caller.principal
    return reports.take(
        conn,
        who.tenant,
        device,
        asked.said(_once(typed.once)),
        lost=asked.fault_class,
        who=who.name,
        now=datetime.now(UTC),
    )


def _add_files(request: Request, caller: Caller, ticket_id: UUID, form: FormData) -> Response:
    with caller.transaction() as conn:
        ticket_store.ticket(conn, ticket_id)
    shows = form.get("shows")
    wrong = _keep_files(caller, ticket_id, form, shows if shows in {"before", "after"} else "fault")
    with caller.transaction() as conn:
        return _section(request, conn, caller, ticket_id, wrong)


def _keep_files(caller: Caller, ticket_id: UUID, form: FormData, shows: Any) -> str:
    """Keep each file that can be; what is to be said of those that can not."""
    wrong = []
    for file in files_of(form, "files"):
        name = file.filename or "file"
        try:
            received = judge(file.file, name, shows)
            with caller.transaction() as conn:
                keep(conn, caller, ticket_id, received)
        except (NotTaken, TooMuch, BadValue) as error:
            wrong.append(f"{name[:100]}: {error}")
    return "; ".join(wrong)


def _section(request: Request, conn: Transaction, caller: Caller, ticket_id: UUID, wrong: str = "") -> Response:
    t = ticket_store.ticket(conn, ticket_id)
    shell = head_of(conn, caller, "tickets")
    values = {**shell, "t": t, "intake": section_of(conn, caller, t, wrong), "partial": False}
    return answer(request, "report_section.html", values)


def _form(request: Request, conn: Transaction, caller: Caller, typed: Typed, wrong: str = "") -> Response:
    values = {
        **head_of(conn, caller, "tickets"),
        "typed": typed.model_copy(update={"once": str(uuid4())}),
        "wrong": wrong,
        "machines": reports.machines(conn, MACHINES),
        "lost": LOST,
        **_words(caller),
    }
    return _answer(request, "form", values)


def _answer(request: Request, shown: str, values: dict[str, Any]) -> Response:
    part = wants_part(request)
    return answer(request, "report_live.html" if part else "report.html", {**values, "shown": shown, "partial": False})


def _words(caller: Caller) -> dict[str, Any]:
    """What the forms offer."""
    return {"symptoms": SYMPTOMS, "services": SERVICES, "file_mib": caller.service.settings.file_mib}


def _told(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(_said_of(one) for one in error.errors())
    return str(error)


def _said_of(error: Mapping[str, Any]) -> str:
    why = str(error["msg"]).removeprefix("Value error, ")
    return f"{str(error['loc'][0]).replace('_', ' ')}: {why}" if error["loc"] else why


def _spans(said: KeptReport) -> list[tuple[datetime, datetime]]:
    return [(datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])) for one in said.windows]


def _once(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid4()
