"""The page of the audit log, for administrators: who did what, and the head of the chain to be kept elsewhere."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from api.access.auth import Administrator
from api.page_frame import PageRoute, answer, filters_of, head_of, wants_part
from store import audit
from store.audit import Act, acts

ROWS_PER_PAGE = 50
# Digests and ids say nothing to a reader, and when it was is in another column.
_NOT_SHOWN = frozenset({"event", "words", "event_id", "at"})

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/audit")
def audit_page(request: Request, caller: Administrator) -> Response:
    filters = filters_of(request, "who", "resource", "subject")
    after = request.query_params.get("after", "")
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "audit")
        begin = int(after) if after.isdecimal() and len(after) < 19 else None
        rows = audit.page(
            conn,
            limit=ROWS_PER_PAGE + 1,
            after=begin,
            who=filters["who"] or None,
            resource=filters["resource"] or None,
            subject=filters["subject"] or None,
        )
        values = {
            **shell,
            "filters": filters,
            "after": after,
            "acts": [{"act": row, "changes": _changes(row)} for row in rows[:ROWS_PER_PAGE]],
            "next_page": str(rows[ROWS_PER_PAGE - 1].id) if len(rows) > ROWS_PER_PAGE else None,
            "head": audit.head(conn, caller.principal.tenant),
            "resources": [(name, name.replace("_", " ").capitalize()) for name in acts.resources(conn)],
        }
    return answer(request, "audit_live.html" if wants_part(request) else "audit.html", values)


def _changes(act: Act) -> list[tuple[str, str, str]]:
    """A field, what it was and what it became; what was left empty when something was made is left out."""
    fields = json.loads(act.changes)
    rows = []
    for name, value in fields.items():
        if name in _NOT_SHOWN:
            continue
        was, became = value if act.action == "changed" and isinstance(value, list) else ("", value)
        if was or _plain(became):
            rows.append((name, _plain(was), _plain(became)))
    return rows


def _plain(value: Any) -> str:
    if value is None or value == "":
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
