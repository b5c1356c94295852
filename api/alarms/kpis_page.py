"""The page of the alarms' figures, beside what the standards recommend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from alarms.kpis import Figure, highest
from api.access.auth import Staff
from api.alarms.kpis import COLUMNS, kpis_for
from api.page_frame import PageRoute, answer, filters_of, head_of, wants_part
from dashboard.rates import FIGURES, HEIGHT, WIDTH, rate_chart
from store import overview
from store.alarm_kpis import Kpis

PERIODS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"))
# What is read first, and what the rest of the page is about.
_FIRST = (
    "calls_per_span",
    "calls_per_day_and_person",
    "flood_share",
    "top_ten_share",
    "stale",
    "false_per_machine_month",
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/alarm-kpis")
def page(request: Request, caller: Staff) -> Response:
    filters = filters_of(request, "days", "site")
    days = filters["days"] if filters["days"] in dict(PERIODS) else PERIODS[0][0]
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "alarms")
        sites = overview.sites(conn)
        found = kpis_for(conn, caller, now - timedelta(days=int(days)), now, now, filters["site"] or None)
    known = {figure.name: figure for figure in found.figures}
    values = {
        **shell,
        "filters": filters | {"days": days},
        "periods": PERIODS,
        "sites": [(name, name) for name in sites],
        "k": found,
        "known": known,
        "first": [known[name] for name in _FIRST],
        "titles": FIGURES,
        "chart": _chart(found),
        "box": (WIDTH, HEIGHT),
        "links": _links(known),
    }
    return answer(request, "alarm_kpis_live.html" if wants_part(request) else "alarm_kpis.html", values)


def _chart(found: Kpis) -> object:
    length_s = (found.end - found.begin).total_seconds()

    def place(at: datetime) -> float:
        return min(1.0, max(0.0, (at - found.begin).total_seconds() / length_s))

    floods = [(place(flood.began_at), place(flood.ended_at or found.end)) for flood in found.floods]
    return rate_chart(highest(found.rates.counts, COLUMNS).tolist(), floods)


def _links(known: dict[str, Figure]) -> dict[str, str]:
    """Where the alarms are that a figure counts now."""
    states = {
        "stale": "stale",
        "waiting": "unacknowledged",
        "shelved_now": "shelved",
        "suppressed_now": "suppressed",
        "out_of_service_now": "out_of_service",
    }
    return {name: state for name, state in states.items() if known[name].value}
