"""Reports of people: each opens a ticket, joins the open one of its machine and fault, or reopens the last.

As with alarms, the index on open tickets decides, never a look beforehand: two who report one leak at once, or a person
and an alarm, have one ticket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store import terms as term_store
from store.errors import Conflict, NotFound
from store.queries import queries
from store.tickets import Opening, Outcome, Ticket, open_by_person, ticket
from store.tickets.history import record
from store.tickets.raising import PROBABLE, raise_priority
from store.tickets.reopening import DONE, reopen
from store.tickets.rows import locked, machine_of
from store.transactions import Transaction
from tickets.intake import SYMPTOMS, Intake, Service, fault_class_of, merged, symptom_of, title_of
from tickets.priority import FaultClass

_SQL = queries("reports")
_TICKETS = queries("tickets")

# As for alarms: each further turn needs a ticket that opened or closed between two of our statements.
_TURNS = 100


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of a fault; empty text, None: nothing of that. `windows`: from when to when it suits."""

    id: UUID
    symptom: str = ""
    words: str = ""
    error_code: str | None = None
    situation: str = ""
    began_at: datetime | None = None
    contact: str = ""
    service: str = ""
    windows: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report as it is kept. `windows` are of `from` and `to`, RFC 3339."""

    id: UUID
    at: datetime
    who: str
    symptom: str
    words: str
    error_code: str | None
    situation: str
    began_at: datetime | None
    contact: str
    service: str
    windows: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Offered:
    """A machine as it is offered to a reporter."""

    device: str
    model: str
    site: str
    serial: str


@dataclass(frozen=True, slots=True)
class _Surroundings:
    serial: str
    customer: str
    contact: str
    quantity: str
    failure_mode: str
    probable: str
    evidence: int


def device_of_serial(conn: Transaction, serial: str) -> str:
    """The device with this serial number. NotFound where there is none, or it is not the owner's who asks."""
    row = conn.execute(_SQL["device_of_serial"], {"serial": serial}).fetchone()
    if row is None:
        raise NotFound(f"there is no device with the serial number {serial}")
    return str(row[0])


def machines(conn: Transaction, limit: int) -> list[Offered]:
    """Machines that somebody may report a fault of, by name; an owner's own."""
    with conn.cursor(row_factory=class_row(Offered)) as cursor:
        return cursor.execute(_SQL["machines"], {"limit": limit}).fetchall()


def take(
    conn: Transaction, tenant: str, device: str, said: Said, *, lost: FaultClass | None, who: str, now: datetime
) -> Opening:
    """Take a report of a fault, which names its symptom; `lost`: what the reporter says is lost, if more than that.

    A report that was taken before, by its id, is given its ticket. Needs a transaction at READ COMMITTED.

    Raises
    ------
    NotFound
        There is no such machine.
    Conflict
        Tickets open and close faster than this can join one.
    """
    machine, terms = machine_of(conn, device), term_store.in_force(conn)
    symptom, fault_class = SYMPTOMS[said.symptom], fault_class_of(said.symptom, lost)
    place = {"device_id": machine.id, "fault": symptom.fault}
    for _ in range(_TURNS):
        known = _known(conn, said)
        if known is not None:
            return known
        joined = conn.execute(_TICKETS["lock_open"], place).fetchone()
        if joined is not None:
            # Another may have taken the same report while this one waited for the lock.
            return _known(conn, said) or _join(conn, tenant, joined[0], said, fault_class, who, now)
        closed = conn.execute(_TICKETS["lock_closed"], {**place, "closed_since": now - terms.reopens_within}).fetchone()
        if closed is not None:
            reopened = _reopen(conn, tenant, closed[0], said, fault_class, who, now)
            if reopened is not None:
                return reopened
            continue
        try:
            opened = open_by_person(
                conn,
                tenant,
                device=device,
                title=title_of(device, said.symptom, said.error_code or ""),
                description=said.words,
                fault_class=fault_class,
                nature=symptom.nature,
                fault=symptom.fault,
                since=said.began_at,
                service=Service(said.service) if said.service else None,
                who=who,
                now=now,
            )
        except Conflict:  # another opened it meanwhile
            continue
        _keep(conn, tenant, opened.id, said, who, now)
        return Opening(opened, Outcome.OPENED, again=False)
    raise Conflict(f"tickets of {device} open and close faster than they can be joined")


def add(conn: Transaction, tenant: str, ticket_id: UUID, said: Said, *, who: str, now: datetime) -> Ticket:
    """What else is said of the fault of a ticket that is there. The same id twice adds nothing. NotFound: no ticket."""
    locked(conn, ticket_id)
    if conn.execute(_SQL["ticket_of_report"], {"id": said.id}).fetchone() is None:
        _note(conn, tenant, ticket_id, said, who, now)
    return ticket(conn, ticket_id)


