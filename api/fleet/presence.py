"""Who is there: when each device was heard, what it said, and how far its clock is off."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.access.auth import Administrator, Anyone, Staff
from api.models import Answered, Asked, DeviceName, DevicePath, Instant, Name, example
from api.paging import Cursor, Limit, Page, after_text, page
from store import clocks, presence

router = APIRouter(prefix=ROOT, tags=["devices"])

ClockPolicy = Literal["keep", "correct"]

_CHANGES = 50
_EXAMPLE = {
    "device": "pump-01",
    "site": "Hall 2",
    "gateway": "gw-2",
    "parent": "switchgear-1",
    "presence": "online",
    "since": "2026-11-21T22:14:03Z",
    "last_heard_at": "2026-11-21T22:41:10Z",
    "expected_every_s": 10.0,
    "expected_interval_s": None,
    "online": True,
    "online_at": "2026-11-21T22:14:03Z",
    "offline_reason": "",
    "clock_offset_s": 0.02,
    "clock_drift_ppm": 11.5,
    "clock_at": "2026-11-21T22:41:00Z",
    "clock_policy": "keep",
}


class Kind(StrEnum):
    """Whether a device is there."""

    UNKNOWN = "unknown"  # not heard often enough to say
    ONLINE = "online"
    SILENT = "silent"  # and that is an alarm
    LOST = "lost"  # its connection was lost; nothing was heard since
    SITE_LOST = "site_lost"  # so is the site, which has the alarm
    STOPPED = "stopped"  # it said goodbye


class PresenceOut(Answered):
    """One device: whether it is there, and by what."""

    model_config = Answered.model_config | example(_EXAMPLE)

    device: str
    site: str
    gateway: str = Field(description="What it reaches us through: devices of one gateway are lost together")
    parent: str = Field(
        description="What else it hangs on: while that is silent its own silence is suppressed by design"
    )
    presence: Kind
    since: Instant | None
    last_heard_at: Instant | None = Field(description="When anything of it last arrived, whatever time that was of")
    expected_every_s: float | None = Field(
        description="At least so often it is expected to be heard, and silent after three times that; null: not known"
    )
    expected_interval_s: float | None = Field(description="The same as its owner says; null: it is learnt")
    online: bool | None = Field(description="What it said itself, or its last will for it; null: it never said")
    online_at: Instant | None
    offline_reason: str
    clock_offset_s: float | None = Field(description="Its clock less ours: above 0 it is ahead; null: not known yet")
    clock_drift_ppm: float | None = Field(description="Since its clock was last set; null: for less than an hour")
    clock_at: Instant | None
    clock_policy: ClockPolicy


class ClockChangeOut(Answered):
    """What its clock was found to show."""

    at: Instant
    offset_s: float
    before_s: float | None
    cause: Literal["first", "set", "drift"]


class DevicePresenceOut(PresenceOut):
    """One device, and the history of its clock, newest first."""

    model_config = Answered.model_config | example(
        _EXAMPLE,
        clock_changes=[{"at": "2026-11-20T06:00:00Z", "offset_s": 0.02, "before_s": 3600.1, "cause": "set"}],
    )

    clock_changes: list[ClockChangeOut]


class PresenceChange(Asked):
    """How a device is watched; what is left out stays. An interval of null is one that is learnt."""

    model_config = Asked.model_config | example(expected_interval_s=3600, clock_policy="correct", gateway="gw-2")

    gateway: Name | Literal[""] | None = None
    parent: DeviceName | Literal[""] | None = None
    expected_interval_s: Annotated[float, Field(ge=1, le=31_622_400)] | None = None
    clock_policy: ClockPolicy | None = None


class ClockPolicyOut(Answered):
    """What new devices of the tenant begin with."""

    model_config = Answered.model_config | example(policy="keep")

    policy: ClockPolicy = Field(description="keep: stamps are stored as they are; correct: wrong clocks' are mended")


class ClockPolicyIn(Asked):
    """What new devices are to begin with."""

    model_config = Asked.model_config | example(policy="correct")

    policy: ClockPolicy


@router.get("/presence", summary="Who is there")
def list_presence(
    caller: Anyone,
    limit: Limit = 50,
    cursor: Cursor = None,
    presence_is: Annotated[Kind | None, Query(alias="presence", description="Only those")] = None,
    site: Annotated[Name | None, Query(description="Only at this site")] = None,
) -> Page[PresenceOut]:
    """Devices by name, each with whether it is there."""
    with caller.transaction() as conn:
        wanted = None if presence_is is None else presence_is.value
        rows = presence.devices(conn, limit=limit + 1, after=after_text(cursor), presence=wanted, site=site)
    return page(rows, limit, PresenceOut.model_validate, lambda row: (row.device,))


@router.get("/devices/{device}/presence", summary="Whether a device is there")
def get_presence(caller: Anyone, device: DevicePath) -> DevicePresenceOut:
    """A device: when it was heard, what it said, and what its clock was found to show."""
    with caller.transaction() as conn:
        return _shown(presence.device(conn, device), clocks.clock_history(conn, device, _CHANGES))


@router.patch("/devices/{device}/presence", summary="Say how a device is watched")
def change_presence(caller: Staff, device: DevicePath, change: PresenceChange) -> DevicePresenceOut:
    """Set how often a device is expected, through what, and whether its stamps are mended. In force within seconds."""
    with caller.transaction() as conn:
        presence.watch_device(
            conn,
            device,
            gateway=change.gateway,
            parent=change.parent,
            says_interval="expected_interval_s" in change.model_fields_set,
            interval_s=change.expected_interval_s,
            clock_policy=change.clock_policy,
        )
        return _shown(presence.device(conn, device), clocks.clock_history(conn, device, _CHANGES))


@router.get("/clock-policy", summary="Whether stamps of new devices are mended")
def get_clock_policy(caller: Staff) -> ClockPolicyOut:
    """What a device begins with, whether it is registered or comes into being with its first message."""
    with caller.transaction() as conn:
        return ClockPolicyOut.model_validate({"policy": clocks.clock_policy(conn)})


@router.put("/clock-policy", summary="Say whether stamps of new devices are mended")
def change_clock_policy(caller: Administrator, asked: ClockPolicyIn) -> ClockPolicyOut:
    """For devices that are new from now on. Those that are there keep what they have."""
    with caller.transaction() as conn:
        clocks.set_clock_policy(conn, asked.policy)
        return ClockPolicyOut(policy=asked.policy)


def _shown(found: presence.DevicePresence, changes: list[clocks.ClockChange]) -> DevicePresenceOut:
    return DevicePresenceOut(
        **PresenceOut.model_validate(found).model_dump(),
        clock_changes=[ClockChangeOut.model_validate(change) for change in changes],
    )
