"""The ledger: what became of each device's messages, hour by hour."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api import ROOT
from api.auth import Anyone
from api.models import Answered, DeviceFilter, Instant, example
from api.paging import Cursor, Limit, Page, after_time_text, page
from store import fleet

router = APIRouter(prefix=ROOT, tags=["intake"])


class LedgerHourOut(Answered):
    """One device and hour of arrival. `stored` + `duplicates` + what was rejected is all that came."""

    model_config = Answered.model_config | example(
        device="pump-01",
        hour="2026-11-21T22:00:00Z",
        messages=3600,
        stored=21600,
        duplicates=0,
        late=12,
        rejected=0,
    )

    device: str
    hour: Instant
    messages: int
    stored: int
    duplicates: int
    late: int
    rejected: int


@router.get("/ledger", summary="What became of the messages")
def list_ledger(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    start: Annotated[Instant | None, Query(alias="from", description="Hours from then on")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Hours before then")] = None,
) -> Page[LedgerHourOut]:
    """The newest hour first."""
    with caller.transaction() as conn:
        rows = fleet.ledger(conn, limit=limit + 1, device=device, start=start, end=end, after=after_time_text(cursor))
    return page(rows, limit, LedgerHourOut.model_validate, lambda row: (row.hour, row.device))
