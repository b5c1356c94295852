"""Devices, from their registration to their retirement, and their streams."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import ROOT
from api.access.auth import Administrator, Anyone, Manager, Staff
from api.models import Answered, Asked, DeviceFilter, DeviceName, DevicePath, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, after_texts, page
from store import devices, fleet
from store.devices import Admission
from store.fleet import Condition, DeviceState

router = APIRouter(prefix=ROOT, tags=["devices"])


class DeviceOut(Answered):
    """A device and what stands against it; shelved alarms, and those out of service, do not count."""

    model_config = Answered.model_config | example(
        device="pump-01",
        state="admitted",
        kind="pump",
        model="CR 32-4",
        site="Hall 2",
        firmware="1.4.2",
        online=True,
        online_at="2026-11-21T22:14:03Z",
        first_seen_at="2026-08-02T06:00:00Z",
        retired_at=None,
        replaced_by=None,
        replaces="pump-01-old",
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
    state: DeviceState
    kind: str
    model: str
    site: str
    firmware: str
    online: bool | None = Field(description="null: it never said")
    online_at: Instant | None
    first_seen_at: Instant = Field(description="Heard or registered, whichever came first")
    retired_at: Instant | None
    replaced_by: str | None = Field(description="The device that took its place")
    replaces: str | None = Field(description="The device whose place it took; history stays there")
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


class DeviceIn(Asked):
    """A device that is to come."""

    model_config = Asked.model_config | example(device="pump-07", kind="pump", model="CR 32-4", site="Hall 2")

    device: DeviceName
    kind: Name | None = None
    model: Name | None = None
    site: Name | None = None


class Successor(Asked):
    """The device that takes another's place."""

    model_config = Asked.model_config | example(device="pump-07b")

    device: DeviceName


class AdmissionOut(Answered):
    """Whom the tenant admits."""

    model_config = Answered.model_config | example(policy="open")

    policy: Admission = Field(description="open: with its first message; registered: only whom was registered")


class AdmissionIn(Asked):
    """Whom to admit from now on."""

    model_config = Asked.model_config | example(policy="registered")

    policy: Admission


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


@router.post("/devices", response_model=DeviceOut, status_code=201, summary="Register a device")
def register_device(caller: Manager, once: OnceOnly, asked: DeviceIn) -> JSONResponse:
    """Make a device known before it speaks, or take a retired one back into service."""
    with caller.transaction() as conn:

        def do() -> tuple[int, DeviceOut]:
            devices.register(
                conn,
                caller.principal.tenant,
                asked.device,
                kind=asked.kind or "",
                model=asked.model or "",
                site=asked.site or "",
            )
            return 201, DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), asked.device))

        return once.answer(caller, conn, do)


@router.post("/devices/{device}/retire", summary="Retire a device")
def retire_device(caller: Manager, device: DevicePath) -> DeviceOut:
    """Turn its messages away within seconds and revoke its credentials. Its history stays. Twice changes nothing."""
    with caller.transaction() as conn:
        devices.retire(conn, device, caller.principal.name)
        return DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), device))


@router.post("/devices/{device}/replace", response_model=DeviceOut, status_code=201, summary="Replace a device")
def replace_device(caller: Manager, once: OnceOnly, device: DevicePath, asked: Successor) -> JSONResponse:
    """Register another device in its place, alike, and retire this one. History stays with this one, and is linked."""
    with caller.transaction() as conn:

        def do() -> tuple[int, DeviceOut]:
            devices.replace(conn, caller.principal.tenant, device, asked.device, caller.principal.name)
            return 201, DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), asked.device))

        return once.answer(caller, conn, do)


@router.get("/admission", summary="Whom the tenant admits")
def get_admission(caller: Staff) -> AdmissionOut:
    """Whether a device may come into being with its first message, or must be registered first."""
    with caller.transaction() as conn:
        return AdmissionOut(policy=devices.admission(conn))


@router.put("/admission", summary="Change whom the tenant admits")
def change_admission(caller: Administrator, asked: AdmissionIn) -> AdmissionOut:
    """In force within seconds. Devices that are there stay; messages of others become rejects."""
    with caller.transaction() as conn:
        devices.set_admission(conn, asked.policy)
        return AdmissionOut(policy=devices.admission(conn))


@router.get("/devices/{device}", summary="One device")
def get_device(caller: Anyone, device: DevicePath) -> DeviceOut:
    """A device and its condition at a glance."""
    with caller.transaction() as conn:
        return DeviceOut.model_validate(fleet.device(conn, datetime.now(UTC), device))


@router.patch("/devices/{device}", summary="Say what a device is")
def change_device(caller: Staff, device: DevicePath, change: DeviceChange) -> DeviceOut:
    """Set kind, model and site."""
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
