"""The audit log: who did what, and the end of the chain that proves it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Manager
from api.models import Answered, From, Instant, Line, To, example
from api.paging import Cursor, Limit, Page, after_number, page
from store import audit
from store.audit import Act

router = APIRouter(prefix=f"{ROOT}/audit", tags=["access"])


class ActOut(Answered):
    """An act. `changes`: fields as `[before, after]`; `not shown` for secrets and names."""

    model_config = Answered.model_config | example(
        id=4711,
        at="2026-11-21T22:41:10.123456Z",
        actor="user:7c0d8a53-12a5-4a5e-8f6e-57b1b3ac2f10",
        who="kim",
        role="administrator",
        network="192.0.2.0/24",
        via="bellwether_api",
        route="PATCH /api/v1/users/{user_id}",
        resource="user",
        subject="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        whom="jo",
        action="changed",
        changes={"role": ["engineer", "dispatcher"]},
        seq=4702,
        hash="5f2c0f6f1f0d6b1f5e0f4a8f4f9f2f0f5f2c0f6f1f0d6b1f5e0f4a8f4f9f2f0f",
    )

    id: int
    at: Instant
    actor: str = Field(description="`user:…`, `key:…`, `program:…`, or `nobody`: a sign-in that was refused")
    who: str = Field(description="The login, or the key's name, that it has today")
    role: str
    network: str = Field(description="Where from, shortened")
    via: str = Field(description="Who was signed in to the database")
    route: str
    resource: str
    subject: str
    whom: str = Field(description="The login that `subject` has today, where it is a person")
    action: str
    changes: dict[str, Any]
    seq: int | None = Field(description="Its place in the chain; null until it is sealed, within seconds")
    hash: str | None


class HeadOut(Answered):
    """The end of the chain: kept elsewhere, it proves later that nothing before it was rewritten or cut off."""

    seq: int
    hash: str = Field(description="For `bellwether audit verify --head`")


@router.get("", summary="Who did what")
def list_acts(
    caller: Manager,
    limit: Limit = 50,
    cursor: Cursor = None,
    who: Annotated[Line | None, Query(description="A login, an API key's name, or an `actor`")] = None,
    resource: Annotated[Line | None, Query(description="`user`, `rule`, `ticket`, …")] = None,
    subject: Annotated[Line | None, Query(description="Only of this one")] = None,
    start: From = None,
    end: To = None,
) -> Page[ActOut]:
    """Acts, newest first."""
    with caller.transaction() as conn:
        rows = audit.page(
            conn,
            limit=limit + 1,
            after=after_number(cursor),
            who=who,
            resource=resource,
            subject=subject,
            start=start,
            end=end,
        )
    return page(rows, limit, _shown, lambda row: (row.id,))


@router.get("/head", summary="The end of the chain")
def get_head(caller: Manager) -> HeadOut:
    """The last act that is sealed. 0 and zeros where none is."""
    tenant = caller.principal.tenant
    with caller.transaction() as conn:
        head = audit.head(conn, tenant) or audit.Head(tenant, 0, audit.GENESIS)
    return HeadOut(seq=head.seq, hash=head.hash.hex())


def _shown(act: Act) -> ActOut:
    return ActOut(
        id=act.id,
        at=act.at,
        actor=act.actor,
        who=act.who,
        role=act.role,
        network=act.network,
        via=act.via,
        route=act.route,
        resource=act.resource,
        subject=act.subject,
        whom=act.whom,
        action=act.action,
        changes=json.loads(act.changes),
        seq=act.seq,
        hash=None if act.hash is None else act.hash.hex(),
    )
