"""Transfers of parts between depots and vans."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.roles import FIELD, STORES
from api import ROOT
from api.access.auth import Caller, require
from api.models import Answered, Asked, DeviceName, Instant, Line, Prose, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from api.parts.depots import Looker
from api.parts.moves import Serials, act_of
from api.parts.parts import Quantity
from store.parts import transfers
from store.parts.transfers import Load, Loaded, Transfer
from store.transactions import Transaction

router = APIRouter(prefix=f"{ROOT}/parts/transfers", tags=["parts"])

# An engineer fills and empties the van.
Carrier = Annotated[Caller, Depends(require(*FIELD, *STORES))]


class LoadedOut(Answered):
    """One lot, or one serial number, of a transfer."""

    part: str
    lot: str
    serial: str | None
    sent: int
    arrived: int
    lost: int


class TransferOut(Answered):
    """A transfer; under way until it was received."""

    model_config = Answered.model_config | example(
        id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        source="north-central",
        target="van-jo",
        sent_at="2026-11-22T10:20:00Z",
        sent_by="kim",
        note="",
        received_at="2026-11-22T15:02:00Z",
        received_by="jo",
        parts=[{"part": "seal-40", "lot": "A17", "serial": None, "sent": 5, "arrived": 4, "lost": 1}],
    )

    id: UUID
    source: str
    target: str
    sent_at: Instant
    sent_by: str
    note: str
    received_at: Instant | None
    received_by: str | None
    parts: list[LoadedOut]


class LoadIn(Asked):
    """So many of a part."""

    part: DeviceName
    quantity: Quantity = 1
    lot: Line | None = Field(None, description="Else what expires first, and nothing that has expired")
    serials: Serials = Field(default_factory=list)

    def load(self, reservation: UUID | None = None) -> Load:
        return Load(self.part, self.quantity, self.lot, self.serials, reservation)


class SentIn(LoadIn):
    """So many of a part, perhaps for a ticket."""

    reservation_id: UUID | None = Field(None, description="A reservation that holds just this, and stays with it")


class TransferIn(Asked):
    """What goes where."""

    model_config = Asked.model_config | example(
        source="north-central", target="van-jo", parts=[{"part": "seal-40", "quantity": 5}]
    )

    source: DeviceName
    target: DeviceName
    parts: Annotated[list[SentIn], Field(min_length=1, max_length=100)]
    note: Prose = ""


class ReceivedIn(Asked):
    """What did not arrive. More than was sent is counted afterwards."""

    model_config = Asked.model_config | example(missing=[{"part": "seal-40", "quantity": 1}], note="One was cracked")

    missing: Annotated[list[LoadIn], Field(max_length=100)] = Field(default_factory=list)
    note: Prose = Field("", description="Needed where something is missing")


@router.get("", summary="Transfers")
def list_transfers(
    caller: Looker,
    limit: Limit = 50,
    cursor: Cursor = None,
    under_way: Annotated[bool, Query(description="Only what has not been received")] = False,
) -> Page[TransferOut]:
    """Transfers, newest first."""
    with caller.transaction() as conn:
        rows = transfers.transfers(conn, limit=limit + 1, after=after_time_id(cursor), under_way=under_way)
        loads = transfers.loaded(conn, [row.transit_id for row in rows])
    return page(rows, limit, lambda row: _shown(row, loads), lambda row: (row.sent_at, row.id))


@router.get("/{transfer_id}", summary="One transfer")
def get_transfer(caller: Looker, transfer_id: UUID) -> TransferOut:
    """What was sent, what arrived, what did not."""
    with caller.transaction() as conn:
        return _whole(conn, transfer_id)


@router.post("", response_model=TransferOut, status_code=201, summary="Send parts")
def send_parts(caller: Carrier, once: OnceOnly, asked: TransferIn) -> JSONResponse:
    """Take parts from one depot or van, on their way to another. What is held for tickets stays, but for its own."""
    with caller.transaction() as conn:

        def do() -> tuple[int, TransferOut]:
            loads = [one.load(one.reservation_id) for one in asked.parts]
            transfer = transfers.send(conn, act_of(caller, asked.note), asked.source, asked.target, loads)
            return 201, _whole(conn, transfer)

        return once.answer(caller, conn, do)


@router.post("/{transfer_id}/receive", response_model=TransferOut, summary="Receive parts")
def receive_parts(caller: Carrier, once: OnceOnly, transfer_id: UUID, asked: ReceivedIn) -> JSONResponse:
    """Take in what was sent; what is missing is written down as lost. Once."""
    with caller.transaction() as conn:

        def do() -> tuple[int, TransferOut]:
            transfers.receive(conn, act_of(caller, asked.note), transfer_id, [one.load() for one in asked.missing])
            return 200, _whole(conn, transfer_id)

        return once.answer(caller, conn, do)


def _whole(conn: Transaction, transfer: UUID) -> TransferOut:
    found = transfers.one(conn, transfer)
    return _shown(found, transfers.loaded(conn, [found.transit_id]))


def _shown(row: Transfer, loads: list[Loaded]) -> TransferOut:
    return TransferOut(
        id=row.id,
        source=row.from_,
        target=row.to,
        sent_at=row.sent_at,
        sent_by=row.sent_by,
        note=row.note,
        received_at=row.received_at,
        received_by=row.received_by,
        parts=[
            LoadedOut(part=one.part, lot=one.lot, serial=one.serial, sent=one.sent, arrived=one.arrived, lost=one.lost)
            for one in loads
            if one.place_id == row.transit_id
        ],
    )
