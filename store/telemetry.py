"""Telemetry into the database: columns by binary COPY, one transaction a delivery.

Under pressure the database is the limit, not this module: a delivery of a few thousand readings costs it one COPY. A
batch with readings stored before takes the slower way through a stage, and says how many there were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from psycopg import errors
from psycopg.types.json import Jsonb

from store.connection import Session
from store.queries import queries
from telemetry import Batch, Quality, Stream, StreamKey, instant, quantity_of
from telemetry.batch import sorting
from telemetry.units import MAX_UNIT_LENGTH, canonical

# A row of COPY's binary format: the number of fields, then each field's length and its big-endian bytes.
_ROW = np.dtype([
    ("fields", ">i2"),
    ("l0", ">i4"), ("time", ">i8"),
    ("l1", ">i4"), ("stream", ">i4"),
    ("l2", ">i4"), ("value", ">f8"),
    ("l3", ">i4"), ("quality", ">i2"),
])  # fmt: skip
_STAGED = np.dtype([*((name, _ROW[name]) for name in _ROW.names or ()), ("l4", ">i4"), ("ordinal", ">i4")])
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# PostgreSQL counts from 2000, we from 1970.
_EPOCH_US = 946_684_800_000_000
# Readings at once on the way back to the detectors after a crash.
CATCH_UP_READINGS = 200_000


class Fate(IntEnum):
    """What became of a reading."""

    STORED = 0
    DUPLICATE = 1
    """The same value was there."""
    CONTESTED = 2
    """Another value was there: kept beside it."""
    DROPPED = 3
    """Older than what is taken at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Appended:
    """What became of the readings of one append.

    Attributes
    ----------
    batch
        The readings in order, one per stream and time: what there is to be scored.
    fate : uint8 (N,)
        `Fate` of each reading given, in the order in which they were given.
    """

    batch: Batch
    fate: npt.NDArray[np.uint8]

    @property
    def readings(self) -> int:
        """How many were stored."""
        return int(np.count_nonzero(self.fate == Fate.STORED))


@dataclass(frozen=True, slots=True)
class Status:
    """What a device says of itself; `seq` is the lowest number of this `boot` that it still holds.

    `at_us` is when that arrived, `said_us` the device's own time, if it gave one. `reason` is why it is offline: a last
    will has none, or says that the connection was lost. What is `retained` was said at some time before.
    """

    tenant: str
    device: str
    online: bool
    at_us: int
    kind: str = ""
    model: str = ""
    site: str = ""
    firmware: str = ""
    boot: int | None = None
    seq: int | None = None
    gateway: str = ""
    reason: str = ""
    said_us: int | None = None
    retained: bool = False


def append(conn: Session, readings: Batch, meanwhile: Callable[[], None] | None = None) -> Appended:
    """Store readings in any order.

    One whose stream and time are stored already is left as it was; another value of the same time is kept beside it.
    Needs a transaction of the caller's. It goes on in either case: a COPY that meets a stored one is undone by itself.
    `meanwhile` is called, if there is anything to copy, while the database is busy with that; it must not use `conn`.
    """
    order, first = sorting(readings.time_us, readings.stream)
    kept = order[first]
    batch = Batch(readings.time_us[kept], readings.stream[kept], readings.value[kept], readings.quality[kept])
    fate = np.full(len(readings), Fate.DUPLICATE, np.uint8)
    if not len(batch):
        return Appended(batch, fate)
    spare = order[~first]  # those whose time is taken within the delivery itself
    standing = kept[np.cumsum(first) - 1][~first]
    spare = spare[readings.value[spare] != readings.value[standing]]
    sql = queries("telemetry")
    try:
        with conn.transaction():
            _copy_beside(conn, sql["copy_readings"], encode(batch), meanwhile)
        fate[kept] = Fate.STORED
        staged = spare
    except errors.UniqueViolation:
        staged = np.concatenate([kept, spare])
    if len(staged):
        stored, contested = _unstage(conn, readings, staged, 0 if staged is spare else len(kept))
        fate[staged[stored]] = Fate.STORED
        fate[staged[contested]] = Fate.CONTESTED
    return Appended(batch, fate)


def _unstage(
    conn: Session, readings: Batch, staged: npt.NDArray[np.intp], candidates: int
) -> tuple[list[int], list[int]]:
    """Store what is new among the first `candidates` of the staged, and what contests a value among all of them.

    Returns the places of the stored and of the contesting ones in `staged`.
    """
    sql = queries("telemetry")
    time_us, stream = readings.time_us[staged], readings.stream[staged]
    conn.execute(sql["make_stage"])
    rows = encode(Batch(time_us, stream, readings.value[staged], readings.quality[staged]), ordinals=True)
    _copy(conn, sql["copy_stage"], rows)
    stored: list[int] = []
    if candidates:
        stored = [ordinal for (ordinal,) in conn.execute(sql["unstage"], [candidates, candidates])]
    contested: list[int] = []
    if len(stored) < len(staged):
        span = {"first": instant(int(time_us.min())), "last": instant(int(time_us.max()))}
        rows_kept = conn.execute(sql["contest"], span | {"flag": int(Quality.CONTESTED)})
        contested = [ordinal for (ordinal,) in rows_kept]
    conn.execute(sql["empty_stage"])
    return stored, contested


