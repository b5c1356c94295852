"""Clocks of devices: how far they are off, since when and why, and what the stamps of their messages are mended by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.connection import Session
from store.queries import queries
from store.transactions import Transaction
from telemetry import instant, microseconds

_SQL = queries("clocks")

# A stamp further ahead than this is no delay and no rounding. Too low: a device whose clock is kept by another time
# server is called wrong, and corrected for nothing.
AHEAD_S = 2
# A clock that is behind by less cannot be told from messages that always take as long.
BEHIND_S = 60


@dataclass(frozen=True, slots=True)
class KeptPiece:
    """What the stamps of one run of a device are mended by, see `ingest.presence.corrections`."""

    tenant: str
    device: str
    boot: int
    from_us: int
    used_us: int
    shift_us: int
    rate_ppm: int


@dataclass(frozen=True, slots=True)
class ClockFinding:
    """How one device's clock stands: ahead of ours by `offset_s`. `cause` is empty where it is as it was."""

    tenant: str
    device: str
    at_us: int
    offset_s: float
    drift_ppm: float | None
    before_s: float | None
    cause: str


@dataclass(frozen=True, slots=True)
class ClockChange:
    """What a device's clock was found to show. `before_s` is None where nothing was known."""

    at: datetime
    offset_s: float
    before_s: float | None
    cause: str


def note_clocks(conn: Session, found: Sequence[ClockFinding]) -> None:
    """How clocks stand now, and which of them show something else than before."""
    if not found:
        return
    conn.execute(
        _SQL["note_clocks"],
        _clocks(found) | {"drifts": [f.drift_ppm for f in found]},
    )
    changed = [f for f in found if f.cause]
    if changed:
        conn.execute(
            _SQL["note_clock_changes"],
            _clocks(changed) | {"befores": [f.before_s for f in changed], "causes": [f.cause for f in changed]},
        )


def clocks_known(conn: Session) -> dict[tuple[str, str], float]:
    """How far clocks were off when they were last looked at, in seconds."""
    return {(tenant, device): offset_s for tenant, device, offset_s in conn.execute(_SQL["clocks_known"])}


def clock_pieces(conn: Session, devices: Collection[tuple[str, str]]) -> list[KeptPiece]:
    """What the stamps of these devices are mended by, in the order in which it was made."""
    return [KeptPiece(*row) for row in conn.execute(_SQL["clock_pieces"], _named(devices))]


def newest_readings(conn: Session, devices: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Up to where the readings of these devices were stored, in µs; those without any are left out."""
    rows = conn.execute(_SQL["newest_readings"], _named(devices))
    return {(tenant, device): microseconds(newest) for tenant, device, newest in rows}


def save_pieces(conn: Session, pieces: Sequence[KeptPiece]) -> None:
    """In the transaction of what is stored by them."""
    if not pieces:
        return
    conn.execute(
        _SQL["save_pieces"],
        {
            **_named([(p.tenant, p.device) for p in pieces]),
            "boots": [p.boot for p in pieces],
            "froms": [p.from_us for p in pieces],
            "useds": [p.used_us for p in pieces],
            "shifts": [p.shift_us for p in pieces],
            "rates": [p.rate_ppm for p in pieces],
        },
    )


def clock_history(conn: Transaction, device: str, limit: int) -> list[ClockChange]:
    """What the clock of a device was found to show, newest first."""
    with conn.cursor(row_factory=class_row(ClockChange)) as cursor:
        return cursor.execute(_SQL["clock_history"], {"device": device, "limit": limit}).fetchall()


def clock_policy(conn: Transaction) -> str:
    """What new devices of the tenant begin with: `keep` or `correct`."""
    return str(conn.execute(_SQL["clock_policy"]).fetchall()[0][0])


def set_clock_policy(conn: Transaction, wanted: str) -> None:
    """What they begin with from now on; devices that are there keep theirs."""
    conn.execute(_SQL["set_clock_policy"], {"clock_policy": wanted})


def wrong_clocks(conn: Session) -> tuple[int, int, str, float]:
    """How many clocks are known to be wrong, how many of them are mended, and the worst: its device and offset."""
    row = conn.execute(_SQL["wrong_clocks"], {"ahead_s": AHEAD_S, "behind_s": BEHIND_S}).fetchone()
    return (row[0], row[1], row[2] or "", row[3] or 0.0) if row else (0, 0, "", 0.0)


def _clocks(found: Sequence[ClockFinding]) -> dict[str, Sequence[object]]:
    when: dict[str, Sequence[object]] = {
        "at": [instant(f.at_us) for f in found],
        "offsets": [f.offset_s for f in found],
    }
    return when | _named([(f.tenant, f.device) for f in found])


def _named(devices: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    return {"tenants": [tenant for tenant, _ in devices], "devices": [device for _, device in devices]}
