"""The page of parts: what lies where, what is few, what expires, what is on its way; and the parts of a ticket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile

from alarms.roles import FIELD, STAFF, STORES
from api.access.auth import Caller, require
from api.errors import BadValue
from api.page_frame import PageRoute, answer, begin_of, filters_of, head_of, paging, wants_part
from api.parts.moves import act_of
from api.parts.parts import RESERVED
from api.parts.tickets import Asker, Fitter
from dashboard import words
from store import fleet
from store import tickets as ticket_store
from store.parts import catalogue, plans, repairs, reservations, shelves, stock, transfers
from store.transactions import Transaction
from tickets.parts.lots import is_expired
from tickets.parts.moves import MoveKind
from tickets.parts.tables import parts_of, stock_of
from tickets.states import ENDED, State

LINES_PER_PAGE = 50
LINES_BESIDE = 20
EXPIRES_SOON = timedelta(days=60)
MOST_DEPOTS = 500
# What is offered while a part's number is typed.
MOST_OFFERED = 200
_MOST_MOVES = 100

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Looker = Annotated[Caller, Depends(require(*STAFF, *STORES))]
Keeper = Annotated[Caller, Depends(require(*STORES))]
Carrier = Annotated[Caller, Depends(require(*FIELD, *STORES))]
Word = Annotated[str, Form(min_length=1, max_length=64)]
Line = Annotated[str, Form(max_length=500)]
Number = Annotated[int, Form(ge=1, le=10**9)]


@router.get("/parts")
def parts(request: Request, caller: Looker) -> Response:
    with caller.transaction() as conn:
        return _parts(request, conn, caller)


@router.post("/parts/receive")
def receive(
    request: Request,
    caller: Keeper,
    part: Word,
    depot: Word,
    quantity: Number = 1,
    lot: Line = "",
    expires_on: Annotated[date | None, Form()] = None,
    serials: Line = "",
    note: Line = "",
) -> Response:
    """Take in what a supplier sent."""
    numbers = serials.split()
    with caller.transaction() as conn:
        shelves.receive(
            conn,
            act_of(caller, note),
            part,
            depot,
            quantity=len(numbers) or quantity,
            lot=lot.strip(),
            expires_on=expires_on,
            serials=numbers,
        )
        return _parts(request, conn, caller, f"{len(numbers) or quantity} of {part} came into {depot}.")


@router.post("/parts/send")
def send(
    request: Request,
    caller: Carrier,
    part: Word,
    source: Word,
    target: Word,
    quantity: Number = 1,
    serials: Line = "",
) -> Response:
    """Send parts on their way."""
    numbers = serials.split()
    with caller.transaction() as conn:
        load = transfers.Load(part, len(numbers) or quantity, serials=numbers)
        transfers.send(conn, act_of(caller), source, target, [load])
        return _parts(request, conn, caller, f"{load.quantity} of {part} are on their way to {target}.")


@router.post("/parts/transfers/{transfer_id}/receive")
def arrived(request: Request, caller: Carrier, transfer_id: UUID) -> Response:
    """All of it has arrived. What is missing is told through the API."""
    with caller.transaction() as conn:
        transfers.receive(conn, act_of(caller), transfer_id)
        return _parts(request, conn, caller, "It was received.")


@router.post("/parts/count")
def count(
    request: Request,
    caller: Keeper,
    part: Word,
    depot: Word,
    note: Annotated[str, Form(min_length=1, max_length=500)],
    quantity: Annotated[int, Form(ge=0, le=10**9)] = 0,
    lot: Line = "",
    serials: Line = "",
) -> Response:
    """Write down what was counted."""
    with caller.transaction() as conn:
        numbered = catalogue.part(conn, part, _today()).serialised
        moved = shelves.count(
            conn,
            act_of(caller, note),
            part,
            depot,
            quantity=quantity,
            lot=lot.strip(),
            serials=serials.split() if numbered else None,
        )
        return _parts(
            request, conn, caller, "The ledger was right." if not moved else "The difference is written down."
        )


@router.post("/parts/scrap")
def scrap(
    request: Request, caller: Keeper, part: Word, depot: Word, lot: Annotated[str, Form(max_length=200)]
) -> Response:
    """Throw away all of a lot that has expired."""
    with caller.transaction() as conn:
        of, where = catalogue.part(conn, part, _today()), catalogue.depot(conn, depot)
        left = shelves.expired_at(conn, of, where, lot)
        shelves.discard(
            conn,
            act_of(caller, "expired"),
            MoveKind.SCRAPPED,
            part,
            depot,
            quantity=left.quantity,
            lot=lot,
            serials=left.serials,
        )
        return _parts(request, conn, caller, f"{left.quantity} of {part} were scrapped.")


@router.post("/parts/table")
def take_table(
    request: Request, caller: Keeper, table: UploadFile, what: Annotated[str, Form(max_length=10)]
) -> Response:
    """Parts, or opening stock, from a file."""
    try:
        text = table.file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValue("table", "this file is no text in UTF-8") from error
    act = act_of(caller, "opening stock")
    with caller.transaction() as conn:
        if what == "stock":
            taken = shelves.take_in(conn, act, stock_of(text))
            return _parts(request, conn, caller, f"{taken} receipts were written down.")
        rows = parts_of(text)
        if any(row.number in RESERVED for row in rows):
            raise BadValue("table", "a part's number has another meaning here")
        new, known = catalogue.import_parts(conn, act.tenant, rows, act.who)
        return _parts(request, conn, caller, f"{new} parts are new, {known} were known.")


# The parts of a ticket ------------------------------------------------------------------------------------------------


@router.post("/tickets/{ticket_id}/parts/reserve")
def reserve(request: Request, caller: Asker, ticket_id: UUID, part: Word, quantity: Number = 1) -> Response:
    act = act_of(caller)
    with caller.transaction() as conn:
        reservations.reserve(conn, act.tenant, ticket_id, part, quantity, who=act.who, now=act.now)
        return _section(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/parts/{reservation_id}/release")
def release(request: Request, caller: Asker, ticket_id: UUID, reservation_id: UUID) -> Response:
    act = act_of(caller)
    with caller.transaction() as conn:
        reservations.release(conn, act.tenant, ticket_id, reservation_id, who=act.who, now=act.now)
        return _section(request, conn, caller, ticket_id)


@router.post("/tickets/{ticket_id}/parts/{reservation_id}/issue")
def issue(
    request: Request, caller: Fitter, ticket_id: UUID, reservation_id: UUID, new: Line = "", old: Line = ""
) -> Response:
    """Put it in; a key part by its serial number, with that of the one that came out."""
    serials = {new.strip(): old.strip()} if new.strip() else None
    with caller.transaction() as conn:
        repairs.issue(conn, act_of(caller), ticket_id, reservation_id, serials=serials)
        return _section(request, conn, caller, ticket_id)


def section_of(conn: Transaction, caller: Caller, ticket: ticket_store.Ticket, now: datetime) -> dict[str, Any] | None:
    """What a ticket's page shows of its parts; None for whom it is not."""
    role = caller.principal.role
    if role not in STAFF | STORES:
        return None
    is_open = State(ticket.state) not in ENDED
    model = fleet.device(conn, now, ticket.device).model or None
    offered = catalogue.parts(conn, now.date(), limit=MOST_OFFERED, model=model) if is_open else []
    return {
        "reservations": reservations.reservations(conn, ticket.id),
        "moves": stock.moves(conn, limit=_MOST_MOVES, ticket=ticket.id),
        "offered": offered,
        "may_ask": is_open,
        "may_fit": is_open and role in FIELD | STORES,
        "arrive_h": catalogue.policy(conn).arrive_h,
    }


