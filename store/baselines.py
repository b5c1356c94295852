"""Blocks of vibration that somebody took for healthy, one an axis: what later ones are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from detectors.vibration import Floats
from detectors.vibration.spectral_change import FEWEST_SAMPLES, alike
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from store.waveforms import PackedBlock, StoredWaveform

_SQL = queries("baselines")


@dataclass(frozen=True, slots=True)
class Baseline(PackedBlock):
    """A block of an axis from when the machine was healthy, as `set_by` says."""

    waveform_id: UUID
    set_by: str
    set_at: datetime

    def signal_for(self, quantity: str, rate_hz: float, shaft_rpm: float | None, samples: int) -> Floats | None:
        """Its signal (n,) in g or mm/s; None where a block of this quantity, rate, speed and length can't be compared
        with it."""
        if self.vibration is None or self.vibration.quantity != quantity or samples < FEWEST_SAMPLES:
            return None
        return self.signal() if alike(rate_hz, shaft_rpm, self.rate_hz, self.shaft_rpm) else None


def why_unfit(block: StoredWaveform) -> str:
    """Why nothing can be compared with a block; empty where something can."""
    if block.vibration is None:
        return f"a block in {block.unit} is no vibration"
    if block.sample_count < FEWEST_SAMPLES:
        return f"{block.sample_count} samples are too few to compare spectra: {FEWEST_SAMPLES} and more"
    return ""


def set_baseline(conn: Transaction, block: StoredWaveform, who: str) -> Baseline:
    """Take a block for healthy, in place of an earlier one of its axis."""
    conn.execute(_SQL["set_baseline"], {"id": block.id, "time": block.time, "set_by": who})
    return baselines_of(conn, block.device, block.axis)[0]


def drop_baseline(conn: Transaction, device: str, axis: str) -> None:
    """Compare later blocks of an axis with nothing. NotFound where they were compared with nothing before."""
    if conn.execute(_SQL["drop_baseline"], {"device": device, "axis": axis}).rowcount == 0:
        raise NotFound(f"{device} has no baseline of {axis}")


def baselines_of(conn: Transaction, device: str, axis: str | None = None) -> list[Baseline]:
    """Those of a device by axis, or that of one axis. NotFound where there is no such device."""
    if conn.execute(queries("waveforms")["device_known"], {"device": device}).fetchone() is None:
        raise NotFound(f"there is no device {device}")
    with conn.cursor(row_factory=class_row(Baseline)) as cursor:
        return cursor.execute(_SQL["baselines_of"], {"device": device, "axis": axis}).fetchall()


def baseline(conn: Session, device_id: int, axis: str) -> Baseline | None:
    """That of an axis of a machine of any tenant."""
    with conn.cursor(row_factory=class_row(Baseline)) as cursor:
        return cursor.execute(_SQL["baseline"], {"device_id": device_id, "axis": axis}).fetchone()
