"""What blocks of vibration are compared with: of each axis one that somebody who knows the machine took for healthy."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone, Staff
from api.errors import BadValue
from api.models import Answered, Asked, DevicePath, Instant, example
from store import baselines, waveforms
from store.errors import NotFound

router = APIRouter(prefix=ROOT, tags=["waveforms"])

AxisPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="An axis", examples=["drive_end"])]


class BaselineAsked(Asked):
    """The block to take for healthy."""

    model_config = Asked.model_config | example(waveform_id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a")

    waveform_id: UUID


class BaselineOut(Answered):
    """A block that was taken for healthy. It is kept when the block's time is over."""

    model_config = Answered.model_config | example(
        axis="drive_end",
        waveform_id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a",
        time="2026-11-21T22:41:00Z",
        rate_hz=12800.0,
        shaft_rpm=1482.3,
        set_by="Ben Lindqvist",
        set_at="2026-11-21T23:02:11Z",
    )

    axis: str
    waveform_id: UUID
    time: Instant
    rate_hz: float
    shaft_rpm: float | None = Field(description="null: not known, and blocks of any speed are compared with it")
    set_by: str
    set_at: Instant


@router.get("/devices/{device}/baselines", summary="What the waveforms of a device are compared with")
def list_baselines(caller: Anyone, device: DevicePath) -> list[BaselineOut]:
    """One an axis, where there is one."""
    with caller.transaction() as conn:
        return [BaselineOut.model_validate(one) for one in baselines.baselines_of(conn, device)]


@router.put("/devices/{device}/baselines/{axis}", summary="Take a waveform for healthy")
def set_baseline(caller: Staff, device: DevicePath, axis: AxisPath, asked: BaselineAsked) -> BaselineOut:
    """Later blocks of this axis, at the same rate and speed, are compared with it: what has no lines of its own, as a
    gear that was rough from the first day, is found by that alone. It takes the place of an earlier one."""
    with caller.transaction() as conn:
        block = waveforms.waveform(conn, asked.waveform_id)
        if (block.device, block.axis) != (device, axis):
            raise NotFound(f"{device} has no waveform {asked.waveform_id} of {axis}")
        if why := baselines.why_unfit(block):
            raise BadValue("waveform_id", why)
        return BaselineOut.model_validate(baselines.set_baseline(conn, block, caller.principal.name))


@router.delete("/devices/{device}/baselines/{axis}", status_code=204, summary="Compare waveforms with none")
def drop_baseline(caller: Staff, device: DevicePath, axis: AxisPath) -> None:
    """As after a repair, until a block of the repaired machine is taken for healthy."""
    with caller.transaction() as conn:
        baselines.drop_baseline(conn, device, axis)
