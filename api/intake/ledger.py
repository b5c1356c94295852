"""The ledger: what became of each device's messages, hour by hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DeviceFilter, DevicePath, Instant, example
from api.paging import Cursor, Limit, Page, after_time_text, page
from store import fleet

router = APIRouter(prefix=ROOT, tags=["intake"])


class LedgerHourOut(Answered):
    """One device and hour of arrival.

    Each message has one fate: `messages` is the sum of `messages_stored`, `messages_duplicate`, `messages_rejected` and
    `messages_dropped`. `stored`, `duplicates`, `late` (among the stored), `contested` (another value of the same time)
    and `dropped` count readings; `rejected` counts messages and parts of messages; `missing` counts sequence numbers
    that never came, and `found` those of them that came after all. Without a device: who is none of ours.
    """

    model_config = Answered.model_config | example(
        device="pump-01",
        hour="2026-11-21T22:00:00Z",
        messages=3601,
        messages_stored=3600,
        messages_duplicate=1,
        messages_rejected=0,
        messages_dropped=0,
        stored=21600,
        duplicates=6,
        late=12,
        contested=0,
        dropped=0,
        rejected=0,
        missing=0,
        found=0,
        played=0,
    )

    device: str
    hour: Instant
    messages: int
    messages_stored: int
    messages_duplicate: int
    messages_rejected: int
    messages_dropped: int
    stored: int
    duplicates: int
    late: int
    contested: int
    dropped: int
    rejected: int
    missing: int
    found: int
    played: int


class SequencesOut(Answered):
    """Which sequence numbers of one boot have come; spans are the first number and the one after the last.

    Of all below `below` it is known what became of them. Beyond, those in `waiting` have come, and what lies between is
    waited for; `lost` are the latest that were given up.
    """

    model_config = Answered.model_config | example(
        boot=1_782_907_200,
        begins=0,
        below=1811,
        waiting=[[1812, 1820]],
        lost=[[1500, 1502]],
        missing=2,
        found=0,
        restarts=0,
        heard_at="2026-11-21T22:14:09Z",
    )

    boot: int | None
    begins: int
    below: int
    waiting: list[list[int]]
    lost: list[list[int]]
    missing: int
    found: int
    restarts: int
    heard_at: Instant


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


@router.get("/devices/{device}/sequences", summary="Which sequence numbers have come")
def list_sequences(caller: Anyone, device: DevicePath) -> list[SequencesOut]:
    """By boot, the latest heard first; empty where the device does not count its messages."""
    with caller.transaction() as conn:
        fleet.device(conn, datetime.now(UTC), device)
        return [SequencesOut.model_validate(run) for run in fleet.sequences(conn, device)]