def _section(request: Request, conn: Transaction, caller: Caller, ticket_id: UUID) -> Response:
    t = ticket_store.ticket(conn, ticket_id)
    shell = head_of(conn, caller, "tickets")
    values = {**shell, "t": t, "parts": section_of(conn, caller, t, datetime.now(UTC)), "partial": False}
    return answer(request, "ticket_parts.html", values)


# The page -------------------------------------------------------------------------------------------------------------


def _parts(request: Request, conn: Transaction, caller: Caller, said: str = "") -> Response:
    filters = filters_of(request, "q", "depot")
    begin = begin_of(request.query_params.get("after", ""))
    now, today = datetime.now(UTC), _today()
    shell = head_of(conn, caller, "parts")
    role = caller.principal.role
    lines = stock.stock(
        conn,
        today,
        limit=LINES_PER_PAGE + 1,
        had=begin,
        like=filters["q"] or None,
        depot=filters["depot"] or None,
    )
    under_way = transfers.transfers(conn, limit=LINES_BESIDE, under_way=True)
    loads = transfers.loaded(conn, [one.transit_id for one in under_way])
    depots = [one.name for one in catalogue.depots(conn, limit=MOST_DEPOTS) if one.closed_at is None]
    values: Mapping[str, Any] = {
        **shell,
        "said": said,
        "filters": filters,
        "totals": stock.totals(conn, now),
        "worth": stock.worth(conn),
        "few": catalogue.parts(conn, today, limit=LINES_BESIDE, low=True),
        "expiring": [
            {"lot": one, "over": is_expired(one.expires_on, today)}
            for one in stock.expiring(conn, today + EXPIRES_SOON, LINES_BESIDE)
        ],
        "plans": plans.plans(conn, limit=LINES_BESIDE, to_do=True),
        "lines": lines[:LINES_PER_PAGE],
        "under_way": [
            (one, [load for load in loads if load.place_id == one.transit_id and load.under_way]) for one in under_way
        ],
        "moves": [
            (one, words.part_place(one.from_kind, one.from_name), words.part_place(one.to_kind, one.to_name))
            for one in stock.moves(conn, limit=LINES_BESIDE, depot=filters["depot"] or None)
        ],
        "depots": depots,
        "offered": catalogue.parts(conn, today, limit=MOST_OFFERED),
        "may_keep": role in STORES,
        "may_carry": role in FIELD | STORES,
        **paging(begin, LINES_PER_PAGE, more=len(lines) > LINES_PER_PAGE),
    }
    return answer(request, "parts_live.html" if wants_part(request) else "parts.html", values)


def _today() -> date:
    return datetime.now(UTC).date()
