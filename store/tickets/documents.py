"""Documents for the customer: issued with the move that they belong to, frozen, read back.

A document of a turn of a ticket has one number; what changes it later makes its next version. Numbers of a tenant's
kind and year have no gaps: the row that counts them is locked until the transaction ends, so that tickets which are
moved at once wait for one another here, for as long as the rest of a move takes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from prognosis.after_repair import Outcome
from store.errors import NotFound
from store.queries import queries
from store.repairs.checks import judgement
from store.tickets import letters
from store.tickets.history import record
from store.tickets.papers import Papers, papers
from store.tickets.rows import Ticket
from store.tickets.steps import present_work
from store.transactions import Transaction
from tickets.customers_word import CUSTOMER
from tickets.documents.after_repair import Judged
from tickets.documents.contents import answered, answers, diagnosis, quote, service
from tickets.documents.facts import Case, Entries, Entry, Issue, Measured, PartLine, StepLine, Work
from tickets.documents.form import TITLES, Document, Kind, from_plain, number_of, to_plain
from tickets.needs import Paper
from tickets.states import State
from tickets.steps import Kind as StepKind
from tickets.terms import Terms

_SQL = queries("documents")

# More lines than any repair has. Too high: a page of paper for each fifty.
MOST_LINES = 200
# A quote that is changed fifty times has as many versions.
MOST_DOCUMENTS = 500

# A diagnosis, a quote and the customer's answer to it: what was agreed to is a version of its own.
_WITH = ((Kind.DIAGNOSIS, {Paper.DIAGNOSIS}), (Kind.QUOTE, {Paper.QUOTE, Paper.ANSWER}))

_STAGES = {
    "accepted": "Accepted",
    "on_site": "On site",
    "repairing": "Repair begun",
    "testing": "Test begun",
    "handed_over": "Handed over",
}


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a version of a document: which it is, when it was issued, by whom."""

    id: UUID
    ticket_id: UUID
    kind: str
    number: str
    version: int
    issued_at: datetime
    issued_by: str
    is_latest: bool

    @property
    def title(self) -> str:
        return TITLES[Kind(self.kind)]


@dataclass(frozen=True, slots=True)
class Issued(Heading):
    """The whole of it. `salt` None: somebody's name was taken out since."""

    sha256: str
    salt: bytes | None
    content: Mapping[str, Any]

    @property
    def is_as_issued(self) -> bool:
        """Whether what it says now is what it said then."""
        return self.salt is not None and _digest(self.salt, self.content) == self.sha256


def documents(conn: Transaction, ticket_id: UUID) -> list[Heading]:
    """What was issued for a ticket, every version, the newest first."""
    with conn.cursor(row_factory=class_row(Heading)) as cursor:
        return cursor.execute(_SQL["documents"], {"id": ticket_id, "limit": MOST_DOCUMENTS}).fetchall()


def documents_of_device(conn: Transaction, device: str, limit: int) -> list[Heading]:
    """The last that were issued for a machine, each in its latest version."""
    with conn.cursor(row_factory=class_row(Heading)) as cursor:
        return cursor.execute(_SQL["documents_of_device"], {"device": device, "limit": limit}).fetchall()


def document(conn: Transaction, ticket_id: UUID, document_id: UUID) -> Issued:
    """One version of a document of this ticket, or NotFound."""
    with conn.cursor(row_factory=class_row(Issued)) as cursor:
        row = cursor.execute(_SQL["document"], {"ticket": ticket_id, "id": document_id}).fetchone()
    if row is None:
        raise NotFound(f"this ticket has no document {document_id}")
    return row


def issue_with_move(
    conn: Transaction, tenant: str, was: State, after: Ticket, came: Papers, terms: Terms, *, who: str, now: datetime
) -> None:
    """Issue what a move brings about, once it and its papers are stored. `after`: the ticket as it is by then."""
    due = [kind for kind, papers in _WITH if papers & came.keys()]
    is_handed_over = (was, after.state) == (State.QUALITY_CHECK, State.HANDED_OVER)
    if is_handed_over or Paper.SIGNATURE in came:
        due.append(Kind.SERVICE)
    issue(conn, tenant, after, due, terms, who=who, now=now)


def issue(
    conn: Transaction, tenant: str, of: Ticket, kinds: Collection[Kind], terms: Terms, *, who: str, now: datetime
) -> None:
    """Issue the next version of each, from what is stored by now of a ticket that is locked."""
    if not kinds:
        return
    said = _said(conn, of)
    by = _names(conn, [who])[who]
    case = _case(conn, of.id, terms)
    for kind in kinds:
        number, version = _number(conn, tenant, of, kind, now.astimezone(case.zone).year)
        written = _written(conn, kind, of, case, Issue(number, version, now, by), said)
        kept = _keep(conn, tenant, of, kind, written, version, who=who, now=now)
        address = terms.follow_up.page_address
        letters.send(conn, tenant, of, kept, kind, number, version, address=address, answered=answers(said))


