"""The pages of procedures: the library's and one's own with what they have been; a form for the next version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from alarms.roles import Role
from api.access.auth import Caller, Manager, Staff
from api.errors import BadValue
from api.page_frame import PageRoute, answer, head_of, wants_part
from api.tickets.pictures import keep, picture_of
from api.tickets.procedure_form import FIELDS_PER_STEP, ProcedureForm, form_of_procedure, typed_of
from api.tickets.sops import SopIn
from api.tickets.uploads import form_of
from dashboard.pages import own_procedure
from prognosis.faults import built_in_procedures, library
from prognosis.procedures import MOST_STEPS, REMOTE, Procedure
from store import procedures
from store.attachments import TooMuch
from store.errors import Conflict, NotFound
from store.procedures import OwnProcedure
from store.transactions import Transaction
from tickets.attachments import NotTaken
from tickets.intake import SYMPTOMS
from tickets.steps import Kind

LINES = 100
_MOST_VERSIONS = 50
_MOST_MODELS = 500
# What a form has beside its steps.
_FIELDS_OF_HEAD = 10
KINDS = {Kind.REPAIR: "Repair", Kind.REMOTE: "Checklist from afar"}

Version = Annotated[int, Query(ge=0, lt=2**31 - 1)]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/procedures")
def procedures_page(request: Request, caller: Staff) -> Response:
    after = request.query_params.get("after", "")[:300]
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        own = procedures.procedures(conn, limit=LINES + 1, after=after or None)
        taken_back = procedures.procedures(conn, limit=LINES, taken_back=True)
    values = {
        **shell,
        "own": own[:LINES],
        "next_page": own[LINES - 1].place if len(own) > LINES else None,
        "after": after,
        "taken_back": taken_back,
        "library": [_of_library(one) for one in built_in_procedures().values()],
        **_words(caller),
    }
    return answer(request, "procedures.html", values)


@router.get("/procedures/library/{procedure_id}")
def library_page(request: Request, caller: Staff, procedure_id: str) -> Response:
    found = built_in_procedures().get(procedure_id)
    if found is None:
        raise NotFound(f"there is no procedure {procedure_id}")
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
    return answer(request, "procedure.html", {**shell, "p": _of_library(found), "own": None, **_words(caller)})


@router.get("/procedures/own")
def own_page(
    request: Request, caller: Staff, kind: Kind, fault: str = "", model: str = "", version: Version = 0
) -> Response:
    with caller.transaction() as conn:
        return _own(request, conn, caller, (kind, fault, model), version)


@router.get("/procedures/write")
def form_page(
    request: Request, caller: Manager, kind: Kind | None = None, fault: str = "", model: str = "", like: str = ""
) -> Response:
    """An empty form, one with what holds, or one that begins with a procedure of the library."""
    typed = ProcedureForm(model=model[:128])
    with caller.transaction() as conn:
        if kind is not None:
            typed = form_of_procedure(_latest(conn, kind, fault, model))
        elif like in built_in_procedures():
            typed = _begun_with(built_in_procedures()[like])
        return _form(request, conn, caller, typed)


@router.post("/procedures/write")
async def write(request: Request, caller: Manager) -> Response:
    """A button of the form: a step added, moved or dropped, or the version kept. Pictures are kept as they come."""
    async with form_of(request, MOST_STEPS, MOST_STEPS * FIELDS_PER_STEP + _FIELDS_OF_HEAD) as form:
        return await run_in_threadpool(_write, request, caller, form)


@router.post("/procedures/retire")
def retire(
    request: Request,
    caller: Manager,
    kind: Annotated[Kind, Form()],
    version: Annotated[int, Form(ge=1)],
    reason: Annotated[str, Form(min_length=1, max_length=2000)],
    fault: Annotated[str, Form(max_length=64)] = "",
    model: Annotated[str, Form(max_length=128)] = "",
) -> Response:
    """Take one's own back: the library's holds again."""
    with caller.transaction() as conn:
        before, wrong = _latest(conn, kind, fault, model), ""
        try:
            said = {"kind": kind, "fault": fault, "model": model, "name": before.name, "reason": reason}
            _keep(conn, caller, SopIn.model_validate({**said, "steps": [], "version": version}))
        except (Conflict, ValidationError) as error:
            wrong = _why(error)
        return _own(request, conn, caller, (kind, fault, model), 0, wrong)


def _write(request: Request, caller: Caller, form: FormData) -> Response:
    typed = typed_of(form)
    wrong = _keep_pictures(caller, form, typed)
    act, _, place = str(form.get("act", "")).partition(" ")
    with caller.transaction() as conn:
        if act != "keep":
            typed.do(act, int(place) if place.isdecimal() and len(place) < 4 else 0)
        elif not wrong:
            try:
                asked = SopIn.model_validate(typed.asked())
                if not asked.steps:
                    raise BadValue("steps", "write at least one step")
                _keep(conn, caller, asked)
            except (ValidationError, BadValue, Conflict, NotFound) as error:
                return _form(request, conn, caller, typed, _why(error))
            return _own(request, conn, caller, (asked.kind, asked.fault, asked.model), 0, moved=True)
        return _form(request, conn, caller, typed, wrong)


def _keep_pictures(caller: Caller, form: FormData, typed: ProcedureForm) -> str:
    """Keep each picture that came, and name it in its step; what is to be said of those that cannot be."""
    wrong = []
    for number, step in enumerate(typed.steps, 1):
        file = form.get(f"file-{number}")
        if file is None or isinstance(file, str) or not file.size:
            continue
        try:
            picture = picture_of(file.file)
            with caller.transaction() as conn:
                step.picture = keep(conn, caller, picture).sha256
        except (NotTaken, TooMuch, BadValue) as error:
            wrong.append(f"the picture of step {number}: {error}")
    return "; ".join(wrong)


def _keep(conn: Transaction, caller: Caller, asked: SopIn) -> None:
    who = caller.principal
    said = asked.model_dump(exclude={"steps", "version"})
    steps = [one.step() for one in asked.steps]
    procedures.write(
        conn, who.tenant, **said, steps=steps, seen_version=asked.version, who=who.name, now=datetime.now(UTC)
    )


def _own(
    request: Request,
    conn: Transaction,
    caller: Caller,
    place: tuple[Kind, str, str],
    version: int,
    wrong: str = "",
    *,
    moved: bool = False,
) -> Response:
    """One of one's own, at a version; 0: as it is now. `moved`: the browser comes from the form's address."""
    shell = head_of(conn, caller, "tickets")
    versions = procedures.versions(conn, *place, limit=_MOST_VERSIONS)
    # A ticket may go by one that is older than all that are listed.
    wanted = procedures.versions(conn, *place, limit=1, before=version + 1) if version else versions
    shown = next(iter(wanted), None)
    if shown is None or version not in {0, shown.version}:
        raise NotFound("there is no such procedure, or version of it")
    values = {
        **shell,
        "p": {"name": shown.name, "kind": shown.kind, "skills": shown.skills, "steps": shown.procedure.steps, "id": ""},
        "own": shown,
        "latest": versions[0],
        "versions": versions,
        "wrong": wrong,
        **_words(caller),
    }
    response = answer(request, "procedure_live.html" if wants_part(request) else "procedure.html", values)
    if moved:
        response.headers["HX-Push-Url"] = own_procedure(shown.id)
    return response


def _form(request: Request, conn: Transaction, caller: Caller, typed: ProcedureForm, wrong: str = "") -> Response:
    values = {
        **head_of(conn, caller, "tickets"),
        "typed": typed,
        "wrong": wrong.rstrip("."),
        "models": procedures.models(conn, _MOST_MODELS),
        "most_steps": MOST_STEPS,
        **_words(caller),
    }
    return answer(request, "procedure_form.html" if wants_part(request) else "procedure_write.html", values)


def _latest(conn: Transaction, kind: Kind, fault: str, model: str) -> OwnProcedure:
    found = procedures.versions(conn, kind, fault, model, limit=1)
    if not found:
        raise NotFound("there is no such procedure")
    return found[0]


def _begun_with(one: Procedure) -> ProcedureForm:
    modes = [mode.id for mode in library() if mode.procedure and mode.procedure.id == one.id]
    kind = _of_library(one)["kind"]
    begun = OwnProcedure(kind, modes[0] if modes else "", "", 0, one.name, one.skills, [], "", datetime.now(UTC), "")
    return form_of_procedure(begun, one.steps)


def _of_library(one: Procedure) -> dict[str, Any]:
    kind = Kind.REMOTE if one.id.startswith(REMOTE) else Kind.REPAIR
    mends = [mode.name for mode in library() if mode.procedure and mode.procedure.id == one.id]
    return {"id": one.id, "name": one.name, "kind": kind, "skills": one.skills, "steps": one.steps, "mends": mends}


def _words(caller: Caller) -> dict[str, Any]:
    """How kinds and faults are said, and who may write."""
    return {
        "kinds": KINDS,
        "modes": {mode.id: mode.name for mode in library()},
        "symptoms": {name: symptom.says for name, symptom in SYMPTOMS.items()},
        "may_write": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
    }


def _why(error: Exception) -> str:
    """What is wrong, as a person says it; of a form its first mistake."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    why = str(first["msg"]).removeprefix("Value error, ")
    return f"{_place(first['loc'])}: {why}"


def _place(loc: Sequence[str | int]) -> str:
    if len(loc) > 1 and loc[0] == "steps" and isinstance(loc[1], int):
        return ", ".join([f"step {loc[1] + 1}", *(str(one) for one in loc[2:])])
    return str(loc[0]) if loc else "it"
