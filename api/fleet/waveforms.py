"""Blocks of raw vibration: what there is, and the samples as they came."""

from __future__ import annotations

import math
import struct
from datetime import UTC
from enum import StrEnum
from io import BytesIO
from typing import Annotated
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DevicePath, Instant, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from detectors.vibration import G_MM_S2, VELOCITY_BAND_HZ, power_spectrum
from store import waveforms
from store.waveforms import StoredWaveform, WholeWaveform
from telemetry.waveform import Samples

# Finer than any screen shows.
MOST_LINES = 5000

router = APIRouter(prefix=ROOT, tags=["waveforms"])

WaveformPath = Annotated[UUID, Path(description="A waveform")]
Axis = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.-]{1,32}$", examples=["drive_end"])]
# A block never changes; who may see it can.
_KEEP = {"Cache-Control": "private, max-age=3600"}
# RIFF, one channel: integers are 1, floating point is 3.
_WAV_KIND = {"i2": 1, "f4": 3}


class Form(StrEnum):
    """How samples leave the house."""

    RAW = "raw"
    NPY = "npy"
    WAV = "wav"


class WaveformOut(Answered):
    """One block without its samples. Sample *i* was taken at `time` + *i* / `rate_hz` and means, in `unit`,
    sample · `scale` + `offset`."""

    model_config = Answered.model_config | example(
        id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a",
        device="gearmotor-01",
        axis="drive_end",
        time="2026-11-21T22:41:00Z",
        duration_s=1.0,
        rate_hz=12800.0,
        shaft_rpm=1482.3,
        unit="g",
        scale=0.00048828125,
        offset=0.0,
        sample_type="i2",
        samples=12800,
        quality=0,
        contested=False,
        received_at="2026-11-21T22:41:02Z",
    )

    id: UUID
    device: str
    axis: str
    time: Instant = Field(description="Of the first sample")
    duration_s: float
    rate_hz: float
    shaft_rpm: float | None = Field(description="null: the device did not say")
    unit: str
    scale: float
    offset: float
    sample_type: str = Field(description="i2 (int16) or f4 (float32), little-endian")
    samples: int
    quality: int = Field(description="Bits of what is known against its time; 0 is good")
    contested: bool = Field(description="Another block of the same axis and time was there before")
    received_at: Instant


class SpectrumOut(Answered):
    """Where the vibration of a block lies. Line *i* is the RMS of what lies between *i* and *i* + 1 times `step_hz`;
    the squares of all add up to the mean square."""

    model_config = Answered.model_config | example(
        waveform_id="019d3b1c-2a40-8c1e-9f3a-5b7c2d1e0f4a",
        quantity="vibration_velocity",
        unit="mm/s",
        step_hz=25.0,
        rms=[0.0, 0.91, 0.34, 0.12],
    )

    waveform_id: UUID
    quantity: str = Field(description="vibration_acceleration, vibration_velocity, or nothing for any other")
    unit: str
    step_hz: float
    rms: list[float]


@router.get("/devices/{device}/waveforms", summary="Waveforms of a device")
def list_waveforms(
    caller: Anyone,
    device: DevicePath,
    limit: Limit = 50,
    cursor: Cursor = None,
    axis: Annotated[Axis | None, Query(description="Only of this axis")] = None,
    start: Annotated[Instant | None, Query(alias="from", description="That begin then or later")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="That begin before then")] = None,
) -> Page[WaveformOut]:
    """The newest first, without their samples."""
    with caller.transaction() as conn:
        rows = waveforms.waveforms_of(
            conn, device, limit=limit + 1, axis=axis, start=start, end=end, after=after_time_id(cursor)
        )
    return page(rows, limit, _shown, lambda row: (row.time, row.id))


@router.get("/waveforms/{waveform_id}", summary="One waveform")
def get_waveform(caller: Anyone, waveform_id: WaveformPath) -> WaveformOut:
    """A block without its samples."""
    with caller.transaction() as conn:
        return _shown(waveforms.waveform(conn, waveform_id))


