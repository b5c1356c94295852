"""Floods: more alarms at one site than people can look at one by one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from alarms.events import Severity
from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, Instant, Name, example
from api.paging import MOST_ROWS, Cursor, Limit, Page, after_time_id, page
from store import floods

router = APIRouter(prefix=f"{ROOT}/floods", tags=["alarms"])


class FloodOut(Answered):
    """A flood of one site, and the alarm whose departure began first."""

    model_config = Answered.model_config | example(
        id="3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a14",
        site="Hall 2",
        since="2026-11-22T15:00:02Z",
        began_at="2026-11-22T15:04:11Z",
        ended_at=None,
        most_alarms=34,
        first_out="3f1c2f5e-8f0e-5c3a-9a55-0d3c1f6b2a11",
        first_device="compressor-301",
        first_message="Discharge pressure 5.3 bar, expected 6.0 to 6.4",
        first_since="2026-11-22T14:59:40Z",
        told_with=31,
    )

    id: UUID
    site: str = Field(description="Empty: machines that stand at none")
    since: Instant = Field(description="When the first of its alarms came")
    began_at: Instant = Field(description="When there were too many")
    ended_at: Instant | None
    most_alarms: int = Field(description="Within the tenant's `flood_s`, at its worst")
    first_out: UUID
    first_device: str
    first_message: str
    first_since: Instant
    told_with: int = Field(description="Of its alarms: people were told of the flood, not of each of them")


class GroupOut(Answered):
    """What is open of one machine, and which of it was first."""

    site: str
    device: str
    alarms: int
    waiting: int = Field(description="Of these, for an acknowledgement")
    worst: Severity
    since: Instant
    first_out: UUID
    first_message: str


class GroupsOut(Answered):
    """A site by its machines, the one that was first first; at most 200."""

    items: list[GroupOut]


@router.get("", summary="Floods of alarms")
def list_floods(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    is_open: Annotated[bool, Query(alias="open", description="Only those that go on")] = False,
) -> Page[FloodOut]:
    """Floods, newest first."""
    with caller.transaction() as conn:
        rows = floods.floods(conn, limit=limit + 1, after=after_time_id(cursor), is_open=is_open)
    return page(rows, limit, FloodOut.model_validate, lambda row: (row.began_at, row.id))


@router.get("/groups", summary="What is open at a site, by machine")
def list_groups(
    caller: Anyone, site: Annotated[Name | None, Query(description="None: machines at none")] = None
) -> GroupsOut:
    """What to look at in a flood instead of its alarms one by one: each machine with its first out."""
    with caller.transaction() as conn:
        return GroupsOut(
            items=[GroupOut.model_validate(group) for group in floods.groups(conn, [site or ""], MOST_ROWS)]
        )
