"""Depots, and vans that are depots with an engineer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints, model_validator

from alarms.roles import STAFF, STORES, Role
from api import ROOT
from api.access.auth import Caller, Manager, require
from api.models import DEVICE, Answered, Asked, DeviceName, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, page
from store.parts import catalogue
from tickets.parts.places import SHELVES, PlaceKind

router = APIRouter(prefix=f"{ROOT}/depots", tags=["parts"])

# Programs of the tenant's, an ERP or a shop, read what there is. What they move, they do with a key of the role depot.
Looker = Annotated[Caller, Depends(require(*STAFF, *STORES, Role.SERVICE))]
Keeper = Annotated[Caller, Depends(require(*STORES))]
Region = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128)]
DepotPath = Annotated[str, Path(pattern=DEVICE, description="A depot or a van", examples=["north-city"])]
_EXAMPLE = {"name": "van-jo", "kind": "van", "region": "Riverside works", "engineer": "jo"}


class DepotOut(Answered):
    """A depot or a van."""

    model_config = Answered.model_config | example(**_EXAMPLE, closed_at=None, parts=17)

    name: str
    kind: PlaceKind
    region: str = Field(description="Depots of a machine's site are asked first")
    engineer: str = Field(description="Whose van it is; empty for a depot")
    closed_at: Instant | None
    parts: int = Field(description="How many kinds of parts lie there")


class DepotIn(Asked):
    """A new one."""

    model_config = Asked.model_config | example(**_EXAMPLE)

    name: DeviceName
    kind: PlaceKind = Field(description="`central`, `regional`, `city`, `van`")
    region: Region = ""
    engineer: Name | None = Field(None, description="A login: for a van, and only for one")

    @model_validator(mode="after")
    def is_a_shelf(self) -> DepotIn:
        if self.kind not in SHELVES:
            raise ValueError("kind is one of central, regional, city, van")
        if (self.kind is PlaceKind.VAN) != bool(self.engineer):
            raise ValueError("a van has an engineer, and no depot has")
        return self


class DepotChange(Asked):
    """What is left out stays."""

    model_config = Asked.model_config | example(closed=True)

    region: Region | None = None
    engineer: Name | None = Field(None, description="Who has the van from now on")
    closed: bool | None = Field(None, description="Only where nothing is left in it")


@router.get("", summary="Depots and vans")
def list_depots(caller: Looker, limit: Limit = 50, cursor: Cursor = None) -> Page[DepotOut]:
    """Depots and vans by name."""
    with caller.transaction() as conn:
        rows = catalogue.depots(conn, limit=limit + 1, after=after_text(cursor))
    return page(rows, limit, _shown, lambda row: (row.name,))


@router.get("/{depot}", summary="One depot or van")
def get_depot(caller: Looker, depot: DepotPath) -> DepotOut:
    """Where it is, and whose."""
    with caller.transaction() as conn:
        return _shown(catalogue.depot(conn, depot))


@router.post("", response_model=DepotOut, status_code=201, summary="Open a depot or a van")
def open_depot(caller: Manager, once: OnceOnly, asked: DepotIn) -> JSONResponse:
    """A place where parts may lie. An engineer has one van."""
    with caller.transaction() as conn:

        def do() -> tuple[int, DepotOut]:
            opened = catalogue.open_depot(
                conn,
                caller.principal.tenant,
                asked.name,
                kind=asked.kind,
                region=asked.region,
                engineer=asked.engineer or "",
            )
            return 201, _shown(opened)

        return once.answer(caller, conn, do)


@router.patch("/{depot}", summary="Change or close a depot or a van")
def change_depot(caller: Manager, depot: DepotPath, asked: DepotChange) -> DepotOut:
    """Where it is, whose, and whether it is still one."""
    with caller.transaction() as conn:
        changed = catalogue.change_depot(
            conn, depot, region=asked.region, engineer=asked.engineer, closed=asked.closed, now=datetime.now(UTC)
        )
        return _shown(changed)


def _shown(row: catalogue.Depot) -> DepotOut:
    return DepotOut(**{name: getattr(row, name) for name in DepotOut.model_fields})
