"""Devices before they speak and after they are gone: whose messages are taken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("devices")


class Admission(StrEnum):
    """Whom a tenant admits: a device with its first message, or only those that were registered."""

    OPEN = "open"
    REGISTERED = "registered"


@dataclass(frozen=True, slots=True)
class Doorkeeping:
    """Whose messages are taken: `retired` are turned away; of the tenants in `strict`, who is not `expected` either."""

    retired: frozenset[tuple[str, str]] = frozenset()
    strict: frozenset[str] = frozenset()
    expected: frozenset[tuple[str, str]] = frozenset()


# Whose messages are taken ---------------------------------------------------------------------------------------------


def doorkeeping(conn: Session) -> Doorkeeping:
    """Whose messages are taken, of all tenants. Grows with the devices that are retired or have not spoken yet."""
    retired = conn.execute(_SQL["retired"]).fetchall()
    expected = conn.execute(_SQL["expected"]).fetchall()
    return Doorkeeping(
        frozenset((tenant, device) for tenant, device in retired),
        frozenset(tenant for tenant, _ in expected),
        frozenset((tenant, device) for tenant, device in expected if device is not None),
    )


def admission(conn: Transaction) -> Admission:
    """Whom the tenant admits."""
    row = conn.execute(_SQL["admission"]).fetchone()
    if row is None:
        raise NotFound("there is no such tenant")
    return Admission(row[0])


def set_admission(conn: Transaction, wanted: Admission) -> None:
    """Whom the tenant admits from now on; devices that are there stay."""
    conn.execute(_SQL["set_admission"], {"admission": wanted})


# A device's life ------------------------------------------------------------------------------------------------------


def register(conn: Transaction, tenant: str, device: str, *, kind: str, model: str, site: str) -> None:
    """A device that has not spoken yet, or a retired one again. Conflict where it is there, or was replaced."""
    fields = {"tenant": tenant, "device": device, "kind": kind, "model": model, "site": site}
    if conn.execute(_SQL["register"], fields).fetchone() is None:
        raise Conflict(f"there is a device {device} already, or it was replaced")


def retire(conn: Transaction, device: str, who: str, replaced_by: str | None = None) -> tuple[str, str, str]:
    """Turn a device's messages away and revoke its credentials; its kind, model and site. NotFound where none is."""
    row = conn.execute(_SQL["retire"], {"device": device, "replaced_by": replaced_by}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    conn.execute(_SQL["revoke_of_device"], {"device": device, "who": who})
    kind, model, site = row
    return kind, model, site


def replace(conn: Transaction, tenant: str, device: str, successor: str, who: str) -> None:
    """Another device in the place of one: the old one retires with its history, the new one is registered alike.

    Raises
    ------
    NotFound
        There is no such device.
    Conflict
        It is retired already, or the other one exists.
    """
    if not stands(conn, device)[1]:
        raise Conflict(f"{device} is retired already")
    kind, model, site = retire(conn, device, who, successor)
    register(conn, tenant, successor, kind=kind, model=model, site=site)


def stands(conn: Transaction, device: str) -> tuple[int, bool]:
    """The number of a device, and whether it is not retired. NotFound where there is none."""
    row = conn.execute(_SQL["standing_devices"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    return row[0], row[1]
