"""Surveys: what customers are asked after a repair, by their link or on the telephone, and what they answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Desk, Staff, network_of, place_of, route_of
from api.errors import BadValue
from api.follow_up.terms import QuestionIn
from api.models import Answered, Asked, Instant, Prose, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.service import service
from store.connection import Actor
from store.follow_up import surveys
from store.follow_up.surveys import Survey
from store.transactions import Transaction
from tickets.customers_word import CUSTOMER
from tickets.surveys import HOUSE_FOLLOW_UP, MOST_QUESTIONS, BadAnswers

LONGEST_COMMENT = 2000

router = APIRouter(prefix=f"{ROOT}/surveys", tags=["follow-up"])

LinkPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{24}$", examples=["pS1nq0c2m3Xo0b8mC5iKZk7T"])]
Which = Annotated[
    Literal["to_call", "answered", "waiting"] | None,
    Query(description="Only these; to be called: the urgent first"),
]
_ANSWERS = {"reached": 4, "time": 5, "told": 3, "people": 5, "result": 4, "recommend": 9}


class AnswersIn(Asked):
    """A number for each question of the kinds scale (1 to 5) and recommend (0 to 10)."""

    model_config = Asked.model_config | example(answers=_ANSWERS, comment="Come an hour earlier next time")

    answers: dict[Annotated[str, Field(max_length=40)], int] = Field(max_length=MOST_QUESTIONS)
    comment: Annotated[Prose, Field(max_length=LONGEST_COMMENT)] = ""


class CallIn(Asked):
    """A call to a customer."""

    model_config = Asked.model_config | example(reached=False, note="On holiday until Monday")

    reached: bool
    note: Annotated[Prose, Field(max_length=LONGEST_COMMENT)] = ""


class SurveyOut(Answered):
    """One survey, and whom it is about."""

    model_config = Answered.model_config | example(
        id="0d6f2c0a-94a1-4f0e-9c36-1a4e2f8a9b10",
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        device="pump-01",
        title="It leaks at the shaft seal",
        customer="Dairy North",
        tier="vip",
        made_at="2026-11-22T15:10:00Z",
        due_at="2026-11-23T15:10:00Z",
        expires_at="2026-12-06T15:10:00Z",
        sent_at=None,
        to_call="vip",
        calls=1,
        called_at="2026-11-22T16:00:00Z",
        called_by="dana",
        reached_at=None,
        answered_at=None,
        how=None,
        csat=None,
        nps=None,
        answers=None,
        comment="",
    )

    id: UUID
    ticket_id: UUID
    device: str
    title: str
    customer: str
    tier: str
    made_at: Instant
    due_at: Instant = Field(description="Asked, or called, by then")
    expires_at: Instant
    sent_at: Instant | None = Field(description="Given to be sent; null: there was nowhere to")
    to_call: Literal["", "vip", "no_address", "undeliverable"] = Field(description="Why somebody has to call")
    calls: int
    called_at: Instant | None
    called_by: str | None
    reached_at: Instant | None
    answered_at: Instant | None
    how: Literal["link", "phone"] | None
    csat: float | None = Field(description="Satisfaction, 0 to 100")
    nps: int | None = Field(description="The rating from 0 to 10")
    answers: dict[str, int] | None
    comment: str


class LinkOut(Answered):
    """A survey's link, which is told once."""

    model_config = Answered.model_config | example(
        link="pS1nq0c2m3Xo0b8mC5iKZk7T", path="/survey/pS1nq0c2m3Xo0b8mC5iKZk7T"
    )

    link: str | None = Field(description="null where the request came twice")
    path: str | None


class AskedOut(Answered):
    """What the holder of a link sees."""

    model_config = Answered.model_config | example(
        device="pump-01",
        title="It leaks at the shaft seal",
        questions=HOUSE_FOLLOW_UP["questions"],
        expires_at="2026-12-06T15:10:00Z",
        answered_at=None,
    )

    device: str
    title: str
    questions: list[QuestionIn]
    expires_at: Instant
    answered_at: Instant | None = Field(description="A survey is answered once")


@router.get("", summary="Surveys")
def list_surveys(caller: Staff, limit: Limit = 50, cursor: Cursor = None, which: Which = None) -> Page[SurveyOut]:
    """Newest first. To be called are VIP customers, and whom nobody could write to: up to `limit` of them."""
    with caller.transaction() as conn:
        rows = surveys.surveys(conn, _now(), limit=limit + 1, which=which, after=after_time_id(cursor))
    if which == "to_call":  # in an order of its own, and never more than a desk calls in a day
        return Page(items=[survey_out(row) for row in rows[:limit]], next=None)
    return page(rows, limit, survey_out, lambda row: (row.made_at, row.id))


