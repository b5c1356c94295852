"""What a machine is built of, and what its vibration says of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from api import ROOT
from api.access.auth import Anyone, Staff
from api.fleet.waveforms import Axis, WaveformPath
from api.models import Answered, Asked, DevicePath, Instant, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from detectors.vibration import Bearing, Diagnosis, Machine, OrderSpectrum, bearing_of, diagnose
from store import baselines, machines, vibration, waveforms

# Of an envelope's spectrum a page shows so many orders, in so many lines.
_SHOWN_ORDERS, _MOST_LINES = 12.0, 1200

router = APIRouter(prefix=ROOT, tags=["waveforms"])

Order = Annotated[float, Field(gt=0, lt=1000)]


class MachineFacts(Asked):
    """What is known of the machine under a device; null where it is not."""

    model_config = Asked.model_config | example(
        bearing="SKF 6205", group=2, support="rigid", teeth=None, blades=6, rpm=None, rated_kw=22.0
    )

    bearing: str | None = Field(None, max_length=64, description="A designation of the table, as `SKF 6205`")
    bpfo: Order | None = Field(None, description="Or the bearing's orders: multiples of the shaft's speed")
    bpfi: Order | None = None
    bsf: Order | None = None
    ftf: Order | None = None
    teeth: int | None = Field(None, ge=3, le=1000, description="Of the gear on the shaft")
    blades: int | None = Field(None, ge=2, le=100, description="Of the fan or pump wheel on the shaft")
    group: Literal[1, 2] | None = Field(None, description="Of ISO 20816-3: 1 above 300 kW, 2 from 15 to 300 kW")
    support: Literal["rigid", "flexible"] | None = Field(None, description="No zone without group and support")
    rpm: float | None = Field(None, gt=0, le=1e6, description="Of the shaft, for blocks that do not say it")
    rated_kw: float | None = Field(None, gt=0, le=1e6)

    @model_validator(mode="after")
    def _bearing_can_be(self) -> Self:
        self.of_bearing()
        return self

    def of_bearing(self) -> Bearing | None:
        """The bearing; ValueError where it is none, or given twice."""
        return bearing_of(self.model_dump())

    def machine(self, shaft_rpm: float | None) -> Machine:
        """As it turned during a block."""
        return Machine.of_facts(self.model_dump(), shaft_rpm)


class EvidenceOut(Answered):
    """A line that was found. `rms` is in mm/s or g; of an envelope, of the band's power over its mean."""

    line: str
    spectrum: str = Field(description="envelope, velocity or acceleration")
    order: float
    expected_hz: float
    found_hz: float
    height: float = Field(description="Its power over that of the noise around it")
    rms: float


class ZoneOut(Answered):
    letter: str
    limits_mm_s: tuple[float, float, float]
    table: str = Field(description="The table the limits are from")


class EnvelopeOut(Answered):
    """The spectrum of the envelope of a band: line *k* at *k* · `step_hz`."""

    band_hz: tuple[float, float]
    step_hz: float
    rms: list[float]


class ChangeOut(Answered):
    """How far a block's spectrum is from that of the healthy block of its axis."""

    distance_db: float
    own_db: float = Field(description="How far stretches of the healthy block are from one another")
    is_lasting: bool = Field(description="Farther than chance and than 3 dB")


class DiagnosisOut(Answered):
    """What one block says of its machine."""

    model_config = Answered.model_config | example(
        waveform_id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a",
        fault="outer_race",
        reason="from 2781 to 5062 Hz the vibration swells and ebbs at the lines of this part more than at any other's",
        also=[],
        evidence=[],
        velocity_rms_mm_s=2.1,
        zone={"letter": "B", "limits_mm_s": [1.4, 2.8, 4.5], "table": "ISO 20816-3, group 2, rigid support"},
        not_known=[],
        shaft_hz=24.7,
        envelope=None,
        change={"distance_db": 1.2, "own_db": 0.6, "is_lasting": False},
    )

    waveform_id: UUID
    fault: str = Field(description="none, inner_race, outer_race, ball, cage, imbalance, misalignment, looseness, gear")
    reason: str
    also: list[str]
    evidence: list[EvidenceOut]
    velocity_rms_mm_s: float | None
    zone: ZoneOut | None = Field(description="null: the machine's group and support are not known")
    not_known: list[str] = Field(description="Facts that were missing: rpm and bearing for faults, group and support")
    shaft_hz: float | None
    envelope: EnvelopeOut | None
    change: ChangeOut | None = Field(description="null: no block of this axis, rate and speed was taken for healthy")


