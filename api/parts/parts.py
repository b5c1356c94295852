"""Parts: what there are, how many of each, where; and tables that bring them in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from api import ROOT
from api.access.auth import Manager
from api.bodies import LARGEST_BODY_BYTES
from api.errors import BadValue
from api.models import DEVICE, Answered, Asked, DeviceName, Line, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, after_texts, page
from api.parts.depots import Keeper, Looker
from store.parts import catalogue, shelves, stock
from store.parts.ledger import Act
from tickets.parts.places import PlaceKind
from tickets.parts.tables import MOST_QUANTITY, PartRow, parts_of, stock_of

router = APIRouter(prefix=f"{ROOT}/parts", tags=["parts"])

# Paths under /parts that are no part's number.
RESERVED = frozenset(
    {"counts", "expiring", "import", "moves", "opening-stock", "plans", "policy", "stock", "transfers"}
)


def _free_name(number: str) -> str:
    if number in RESERVED:
        raise ValueError("this word has another meaning here")
    return number


PartNumber = Annotated[DeviceName, AfterValidator(_free_name)]
PartPath = Annotated[str, Path(pattern=DEVICE, description="A part's number", examples=["seal-40"])]
PartFilter = Annotated[DeviceName | None, Query(description="Only this part")]
DepotFilter = Annotated[DeviceName | None, Query(description="Only this depot or van")]
Quantity = Annotated[int, Field(ge=1, le=MOST_QUANTITY)]
Serial = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128, pattern=r"^[ -~]+$")]
Money = Annotated[Decimal, Field(ge=0, lt=10**12, decimal_places=2)]
Table = Annotated[
    str,
    BeforeValidator(lambda text: text.replace("\r\n", "\n").replace("\0", "") if isinstance(text, str) else text),
    StringConstraints(max_length=LARGEST_BODY_BYTES),
]
_PART = {
    "number": "seal-40",
    "name": "Shaft seal 40 mm",
    "unit": "piece",
    "value": "38.50",
    "currency": "EUR",
    "fits": ["NK 80-200"],
    "shelf_days": 1825,
    "low_at": 4,
    "lead_days": 21,
    "cures": ["seal_leak"],
}


class PartOut(Answered):
    """A part and what there is of it on all shelves. `free` is `on_hand` less `expired` and `held`."""

    model_config = Answered.model_config | example(
        **_PART, serialised=False, on_hand=12, expired=1, held=2, free=9, waiting=0
    )

    number: str
    name: str
    unit: str = Field(description="What one of it is")
    value: Decimal
    currency: str
    fits: list[str] = Field(description="Models of machines; empty: any")
    shelf_days: int | None = Field(description="From its receipt; null: it keeps")
    serialised: bool = Field(description="A key part: each moves by its serial number")
    low_at: int = Field(description="Fewer than this that are free are few")
    lead_days: int = Field(description="From order to receipt")
    cures: list[str] = Field(description="Failure modes whose repair takes one: ids of the fault library")
    on_hand: int
    expired: int
    held: int = Field(description="Kept back for tickets")
    free: int
    waiting: int = Field(description="Asked for by tickets, and not to be had yet")


class PartChange(Asked):
    """What a part is; all of it. Whether it has serial numbers stays as it was."""

    model_config = Asked.model_config | example(**{name: value for name, value in _PART.items() if name != "number"})

    name: Line
    unit: Name = "piece"
    value: Money = Decimal()
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"
    fits: Annotated[list[Name], Field(max_length=200)] = Field(default_factory=list)
    shelf_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    low_at: int = Field(0, ge=0, le=MOST_QUANTITY)
    lead_days: int = Field(14, ge=1, le=730)
    cures: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)

    def row(self, number: str, *, serialised: bool) -> PartRow:
        return PartRow(
            number=number,
            serialised=serialised,
            fits=tuple(self.fits),
            cures=tuple(self.cures),
            **{
                name: getattr(self, name)
                for name in ("name", "unit", "value", "currency", "shelf_days", "low_at", "lead_days")
            },
        )


class PartIn(PartChange):
    """A new part."""

    model_config = Asked.model_config | example(**_PART, serialised=False)

    number: PartNumber
    serialised: bool = False


class StockOut(Answered):
    """One part at one depot or in one van."""

    model_config = Answered.model_config | example(
        part="seal-40",
        depot="north-city",
        kind="city",
        on_hand=7,
        expired=1,
        held=2,
        free=4,
        expires_on="2026-11-01",
    )

    part: str
    depot: str
    kind: PlaceKind
    on_hand: int
    expired: int
    held: int
    free: int
    expires_on: date | None = Field(description="The first of it to expire; its last good day, in UTC")


class TableIn(Asked):
    """A table: CSV with a head, separated by commas or semicolons. See `docs/parts.md`."""

    model_config = Asked.model_config | example(csv="number,name,value\nseal-40,Shaft seal 40 mm,38.50\n")

    csv: Table


class ImportOut(Answered):
    """What a table brought."""

    model_config = Answered.model_config | example(new=41, known=3)

    new: int
    known: int = Field(description="Were there already, and are now as the table says")


class PolicyModel(Asked):
    """What the tenant promises of parts."""

    model_config = Asked.model_config | example(arrive_h=48, held_days=14)

    arrive_h: int = Field(ge=1, le=2160, description="A part that a ticket asks for is there by then")
    held_days: int = Field(ge=1, le=365, description="For so long it is kept back")


@router.get("", summary="Parts")
def list_parts(
    caller: Looker,
    limit: Limit = 50,
    cursor: Cursor = None,
    like: Annotated[Line | None, Query(description="Part of the number or the name")] = None,
    model: Annotated[Name | None, Query(description="Only what fits this model")] = None,
    low: Annotated[bool, Query(description="Only those of which fewer are free than should be")] = False,
) -> Page[PartOut]:
    """Parts by number."""
    with caller.transaction() as conn:
        rows = catalogue.parts(
            conn, _today(), limit=limit + 1, after=after_text(cursor), like=like, model=model, low=low
        )
    return page(rows, limit, PartOut.model_validate, lambda row: (row.number,))


@router.post("", response_model=PartOut, status_code=201, summary="Make a part known")
def create_part(caller: Keeper, once: OnceOnly, asked: PartIn) -> JSONResponse:
    """A part that was not known. What there is of it comes by receipts."""
    with caller.transaction() as conn:

        def do() -> tuple[int, PartOut]:
            row = asked.row(asked.number, serialised=asked.serialised)
            catalogue.create_part(conn, caller.principal.tenant, row, caller.principal.name)
            return 201, PartOut.model_validate(catalogue.part(conn, asked.number, _today()))

        return once.answer(caller, conn, do)


@router.get("/stock", summary="What lies where")
def list_stock(
    caller: Looker, limit: Limit = 50, cursor: Cursor = None, part: PartFilter = None, depot: DepotFilter = None
) -> Page[StockOut]:
    """Each part at each depot and in each van, by part and depot."""
    with caller.transaction() as conn:
        rows = stock.stock(conn, _today(), limit=limit + 1, after=after_texts(cursor), part=part, depot=depot)
    return page(rows, limit, _stock_out, lambda row: (row.part, row.depot))


@router.post("/import", response_model=ImportOut, summary="Parts from a table")
def import_parts(caller: Keeper, once: OnceOnly, asked: TableIn) -> JSONResponse:
    """Make parts known, or say anew what they are. A table is taken whole, or not at all."""
    rows = parts_of(asked.csv)
    for row in rows:
        if row.number in RESERVED:
            raise BadValue("body.csv", f"{row.number} has another meaning here")
    with caller.transaction() as conn:

        def do() -> tuple[int, ImportOut]:
            new, known = catalogue.import_parts(conn, caller.principal.tenant, rows, caller.principal.name)
            return 200, ImportOut(new=new, known=known)

        return once.answer(caller, conn, do)


@router.post("/opening-stock", response_model=ImportOut, status_code=201, summary="Opening stock from a table")
def take_opening_stock(caller: Keeper, once: OnceOnly, asked: TableIn) -> JSONResponse:
    """Receipts of what is there when the ledger begins. A table is taken whole, or not at all."""
    rows = stock_of(asked.csv)
    with caller.transaction() as conn:

        def do() -> tuple[int, ImportOut]:
            act = Act(caller.principal.tenant, caller.principal.name, datetime.now(UTC), "opening stock")
            return 201, ImportOut(new=shelves.take_in(conn, act, rows), known=0)

        return once.answer(caller, conn, do)


@router.get("/policy", summary="What is promised of parts")
def get_parts_policy(caller: Looker) -> PolicyModel:
    """When a part arrives, and for how long it is kept back."""
    with caller.transaction() as conn:
        policy = catalogue.policy(conn)
        return PolicyModel(arrive_h=policy.arrive_h, held_days=policy.held_days)


@router.put("/policy", summary="Change what is promised of parts")
def change_parts_policy(caller: Manager, asked: PolicyModel) -> PolicyModel:
    """For what is asked from now on."""
    who = caller.principal
    with caller.transaction() as conn:
        wanted = catalogue.Policy(asked.arrive_h, asked.held_days)
        catalogue.set_policy(conn, who.tenant, wanted, who.name, datetime.now(UTC))
    return asked


@router.get("/{part}", summary="One part")
def get_part(caller: Looker, part: PartPath) -> PartOut:
    """A part and what there is of it."""
    with caller.transaction() as conn:
        return PartOut.model_validate(catalogue.part(conn, part, _today()))


@router.put("/{part}", summary="Say what a part is")
def change_part(caller: Keeper, part: PartPath, asked: PartChange) -> PartOut:
    """All of it but its number, and whether it has serial numbers."""
    with caller.transaction() as conn:
        before = catalogue.part(conn, part, _today())
        catalogue.change_part(conn, asked.row(part, serialised=before.serialised))
        return PartOut.model_validate(catalogue.part(conn, part, _today()))


def _stock_out(row: stock.StockLine) -> StockOut:
    return StockOut(**{name: getattr(row, name) for name in StockOut.model_fields})


def _today() -> date:
    return datetime.now(UTC).date()
