"""The ledger of parts: received, counted, thrown away, sent back; every move to read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Caller
from api.models import Answered, Asked, DeviceName, Instant, Line, Prose, Reason, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_number, page
from api.parts.depots import Keeper, Looker
from api.parts.parts import DepotFilter, PartFilter, Quantity, Serial
from store.parts import shelves, stock
from store.parts.ledger import Act
from store.transactions import Transaction
from tickets.parts.moves import MoveKind
from tickets.parts.places import PlaceKind
from tickets.parts.tables import MOST_QUANTITY

router = APIRouter(prefix=f"{ROOT}/parts", tags=["parts"])

Serials = Annotated[list[Serial], Field(max_length=500)]


class PlaceOut(Answered):
    """A depot or a van by its name; a repair by its ticket, what is on its way by its transfer."""

    kind: PlaceKind
    name: str


class MoveOut(Answered):
    """One row of the ledger."""

    model_config = Answered.model_config | example(
        id=4711,
        at="2026-11-22T10:20:00Z",
        kind="issue",
        part="bearing-6205",
        taken_from={"kind": "van", "name": "van-jo"},
        given_to={"kind": "repair", "name": "0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11"},
        quantity=1,
        lot="",
        expires_on=None,
        serial="B-2211",
        replaces="B-0907",
        ticket_id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        who="jo",
        note="",
    )

    id: int
    at: Instant
    kind: MoveKind
    part: str
    taken_from: PlaceOut
    given_to: PlaceOut
    quantity: int
    lot: str
    expires_on: date | None
    serial: str | None
    replaces: str | None = Field(description="The serial number that came out of the machine for it")
    ticket_id: UUID | None
    who: str
    note: str


class MovesOut(Answered):
    """What was written into the ledger: one row a lot and serial number."""

    model_config = Answered.model_config | example(moves=[4711])

    moves: list[int]


class Receipt(Asked):
    """What a supplier sent."""

    model_config = Asked.model_config | example(
        kind="receipt",
        part="seal-40",
        depot="north-city",
        quantity=12,
        lot="A17",
        expires_on="2031-05-31",
        note="PO 88",
    )

    kind: Literal[MoveKind.RECEIPT]
    part: DeviceName
    depot: DeviceName
    quantity: Quantity = 1
    lot: Line | None = None
    expires_on: date | None = Field(None, description="Its last good day; else by the part's shelf life")
    serials: Serials = Field(default_factory=list, description="Of a key part: one each")
    note: Prose = ""


class Discarded(Asked):
    """What leaves a shelf for good."""

    model_config = Asked.model_config | example(
        kind="scrapped", part="seal-40", depot="north-city", quantity=1, note="Cracked"
    )

    kind: Literal[MoveKind.SCRAPPED, MoveKind.RECYCLED, MoveKind.SENT_BACK]
    part: DeviceName
    depot: DeviceName
    quantity: Quantity = 1
    lot: Line | None = Field(None, description="Else what expires first")
    serials: Serials = Field(default_factory=list)
    note: Reason


class Count(Asked):
    """What was counted: of a lot how many, of a key part which serial numbers."""

    model_config = Asked.model_config | example(part="seal-40", depot="north-city", quantity=11, note="Year's end")

    part: DeviceName
    depot: DeviceName
    quantity: int = Field(0, ge=0, le=MOST_QUANTITY)
    lot: Line | None = None
    serials: Serials | None = None
    note: Reason


@router.get("/moves", summary="The ledger of parts")
def list_moves(
    caller: Looker,
    limit: Limit = 50,
    cursor: Cursor = None,
    part: PartFilter = None,
    serial: Annotated[Serial | None, Query(description="Only this serial number, or what replaced it")] = None,
    depot: DepotFilter = None,
    ticket: Annotated[UUID | None, Query(description="Only for this ticket")] = None,
    kind: Annotated[MoveKind | None, Query(description="Only of this kind")] = None,
) -> Page[MoveOut]:
    """Moves, newest first. With `part` and `serial` it is the life of one key part."""
    with caller.transaction() as conn:
        rows = stock.moves(
            conn,
            limit=limit + 1,
            after=after_time_number(cursor),
            part=part,
            serial=serial,
            depot=depot,
            ticket=ticket,
            kind=kind,
        )
    return page(rows, limit, move_out, lambda row: (row.at, row.id))


@router.post("/moves", response_model=MovesOut, status_code=201, summary="Receive parts, or throw them away")
def move_parts(
    caller: Keeper, once: OnceOnly, asked: Annotated[Receipt | Discarded, Field(discriminator="kind")]
) -> JSONResponse:
    """Into a depot from a supplier, or from a depot to scrap, recycling, or back to its supplier."""
    with caller.transaction() as conn:
        return once.answer(caller, conn, lambda: (201, MovesOut(moves=_move(caller, conn, asked))))


@router.post("/counts", response_model=MovesOut, status_code=201, summary="Write down what was counted")
def count_parts(caller: Keeper, once: OnceOnly, asked: Count) -> JSONResponse:
    """What differs from the ledger is found or lost, with the reason; where nothing differs, nothing moves."""
    with caller.transaction() as conn:

        def do() -> tuple[int, MovesOut]:
            moves = shelves.count(
                conn,
                act_of(caller, asked.note),
                asked.part,
                asked.depot,
                quantity=asked.quantity,
                lot=asked.lot or "",
                serials=asked.serials,
            )
            return 201, MovesOut(moves=moves)

        return once.answer(caller, conn, do)


def act_of(caller: Caller, note: str = "") -> Act:
    """What the caller does now."""
    return Act(caller.principal.tenant, caller.principal.name, datetime.now(UTC), note)


def move_out(row: stock.Moved) -> MoveOut:
    """A row of the ledger as it leaves the house."""
    fields = {name: getattr(row, name) for name in MoveOut.model_fields if name not in {"taken_from", "given_to"}}
    return MoveOut(
        **fields,
        taken_from=PlaceOut(kind=PlaceKind(row.from_kind), name=row.from_name),
        given_to=PlaceOut(kind=PlaceKind(row.to_kind), name=row.to_name),
    )


def _move(caller: Caller, conn: Transaction, asked: Receipt | Discarded) -> list[int]:
    act = act_of(caller, asked.note)
    if isinstance(asked, Receipt):
        return shelves.receive(
            conn,
            act,
            asked.part,
            asked.depot,
            quantity=asked.quantity,
            lot=asked.lot or "",
            expires_on=asked.expires_on,
            serials=asked.serials,
        )
    return shelves.discard(
        conn,
        act,
        asked.kind,
        asked.part,
        asked.depot,
        quantity=asked.quantity,
        lot=asked.lot,
        serials=asked.serials,
    )
