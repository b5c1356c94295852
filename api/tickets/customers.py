"""Customers, and the file of each device: whose it is, since when, how much it matters."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, Field, StringConstraints

from alarms.roles import STAFF, Role
from api import ROOT
from api.access.auth import Caller, Desk, Manager, Staff, require
from api.bodies import LARGEST_BODY_BYTES
from api.models import DEVICE, Answered, Asked, DevicePath, Instant, Line, Message, Prose, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, page
from store import customers as store
from tickets.priority import Criticality, Tier
from tickets.registers import customers_of, devices_of

router = APIRouter(prefix=ROOT, tags=["customers"])

# Names, contacts and serial numbers go to whom a ticket concerns: staff, and an owner for what is their own.
Concerned = Annotated[Caller, Depends(require(*STAFF, Role.OWNER))]
Number = Annotated[str, StringConstraints(pattern=DEVICE)]
Serial = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128, pattern=r"^[ -~]*$")]
CustomerPath = Annotated[UUID, Path(description="A customer's id")]
Table = Annotated[
    str,
    BeforeValidator(lambda text: text.replace("\r\n", "\n").replace("\0", "") if isinstance(text, str) else text),
    StringConstraints(max_length=LARGEST_BODY_BYTES),
]


class CustomerIn(Asked):
    """A customer."""

    model_config = Asked.model_config | example(
        number="K-1007", name="Riverside Dairy", contact="Jo Novak, +49 30 901820", tier="vip", notes="Ring the gate"
    )

    number: Number = Field(description="In your own books; unique, and stays")
    name: Line
    contact: Message = Field("", description="Whom to call and how: keep it to what a visit needs")
    tier: Tier = Tier.REGULAR
    notes: Prose = ""


class CustomerChange(Asked):
    """All of it anew, but the number."""

    model_config = Asked.model_config | example(
        name="Riverside Dairy", contact="Jo Novak, +49 30 901820", tier="regular", notes=""
    )

    name: Line
    contact: Message = ""
    tier: Tier = Tier.REGULAR
    notes: Prose = ""


class CustomerOut(Answered):
    """A customer."""

    model_config = Answered.model_config | example(
        id="5a0c8bb1-0d5a-4a5e-8f6e-57b1b3ac2f10",
        number="K-1007",
        name="Riverside Dairy",
        contact="Jo Novak, +49 30 901820",
        tier="vip",
        notes="Ring the gate",
        devices=12,
        changed_at="2026-11-21T22:14:03Z",
        changed_by="kim",
        erased_at=None,
    )

    id: UUID
    number: str
    name: str
    contact: str
    tier: Tier
    notes: str
    devices: int = Field(description="How many are theirs")
    changed_at: Instant
    changed_by: str
    erased_at: Instant | None = Field(description="Since when nobody is behind it: a pseudonym is in their place")


class TableIn(Asked):
    """A table: CSV with a head, separated by commas or semicolons."""

    model_config = Asked.model_config | example(csv="number,name,tier\nK-1007,Riverside Dairy,vip\n")

    csv: Table


class TakenOut(Answered):
    """What became of a table: all of it was taken."""

    model_config = Answered.model_config | example(rows=120, new=118)

    rows: int
    new: int


class FileIn(Asked):
    """What is known of a device as a thing that somebody bought, whole."""

    model_config = Asked.model_config | example(
        serial="NK-2231-0077",
        customer="K-1007",
        purchased_on="2024-03-01",
        warranty_until="2027-03-01",
        criticality="A",
        safety_equipment=False,
    )

    serial: Serial = ""
    customer: Number | None = Field(None, description="A customer's number")
    purchased_on: date | None = None
    warranty_until: date | None = None
    criticality: Criticality = Field(Criticality.B, description="A: nothing runs without it; C: there is another")
    safety_equipment: bool = Field(False, description="Medical or safety: a ticket never starts below urgent")


class FileOut(Answered):
    """A device's file."""

    model_config = Answered.model_config | example(
        device="pump-01",
        model="NK 80-200",
        kind="pump",
        site="Riverside",
        serial="NK-2231-0077",
        customer="K-1007",
        customer_name="Riverside Dairy",
        tier="vip",
        purchased_on="2024-03-01",
        warranty_until="2027-03-01",
        criticality="A",
        safety_equipment=False,
        changed_at="2026-11-21T22:14:03Z",
        changed_by="kim",
    )

    device: str
    model: str
    kind: str
    site: str
    serial: str
    customer: str | None
    customer_name: str | None
    tier: Tier
    purchased_on: date | None
    warranty_until: date | None
    criticality: Criticality
    safety_equipment: bool
    changed_at: Instant | None
    changed_by: str


