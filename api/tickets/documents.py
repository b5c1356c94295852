"""Documents of a ticket: diagnosis report, quote, service report, as they were issued, as data and as PDF."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api import ROOT
from api.models import Answered, Instant, example
from api.tickets.attachments import Reader
from api.tickets.codes import by_code
from api.tickets.tickets import Code
from dashboard.paper_pdf import pdf_of
from store import tickets
from store.tickets import Issued
from store.tickets.letters import Letter, letters
from store.transactions import Transaction
from tickets.documents.form import NAMES_TAKEN_OUT, Kind, file_of, from_plain

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])

_PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}, "description": "The document"}}
_EXAMPLE = {
    "id": "6f1c1f0e-5a3f-4a53-9b53-1f6b6a1f9f10",
    "kind": "service",
    "title": "Service report",
    "number": "SR-2026-000123",
    "version": 1,
    "issued_at": "2026-11-22T10:20:00Z",
    "is_latest": True,
}


class TrackedDocumentOut(Answered):
    """A version of a document, as the customer is told of it."""

    model_config = Answered.model_config | example(_EXAMPLE)

    id: UUID
    kind: Kind
    title: str
    number: str = Field(description="Of a tenant's kind and year without gaps; all versions have the same")
    version: int
    issued_at: Instant
    is_latest: bool


class TrackedDocumentsOut(Answered):
    """Every version of every document of a ticket, the newest first."""

    items: list[TrackedDocumentOut]


class DocumentOut(TrackedDocumentOut):
    """A version of a document."""

    model_config = Answered.model_config | example(_EXAMPLE, issued_by="jo")

    issued_by: str


class LetterOut(Answered):
    """An e-mail that brings a document to the customer."""

    to: str
    state: Literal["waiting", "sent", "undeliverable"]
    at: Instant | None = Field(description="When it was sent, or given up; null: it waits")
    error: str


class ListedDocumentOut(DocumentOut):
    """A version of a document, and what became of it on its way to the customer."""

    model_config = Answered.model_config | example(_EXAMPLE, issued_by="jo", sent=None)

    sent: LetterOut | None = Field(description="As long as messages are kept; null: it was not sent")


class DocumentsOut(Answered):
    """Every version of every document of a ticket, the newest first."""

    items: list[ListedDocumentOut]


class TableOut(Answered):
    """Each row is as long as the head."""

    head: list[str]
    rows: list[list[str]]


class SectionOut(Answered):
    """A part of a document. `strokes`: a signature in a box of 1000 by 300, each stroke `[x, y, x, y, …]`."""

    heading: str
    paragraphs: list[str]
    facts: list[tuple[str, str]]
    table: TableOut | None
    strokes: list[list[int]]


class ContentOut(Answered):
    """What is printed, word for word."""

    title: str
    number: str
    facts: list[tuple[str, str]]
    sections: list[SectionOut]


class TrackedContentOut(TrackedDocumentOut):
    """A version of a document with what stands in it."""

    model_config = Answered.model_config

    content: ContentOut


class WholeDocumentOut(DocumentOut):
    """A version of a document with what stands in it. `sha256` is of a salt and the content, and in the audit log."""

    model_config = Answered.model_config

    sha256: str
    is_as_issued: bool = Field(description="False where somebody's name was taken out since")
    content: ContentOut


DocumentId = Annotated[UUID, Field(description="One version of a document")]


@router.get("/track/{code}/documents", summary="Documents of a ticket without an account")
def track_documents(request: Request, code: Code) -> TrackedDocumentsOut:
    """For whoever has the ticket's code; 30 requests a minute from one place."""
    with by_code(request, code) as (conn, _, ticket_id):
        found = tickets.documents(conn, ticket_id)
    return TrackedDocumentsOut(items=[TrackedDocumentOut(**_of(one, TrackedDocumentOut)) for one in found])


@router.get("/track/{code}/documents/{document_id}", summary="A document without an account")
def track_document(request: Request, code: Code, document_id: DocumentId) -> TrackedContentOut:
    """What stands in it."""
    with by_code(request, code) as (conn, _, ticket_id):
        return TrackedContentOut(**_of(tickets.document(conn, ticket_id, document_id), TrackedContentOut))


@router.get(
    "/track/{code}/documents/{document_id}/pdf",
    summary="A document as PDF without an account",
    response_class=Response,
    responses=_PDF,
)
def track_document_pdf(request: Request, code: Code, document_id: DocumentId) -> Response:
    """The same bytes each time."""
    with by_code(request, code) as (conn, _, ticket_id):
        found = tickets.document(conn, ticket_id, document_id)
    return pdf_answer(found)


@router.get("/{ticket_id}/documents", summary="Documents of a ticket")
def list_documents(caller: Reader, ticket_id: UUID) -> DocumentsOut:
    """What the customer was given, each version: what changes later makes the next one, and the one before stays."""
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        sent = letters(conn, ticket_id)
        found = [(one, sent.get(one.id)) for one in tickets.documents(conn, ticket_id)]
    return DocumentsOut(items=[ListedDocumentOut(**_of(one, DocumentOut), sent=_letter(by)) for one, by in found])


@router.get("/{ticket_id}/documents/{document_id}", summary="A document")
def get_document(caller: Reader, ticket_id: UUID, document_id: DocumentId) -> WholeDocumentOut:
    """What stands in it, and whether that is what was issued."""
    with caller.transaction() as conn:
        return WholeDocumentOut(**_of(_document(conn, ticket_id, document_id), WholeDocumentOut))


@router.get(
    "/{ticket_id}/documents/{document_id}/pdf",
    summary="A document as PDF",
    response_class=Response,
    responses=_PDF,
)
def get_document_pdf(caller: Reader, ticket_id: UUID, document_id: DocumentId) -> Response:
    """The same bytes each time."""
    with caller.transaction() as conn:
        found = _document(conn, ticket_id, document_id)
    return pdf_answer(found)


def pdf_answer(found: Issued) -> Response:
    """A document to be kept as a file."""
    note = "" if found.is_as_issued else NAMES_TAKEN_OUT
    name = file_of(found.number, found.version)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(pdf_of(from_plain(found.content), found.issued_at, note), 200, headers, "application/pdf")


def _document(conn: Transaction, ticket_id: UUID, document_id: UUID) -> Issued:
    tickets.ticket(conn, ticket_id)
    return tickets.document(conn, ticket_id, document_id)


def _letter(found: Letter | None) -> LetterOut | None:
    return None if found is None else LetterOut.model_validate(found)


def _of(found: tickets.Heading, shown: type[TrackedDocumentOut]) -> dict[str, Any]:
    return {name: getattr(found, name) for name in shown.model_fields}