def reports(conn: Transaction, ticket_id: UUID) -> list[KeptReport]:
    """What was said of a ticket's fault, the first first."""
    with conn.cursor(row_factory=class_row(KeptReport)) as cursor:
        return cursor.execute(_SQL["reports"], {"id": ticket_id}).fetchall()


def intake(conn: Transaction, of: Ticket) -> Intake:
    """All that is known of a ticket's fault: from the machine's file, from telemetry, and from what people said."""
    with conn.cursor(row_factory=class_row(_Surroundings)) as cursor:
        around = cursor.execute(_SQL["surroundings"], {"id": of.id, "least": PROBABLE}).fetchall()[0]
    known = Intake(
        device=of.device,
        serial=around.serial,
        customer=around.customer,
        contact=around.contact,
        words=of.description,
        evidence=around.evidence,
    )
    if of.leading_point or of.evidence:
        known = merged(known, _shown(of, around))
    for said in reports(conn, of.id):
        known = merged(known, _record_of(said))
    return known


def _shown(of: Ticket, around: _Surroundings) -> Intake:
    """What telemetry says in the place of a person: nobody has to be asked what it shows."""
    observed, expected = of.evidence.get("observed"), of.evidence.get("expected")
    is_low = observed is not None and expected is not None and observed < expected
    message = str(of.evidence.get("message", "")) or of.title
    return Intake(
        symptom=symptom_of(of.fault, around.failure_mode, around.quantity, is_low=is_low),
        words=f"{message}; probably: {around.probable}" if around.probable else message,
        began_at=of.since,
        situation="in operation, seen by its sensors",
        error_code=str(of.evidence.get("rule", "")),
    )


def _record_of(said: KeptReport) -> Intake:
    return Intake(
        contact=said.contact,
        symptom=said.symptom,
        words=said.words,
        began_at=said.began_at,
        situation=said.situation,
        error_code=said.error_code,
        service=said.service,
        windows=len(said.windows),
    )


def _known(conn: Transaction, said: Said) -> Opening | None:
    """The ticket that the report was given before; None where it is new."""
    row = conn.execute(_SQL["ticket_of_report"], {"id": said.id}).fetchone()
    return None if row is None else Opening(ticket(conn, row[0]), Outcome.JOINED, again=True)


def _join(
    conn: Transaction, tenant: str, ticket_id: UUID, said: Said, fault_class: FaultClass, who: str, now: datetime
) -> Opening:
    before = ticket(conn, ticket_id)
    if before.state in DONE:
        reopened = _reopen(conn, tenant, ticket_id, said, fault_class, who, now)
        if reopened is not None:
            return reopened
    _note(conn, tenant, ticket_id, said, who, now)
    _raise(conn, tenant, before, said, fault_class, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.JOINED, again=False)


def _reopen(
    conn: Transaction, tenant: str, ticket_id: UUID, said: Said, fault_class: FaultClass, who: str, now: datetime
) -> Opening | None:
    """None where another ticket of the machine and fault has opened meanwhile."""
    before = ticket(conn, ticket_id)
    if not reopen(conn, tenant, before, who, now, note=said.words, detail={"symptom": said.symptom}):
        return None
    _keep(conn, tenant, ticket_id, said, who, now)
    _raise(conn, tenant, before, said, fault_class, who, now)
    return Opening(ticket(conn, ticket_id), Outcome.REOPENED, again=False)


def _raise(
    conn: Transaction, tenant: str, before: Ticket, said: Said, fault_class: FaultClass, who: str, now: datetime
) -> None:
    why = f"reported: {SYMPTOMS[said.symptom].says.lower()}"
    raise_priority(conn, tenant, before, fault_class, who, now, why=why)


def _note(conn: Transaction, tenant: str, ticket_id: UUID, said: Said, who: str, now: datetime) -> None:
    """A report on a ticket that is there: kept, and told in its story."""
    _keep(conn, tenant, ticket_id, said, who, now)
    conn.execute(_TICKETS["touch"], {"id": ticket_id, "now": now})
    record(conn, tenant, ticket_id, "reported", who, now, note=said.words, detail={"symptom": said.symptom})


def _keep(conn: Transaction, tenant: str, ticket_id: UUID, said: Said, who: str, now: datetime) -> None:
    windows = [{"from": begins.isoformat(), "to": ends.isoformat()} for begins, ends in said.windows]
    fields = {name: getattr(said, name) for name in Said.__dataclass_fields__}
    kept = {**fields, "windows": Jsonb(windows), "tenant": tenant, "ticket_id": ticket_id, "who": who, "now": now}
    if conn.execute(_SQL["keep"], kept).fetchone() is None:
        raise Conflict("another report has this id")