@router.get("/customers", summary="Customers")
def list_customers(caller: Concerned, limit: Limit = 50, cursor: Cursor = None) -> Page[CustomerOut]:
    """Customers by number. An owner sees their own."""
    with caller.transaction() as conn:
        rows = store.customers(conn, limit=limit + 1, after=after_text(cursor))
    return page(rows, limit, CustomerOut.model_validate, lambda row: (row.number,))


@router.post("/customers", response_model=CustomerOut, status_code=201, summary="Add a customer")
def create_customer(caller: Desk, once: OnceOnly, asked: CustomerIn) -> JSONResponse:
    """Add somebody who is served."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, CustomerOut]:
            made = store.create(
                conn,
                who.tenant,
                number=asked.number,
                name=asked.name,
                contact=asked.contact,
                tier=asked.tier,
                notes=asked.notes,
                who=who.name,
            )
            return 201, CustomerOut.model_validate(made)

        return once.answer(caller, conn, do)


@router.post("/customers/import", response_model=TakenOut, summary="Take customers from a table")
def import_customers(caller: Manager, once: OnceOnly, asked: TableIn) -> JSONResponse:
    """New customers and changes of others, by number; an empty cell leaves what there was. All of it or nothing."""
    rows, who = customers_of(asked.csv), caller.principal
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (200, TakenOut(rows=len(rows), new=store.take_customers(conn, who.tenant, rows, who.name))),
        )


@router.get("/customers/{customer_id}", summary="One customer")
def get_customer(caller: Concerned, customer_id: CustomerPath) -> CustomerOut:
    """A customer."""
    with caller.transaction() as conn:
        return CustomerOut.model_validate(store.customer(conn, customer_id))


@router.put("/customers/{customer_id}", summary="Change a customer")
def change_customer(caller: Desk, customer_id: CustomerPath, asked: CustomerChange) -> CustomerOut:
    """All of it anew, but the number."""
    with caller.transaction() as conn:
        changed = store.change(
            conn,
            customer_id,
            name=asked.name,
            contact=asked.contact,
            tier=asked.tier,
            notes=asked.notes,
            who=caller.principal.name,
        )
        return CustomerOut.model_validate(changed)


@router.get("/devices/{device}/file", summary="A device's file")
def get_file(caller: Concerned, device: DevicePath) -> FileOut:
    """Serial number, customer, purchase, warranty and criticality."""
    with caller.transaction() as conn:
        return FileOut.model_validate(store.file(conn, device))


@router.put("/devices/{device}/file", summary="Write a device's file")
def keep_file(caller: Staff, device: DevicePath, asked: FileIn) -> FileOut:
    """All of it anew. Tickets that open from now on go by it."""
    with caller.transaction() as conn:
        return FileOut.model_validate(store.keep_file(conn, device, **asked.model_dump(), who=caller.principal.name))


@router.post("/devices/import", response_model=TakenOut, summary="Take devices from a table")
def import_devices(caller: Manager, once: OnceOnly, asked: TableIn) -> JSONResponse:
    """Devices and their files; those that are new are registered, an empty cell leaves what there was. All or none."""
    rows, who = devices_of(asked.csv), caller.principal
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (200, TakenOut(rows=len(rows), new=store.take_devices(conn, who.tenant, rows, who.name))),
        )
