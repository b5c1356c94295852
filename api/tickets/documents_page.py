"""The pages of documents: for whoever works on a ticket, and for the customer who has its code."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.access.auth import Caller, require
from api.page_frame import PageRoute, answer
from api.tickets.attachments import READERS
from api.tickets.codes import by_code
from api.tickets.documents import pdf_answer
from store import tickets
from store.tickets import Heading, Issued
from store.transactions import Transaction
from tickets.documents import signature
from tickets.documents.form import NAMES_TAKEN_OUT, from_plain

# What a machine's page shows. Those of each ticket are on its own page.
MOST_BESIDE_A_MACHINE = 12

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Reader = Annotated[Caller, Depends(require(*READERS))]


def section_of(conn: Transaction, caller: Caller, ticket_id: UUID) -> list[Heading]:
    """The documents of a ticket for its page; none for whom they do not concern."""
    return tickets.documents(conn, ticket_id) if caller.principal.role in READERS else []


def section_of_machine(conn: Transaction, caller: Caller, device: str) -> list[Heading]:
    """The last documents of a machine for its page."""
    if caller.principal.role not in READERS:
        return []
    return tickets.documents_of_device(conn, device, MOST_BESIDE_A_MACHINE)


@router.get("/tickets/{ticket_id}/documents/{document_id}")
def document(request: Request, caller: Reader, ticket_id: UUID, document_id: UUID) -> Response:
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        found = tickets.document(conn, ticket_id, document_id)
    return _page(request, found, f"/tickets/{ticket_id}")


@router.get("/tickets/{ticket_id}/documents/{document_id}/pdf")
def document_pdf(caller: Reader, ticket_id: UUID, document_id: UUID) -> Response:
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        found = tickets.document(conn, ticket_id, document_id)
    return pdf_answer(found)


@router.get("/track/{code}/documents/{document_id}")
def tracked_document(request: Request, code: str, document_id: UUID) -> Response:
    with by_code(request, code) as (conn, _, ticket_id):
        found = tickets.document(conn, ticket_id, document_id)
    return _page(request, found, f"/track/{tickets.plain_code(code)}")


@router.get("/track/{code}/documents/{document_id}/pdf")
def tracked_document_pdf(request: Request, code: str, document_id: UUID) -> Response:
    with by_code(request, code) as (conn, _, ticket_id):
        found = tickets.document(conn, ticket_id, document_id)
    return pdf_answer(found)


def _page(request: Request, found: Issued, back: str) -> Response:
    values = {
        "document": from_plain(found.content),
        "issued": found,
        "note": "" if found.is_as_issued else NAMES_TAKEN_OUT,
        "back": back,
        "box": (signature.WIDTH, signature.HEIGHT),
    }
    return answer(request, "document.html", values)
