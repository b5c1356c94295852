"""Blocks of raw vibration: stored packed, each once, and given back bit for bit.

A block is known by an id made from all it says. The same block again is a duplicate; another one of the same device,
axis and time is kept beside the first and flagged.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from psycopg.rows import class_row

from detectors.vibration import Floats
from store.connection import Session
from store.errors import NotFound
from store.packing import pack, unpack
from store.queries import queries
from store.transactions import Transaction
from telemetry import instant
from telemetry.units import Unit
from telemetry.waveform import Samples, Waveform, vibration

_SQL = queries("waveforms")
_MILLISECOND = timedelta(milliseconds=1)
_COLUMNS = (
    *("uuid", "timestamptz", "text", "text", "text", "float8", "float8", "text", "float8", "float8", "text", "int4"),
    *("int2", "bool", "timestamptz", "int2", "bytea"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block without its samples: `time` is that of the first, and each means sample · `scale` + `value_offset` in
    `unit`."""

    axis: str
    time: datetime
    rate_hz: float
    shaft_rpm: float | None
    unit: str
    scale: float
    value_offset: float
    sample_type: str

    @property
    def vibration(self) -> Unit | None:
        """The way from its unit to g or mm/s; None where it is no vibration."""
        return vibration(self.unit)


@dataclass(frozen=True, slots=True)
class PackedBlock(Block):
    """A block with its samples."""

    packing: int
    samples: bytes

    def values(self) -> Samples:
        """The samples as they came, int16 or float32 (n,)."""
        return unpack(self.packing, self.samples, self.sample_type)

    def signal(self) -> Floats:
        """The samples (n,) in g or mm/s; in `unit` where it is no vibration."""
        values = self.values() * self.scale + self.value_offset
        return np.asarray(values if self.vibration is None else self.vibration.convert(values))


@dataclass(frozen=True, slots=True)
class StoredWaveform(Block):
    """A block of a device, without its samples. `contested`: another one of its axis and time was there before."""

    id: UUID
    device: str
    sample_count: int
    quality: int
    contested: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class WholeWaveform(PackedBlock):
    """A block of a device, with its samples."""

    device: str


def append(conn: Session, waveforms: Sequence[Waveform], arrived_us: int) -> list[bool]:
    """Store blocks; for each whether it is new. Those stored before stay as they are.

    Its cost is that of packing: 25 ns a sample.
    """
    if not waveforms:
        return []
    ids = [id_of(waveform) for waveform in waveforms]
    known: dict[tuple[str, str, str, int], set[UUID]] = {}
    wanted = [
        [w.tenant for w in waveforms],
        [w.device for w in waveforms],
        [w.axis for w in waveforms],
        [instant(w.time_us) for w in waveforms],
    ]
    at = {instant(w.time_us): w.time_us for w in waveforms}
    for id_, tenant, device, axis, time in conn.execute(_SQL["waveforms_at"], wanted):
        known.setdefault((tenant, device, axis, at[time]), set()).add(id_)
    new = []
    rows = []
    for id_, waveform in zip(ids, waveforms, strict=True):
        same_time = known.setdefault((waveform.tenant, waveform.device, waveform.axis, waveform.time_us), set())
        new.append(id_ not in same_time)
        if new[-1]:
            rows.append((id_, waveform, bool(same_time)))
            same_time.add(id_)
    received_at = instant(arrived_us)
    with conn.cursor() as cursor, cursor.copy(_SQL["copy_waveforms"]) as copy:
        copy.set_types(_COLUMNS)
        for id_, w, contested in rows:
            packing, samples = pack(w.samples)
            copy.write_row((
                *(id_, instant(w.time_us), w.tenant, w.device, w.axis, w.rate_hz, w.shaft_rpm, w.unit, w.scale),
                *(w.offset, w.sample_type, len(w.samples), w.quality, contested, received_at, packing, samples),
            ))  # fmt: skip
    return new


def id_of(waveform: Waveform) -> UUID:
    """The name of a block: the ms of its start in the first 48 bits, so that its chunk is found, and a digest of all it
    says in the others (version 8 of RFC 9562)."""
    w = waveform
    digest = hashlib.blake2b(digest_size=10)
    texts = "\0".join((w.tenant, w.device, w.axis, w.unit, w.sample_type))
    digest.update(texts.encode())
    rpm = -1.0 if w.shaft_rpm is None else w.shaft_rpm
    digest.update(struct.pack("<xqdddd", w.time_us, w.rate_hz, rpm, w.scale, w.offset))
    digest.update(w.samples.tobytes())
    name = bytearray((w.time_us // 1000).to_bytes(6) + digest.digest())
    name[6] = 0x80 | name[6] & 0x0F
    name[8] = 0x80 | name[8] & 0x3F
    return UUID(bytes=bytes(name))


def waveforms_of(
    conn: Transaction,
    device: str,
    *,
    limit: int,
    axis: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[StoredWaveform]:
    """Blocks of a device, the newest first, that begin in [start, end). NotFound where there is no such device."""
    if conn.execute(_SQL["device_known"], {"device": device}).fetchone() is None:
        raise NotFound(f"there is no device {device}")
    upto, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(StoredWaveform)) as cursor:
        return cursor.execute(
            _SQL["waveforms_of"],
            {
                "device": device,
                "axis": axis,
                "start": start,
                "end": end,
                "upto": upto,
                "after_id": after_id,
                "limit": limit,
            },
        ).fetchall()


def waveform(conn: Transaction, id_: UUID) -> StoredWaveform:
    """One block without its samples, or NotFound."""
    with conn.cursor(row_factory=class_row(StoredWaveform)) as cursor:
        found = cursor.execute(_SQL["waveform"], _place_of(id_)).fetchone()
    if found is None:
        raise NotFound(f"there is no waveform {id_}")
    return found


def whole_waveform(conn: Transaction, id_: UUID) -> WholeWaveform:
    """One block with its samples, or NotFound."""
    with conn.cursor(row_factory=class_row(WholeWaveform)) as cursor:
        found = cursor.execute(_SQL["whole_waveform"], _place_of(id_)).fetchone()
    if found is None:
        raise NotFound(f"there is no waveform {id_}")
    return found


def _place_of(id_: UUID) -> dict[str, UUID | datetime]:
    """A block's id, and the millisecond in which it begins; NotFound where it cannot be one of ours."""
    try:
        start = instant(int.from_bytes(id_.bytes[:6]) * 1000)
    except OverflowError as error:  # beyond the year 9999
        raise NotFound(f"there is no waveform {id_}") from error
    return {"id": id_, "start": start, "end": start + _MILLISECOND}
