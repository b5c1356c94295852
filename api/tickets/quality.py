"""Which repairs were drawn for the head office to look at, and what anybody needs to draw them again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from alarms.roles import INSPECTORS, STAFF
from api import ROOT
from api.access.auth import Caller, require
from api.models import Answered, Instant, example
from api.paging import Cursor, Limit, Page, after_text, page
from store import tickets

router = APIRouter(prefix=f"{ROOT}/inspections", tags=["tickets"])

Looker = Annotated[Caller, Depends(require(*STAFF, *INSPECTORS))]


class DrawOut(Answered):
    """One draw: of a ticket, at its so many-th turn."""

    ticket_id: UUID
    turn: int
    at: Instant
    share: float
    drawn: bool


class MonthOut(Answered):
    """A month's draws. What decides them is told when the month, of UTC, is over."""

    model_config = Answered.model_config | example(
        month="2026-10-01",
        commitment="630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd",
        made_at="2026-09-02T07:14:03Z",
        seed="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        draws=[
            {
                "ticket_id": "0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
                "turn": 0,
                "at": "2026-10-07T15:20:00Z",
                "share": 0.15,
                "drawn": False,
            }
        ],
    )

    month: date = Field(description="Its first day")
    commitment: str = Field(description="SHA-256 of the seed, in hex: told before the month begins")
    made_at: Instant
    seed: str | None = Field(description="In hex; null until the month is over")
    draws: list[DrawOut] = Field(description="Empty until the month is over")


@router.get("/draws", summary="Draws of the head office's sample")
def list_draws(caller: Looker, limit: Limit = 12, cursor: Cursor = None) -> Page[MonthOut]:
    """Month by month, newest first. `tickets.quality.drawn(seed, ticket, turn, share)` repeats each draw."""
    text = after_text(cursor)
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        rows = tickets.months(conn, now, limit=limit + 1, before=_day(text))
        over = [row.month for row in rows if row.seed is not None]
        draws = tickets.draws(conn, over)

    def out(row: tickets.Month) -> MonthOut:
        of_month = [DrawOut.model_validate(one) for one in draws if one.month == row.month]
        return MonthOut(month=row.month, commitment=row.commitment, made_at=row.made_at, seed=row.seed, draws=of_month)

    return page(rows, limit, out, lambda row: (row.month.isoformat(),))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