def encode(batch: Batch, *, ordinals: bool = False) -> memoryview:
    """A batch in COPY's binary format: header, rows, trailer; with the number of each row if wanted. 0.1 µs a row."""
    layout = _STAGED if ordinals else _ROW
    size = len(batch) * layout.itemsize
    buffer = bytearray(len(_HEADER) + size + len(_TRAILER))
    buffer[: len(_HEADER)] = _HEADER
    buffer[-len(_TRAILER) :] = _TRAILER
    rows = np.frombuffer(buffer, layout, len(batch), len(_HEADER))
    rows["fields"] = 4
    rows["l0"], rows["l1"], rows["l2"], rows["l3"] = 8, 4, 8, 2
    rows["time"] = batch.time_us - _EPOCH_US
    rows["stream"] = batch.stream
    rows["value"] = batch.value
    rows["quality"] = batch.quality
    if ordinals:
        rows["fields"] = 5
        rows["l4"] = 4
        rows["ordinal"] = np.arange(len(batch))
    return memoryview(buffer)


def note_learnt(conn: Session, machines: Collection[int]) -> None:
    """The detectors know these machines' normal now."""
    conn.execute(queries("telemetry")["note_learnt"], [list(machines)])


def note_modes(conn: Session, modes: Mapping[int, tuple[str, int]]) -> None:
    """What these machines are doing, and since when, in µs."""
    said, since = [mode for mode, _ in modes.values()], [instant(since_us) for _, since_us in modes.values()]
    conn.execute(queries("telemetry")["note_modes"], [list(modes), said, since])


def tenants_known(conn: Session) -> set[str]:
    """Tenants whose devices are admitted."""
    return {tenant for (tenant,) in conn.execute(queries("telemetry")["tenants_known"])}


def devices_after(conn: Session, machine: int) -> list[tuple[int, str, str]]:
    """Number, tenant and name of the devices that came after the one with this number; of all of them after 0."""
    return [
        (number, tenant, device)
        for number, tenant, device in conn.execute(queries("telemetry")["devices_after"], [machine])
    ]


def devices_named(conn: Session, names: Sequence[tuple[str, str]]) -> list[tuple[int, str, str]]:
    """Number, tenant and name of those of these devices that there are."""
    tenants, devices = [tenant for tenant, _ in names], [device for _, device in names]
    rows = conn.execute(queries("telemetry")["devices_named"], [tenants, devices])
    return [(number, tenant, device) for number, tenant, device in rows]


def streams_known(conn: Session) -> list[Stream]:
    """Every stream there is."""
    return [_stream(row) for row in conn.execute(queries("telemetry")["streams_known"])]


def streams_numbered(conn: Session, ids: Sequence[int]) -> list[Stream]:
    """The streams of these numbers."""
    return [_stream(row) for row in conn.execute(queries("telemetry")["streams_numbered"], [list(ids)])]


def add_streams(conn: Session, keys: Sequence[StreamKey], units: Sequence[str] = ()) -> list[Stream]:
    """Streams on first sight, and their devices with them; those there already are found.

    A stream's quantity is what its unit says, else what its point's name says; a unit not known stays as given.
    """
    sql = queries("telemetry")
    wanted = sorted(zip(keys, units or [""] * len(keys), strict=True))
    keys = [key for key, _ in wanted]
    devices = sorted({(key.tenant, key.device) for key in keys})
    conn.execute(sql["add_devices"], [[tenant for tenant, _ in devices], [device for _, device in devices]])
    names = [[key.tenant for key in keys], [key.device for key in keys], [key.point for key in keys]]
    measured = [_measured(key.point, unit) for key, unit in wanted]
    conn.execute(sql["add_streams"], [*names, [quantity for quantity, _ in measured], [unit for _, unit in measured]])
    return [_stream(row) for row in conn.execute(sql["streams_of"], names)]


def readings_after(conn: Session, last_us: dict[int, int], unscored: int) -> Batch:
    """The earliest readings stored after the time given for each stream, at most `CATCH_UP_READINGS` of them.

    Rows with a bit of `unscored` in their quality are left out.
    """
    rows = conn.execute(
        queries("telemetry")["readings_after"],
        [list(last_us), [instant(us) for us in last_us.values()], unscored, CATCH_UP_READINGS],
    ).fetchall()
    if not rows:
        return Batch.empty()
    times, streams, values, qualities = zip(*rows, strict=True)
    return Batch.of([int(time) for time in times], streams, values, qualities)


def beat(conn: Session, role: str, detail: dict[str, object]) -> None:
    """A role says that it lives, and how it fares."""
    conn.execute(queries("telemetry")["beat"], [role, Jsonb(detail, dumps=orjson.dumps)])


def last_beat(conn: Session, role: str) -> dict[str, Any]:
    """How a role fared when it said so last; empty where it never did."""
    row = conn.execute(queries("telemetry")["last_beat"], [role]).fetchone()
    return dict(row[0]) if row else {}


def hold_ingest(conn: Session) -> bool:
    """Whether this session is the only ingest of the database; if so, it stays so until the session ends."""
    row = conn.execute(queries("telemetry")["hold_ingest"]).fetchone()
    return row is not None and bool(row[0])


def _stream(row: tuple[Any, ...]) -> Stream:
    """Its texts once for all streams that have the same: tens of thousands name a few points and units."""
    number, machine, *texts = row
    return Stream(number, machine, *map(sys.intern, texts))


def _copy_beside(conn: Session, statement: str, rows: memoryview, meanwhile: Callable[[], None] | None) -> None:
    """Copy, on a thread where there is something else to do: it waits for the database, and needs no processor."""
    if meanwhile is None:
        _copy(conn, statement, rows)
        return
    with ThreadPoolExecutor(1, "copy") as beside:
        copying = beside.submit(_copy, conn, statement, rows)
        meanwhile()
    copying.result()


def _copy(conn: Session, statement: str, rows: memoryview) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows)


def _measured(point: str, unit: str) -> tuple[str, str]:
    """Quantity and canonical unit of a point."""
    if known := canonical(unit, point):
        return known.quantity, known.unit
    named = quantity_of(point)
    return (named.name, named.unit) if not unit else ("unknown", unit[:MAX_UNIT_LENGTH])
