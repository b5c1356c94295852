"""Devices and their streams."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.auth import Anyone, Staff
from api.models import Answered, Asked, DeviceFilter, DevicePath, Instant, Name, example
from api.paging import Cursor, Limit, Page, after_text, after_texts, page
from store import fleet
from store.fleet import Condition

router = APIRouter(prefix=ROOT, tags=["devices"])


class DeviceOut(Answered):
    """A device and what stands against it; shelved alarms, and those out of service, do not count."""

    model_config = Answered.model_config | example(
        device="pump-01",
        kind="pump",
        model="CR 32-4",
        site="Hall 2",
        firmware="1.4.2",
        online=True,
        online_at="2026-11-21T22:14:03Z",
        first_seen_at="2026-08-02T06:00:00Z",
        condition="alarm",
        active_alarms=1,
        unacknowledged_alarms=1,
        worst_severity="high",
        open_tickets=1,
        worst_priority="high",
        heard_at="2026-11-21T22:41:10Z",
        streams=6,
    )

    device: str
    kind: str
    model: str
    site: str
    firmware: str
    online: bool | None = Field(description="null: it never said")
    online_at: Instant | None
    first_seen_at: Instant
    condition: Condition
    active_alarms: int
    unacknowledged_alarms: int
    worst_severity: str | None
    open_tickets: int
    worst_priority: str | None
    heard_at: Instant | None = Field(description="Its latest reading, within the last 31 days")
    streams: int


class DeviceChange(Asked):
    """What its owner says of a device; what is left out stays."""

    model_config = Asked.model_config | example(kind="pump", model="CR 32-4", site="Hall 2")

    kind: Name | None = None
    model: Name | None = None
    site: Name | None = None


class StreamOut(Answered):
    """One point of one device, with its latest reading."""

    model_config = Answered.model_config | example(
        id=17,
        device="pump-01",
        point="flow",
        quantity="flow",
        unit="m3/h",
        latest_at="2026-11-21T22:41:10Z",
        latest_value=9.87,
    )

    id: int
    device: str
    point: str
    quantity: str
    unit: str
    latest_at: Instant | None = Field(description="null: nothing within the last 31 days")
    latest_value: float | None


@router.get("/devices", summary="Devices")
def list_devices(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    site: Annotated[Name | None, Query(description="Only at this site")] = None,
    kind: Annotated[Name | None, Query(description="Only of this kind")] = None,
) -> Page[DeviceOut]:
    """Devices by name, each with its condition at a glance."""
    with caller.transaction() as conn:
        rows = fleet.devices(conn, datetime.now(UTC), limit=limit + 1, after=after_text(cursor), site=site, kind=kind)
    return page(rows, limit, DeviceOut.model_validate, lambda row: (row.device,))


@router.get("/devices/{device}", summary="One device")
def get_device(caller: Anyone, device: DevicePath) -> DeviceOut:
    """A device and its condition at a glance."""
    with caller.transaction() as conn:
        return DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), device))


@router.patch("/devices/{device}", summary="Say what a device is")
def change_device(caller: Staff, device: DevicePath, change: DeviceChange) -> DeviceOut:
    """Set kind, model and site. Devices register themselves with their first message."""
    with caller.transaction() as conn:
        fleet.describe_device(conn, device, kind=change.kind, model=change.model, site=change.site)
        return DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), device))


@router.get("/streams", summary="Streams")
def list_streams(
    caller: Anyone, limit: Limit = 50, cursor: Cursor = None, device: DeviceFilter = None
) -> Page[StreamOut]:
    """Streams by device and point, each with its latest reading."""
    with caller.transaction() as conn:
        rows = fleet.streams(conn, datetime.now(UTC), limit=limit + 1, device=device, after=after_texts(cursor))
    return page(rows, limit, StreamOut.model_validate, lambda row: (row.device, row.point))
