"""Presence and clocks of devices: what they said, when they were heard, and how far their clocks are off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.rows import class_row

from alarms.sites import Place
from store.connection import Session
from store.errors import NotFound
from store.queries import queries
from store.telemetry import Status
from store.transactions import Transaction
from telemetry import instant

_SQL = queries("presence")


@dataclass(frozen=True, slots=True)
class Seen:
    """How one machine stands: when it was last heard (-1: never), how often that is expected, and what follows."""

    machine: int
    heard_us: int
    expected_s: float | None
    presence: str


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
