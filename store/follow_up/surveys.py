"""Surveys: opened by their link or by telephone, answered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store import terms as term_store
from store.errors import Conflict, NotFound
from store.follow_up import handlings
from store.queries import queries
from store.tickets.history import record
from store.tickets.rows import locked
from store.transactions import Transaction
from tickets.surveys import FollowUp, link_hash, needs_second_handling, new_link, scores
from tickets.terms import Terms

Which = Literal["to_call", "answered", "waiting"]

_SQL = queries("surveys")


@dataclass(frozen=True, slots=True)
class Survey:
    """One survey, and whom it is about. `to_call`: why somebody has to call, or empty."""

    id: UUID
    ticket_id: UUID
    turn: int
    terms: int
    made_at: datetime
    due_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    calls: int
    called_at: datetime | None
    called_by: str | None
    reached_at: datetime | None
    answered_at: datetime | None
    how: str | None
    csat: float | None
    nps: int | None
    answers: Mapping[str, int] | None
    comment: str
    device: str
    title: str
    to_call: str
    customer: str
    tier: str
    contact: str


@dataclass(frozen=True, slots=True)
class Sums:
    """Surveys of a span. `late`: whom nobody had asked or called in time. `csat` None: nobody has answered."""

    asked: int
    reached: int
    answered: int
    csat: float | None
    ratings: Sequence[int]
    late: int


def surveys(
    conn: Transaction,
    now: datetime,
    *,
    limit: int,
    which: Which | None = None,
    ticket_id: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Survey]:
    """Surveys, newest first; of those to be called, whose time is over first."""
    return _rows(conn, now, limit=limit, which=which, ticket=ticket_id, after=after)


def survey(conn: Transaction, survey_id: UUID, now: datetime) -> Survey:
    """One survey, or NotFound."""
    found = _rows(conn, now, limit=1, survey_id=survey_id)
    if not found:
        raise NotFound(f"there is no survey {survey_id}")
    return found[0]


def sums(conn: Transaction, begin: datetime, end: datetime, now: datetime) -> Sums:
    """What the surveys of a span come to."""
    with conn.cursor(row_factory=class_row(Sums)) as cursor:
        return cursor.execute(_SQL["sums"], {"begin": begin, "end": end, "now": now}).fetchall()[0]


def rules_of(conn: Transaction, of: Survey) -> FollowUp:
    """What was asked, and what counts as satisfied: by the terms with which it was made."""
    return _terms_of(conn, of).follow_up


def holder_of(conn: Transaction, link: str) -> tuple[str, UUID]:
    """The tenant and id of the survey that a link opens. NotFound where there is none."""
    row = conn.execute(_SQL["holder"], {"hash": link_hash(link)}).fetchone()
    if row is None:
        raise NotFound("there is no survey with this link")
    return row[0], row[1]


def relink(conn: Transaction, survey_id: UUID, now: datetime) -> str:
    """A new link in the place of the one before. Conflict where nobody can answer any more."""
    before = _held(conn, survey_id, now)
    _assert_open(before, now)
    link = new_link()
    conn.execute(_SQL["set_link"], {"id": survey_id, "hash": link_hash(link)})
    return link


def call(
    conn: Transaction, tenant: str, survey_id: UUID, *, reached: bool, note: str, who: str, now: datetime
) -> Survey:
    """Write down that somebody called, and whether the customer was there."""
    before = _held(conn, survey_id, now)
    conn.execute(_SQL["called"], {"id": survey_id, "reached": reached, "who": who, "now": now})
    record(conn, tenant, before.ticket_id, "customer_called", who, now, note=note, detail={"reached": reached})
    return survey(conn, survey_id, now)


def answer(
    conn: Transaction,
    tenant: str,
    survey_id: UUID,
    answers: Mapping[str, int],
    comment: str,
    *,
    how: Literal["link", "phone"],
    who: str,
    now: datetime,
) -> Survey:
    """Keep what a customer said, once; where they are not satisfied, somebody has to see to it again.

    Raises
    ------
    NotFound
    Conflict
        It was answered, or its time is over.
    tickets.surveys.BadAnswers
    """
    before = _held(conn, survey_id, now)
    _assert_open(before, now)
    terms = _terms_of(conn, before)
    found = scores(terms.follow_up.questions, answers)
    conn.execute(
        _SQL["answered"],
        {
            "id": survey_id,
            "now": now,
            "how": how,
            "csat": found.csat,
            "nps": found.nps,
            "answers": Jsonb(dict(answers)),
            "comment": comment,
        },
    )
    detail: dict[str, Any] = {"csat": found.csat, "nps": found.nps}
    record(conn, tenant, before.ticket_id, "survey_answered", who, now, detail=detail)
    if needs_second_handling(terms.follow_up, found):
        handlings.begin(conn, tenant, before.ticket_id, survey_id, terms, now)
    return survey(conn, survey_id, now)


def _rows(
    conn: Transaction,
    now: datetime,
    *,
    limit: int,
    which: Which | None = None,
    survey_id: UUID | None = None,
    ticket: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Survey]:
    after_at, after_id = after or (None, None)
    fields = {"which": which or "", "id": survey_id, "ticket": ticket, "after_at": after_at, "after_id": after_id}
    with conn.cursor(row_factory=class_row(Survey)) as cursor:
        return cursor.execute(_SQL["surveys"], {**fields, "now": now, "limit": limit}).fetchall()


def _held(conn: Transaction, survey_id: UUID, now: datetime) -> Survey:
    """A survey that nobody else changes until the transaction ends; its ticket is held first, as by a move."""
    found = survey(conn, survey_id, now)
    locked(conn, found.ticket_id)
    conn.execute(_SQL["lock_survey"], {"id": survey_id})
    return survey(conn, survey_id, now)


def _assert_open(of: Survey, now: datetime) -> None:
    if of.answered_at is not None:
        raise Conflict("this survey was answered already")
    if of.expires_at <= now:
        raise Conflict("the time of this survey is over")


def _terms_of(conn: Transaction, of: Survey) -> Terms:
    return term_store.calendars(conn, [of.terms])[of.terms]
