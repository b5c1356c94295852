"""A customer's data: listed, exported, erased."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from api import ROOT
from api.access.auth import Manager
from api.access.personal import HeldOut, TraceOut
from api.models import Answered, Asked, Instant, Name, Reason, example
from api.tickets.customers import CustomerOut, CustomerPath
from store import audit, customers, personal, personal_customers
from store.customers import Customer
from store.personal_customers import Erased, File
from store.transactions import Transaction

router = APIRouter(prefix=f"{ROOT}/customers/{{customer_id}}", tags=["customers"])


class FileHeldOut(Answered):
    """A file of one of their tickets, and where its content is fetched."""

    id: UUID
    ticket_id: UUID
    name: str
    kind: str
    bytes: int
    sha256: str
    added_at: Instant
    added_by: str
    content: str = Field(description="The path that gives it")


class CustomerDataOut(Answered):
    """What is held about a customer, and where."""

    customer: CustomerOut
    held: list[HeldOut]
    files: int = Field(description="Photos and other files of their tickets, whoever added them")
    papers_kept: int = Field(description="Of who was erased: documents that have to be kept yet")
    papers_until: Instant | None


class CustomerExportOut(Answered):
    """All that is held about a customer."""

    customer: CustomerOut
    traces: list[TraceOut]
    files: list[FileHeldOut]


class CustomerErasure(Asked):
    """Why, by which other names they may be found, and whether all files of their tickets go."""

    model_config = Asked.model_config | example(
        note="Asked for by letter on 3 November", also=["Riverside"], all_files=False
    )

    note: Reason = Field(description="Kept in the audit log, without their names")
    also: list[Annotated[Name, Field(min_length=2)]] = Field(
        default_factory=list, max_length=20, description="Other spellings to be taken out of notes"
    )
    all_files: bool = Field(False, description="Not only the files that they added: those of engineers too")


class CustomerErasedOut(Answered):
    """What stands in their place, in how many rows of which table, and which documents have to be kept yet."""

    model_config = Answered.model_config | example(
        pseudonym="erased-5f0c9d2ab1e4",
        rows={"customers": 3, "ticket_reports": 4, "users": 1},
        papers_kept=2,
        papers_until="2036-11-21T22:14:03Z",
    )

    pseudonym: str
    rows: dict[str, int]
    papers_kept: int
    papers_until: Instant | None


@router.get("/personal-data", summary="What is held about a customer")
def list_customer_data(caller: Manager, customer_id: CustomerPath) -> CustomerDataOut:
    """Where they, and whoever of them may sign in, are named or wrote themselves, what for and for how long."""
    with caller.transaction() as conn:
        of = looked_at(conn, customer_id, "listed")
        held = personal.held(personal_customers.traces(conn, of))
        kept, until = personal_customers.papers_kept(conn, customer_id)
        files = len(personal_customers.files(conn, customer_id))
    return CustomerDataOut(
        customer=CustomerOut.model_validate(of),
        held=[HeldOut.model_validate(place) for place in held],
        files=files,
        papers_kept=kept,
        papers_until=until,
    )


@router.get("/personal-data/export", summary="All that is held about a customer")
def export_customer_data(caller: Manager, customer_id: CustomerPath, response: Response) -> CustomerExportOut:
    """Every value that is theirs or speaks of them, as a file; of photos and other files where each is fetched."""
    response.headers["Content-Disposition"] = 'attachment; filename="personal-data.json"'
    with caller.transaction() as conn:
        of = looked_at(conn, customer_id, "exported")
        traces = personal_customers.traces(conn, of)
        files = personal_customers.files(conn, customer_id)
    return CustomerExportOut(
        customer=CustomerOut.model_validate(of),
        traces=[TraceOut(table_name=t.table_name, column_name=t.column_name, key=t.key, value=t.value) for t in traces],
        files=[_file(one) for one in files],
    )


@router.post("/erasure", summary="Take a customer out of everything")
def erase_customer(caller: Manager, customer_id: CustomerPath, asked: CustomerErasure) -> CustomerErasedOut:
    """Put a pseudonym in their place, take out their words, files and signatures, and end their accounts.

    It can't be undone. Machines and what was done to them stay; documents go when they need not be kept any more. 409
    while a ticket of theirs is open, and where they were erased before.
    """
    with caller.transaction() as conn:
        return CustomerErasedOut.model_validate(erased(conn, customer_id, asked))


def looked_at(conn: Transaction, customer_id: UUID, how: str) -> Customer:
    """A customer whose data somebody looks at, which is an act."""
    of = customers.customer(conn, customer_id)
    audit.note(conn, "personal_data", str(customer_id), how)
    return of


def erased(conn: Transaction, customer_id: UUID, asked: CustomerErasure) -> Erased:
    """Do it."""
    return personal_customers.erase(conn, customer_id, also=asked.also, all_files=asked.all_files, note=asked.note)


def _file(one: File) -> FileHeldOut:
    fields = {name: getattr(one, name) for name in File.__dataclass_fields__}
    return FileHeldOut(**fields, content=f"{ROOT}/tickets/{one.ticket_id}/files/{one.id}")
