"""What must reach somebody outside, and what comes due by time alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from store.connection import Session
from store.queries import queries

# An attempt that takes longer is taken over by whoever comes next: longer than any request may take.
LEASE_S = 60


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing on its way to one destination. `attempts` counts this one."""

    id: int
    event_id: UUID
    tenant: str
    destination: str
    payload: dict[str, Any]
    attempts: int


def claim(conn: Session, limit: int) -> list[Parcel]:
    """Take what is due, oldest first, for `LEASE_S`."""
    found = conn.execute(queries("outbox")["claim"], {"lease_s": LEASE_S, "limit": limit}).fetchall()
    return sorted((Parcel(*row) for row in found), key=lambda parcel: parcel.id)


def delivered(conn: Session, parcel: Parcel) -> None:
    """It has arrived."""
    conn.execute(queries("outbox")["delivered"], [parcel.id])


def try_again(conn: Session, parcel: Parcel, in_s: float, why: str) -> None:
    """It has not arrived, and may yet."""
    conn.execute(queries("outbox")["try_again"], [in_s, why, parcel.id])


def give_up(conn: Session, parcel: Parcel, why: str) -> None:
    """It is refused for good."""
    conn.execute(queries("outbox")["give_up"], [why, parcel.id])


def forget(conn: Session) -> int:
    """Delete what nobody will ask for again; returns how many rows."""
    sql = queries("outbox")
    return sum(conn.execute(sql[name]).rowcount for name in sql if name.startswith("forget_"))
