"""Messages, and parts of messages, that could not be taken, with the reason."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.auth import Staff
from api.models import Answered, DeviceFilter, Instant, example
from api.paging import Cursor, Limit, Page, after_time_count, page
from store import fleet
from store.fleet import Reject

router = APIRouter(prefix=ROOT, tags=["intake"])


class RejectOut(Answered):
    """One of them."""

    model_config = Answered.model_config | example(
        at="2026-11-21T22:41:10Z",
        device="pump-01",
        topic="bellwether/v1/demo/pump-01/telemetry",
        payload='{"ts": "yesterday"}',
        bytes=19,
        reason="ts: neither a number of milliseconds nor RFC 3339",
    )

    at: Instant
    device: str | None
    topic: str
    payload: str = Field(description="Its beginning; bytes that are no text are shown as \\xNN")
    bytes: int = Field(description="Its whole length")
    reason: str


@router.get("/rejects", summary="What could not be taken")
def list_rejects(
    caller: Staff, limit: Limit = 50, cursor: Cursor = None, device: DeviceFilter = None
) -> Page[RejectOut]:
    """Rejects, newest first."""
    upto, had = after_time_count(cursor) or (None, 0)
    with caller.transaction() as conn:
        rows = fleet.rejects(conn, limit=limit + 1, device=device, upto=upto, had=had)
    counted: dict[datetime, int] = {upto: had} if upto else {}
    for row in rows[:limit]:
        counted[row.at] = counted.get(row.at, 0) + 1
    return page(rows, limit, _shown, lambda row: (row.at, counted[row.at]))


def _shown(row: Reject) -> RejectOut:
    return RejectOut(
        at=row.at,
        device=row.device,
        topic=row.topic,
        payload=row.payload.decode("utf-8", "backslashreplace"),
        bytes=row.bytes,
        reason=row.reason,
    )
