"""A ticket's parts: asked for, held, put in, brought back; and what came out of the machine."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field, model_validator

from alarms.roles import FIELD, STAFF, STORES
from api import ROOT
from api.access.auth import Caller, require
from api.models import Answered, Asked, DeviceName, Instant, Line, Prose, example
from api.once import OnceOnly
from api.parts.depots import Looker
from api.parts.moves import MoveOut, Serials, act_of, move_out
from api.parts.parts import Quantity, Serial
from store import tickets
from store.parts import repairs, reservations, stock
from store.parts.reservations import Reservation
from store.transactions import Transaction
from tickets.parts.moves import MoveKind
from tickets.parts.places import PlaceKind

router = APIRouter(prefix=f"{ROOT}/tickets", tags=["tickets"])

Asker = Annotated[Caller, Depends(require(*STAFF, *STORES))]
Fitter = Annotated[Caller, Depends(require(*FIELD, *STORES))]
# A ticket's parts are a handful; a thousand moves of one are a mistake.
_MOST_MOVES = 1000
_RESERVATION = {
    "id": "7e0f9c1a-51a0-4f43-a6f2-3d3f1f1f6d10",
    "part": "bearing-6205",
    "name": "Bearing SKF 6205",
    "unit": "piece",
    "quantity": 1,
    "state": "held",
    "place": "van-jo",
    "place_kind": "van",
    "made_at": "2026-11-22T10:20:00Z",
    "made_by": "kim",
    "promised_at": "2026-11-24T10:20:00Z",
    "expires_at": "2026-12-06T10:20:00Z",
    "ended_at": None,
}


class ReservationOut(Answered):
    """What a ticket has asked for."""

    model_config = Answered.model_config | example(**_RESERVATION)

    id: UUID
    part: str
    name: str
    unit: str
    quantity: int
    state: Literal["waiting", "held", "issued", "released", "expired"]
    place: str | None = Field(description="Where it is held, or was; null while it waits")
    place_kind: PlaceKind | None = Field(description="`transit`: it is on its way")
    made_at: Instant
    made_by: str
    promised_at: Instant = Field(description="It arrives by then")
    expires_at: Instant = Field(
        description="What is held is set free then; what waits is kept for as long from when it is there"
    )
    ended_at: Instant | None


class TicketPartsOut(Answered):
    """A ticket's parts: what it asked for, and what was moved for it."""

    model_config = Answered.model_config | example(reservations=[_RESERVATION], moves=[])

    reservations: list[ReservationOut]
    moves: list[MoveOut] = Field(description="Newest first")


class ReservationIn(Asked):
    """So many of a part."""

    model_config = Asked.model_config | example(part="bearing-6205", quantity=1)

    part: DeviceName
    quantity: Quantity = 1
    depot: DeviceName | None = Field(None, description="Only from there; else from wherever is nearest")


class Replaced(Asked):
    """A key part that goes in, and the one that came out."""

    new: Serial
    old: Serial | None = Field(None, description="The serial number that came out; none where there was none")


class IssueIn(Asked):
    """What goes into the repair: of a reservation, or at once from a depot."""

    model_config = Asked.model_config | example(
        part="bearing-6205", depot="van-jo", serials=[{"new": "B-2211", "old": "B-0907"}]
    )

    reservation_id: UUID | None = None
    part: DeviceName | None = None
    depot: DeviceName | None = None
    quantity: Quantity | None = Field(None, description="By default all of the reservation, or one")
    lot: Line | None = Field(None, description="Else what expires first")
    serials: Annotated[list[Replaced], Field(max_length=500)] = Field(default_factory=list)

    @model_validator(mode="after")
    def is_of_one(self) -> IssueIn:
        if (self.reservation_id is None) != (self.part is not None and self.depot is not None):
            raise ValueError("a reservation_id, or part and depot")
        if len({one.new for one in self.serials}) != len(self.serials):
            raise ValueError("each serial number goes in once")
        return self


class ReturnIn(Asked):
    """What comes out of a repair: `unused` to a depot; out of the machine repaired to one, recycled, or scrapped."""

    model_config = Asked.model_config | example(part="bearing-6205", fate="scrapped", serials=["B-0907"], note="Worn")

    part: DeviceName
    fate: Literal[MoveKind.UNUSED, MoveKind.REPAIRED, MoveKind.RECYCLED, MoveKind.SCRAPPED]
    quantity: Quantity = 1
    serials: Serials = Field(default_factory=list)
    depot: DeviceName | None = Field(None, description="Of what is unused or repaired")
    note: Prose = Field("", description="Why: not needed for what is unused")


