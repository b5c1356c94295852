"""The page of inspections: which repairs wait for one, and each month's draws, drawn again before the reader's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from api.page_frame import PageRoute, answer, head_of, wants_part
from api.tickets.quality import Looker
from store import tickets
from store.errors import NotFound
from store.tickets import quality
from store.tickets.quality import Looked
from tickets.quality import commitment, drawn

MONTHS = 12
# A month of ten thousand machines; who needs more has the API.
LINES = 500

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/inspections")
def inspections_page(request: Request, caller: Looker, month: str = "") -> Response:
    """A month that is not over has its seed's hash alone, as in `GET inspections/draws`."""
    now, asked = datetime.now(UTC), _first_of(month)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "tickets")
        waiting = quality.to_look_at(conn, limit=LINES)
        months = tickets.months(conn, now, limit=MONTHS)
        over = [one for one in months if one.seed is not None]
        shown = next((one for one in over if asked in {None, one.month}), None)
        if asked is not None and shown is None:
            raise NotFound("there is no such month, or it is not over")
        looked = quality.looked_at(conn, shown.month, limit=LINES) if shown else []
    values = {
        **shell,
        "waiting": waiting,
        "months": months,
        "shown": shown,
        "looked": looked,
        "again": _drawn_again(shown, looked) if shown else None,
        "asked": month,
        "most": LINES,
    }
    return answer(request, "inspections_live.html" if wants_part(request) else "inspections.html", values)


def _drawn_again(month: tickets.Month, looked: Sequence[Looked]) -> dict[str, Any]:
    """What anybody finds who has the seed: whether it is that of the hash, and which draws come out otherwise."""
    seed = bytes.fromhex(month.seed or "")
    other = [one for one in looked if drawn(seed, one.ticket_id, one.turn, one.share) != one.drawn]
    return {"kept": commitment(seed) == month.commitment, "other": other, "drawn": sum(one.drawn for one in looked)}


def _first_of(month: str) -> date | None:
    try:
        return date.fromisoformat(f"{month}-01") if month else None
    except ValueError as error:
        raise NotFound("a month is written 2026-10") from error