class VerdictOut(Answered):
    """What one block said when it came. Alarms follow where 3 of the last 5 say the same."""

    model_config = Answered.model_config | example(
        waveform_id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a",
        axis="drive_end",
        time="2026-11-21T22:41:00Z",
        fault="outer_race",
        reason="from 2781 to 5062 Hz the vibration swells and ebbs at the lines of this part more than at any other's",
        line="BPFO at 88.4 Hz",
        not_known=[],
        velocity_mm_s=2.1,
        zone="B",
        limits_mm_s=[1.4, 2.8, 4.5],
    )

    waveform_id: UUID
    axis: str
    time: Instant
    fault: str | None = Field(description="null: nothing could be said, for the reason given")
    reason: str
    line: str = Field(description="The strongest line of the evidence; empty without any")
    not_known: list[str] = Field(description="Facts that were missing: rpm and bearing for faults, group and support")
    velocity_mm_s: float | None
    zone: str | None = Field(description="null: the machine's group and support are not known, or it stood")
    limits_mm_s: tuple[float, float, float] | None


@router.get("/devices/{device}/machine", summary="What a machine is built of")
def get_machine(caller: Anyone, device: DevicePath) -> MachineFacts:
    """Bearing, gear, group and support, as its owner said them."""
    with caller.transaction() as conn:
        return MachineFacts.model_validate(machines.machine(conn, device))


@router.put("/devices/{device}/machine", summary="Say what a machine is built of")
def set_machine(caller: Staff, device: DevicePath, facts: MachineFacts) -> MachineFacts:
    """All of it anew; what is left out is not known any more."""
    with caller.transaction() as conn:
        machines.set_machine(conn, device, facts.model_dump(exclude_none=True), caller.principal.name)
    return facts


@router.get("/waveforms/{waveform_id}/diagnosis", summary="What a waveform says of its machine")
def get_diagnosis(caller: Anyone, waveform_id: WaveformPath) -> DiagnosisOut:
    """The probable fault with the lines that prove it, by the block's shaft speed and what is known of the machine."""
    with caller.transaction() as conn:
        block = waveforms.whole_waveform(conn, waveform_id)
        facts = MachineFacts.model_validate(machines.machine(conn, block.device))
        healthy = next(iter(baselines.baselines_of(conn, block.device, block.axis)), None)
    known = block.vibration
    if known is None:
        other = _shown(waveform_id, Diagnosis("none", f"a block in {block.unit} is no vibration"), Machine())
        return other.model_copy(update={"not_known": []})
    machine, signal = facts.machine(block.shaft_rpm), block.signal()
    before = None if healthy is None else healthy.signal_for(known.quantity, block.rate_hz, machine.rpm, len(signal))
    return _shown(waveform_id, diagnose(signal, block.rate_hz, known.quantity, machine, before), machine)


@router.get("/devices/{device}/vibration", summary="What the waveforms of a device said")
def list_verdicts(
    caller: Anyone,
    device: DevicePath,
    limit: Limit = 50,
    cursor: Cursor = None,
    axis: Annotated[Axis | None, Query(description="Only of this axis")] = None,
) -> Page[VerdictOut]:
    """The verdict of each block as it was given when it came, by what was known of the machine then; the newest
    first."""
    with caller.transaction() as conn:
        rows = vibration.verdicts_of(conn, device, limit=limit + 1, axis=axis, after=after_time_id(cursor))
    return page(rows, limit, VerdictOut.model_validate, lambda row: (row.time, row.waveform_id))


def _shown(waveform_id: UUID, found: Diagnosis, machine: Machine) -> DiagnosisOut:
    velocity = found.figures.get("velocity_rms")
    return DiagnosisOut(
        waveform_id=waveform_id,
        fault=found.fault,
        reason=found.reason,
        also=list(found.also),
        evidence=[EvidenceOut.model_validate(line) for line in found.evidence],
        velocity_rms_mm_s=None if velocity is None else velocity[0],
        zone=None if found.zone is None else ZoneOut.model_validate(found.zone),
        not_known=list(machine.not_known),
        shaft_hz=found.shaft_hz,
        envelope=(
            None if found.envelope is None or machine.rpm is None else _envelope(found.envelope, found, machine.rpm)
        ),
        change=None if found.change is None else ChangeOut.model_validate(found.change),
    )


def _envelope(spectrum: OrderSpectrum, found: Diagnosis, rpm: float) -> EnvelopeOut | None:
    """As many lines as a page can show, each the highest of those it stands for."""
    if found.band_hz is None:
        return None
    count = min(round(_SHOWN_ORDERS / spectrum.step), len(spectrum.power))
    each = -(-count // _MOST_LINES)
    power = np.zeros(-(-count // each) * each)
    power[:count] = spectrum.power[:count]
    rms = np.sqrt(power.reshape(-1, each).max(axis=1))
    return EnvelopeOut(band_hz=found.band_hz, step_hz=spectrum.step * each * rpm / 60.0, rms=rms.tolist())