@router.get("/{ticket_id}/parts", summary="A ticket's parts")
def ticket_parts(caller: Looker, ticket_id: UUID) -> TicketPartsOut:
    """What it has asked for, until when that is promised, and what was moved for it."""
    with caller.transaction() as conn:
        return _whole(conn, ticket_id)


@router.post("/{ticket_id}/parts", response_model=TicketPartsOut, status_code=201, summary="Reserve a part")
def reserve_part(caller: Asker, once: OnceOnly, ticket_id: UUID, asked: ReservationIn) -> JSONResponse:
    """Have a part kept back for a ticket: at once, where it is free; else it waits.

    An urgent ticket is given what was held for others that are not.
    """
    act = act_of(caller)
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketPartsOut]:
            reservations.reserve(
                conn,
                act.tenant,
                ticket_id,
                asked.part,
                asked.quantity,
                who=act.who,
                now=act.now,
                depot=asked.depot,
            )
            return 201, _whole(conn, ticket_id)

        return once.answer(caller, conn, do)


@router.post(
    "/{ticket_id}/parts/{reservation_id}/release", response_model=TicketPartsOut, summary="Release a reservation"
)
def release_part(caller: Asker, once: OnceOnly, ticket_id: UUID, reservation_id: UUID) -> JSONResponse:
    """It is not needed: whoever waits may have it."""
    act = act_of(caller)
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketPartsOut]:
            reservations.release(conn, act.tenant, ticket_id, reservation_id, who=act.who, now=act.now)
            return 200, _whole(conn, ticket_id)

        return once.answer(caller, conn, do)


@router.post("/{ticket_id}/parts/issue", response_model=TicketPartsOut, status_code=201, summary="Put a part in")
def issue_part(caller: Fitter, once: OnceOnly, ticket_id: UUID, asked: IssueIn) -> JSONResponse:
    """Take a part for the repair: what has expired is refused; of a key part each serial number, old and new."""
    act = act_of(caller)
    serials = {one.new: one.old or "" for one in asked.serials}
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketPartsOut]:
            if asked.reservation_id is not None:
                repairs.issue(
                    conn,
                    act,
                    ticket_id,
                    asked.reservation_id,
                    quantity=asked.quantity,
                    lot=asked.lot,
                    serials=serials,
                )
            else:
                repairs.reserve_and_issue(
                    conn,
                    act,
                    ticket_id,
                    asked.part or "",
                    asked.depot or "",
                    quantity=asked.quantity or 1,
                    lot=asked.lot,
                    serials=serials,
                )
            return 201, _whole(conn, ticket_id)

        return once.answer(caller, conn, do)


@router.post("/{ticket_id}/parts/return", response_model=TicketPartsOut, status_code=201, summary="Bring a part back")
def return_part(caller: Fitter, once: OnceOnly, ticket_id: UUID, asked: ReturnIn) -> JSONResponse:
    """What was not used goes back on a shelf; what came out of the machine is repaired, recycled or scrapped."""
    act = act_of(caller, asked.note)
    with caller.transaction() as conn:

        def do() -> tuple[int, TicketPartsOut]:
            n, serials, depot = asked.quantity, asked.serials, asked.depot
            if asked.fate is MoveKind.UNUSED:
                repairs.bring_back(conn, act, ticket_id, asked.part, depot or "", quantity=n, serials=serials)
            else:
                repairs.take_out(conn, act, ticket_id, asked.part, asked.fate, quantity=n, serials=serials, depot=depot)
            return 201, _whole(conn, ticket_id)

        return once.answer(caller, conn, do)


def _whole(conn: Transaction, ticket: UUID) -> TicketPartsOut:
    tickets.ticket(conn, ticket)
    return TicketPartsOut(
        reservations=[_shown(one) for one in reservations.reservations(conn, ticket)],
        moves=[move_out(one) for one in stock.moves(conn, limit=_MOST_MOVES, ticket=ticket)],
    )


def _shown(row: Reservation) -> ReservationOut:
    return ReservationOut(**{name: getattr(row, name) for name in ReservationOut.model_fields})
