"""The page of the fleet: every machine, the worst first, by site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from api.access.auth import Person
from api.page_frame import PageRoute, answer, begin_of, head_of, paging, wants_part
from dashboard import words
from store import overview
from store.transactions import Transaction

CARDS_PER_PAGE, ROWS_PER_PAGE = 24, 40
SPARK_STEPS, SPARK_WIDTH = 48, timedelta(minutes=30)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/fleet")
def fleet(
    request: Request,
    caller: Person,
    q: str = "",
    site: str = "",
    kind: str = "",
    status: str = "",
    view: str = "",
    after: str = "",
) -> Response:
    now = datetime.now(UTC)
    view = next((v for v in (view, request.cookies.get("bw_view")) if v in {"cards", "table"}), "cards")
    begin = begin_of(after)
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "fleet")
        machines = [(glance, glance.status(now)) for glance in overview.glances(conn, now)]
        tally = [(name, sum(1 for _, is_ in machines if is_ == name)) for name in overview.STATUSES]
        found = [
            (glance, is_)
            for glance, is_ in machines
            if _matches(glance, q) and site in {"", glance.site} and kind in {"", glance.kind} and status in {"", is_}
        ]
        found = _worst_first(found)
        per_page = CARDS_PER_PAGE if view == "cards" else ROWS_PER_PAGE
        lines = _lines_of(conn, now, found[begin : begin + per_page])
    values = {
        **shell,
        "filters": {"q": q, "site": site, "kind": kind, "status": status},
        "view": view,
        "total": len(machines),
        "shown": len(found),
        "tally": tally,
        "sites": [(name, name) for name in sorted({g.site for g, _ in machines if g.site})],
        "kinds": [(name, words.plain(name)) for name in sorted({g.kind for g, _ in machines if g.kind})],
        "groups": _by_site(lines),
        **paging(begin, per_page, more=len(found) > begin + per_page),
    }
    response = answer(request, "fleet_live.html" if wants_part(request) else "fleet.html", values)
    if request.query_params.get("view") == view:
        response.set_cookie("bw_view", view, max_age=31_536_000, samesite="strict")
    return response


def _lines_of(conn: Transaction, now: datetime, found: Sequence[tuple[overview.Glance, str]]) -> list[dict[str, Any]]:
    """Machines with their small lines and latest values."""
    start = now - SPARK_STEPS * SPARK_WIDTH
    leading = [glance.stream_id for glance, _ in found if glance.stream_id is not None]
    lines = overview.samples(conn, leading, start, SPARK_WIDTH, SPARK_STEPS)
    result = []
    for glance, status in found:
        spark = lines.get(glance.stream_id or 0, [])
        value = next((v for v in reversed(spark) if v is not None), None)
        result.append({**asdict(glance), "status": status, "spark": spark, "value": value})
    return result


def _worst_first(found: Sequence[tuple[overview.Glance, str]]) -> list[tuple[overview.Glance, str]]:
    """Sites by the worst of their machines, machines within a site by how bad they are; a site stays together."""
    rank = {status: place for place, status in enumerate(overview.STATUSES)}
    worst: dict[str, int] = {}
    for glance, status in found:
        worst[glance.site] = min(rank[status], worst.get(glance.site, len(rank)))
    return sorted(found, key=lambda one: (worst[one[0].site], one[0].site, rank[one[1]], one[0].device))


def _by_site(lines: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Machines by site, in the order that they come in."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line["site"], []).append(line)
    return list(groups.items())


def _matches(glance: overview.Glance, wanted: str) -> bool:
    text = f"{glance.device} {glance.model} {glance.kind} {glance.site}".lower()
    return all(word in text for word in wanted.lower().split())