def _written(conn: Transaction, kind: Kind, of: Ticket, case: Case, issue: Issue, said: Entries) -> Document:
    match kind:
        case Kind.DIAGNOSIS:
            return diagnosis(case, issue, said, _parts(conn, "wanted", of.id))
        case Kind.QUOTE:
            offer = _before(conn, of, issue) if answers(said) else None
            if offer is not None:
                return answered(offer, case, issue, said)
            return quote(case, issue, said, _parts(conn, "wanted", of.id))
        case Kind.SERVICE:
            return service(case, issue, said, _work(conn, of, issue.at))


def _before(conn: Transaction, of: Ticket, issue: Issue) -> Document | None:
    """The version before this one: what was answered, word for word."""
    row = conn.execute(_SQL["version"], {"id": of.id, "number": issue.number, "version": issue.version - 1}).fetchone()
    return from_plain(row[0]) if row else None


def _number(conn: Transaction, tenant: str, of: Ticket, kind: Kind, year: int) -> tuple[str, int]:
    """The next version of the turn's document, or the first of a new number. The ticket is locked by now."""
    before = conn.execute(_SQL["latest"], {"id": of.id, "turn": of.turn, "kind": kind}).fetchone()
    if before is not None:
        return before[0], before[1] + 1
    row = conn.execute(_SQL["next_place"], {"tenant": tenant, "kind": kind, "year": year}).fetchall()[0]
    return number_of(kind, year, row[0]), 1


def _keep(
    conn: Transaction, tenant: str, of: Ticket, kind: Kind, written: Document, version: int, *, who: str, now: datetime
) -> UUID:
    salt, content = secrets.token_bytes(16), to_plain(written)
    fields = {"tenant": tenant, "id": of.id, "turn": of.turn, "kind": kind, "number": written.number}
    fields |= {"version": version, "now": now, "who": who, "content": Jsonb(content)}
    fields |= {"salt": salt, "sha256": _digest(salt, content)}
    (kept,) = conn.execute(_SQL["keep"], fields).fetchall()[0]
    detail = {"document": kind, "number": written.number, "version": version}
    record(conn, tenant, of.id, "document_issued", who, now, detail=detail)
    return UUID(str(kept))


def _digest(salt: bytes, content: Mapping[str, Any]) -> str:
    """Of what is nothing but texts and whole numbers, in an order that no database changes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(salt + text.encode()).hexdigest()


def _case(conn: Transaction, ticket_id: UUID, terms: Terms) -> Case:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["case"], {"id": ticket_id}).fetchall()[0]
    return Case(**row, zone=terms.calendar.zone, guarantee=terms.guarantee)


def _said(conn: Transaction, of: Ticket) -> Entries:
    """The latest of each paper of the ticket's turn, with names for logins."""
    latest = {Paper(one.paper): one for one in papers(conn, of.id) if one.turn == of.turn}
    names = _names(conn, {one.who for one in latest.values()})
    return {paper: Entry(one.at, names[one.who], one.body, one.who) for paper, one in latest.items()}


def _names(conn: Transaction, logins: Collection[str]) -> dict[str, str]:
    known: dict[str, str] = dict(conn.execute(_SQL["names"], {"logins": list(logins)}).fetchall())
    return {login: known.get(login) or login for login in logins} | {CUSTOMER: "the customer"}


def _work(conn: Transaction, of: Ticket, now: datetime) -> Work:
    rows = conn.execute(_SQL["stages"], {"id": of.id}).fetchall()
    reached = {"handed_over": now} | {state: at for state, at, _ in rows}
    since = rows[0][2] if rows else of.opened_at
    return Work(
        verdict=of.verdict or "",
        parts=_parts(conn, "fitted", of.id, since=since),
        before=_measured(conn, of.id),
        stages=[(name, reached[state]) for state, name in _STAGES.items() if state in reached],
        steps=_steps(conn, of),
        handed_over_at=reached["handed_over"],
        judged=_judged(conn, of),
    )


def _judged(conn: Transaction, of: Ticket) -> Judged | None:
    check = judgement(conn, of.id, of.turn)
    if check is None:
        return None
    points, compared = check.found.get("points", []), check.found.get("compared", 0)
    return Judged(Outcome(check.outcome), check.reason, check.looked_at, check.ran_h, points, compared)


def _steps(conn: Transaction, of: Ticket) -> list[StepLine]:
    return [
        StepLine(one.step.do, one.state, one.value, one.step.unit, one.note)
        for work in present_work(conn, of)
        if work.kind is StepKind.REPAIR
        for one in work.steps
    ]


def _parts(conn: Transaction, query: str, ticket_id: UUID, **more: Any) -> Sequence[PartLine]:
    with conn.cursor(row_factory=class_row(PartLine)) as cursor:
        return cursor.execute(_SQL[query], {"id": ticket_id, "limit": MOST_LINES, **more}).fetchall()


def _measured(conn: Transaction, ticket_id: UUID) -> list[Measured]:
    rows = conn.execute(_SQL["measured"], {"id": ticket_id, "limit": MOST_LINES}).fetchall()
    return [
        Measured(said["point"], said["observed"], said.get("unit") or "", said.get("low"), said.get("high"))
        for (said,) in rows
    ]