@router.get(
    "/waveforms/{waveform_id}/samples",
    summary="The samples of a waveform",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}, "audio/wav": {}}, "description": "The samples"}},
)
def get_samples(
    caller: Anyone,
    waveform_id: WaveformPath,
    form: Annotated[Form, Query(description="raw: as they came · npy: for NumPy · wav: to listen to")] = Form.RAW,
) -> Response:
    """The samples as they came: neither scaled nor rounded in any form."""
    with caller.transaction() as conn:
        block = waveforms.whole_waveform(conn, waveform_id)
    samples = block.values()
    name = f"{block.device}-{block.axis}-{block.time.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    match form:
        case Form.RAW:
            return Response(samples.tobytes(), media_type="application/octet-stream", headers=_headers(f"{name}.bin"))
        case Form.NPY:
            return Response(_npy(samples), media_type="application/octet-stream", headers=_headers(f"{name}.npy"))
        case Form.WAV:
            return Response(_wav(block, samples), media_type="audio/wav", headers=_headers(f"{name}.wav"))


@router.get("/waveforms/{waveform_id}/spectrum", summary="The spectrum of a waveform")
def get_spectrum(
    caller: Anyone,
    waveform_id: WaveformPath,
    as_velocity: Annotated[bool, Query(description="Of the velocity, where acceleration was measured")] = False,
    to_hz: Annotated[float | None, Query(gt=0, description="Up to here; half the rate if not given")] = None,
    lines: Annotated[int, Query(ge=1, le=MOST_LINES, description="How many a chart can show")] = 500,
) -> SpectrumOut:
    """In g where acceleration was measured, in mm/s where velocity was or is asked for, else in the block's unit. A
    velocity begins at 10 Hz: below, integration shows the sensor's drift."""
    with caller.transaction() as conn:
        block = waveforms.whole_waveform(conn, waveform_id)
    known = block.vibration
    spectrum = power_spectrum(block.signal(), block.rate_hz)
    quantity, unit = (known.quantity, known.unit) if known else ("", block.unit)
    if as_velocity and quantity == "vibration_acceleration":
        spectrum = spectrum.integrated().above(VELOCITY_BAND_HZ[0]).scaled(G_MM_S2)
        quantity, unit = "vibration_velocity", "mm/s"
    step_hz, rms = spectrum.buckets(min(to_hz or math.inf, block.rate_hz / 2), lines)
    return SpectrumOut(waveform_id=waveform_id, quantity=quantity, unit=unit, step_hz=step_hz, rms=rms.tolist())


def _shown(row: StoredWaveform) -> WaveformOut:
    return WaveformOut(
        id=row.id,
        device=row.device,
        axis=row.axis,
        time=row.time,
        duration_s=row.sample_count / row.rate_hz,
        rate_hz=row.rate_hz,
        shaft_rpm=row.shaft_rpm,
        unit=row.unit,
        scale=row.scale,
        offset=row.value_offset,
        sample_type=row.sample_type,
        samples=row.sample_count,
        quality=row.quality,
        contested=row.contested,
        received_at=row.received_at,
    )


def _headers(filename: str) -> dict[str, str]:
    return {**_KEEP, "Content-Disposition": f'attachment; filename="{filename}"'}


def _npy(samples: Samples) -> bytes:
    file = BytesIO()
    np.save(file, samples, allow_pickle=False)
    return file.getvalue()


def _wav(block: WholeWaveform, samples: Samples) -> bytes:
    """One channel; the rate, which is a whole number there, rounded."""
    rate_hz, size = max(1, round(block.rate_hz)), samples.itemsize
    head = struct.pack("<HHIIHH", _WAV_KIND[block.sample_type], 1, rate_hz, rate_hz * size, size, 8 * size)
    chunks = b"WAVE" + _chunk(b"fmt ", head) + _chunk(b"data", samples.tobytes())
    return _chunk(b"RIFF", chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content