@router.get("/{survey_id}", summary="One survey")
def get_survey(caller: Staff, survey_id: UUID) -> SurveyOut:
    """A survey."""
    with caller.transaction() as conn:
        return survey_out(surveys.survey(conn, survey_id, _now()))


@router.post("/{survey_id}/link", response_model=LinkOut, status_code=201, summary="Make a new link")
def make_link(caller: Desk, once: OnceOnly, survey_id: UUID) -> JSONResponse:
    """The one before opens nothing any more."""
    with caller.transaction() as conn:

        def do() -> tuple[int, LinkOut]:
            link = surveys.relink(conn, survey_id, _now())
            return 201, LinkOut(link=link, path=f"/survey/{link}")

        return once.answer(caller, conn, do, lambda _: LinkOut(link=None, path=None))


@router.post("/{survey_id}/calls", response_model=SurveyOut, status_code=201, summary="Write down a call")
def call_customer(caller: Desk, once: OnceOnly, survey_id: UUID, asked: CallIn) -> JSONResponse:
    """Reached or not. Who was reached and answers is written down with `answers`."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, SurveyOut]:
            done = surveys.call(
                conn, who.tenant, survey_id, reached=asked.reached, note=asked.note, who=who.name, now=_now()
            )
            return 201, survey_out(done)

        return once.answer(caller, conn, do)


@router.post("/{survey_id}/answers", response_model=SurveyOut, summary="Write down what was answered on the telephone")
def answer_by_phone(caller: Desk, once: OnceOnly, survey_id: UUID, asked: AnswersIn) -> JSONResponse:
    """Once. Who is not satisfied is handled a second time."""
    who = caller.principal
    with caller.transaction() as conn:
        return once.answer(
            caller, conn, lambda: (200, survey_out(take(conn, who.tenant, survey_id, asked, "phone", who.name)))
        )


@router.get("/by-link/{link}", summary="The survey of a link")
def get_survey_by_link(request: Request, link: LinkPath) -> AskedOut:
    """What is asked, for whoever has the link."""
    found, questions = by_link(request, link)
    return AskedOut(
        device=found.device,
        title=found.title,
        questions=questions,
        expires_at=found.expires_at,
        answered_at=found.answered_at,
    )


@router.post("/by-link/{link}", summary="Answer the survey of a link")
def answer_survey_by_link(request: Request, link: LinkPath, asked: AnswersIn) -> AskedOut:
    """Once, until it expires."""
    answer_by_link(request, link, asked)
    return get_survey_by_link(request, link)


def by_link(request: Request, link: str) -> tuple[Survey, list[QuestionIn]]:
    """A survey and its questions, for whoever has the link. NotFound where it opens nothing, or nothing any more."""
    tenant, survey_id, _ = _opened(request, link)
    with service(request).transactions.of(tenant) as conn:
        found = surveys.survey(conn, survey_id, _now())
        return found, questions_of(conn, found)


def answer_by_link(request: Request, link: str, asked: AnswersIn) -> None:
    """Keep what the holder of a link says. NotFound; Conflict where it was answered, or is over; BadValue."""
    tenant, survey_id, by = _opened(request, link)
    with service(request).transactions.of(tenant, by) as conn:
        take(conn, tenant, survey_id, asked, "link", CUSTOMER)


def take(
    conn: Transaction, tenant: str, survey_id: UUID, asked: AnswersIn, how: Literal["link", "phone"], who: str
) -> Survey:
    """Keep answers. BadValue at the question that is wrong."""
    try:
        return surveys.answer(
            conn, tenant, survey_id, asked.answers, asked.comment, how=how, who=who, now=datetime.now(UTC)
        )
    except BadAnswers as error:
        raise BadValue(f"body.answers.{error.field}", str(error)) from error


def questions_of(conn: Transaction, of: Survey) -> list[QuestionIn]:
    """What a survey asks."""
    asked = surveys.rules_of(conn, of).questions
    return [QuestionIn(id=one.id, kind=one.kind, text=one.text) for one in asked]


def survey_out(of: Survey) -> SurveyOut:
    return SurveyOut.model_validate({name: getattr(of, name) for name in SurveyOut.model_fields})


def _opened(request: Request, link: str) -> tuple[str, UUID, Actor]:
    parts, place = service(request), place_of(request)
    parts.trackers.take(place)
    with parts.transactions.of_nobody() as conn:
        tenant, survey_id = surveys.holder_of(conn, link)
    return tenant, survey_id, Actor(CUSTOMER, "", network_of(place), route_of(request))


def _now() -> datetime:
    return datetime.now(UTC)
