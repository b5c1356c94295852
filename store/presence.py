"""Presence and clocks of devices: what they said, when they were heard, and how far their clocks are off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.rows import class_row

from alarms.sites import Place
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.telemetry import Status
from store.transactions import Transaction
from telemetry import instant, microseconds

_SQL = queries("presence")

# A stamp further ahead than this is no delay and no rounding. Too low: a device whose clock is kept by another time
# server is called wrong, and corrected for nothing.
AHEAD_S = 2
# A clock that is behind by less cannot be told from messages that always take as long.
BEHIND_S = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """How one machine stands: when it was last heard (-1: never), how often that is expected, and what follows."""

    machine: int
    heard_us: int
    expected_s: float | None
    presence: str


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


@dataclass(frozen=True, slots=True)
class DevicePresence:
    """One device: whether it is there, and by what. None is what is not known."""

    device: str
    site: str
    gateway: str
    parent: str
    presence: str
    since: datetime | None
    last_heard_at: datetime | None
    expected_every_s: float | None
    expected_interval_s: float | None
    online: bool | None
    online_at: datetime | None
    offline_reason: str
    clock_offset_s: float | None
    clock_drift_ppm: float | None
    clock_at: datetime | None
    clock_policy: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a device has newly said: not what the broker had kept of it, and told us before."""

    tenant: str
    device: str
    online: bool
    reason: str


# What ingest writes ------------------------------------------------------------------------------------------------


def note_status(conn: Session, statuses: Iterable[Status]) -> list[Said]:
    """Store what devices say of themselves; of several from one device the last, with what the earlier ones add."""
    last: dict[tuple[str, str], Status] = {}
    for status in statuses:
        before = last.get((status.tenant, status.device), status)
        last[status.tenant, status.device] = replace(
            status,
            kind=status.kind or before.kind,
            model=status.model or before.model,
            site=status.site or before.site,
            gateway=status.gateway or before.gateway,
            firmware=status.firmware or before.firmware,
        )
    if not last:
        return []
    rows = [last[key] for key in sorted(last)]
    values = {
        "tenants": [s.tenant for s in rows],
        "devices": [s.device for s in rows],
        "kinds": [s.kind for s in rows],
        "models": [s.model for s in rows],
        "sites": [s.site for s in rows],
        "gateways": [s.gateway for s in rows],
        "firmwares": [s.firmware for s in rows],
        "onlines": [s.online for s in rows],
        "reasons": ["" if s.online else s.reason for s in rows],
        "retained": [s.retained for s in rows],
        "arrived": [instant(s.at_us) for s in rows],
        "said": [None if s.said_us is None else instant(s.said_us) for s in rows],
    }
    conn.execute(_SQL["admit"], values)
    return [Said(*row[:4]) for row in conn.execute(_SQL["note_status"], values) if row[4]]


def places(conn: Session) -> tuple[list[Place], set[tuple[str, str]]]:
    """Every device as far as its presence goes; and those whose stamps are to be mended."""
    found, corrected = [], set()
    for *place, is_corrected in conn.execute(_SQL["places"]):
        found.append(Place(*place))
        if is_corrected:
            corrected.add((found[-1].tenant, found[-1].device))
    return found, corrected


def note_presence(conn: Session, seen: Sequence[Seen], now_us: int) -> None:
    """How machines stand now."""
    if not seen:
        return
    conn.execute(
        _SQL["note_presence"],
        {
            "now": instant(now_us),
            "machines": [s.machine for s in seen],
            "heard": [None if s.heard_us < 0 else instant(s.heard_us) for s in seen],
            "expected": [s.expected_s for s in seen],
            "presences": [s.presence for s in seen],
        },
    )


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


# What people see and say -------------------------------------------------------------------------------------------


def devices(
    conn: Transaction,
    *,
    limit: int,
    after: str | None = None,
    presence: str | None = None,
    site: str | None = None,
    device: str | None = None,
) -> list[DevicePresence]:
    """Devices by name, beginning after the one named `after`; those that are retired are left out."""
    wanted = {"limit": limit, "after": after, "presence": presence, "site": site, "device": device}
    with conn.cursor(row_factory=class_row(DevicePresence)) as cursor:
        return cursor.execute(_SQL["devices"], wanted).fetchall()


def device(conn: Transaction, name: str) -> DevicePresence:
    """One device, or NotFound."""
    found = devices(conn, limit=1, device=name)
    if not found:
        raise NotFound(f"there is no device {name}")
    return found[0]


def clock_history(conn: Transaction, device: str, limit: int) -> list[ClockChange]:
    """What the clock of a device was found to show, newest first."""
    with conn.cursor(row_factory=class_row(ClockChange)) as cursor:
        return cursor.execute(_SQL["clock_history"], {"device": device, "limit": limit}).fetchall()


def watch_device(
    conn: Transaction,
    device: str,
    *,
    gateway: str | None = None,
    parent: str | None = None,
    says_interval: bool = False,
    interval_s: float | None = None,
    clock_policy: str | None = None,
) -> None:
    """Say how a device is watched; None leaves what was said before. NotFound where there is none.

    `interval_s` counts where `says_interval`: None is then the rhythm that is learnt.
    """
    said = {
        "device": device,
        "gateway": gateway,
        "parent": parent,
        "says_interval": says_interval,
        "interval_s": interval_s,
        "clock_policy": clock_policy,
    }
    if conn.execute(_SQL["watch_device"], said).fetchone() is None:
        raise NotFound(f"there is no device {device}")


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
