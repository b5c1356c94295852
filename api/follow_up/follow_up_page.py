"""The pages after a repair: a customer's survey by its link, and the desk's: whom to call, who was not satisfied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import ValidationError

from alarms.roles import DESK, STAFF
from api.access.auth import Caller, Desk, Staff, check_same_origin
from api.errors import BadValue
from api.follow_up.surveys import LONGEST_COMMENT, AnswersIn, LinkPath, answer_by_link, by_link, questions_of, take
from api.page_frame import PageRoute, answer, head_of, wants_part
from store.errors import Conflict
from store.follow_up import handlings, surveys
from store.follow_up.handlings import Handling
from store.transactions import Transaction
from tickets.surveys import RANGES, Kind, net_promoter_score

# A quarter: a month of a small service is a handful of answers.
LOOKED_BACK = timedelta(days=90)
MOST_LINES = 100
# More customers at once are not satisfied with nobody.
MOST_OPEN = 500
LAST_ANSWERS = 20
_ANSWER = re.compile(r"a\.([a-z0-9_]{1,40})")
_ENDS = {Kind.SCALE: ("badly", "very well"), Kind.RECOMMEND: ("not at all", "most certainly")}

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Note = Annotated[str, Form(max_length=LONGEST_COMMENT)]
Words = Annotated[str, Form(min_length=1, max_length=LONGEST_COMMENT)]


async def _typed(request: Request) -> dict[str, str]:
    """The form as it came: text by the name of its field."""
    form = await request.form(max_fields=40)
    return {name: str(value).replace("\r", "") for name, value in form.items()}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/survey/{link}")
def survey_page(request: Request, link: LinkPath) -> Response:
    return _survey(request, link)


@router.post("/survey/{link}")
def answer_survey(request: Request, link: LinkPath, typed: Typed) -> Response:
    """Keep what was answered, or show it again with what is missing."""
    check_same_origin(request)
    trouble = ""
    try:
        answer_by_link(request, link, _said(typed))
    except (BadValue, ValidationError):
        trouble = "Please answer every question that has numbers."
    except Conflict as error:
        trouble = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return _survey(request, link, typed, trouble)


@router.get("/follow-up")
def follow_up_page(request: Request, caller: Staff) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.get("/follow-up/surveys/{survey_id}")
def phone_page(request: Request, caller: Desk, survey_id: UUID) -> Response:
    with caller.transaction() as conn:
        return _phone(request, conn, caller, survey_id)


@router.post("/follow-up/surveys/{survey_id}")
def answer_by_phone(request: Request, caller: Desk, survey_id: UUID, typed: Typed) -> Response:
    """What a customer answered on the telephone."""
    who = caller.principal
    with caller.transaction() as conn:
        try:
            take(conn, who.tenant, survey_id, _said(typed), "phone", who.name)
        except (BadValue, ValidationError):
            return _phone(request, conn, caller, survey_id, typed, "Every question that has numbers needs its answer.")
        return _phone(request, conn, caller, survey_id)


@router.post("/follow-up/surveys/{survey_id}/call")
def call(
    request: Request, caller: Desk, survey_id: UUID, reached: Annotated[bool, Form()], note: Note = ""
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        surveys.call(conn, who.tenant, survey_id, reached=reached, note=note, who=who.name, now=datetime.now(UTC))
        return _page(request, conn, caller)


@router.post("/follow-up/second-handlings/{handling_id}/start")
def start(request: Request, caller: Desk, handling_id: UUID) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        handlings.take(conn, who.tenant, handling_id, who=who.name, now=datetime.now(UTC))
        return _page(request, conn, caller)


@router.post("/follow-up/second-handlings/{handling_id}/call")
def call_back(
    request: Request, caller: Desk, handling_id: UUID, reached: Annotated[bool, Form()], note: Note = ""
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        handlings.call(conn, who.tenant, handling_id, reached=reached, note=note, who=who.name, now=datetime.now(UTC))
        return _page(request, conn, caller)


@router.post("/follow-up/second-handlings/{handling_id}/close")
def close(
    request: Request,
    caller: Desk,
    handling_id: UUID,
    cause: Words,
    outcome: Words,
    reopen: Annotated[bool, Form()] = False,
) -> Response:
    who = caller.principal
    with caller.transaction() as conn:
        handlings.close(
            conn,
            who.tenant,
            handling_id,
            cause=cause.strip(),
            outcome=outcome.strip(),
            reopens=reopen,
            role=who.role,
            who=who.name,
            now=datetime.now(UTC),
        )
        return _page(request, conn, caller)


def section_of(conn: Transaction, caller: Caller, ticket_id: UUID, now: datetime) -> Mapping[str, Any]:
    """What a ticket's page shows staff of its surveys and second handlings, the newest first."""
    if caller.principal.role not in STAFF:
        return {"surveys": [], "handlings": []}
    return {
        "surveys": surveys.surveys(conn, now, limit=MOST_LINES, ticket_id=ticket_id),
        "handlings": handlings.handlings(conn, limit=MOST_LINES, ticket_id=ticket_id),
    }


def _page(request: Request, conn: Transaction, caller: Caller) -> Response:
    now = datetime.now(UTC)
    sums = surveys.sums(conn, now - LOOKED_BACK, now, now)
    values = {
        **head_of(conn, caller, "tickets"),
        "to_call": surveys.surveys(conn, now, limit=MOST_LINES, which="to_call"),
        "open": sorted(handlings.handlings(conn, limit=MOST_OPEN, is_open=True), key=_due_first),
        "answered": surveys.surveys(conn, now, limit=LAST_ANSWERS, which="answered"),
        "sums": sums,
        "score": net_promoter_score(sums.ratings),
        "days": LOOKED_BACK.days,
        "may_call": caller.principal.role in DESK,
    }
    return answer(request, "follow_up_live.html" if wants_part(request) else "follow_up.html", values)


def _due_first(of: Handling) -> tuple[bool, datetime]:
    """By what is due next; who was called back only waits to be closed."""
    return of.called_at is not None, of.start_due_at if of.started_at is None else of.call_due_at


def _phone(
    request: Request,
    conn: Transaction,
    caller: Caller,
    survey_id: UUID,
    typed: Mapping[str, str] | None = None,
    trouble: str = "",
) -> Response:
    found = surveys.survey(conn, survey_id, datetime.now(UTC))
    values = {**head_of(conn, caller, "tickets"), **_form(found, questions_of(conn, found), typed or {}, trouble)}
    return answer(request, "survey_phone.html", values, 422 if trouble else 200)


def _survey(request: Request, link: str, typed: Mapping[str, str] | None = None, trouble: str = "") -> Response:
    found, questions = by_link(request, link)
    return answer(request, "survey.html", _form(found, questions, typed or {}, trouble), 422 if trouble else 200)


def _form(of: surveys.Survey, questions: list[Any], typed: Mapping[str, str], trouble: str) -> dict[str, Any]:
    return {
        "survey": of,
        "questions": [
            {
                "id": one.id,
                "kind": one.kind,
                "text": one.text,
                "range": RANGES.get(one.kind),
                "ends": _ENDS.get(one.kind),
            }
            for one in questions
        ],
        "typed": typed,
        "trouble": trouble,
    }


def _said(typed: Mapping[str, str]) -> AnswersIn:
    """What was ticked and written. ValidationError where an answer is no number."""
    ticked = {match[1]: text for name, text in typed.items() if (match := _ANSWER.fullmatch(name))}
    return AnswersIn.model_validate({"answers": ticked, "comment": typed.get("comment", "")})
