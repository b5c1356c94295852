"""The pages, filled on the server: put together, and the door to them; `page_frame` has what is common to all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.routing import Match, Route
from starlette.types import Scope

from alarms.roles import PEOPLE
from api.access import audit_page
from api.access.auth import COOKIE, begin_session, check_same_origin, end_session, require
from api.access.sessions import signed_in
from api.alarms import alarms_page, maintenance_page, rules_page
from api.alarms import kpis_page as alarm_kpis_page
from api.errors import NotForYou, NotSignedIn
from api.fleet import fleet_page, machine_form, machine_page, model_section
from api.follow_up import follow_up_page, improvement_pages
from api.intake import intake_page
from api.kpis import kpis_page
from api.messages import channels_page, messages_page, on_call_page, webhooks_page
from api.page_frame import (
    HEADERS,
    NOT_FOUND,
    PageRoute,
    answer,
    answer_mistake,
    own_address,
    reasons,
)
from api.parts import parts_page
from api.plans import plans_page
from api.staffing import dispatch_page, engineers_page
from api.tickets import (
    customers_page,
    customers_personal_page,
    documents_page,
    inspections_page,
    procedures_page,
    reports_page,
    terms_page,
    tickets_page,
    told_page,
)
from api.tickets import steps_page as ticket_steps_page
from api.tickets.appointments import ReplyIn, reply_by_code
from api.tickets.codes import answer_by_code, by_code
from api.tickets.papers import CustomersAnswerIn, PriceIn
from dashboard import words
from dashboard.pages import STATIC
from store import tickets as ticket_store
from store.errors import Conflict
from store.tickets import appointments
from tickets.appointments import Reply
from tickets.states import State


class Elsewhere(Route):
    """Whatever a browser asks for that nobody else answers; the API's addresses stay the API's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or scope["path"].startswith("/api/"):
            return Match.NONE, {}
        return super().matches(scope)


class KeptFiles(StaticFiles):
    """Static files: one that is named with the hash of its content is kept for good, others are asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


router = APIRouter(route_class=PageRoute, include_in_schema=False)


def serve_pages(app: FastAPI) -> None:
    """Give an app its pages. Comes after every other route: an address that nobody knows gets a page too."""
    app.include_router(router)
    for page in (
        fleet_page,
        machine_page,
        machine_form,
        model_section,
        alarms_page,
        alarm_kpis_page,
        kpis_page,
        maintenance_page,
        rules_page,
        terms_page,
        customers_page,
        customers_personal_page,
        dispatch_page,
        engineers_page,
        tickets_page,
        told_page,
        documents_page,
        follow_up_page,
        improvement_pages,
        ticket_steps_page,
        inspections_page,
        procedures_page,
        plans_page,
        parts_page,
        reports_page,
        intake_page,
        audit_page,
        webhooks_page,
        channels_page,
        on_call_page,
        messages_page,
    ):
        app.include_router(page.router)
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    app.router.routes.append(Elsewhere("/{path:path}", _nothing_here, methods=["GET", "HEAD"], include_in_schema=False))


# The door -----------------------------------------------------------------------------------------------------------


@router.get("/")
def home() -> Response:
    return RedirectResponse("/fleet", 303)


@router.get("/login")
def login_page(request: Request, next: str = "") -> Response:  # noqa: A002
    return answer(request, "signin.html", {"next": own_address(next), "login": "", "problem": ""})


@router.get("/login/state")
def login_state(request: Request) -> Response:
    """Whether this browser is signed in: a link from a mail arrives without the session, which no other site sends."""
    try:
        require(*PEOPLE)(request, None, request.cookies.get(COOKIE))
    except (NotSignedIn, NotForYou):
        return JSONResponse({"signed_in": False}, headers=HEADERS)
    return JSONResponse({"signed_in": True}, headers=HEADERS)


@router.post("/login")
def log_in(
    request: Request,
    login: Annotated[str, Form(max_length=254)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "",  # noqa: A002
) -> Response:
    check_same_origin(request)
    try:
        principal = signed_in(request, login, password)
    except NotSignedIn as error:
        message = str(error)
        values = {"next": own_address(next), "login": login, "problem": message[:1].upper() + message[1:] + "."}
        return answer(request, "signin.html", values, 401)
    response = RedirectResponse(own_address(next) or "/fleet", 303, HEADERS)
    begin_session(request, response, principal)
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    check_same_origin(request)
    response = RedirectResponse("/login", 303, HEADERS)
    end_session(request, response)
    return response


@router.get("/track/{code}")
def track(request: Request, code: str) -> Response:
    return _tracked(request, code)


@router.post("/track/{code}/quote")
def answer_quote(
    request: Request,
    code: str,
    accepted: Annotated[bool, Form()],
    name: Annotated[str, Form(min_length=1, max_length=200)],
    amount: Annotated[Decimal, Form(max_digits=12, decimal_places=2)],
    currency: Annotated[str, Form(min_length=3, max_length=3)],
    note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    check_same_origin(request)
    trouble = ""
    try:
        quoted = PriceIn(amount=amount, currency=currency)
        answer_by_code(request, code, CustomersAnswerIn(accepted=accepted, name=name, note=note, quoted=quoted))
    except ValidationError:
        trouble = "Please give your name, on one line."
    except Conflict:
        trouble = "Not taken: this quote has been answered already, or there is another one by now, which you see here."
    return _tracked(request, code, trouble)


@router.post("/track/{code}/appointment")
def answer_appointment(
    request: Request,
    code: str,
    answer: Annotated[Reply, Form()],
    note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    check_same_origin(request)
    trouble = ""
    try:
        reply_by_code(request, code, ReplyIn(answer=answer, note=note))
    except (Conflict, ValidationError) as error:
        why = str(error) if isinstance(error, Conflict) else "; ".join(reasons(error).values())
        trouble = f"Not taken: {why}."
    return _tracked(request, code, unkept=trouble)


def _tracked(request: Request, code: str, trouble: str = "", unkept: str = "") -> Response:
    with by_code(request, code) as (conn, _, ticket_id):
        ticket = ticket_store.track(conn, code)
        documents = ticket_store.documents(conn, ticket_id)
        appointment = appointments.appointment(conn, ticket_id)
    reached: dict[int, datetime] = {}
    for one in ticket.steps:
        step = words.customer_step(one["state"])
        if step is not None:
            reached.setdefault(step, datetime.fromisoformat(one["at"]))
    may_answer = ticket.state == State.AWAITING_APPROVAL and ticket.quote and not ticket.answer
    values = {
        "ticket": ticket,
        "documents": documents,
        "step": words.customer_step(ticket.state),
        "reached": reached,
        "may_answer": may_answer,
        "trouble": trouble,
        "appointment": appointment,
        "unkept": unkept,
        "now": datetime.now(UTC),
    }
    return answer(request, "track.html", values)


async def _nothing_here(request: Request) -> Response:
    return answer_mistake(request, NOT_FOUND)
