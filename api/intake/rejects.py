"""Messages, and parts of messages, that could not be taken, with the reason; played again once that is put right."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import FieldStaff, Staff
from api.models import Answered, Asked, DeviceFilter, DeviceName, From, Instant, Line, To, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_number, page
from store import rejects, replays
from store.errors import NotFound
from store.rejects import KeptReject, Which

# What one request asks to be played. Too low: many requests. Too high: one request keeps ingest busy for an hour.
MOST_PLAYED = 10_000

Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="A reject", examples=[4711])]

router = APIRouter(prefix=f"{ROOT}/rejects", tags=["intake"])


class RejectOut(Answered):
    """One of them."""

    model_config = Answered.model_config | example(
        id=4711,
        at="2026-11-21T22:41:10Z",
        device="pump-01",
        topic="bellwether/v1/demo/pump-01/telemetry",
        payload='{"ts": "yesterday"}',
        bytes=19,
        reason="ts: neither a number of milliseconds nor RFC 3339",
        content_type="",
        playable=True,
        played_at=None,
        outcome=None,
    )

    id: int
    at: Instant
    device: str | None
    topic: str
    payload: str = Field(description="Its beginning at least; bytes that are no text are shown as \\xNN")
    bytes: int = Field(description="Its whole length")
    reason: str
    content_type: str
    playable: bool = Field(description="Whether its message is kept whole, and can be played again")
    played_at: Instant | None
    outcome: str | None = Field(description="Of playing it: `stored`, `duplicate`, or `rejected again: …`")


class ReplayIn(Asked):
    """Which messages. Without `ids` all that the rest applies to, the oldest first."""

    model_config = Asked.model_config | example(reason="nothing in it", device="press-7")

    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(default_factory=list, max_length=1000)
    device: DeviceName | None = None
    reason: Line | None = Field(None, description="Part of the reason")
    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    limit: int = Field(1000, ge=1, le=MOST_PLAYED)


class ReplayOut(Answered):
    """How many messages will be played."""

    model_config = Answered.model_config | example(messages=12)

    messages: int


@router.get("", summary="What could not be taken")
def list_rejects(
    caller: Staff,
    limit: Limit = 50,
    cursor: Cursor = None,
    device: DeviceFilter = None,
    reason: Annotated[Line | None, Query(description="Part of the reason")] = None,
    start: From = None,
    end: To = None,
) -> Page[RejectOut]:
    """Rejects, newest first."""
    which = Which(device=device, reason=reason, start=start, end=end)
    with caller.transaction() as conn:
        rows = rejects.page(conn, which, limit=limit + 1, after=after_time_number(cursor))
    return page(rows, limit, _shown, lambda row: (row.at, row.id))


@router.get("/{reject_id}", summary="One reject")
def get_reject(caller: Staff, reject_id: Number) -> RejectOut:
    """What was sent, and why it was not taken."""
    with caller.transaction() as conn:
        rows = rejects.page(conn, Which(ids=[reject_id]), limit=1)
    if not rows:
        raise NotFound(f"there is no reject {reject_id}")
    return _shown(rows[0])


@router.post("/replay", status_code=202, summary="Play messages again", response_model=ReplayOut)
def replay(caller: FieldStaff, once: OnceOnly, asked: ReplayIn) -> JSONResponse:
    """Have `ingest` take messages again, by today's mappings, at the time at which they came.

    `outcome` says soon what became of each. Those that were stored since are left out, and playing one twice stores
    nothing twice.
    """
    which = Which(ids=asked.ids, device=asked.device, reason=asked.reason, start=asked.from_, end=asked.to)
    with caller.transaction() as conn:

        def do() -> tuple[int, ReplayOut]:
            return 202, ReplayOut(
                messages=replays.ask(conn, which, limit=asked.limit, who=caller.principal.name or "service")
            )

        return once.answer(caller, conn, do)


def _shown(row: KeptReject) -> RejectOut:
    return RejectOut(
        id=row.id,
        at=row.at,
        device=row.device,
        topic=row.topic,
        payload=row.payload.decode("utf-8", "backslashreplace"),
        bytes=row.bytes,
        reason=row.reason,
        content_type=row.content_type,
        playable=row.whole,
        played_at=row.played_at,
        outcome=row.outcome,
    )
