"""Whom a tenant serves, and the file of each device: whose it is, since when, how much it matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from store import devices, fleet
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.priority import Criticality, Tier
from tickets.registers import CustomerRow, DeviceRow

_SQL = queries("customers")


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer. `contact` is all that there is of a person: whom to call, and how. `erased_at`: nobody any more."""

    id: UUID
    number: str
    name: str
    contact: str
    tier: str
    notes: str
    changed_at: datetime
    changed_by: str
    erased_at: datetime | None
    devices: int


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """What is known of a device as a thing that somebody bought. `customer` is a number."""

    device: str
    model: str
    kind: str
    site: str
    serial: str
    customer: str | None
    customer_name: str | None
    tier: str
    purchased_on: date | None
    warranty_until: date | None
    criticality: str
    safety_equipment: bool
    changed_at: datetime | None
    changed_by: str


def customers(conn: Transaction, *, limit: int, after: str | None = None, like: str | None = None) -> list[Customer]:
    """Customers by number, beginning after the one of that number; `like`: part of a name or number."""
    with conn.cursor(row_factory=class_row(Customer)) as cursor:
        return cursor.execute(_SQL["customers"], {"limit": limit, "after": after, "like": like}).fetchall()


def customer(conn: Transaction, customer_id: UUID) -> Customer:
    """One customer, or NotFound."""
    with conn.cursor(row_factory=class_row(Customer)) as cursor:
        row = cursor.execute(_SQL["customer"], {"id": customer_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no customer {customer_id}")
    return row


def contact(conn: Transaction, number: str) -> str:
    """Whom to call of a customer; empty where nobody is known."""
    row = conn.execute(_SQL["contact"], {"number": number}).fetchone()
    return "" if row is None else str(row[0])


def create(
    conn: Transaction, tenant: str, *, number: str, name: str, contact: str, tier: Tier, notes: str, who: str
) -> Customer:
    """A new customer. Conflict where the number is taken."""
    fields = {"number": number, "name": name, "contact": contact, "tier": tier, "notes": notes}
    row = conn.execute(_SQL["create"], {"tenant": tenant, "who": who, **fields}).fetchone()
    if row is None:
        raise Conflict(f"there is a customer {number} already")
    return customer(conn, row[0])


def change(
    conn: Transaction, customer_id: UUID, *, name: str, contact: str, tier: Tier, notes: str, who: str
) -> Customer:
    """All of it but the number anew. NotFound where there is none, Conflict where they were erased."""
    fields = {"name": name, "contact": contact, "tier": tier, "notes": notes}
    if customer(conn, customer_id).erased_at is not None:
        raise Conflict("this customer was erased: keep whoever comes anew under another number")
    if conn.execute(_SQL["change"], {"id": customer_id, "who": who, **fields}).fetchone() is None:
        raise NotFound(f"there is no customer {customer_id}")
    return customer(conn, customer_id)


def take_customers(conn: Transaction, tenant: str, rows: Sequence[CustomerRow], who: str) -> int:
    """Customers of a table, new ones and others; how many were new. Who was erased stays so."""
    new = 0
    for row in rows:
        fields = {name: getattr(row, name) for name in CustomerRow.__dataclass_fields__}
        found = conn.execute(_SQL["import"], {"tenant": tenant, "who": who, **fields}).fetchone()
        new += bool(found and found[0])
    return new


def file(conn: Transaction, device: str) -> DeviceFile:
    """A device's file. NotFound where there is no such device, or it is not the owner's who asks."""
    with conn.cursor(row_factory=class_row(DeviceFile)) as cursor:
        row = cursor.execute(_SQL["file"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    return row


def keep_file(
    conn: Transaction,
    device: str,
    *,
    serial: str,
    customer: str | None,
    purchased_on: date | None,
    warranty_until: date | None,
    criticality: Criticality,
    safety_equipment: bool,
    who: str,
) -> DeviceFile:
    """All of a device's file anew.

    Raises
    ------
    NotFound
        There is no such device or customer.
    Conflict
        Another device has this serial number.
    """
    fields = {
        "device": device,
        "serial": serial,
        "customer_id": None if customer is None else id_of(conn, customer),
        "purchased_on": purchased_on,
        "warranty_until": warranty_until,
        "criticality": criticality,
        "safety_equipment": safety_equipment,
        "who": who,
    }
    try:
        with conn.transaction():
            kept = conn.execute(_SQL["keep_file"], fields).fetchone()
    except UniqueViolation as error:
        raise Conflict(f"another device has the serial number {serial}") from error
    if kept is None:
        raise NotFound(f"there is no device {device}")
    return file(conn, device)


def take_devices(conn: Transaction, tenant: str, rows: Sequence[DeviceRow], who: str) -> int:
    """Devices of a table with their files; those that are not known are registered. How many were.

    Raises as `keep_file` does.
    """
    found = conn.execute(_SQL["known_devices"], {"devices": [row.device for row in rows]}).fetchall()
    known = {device for (device,) in found}
    for row in rows:
        if row.device in known:
            fleet.describe_device(conn, row.device, kind=row.kind, model=row.model, site=row.site)
        else:
            devices.register(conn, tenant, row.device, kind=row.kind or "", model=row.model or "", site=row.site or "")
        was = file(conn, row.device)
        keep_file(
            conn,
            row.device,
            serial=row.serial or was.serial,
            customer=row.customer or was.customer,
            purchased_on=row.purchased_on or was.purchased_on,
            warranty_until=row.warranty_until or was.warranty_until,
            criticality=row.criticality or Criticality(was.criticality),
            safety_equipment=was.safety_equipment if row.safety_equipment is None else row.safety_equipment,
            who=who,
        )
    return len(rows) - len(known)


def id_of(conn: Transaction, number: str) -> UUID:
    """The customer of this number, or NotFound."""
    row = conn.execute(_SQL["id_of_number"], {"number": number}).fetchone()
    if row is None:
        raise NotFound(f"there is no customer {number}")
    found: UUID = row[0]
    return found
