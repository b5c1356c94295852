"""What blocks of vibration say, one verdict a block; and the blocks that wait for one.

What `notify` writes, over all tenants, and what the API shows under its caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from detectors.vibration.standing import OF_BLOCKS, BlockSays
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction
from store.waveforms import PackedBlock
from telemetry import Stream

_SQL = queries("vibration")
_LOCK = 0x7669_6272  # any number, the same for all of us


@dataclass(frozen=True, slots=True)
class Waiting(PackedBlock):
    """A block that nobody has looked at yet; without a device or samples where it is gone already.

    `facts` is what its owner said of the machine, as `PUT …/machine` takes it.
    """

    waveform_id: UUID
    tenant: str | None
    device: str | None
    device_id: int | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """What one block said. `fault` is None where nothing could be said, and `reason` then says why; `not_known` names
    the facts that were missing: rpm, bearing, group, support."""

    waveform_id: UUID
    axis: str
    time: datetime
    fault: str | None
    reason: str
    line: str
    not_known: Sequence[str]
    velocity_mm_s: float | None
    zone: str | None
    limits_mm_s: Sequence[float] | None


def alone(conn: Session) -> bool:
    """Whether this session is the one that gives verdicts. It stays so until it ends."""
    return bool(conn.execute(_SQL["only_one"], [_LOCK]).fetchall()[0][0])


def waiting(conn: Session, limit: int) -> list[Waiting]:
    """Blocks of all tenants without a verdict, the oldest first."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_SQL["waiting"], {"limit": limit}).fetchall()


def pass_over(conn: Session, most: int, newest: int) -> int:
    """Where more than `most` blocks wait, all but the newest of each axis wait no more; returns how many."""
    if int(conn.execute(_SQL["how_many_wait"]).fetchall()[0][0]) <= most:
        return 0
    return max(conn.execute(_SQL["pass_over"], {"newest": newest}).rowcount, 0)


def keep(conn: Session, device_id: int, tenant: str, verdict: KeptVerdict) -> None:
    """The verdict of a block, in place of an earlier one."""
    values = asdict(verdict) | {"device_id": device_id, "tenant": tenant, "not_known": list(verdict.not_known)}
    conn.execute(_SQL["keep"], values)


def done(conn: Session, ids: Sequence[UUID]) -> None:
    """These blocks wait no more."""
    conn.execute(_SQL["done"], {"ids": list(ids)})


def latest(conn: Session, device_id: int, axis: str, time: datetime) -> list[BlockSays]:
    """What the last blocks of an axis up to a time said, the oldest first: as many as `standing` looks at."""
    asked = {"device_id": device_id, "axis": axis, "time": time, "limit": 2 * OF_BLOCKS}
    found = [
        BlockSays(int(time_us), fault, line, velocity_mm_s, None if limits is None else tuple(limits))
        for time_us, fault, line, velocity_mm_s, limits in conn.execute(_SQL["latest"], asked)
    ]
    return found[::-1]


def streams(conn: Session, device_id: int, points: Sequence[str]) -> dict[str, Stream]:
    """The streams of these points of a machine, by point."""
    found = conn.execute(_SQL["streams"], {"device_id": device_id, "points": list(points)})
    return {stream.point: stream for stream in (Stream(*row) for row in found)}


def named(conn: Session, device_id: int, since: datetime, until: datetime) -> dict[str, tuple[str, int, int]]:
    """Each fault that the last blocks of a machine named: the axis that names it most, in how many, of how many."""
    asked = {"device_id": device_id, "since": since, "until": until, "blocks": OF_BLOCKS}
    rows = [(axis, fault, int(count)) for axis, fault, count in conn.execute(_SQL["named"], asked)]
    total: dict[str, int] = {}
    for axis, _, count in rows:
        total[axis] = total.get(axis, 0) + count
    found: dict[str, tuple[str, int, int]] = {}
    for axis, fault, count in rows:
        if fault != "none" and count > found.get(fault, ("", 0, 0))[1]:
            found[fault] = axis, count, total[axis]
    return found


def forget(conn: Session) -> int:
    """Remove the verdicts of blocks whose time is over; returns how many."""
    return max(conn.execute(_SQL["forget"]).rowcount, 0)


def verdicts_of(
    conn: Transaction, device: str, *, limit: int, axis: str | None = None, after: tuple[datetime, UUID] | None = None
) -> list[KeptVerdict]:
    """What the blocks of a device said, the newest first. NotFound where there is no such device."""
    if conn.execute(queries("waveforms")["device_known"], {"device": device}).fetchone() is None:
        raise NotFound(f"there is no device {device}")
    upto, after_id = after or (None, None)
    with conn.cursor(row_factory=class_row(KeptVerdict)) as cursor:
        asked = {"device": device, "axis": axis, "upto": upto, "after_id": after_id, "limit": limit}
        return cursor.execute(_SQL["verdicts_of"], asked).fetchall()
