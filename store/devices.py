"""Devices before they speak and after they are gone, and the credentials that they show to the broker.

A credential is made here and told to the broker by the gate (`ingest.gate`). Its password is sealed for the gate while
it waits, and gone once the broker has it: nothing in the database opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("devices")

# Two are needed while one takes over from the other. Too high: what nobody uses any more goes on opening.
MAX_LIVE_OF_DEVICE = 4
MAX_LIVE_GATEWAYS = 64
# Low: somebody must go to the machine at once. High: it is said for so long that nobody looks any more.
ENDING_WITHIN = timedelta(days=14)


class Admission(StrEnum):
    """Whom a tenant admits: a device with its first message, or only those that were registered."""

    OPEN = "open"
    REGISTERED = "registered"


class Kind(StrEnum):
    """What a device shows to the broker."""

    PASSWORD = "password"  # noqa: S105
    CERTIFICATE = "certificate"


class CredentialState(StrEnum):
    """What a credential opens."""

    PENDING = "pending"  # the broker has not been told yet
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LOST = "lost"  # the broker does not know it (any more): make another


@dataclass(frozen=True, slots=True)
class Doorkeeping:
    """Whose messages are taken: `retired` are turned away; of the tenants in `strict`, who is not `expected` either."""

    retired: frozenset[tuple[str, str]] = frozenset()
    strict: frozenset[str] = frozenset()
    expected: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Said:
    """Who said something of a machine, and when."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential without its secret; `device` is None for a gateway of the whole tenant. `at` is when this was so."""

    id: UUID
    device: str | None
    name: str
    kind: str
    username: str
    publishes: list[str]
    subscribes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    applied_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    removed_at: datetime | None
    missing_at: datetime | None
    at: datetime

    @property
    def state(self) -> CredentialState:
        if self.revoked_at is not None:
            return CredentialState.REVOKED
        if self.expires_at is not None and self.expires_at <= self.at:
            return CredentialState.EXPIRED
        if self.missing_at is not None:
            return CredentialState.LOST
        return CredentialState.PENDING if self.applied_at is None else CredentialState.ACTIVE


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a credential is to be; `sealed` is its password for the gate, None for a certificate."""

    device: str | None
    name: str
    kind: Kind
    username: str
    sealed: bytes | None
    publishes: Sequence[str]
    subscribes: Sequence[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class GateNow:
    """What names of credentials begin with, and how to seal for the gate: None where there never was one."""

    prefix: str
    public_key: bytes | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A credential that the broker must be told of."""

    id: UUID
    tenant: str
    device: str | None
    kind: str
    username: str
    publishes: list[str]
    subscribes: list[str]
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Glance:
    """The gate and the credentials of all tenants; `gate_age_s` is None where there never was a gate."""

    gate_age_s: float | None
    lost: int
    ending: int


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
    if not _stands(conn, device)[1]:
        raise Conflict(f"{device} is retired already")
    kind, model, site = retire(conn, device, who, successor)
    register(conn, tenant, successor, kind=kind, model=model, site=site)


def _stands(conn: Transaction, device: str) -> tuple[int, bool]:
    row = conn.execute(_SQL["standing_devices"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    return row[0], row[1]


# Credentials, as the API sees them ------------------------------------------------------------------------------------


def make_credential(conn: Transaction, tenant: str, wanted: NewCredential, who: str) -> Credential:
    """A credential, unknown to the broker as yet.

    Raises
    ------
    NotFound
        There is no such device.
    Conflict
        It is retired, or has as many already as it may.
    """
    device_id, most = None, MAX_LIVE_GATEWAYS
    if wanted.device is not None:
        device_id, stands = _stands(conn, wanted.device)
        most = MAX_LIVE_OF_DEVICE
        if not stands:
            raise Conflict(f"{wanted.device} is retired")
    live = conn.execute(_SQL["live_credentials"], {"tenant": tenant, "device_id": device_id}).fetchall()[0][0]
    if live >= most:
        raise Conflict(f"{live} credentials are live already: revoke one first")
    fields = {
        "tenant": tenant,
        "device_id": device_id,
        "device": wanted.device,
        "name": wanted.name,
        "kind": wanted.kind,
        "username": wanted.username,
        "publishes": list(wanted.publishes),
        "subscribes": list(wanted.subscribes),
        "sealed": wanted.sealed,
        "who": who,
        "expires_at": wanted.expires_at,
    }
    with conn.cursor(row_factory=class_row(Credential)) as cursor:
        return cursor.execute(_SQL["make_credential"], fields).fetchall()[0]


def credentials(
    conn: Transaction, *, limit: int, device: str | None = None, after: tuple[datetime, UUID] | None = None
) -> list[Credential]:
    """Credentials, newest first, beginning after the (created_at, id) `after`; also those that are over."""
    return _credentials(conn, limit=limit, device=device, after=after)


def credential(conn: Transaction, credential_id: UUID) -> Credential:
    """One credential. NotFound where there is none."""
    found = _credentials(conn, limit=1, credential_id=credential_id)
    if not found:
        raise NotFound(f"there is no credential {credential_id}")
    return found[0]


def _credentials(
    conn: Transaction,
    *,
    limit: int,
    device: str | None = None,
    credential_id: UUID | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Credential]:
    after_at, after_id = after or (None, None)
    fields = {"limit": limit, "device": device, "id": credential_id, "after_at": after_at, "after_id": after_id}
    with conn.cursor(row_factory=class_row(Credential)) as cursor:
        return cursor.execute(_SQL["credentials"], fields).fetchall()


def revoke(conn: Transaction, credential_id: UUID, who: str) -> Credential:
    """Let it open nothing any more, as soon as the gate has told the broker. NotFound where there is none."""
    conn.execute(_SQL["revoke"], {"id": credential_id, "who": who})
    return credential(conn, credential_id)


def may_be_granted(conn: Transaction, topic_filter: str) -> bool:
    """Whether a credential of this tenant may be granted a topic outside of ours: one of the tenant's own."""
    alone, topics = conn.execute(_SQL["foreign_topics"]).fetchall()[0]
    return alone or any(topic_filter == topic or topic_filter.startswith(f"{topic}/") for topic in topics)


def gate(conn: Transaction) -> GateNow:
    """The gate, if there is one."""
    with conn.cursor(row_factory=class_row(GateNow)) as cursor:
        return cursor.execute(_SQL["gate"]).fetchall()[0]


def glance(conn: Session) -> Glance | None:
    """How the gate fares, and which credentials need somebody; None where this role may not look."""
    if not conn.execute(_SQL["may_look"]).fetchall()[0][0]:
        return None
    return Glance(*conn.execute(_SQL["glance"], {"soon": ENDING_WITHIN}).fetchall()[0])


# Credentials, as the gate sees them -----------------------------------------------------------------------------------


def hold_gate(conn: Session) -> bool:
    """Whether this session is the only gate of the database; if so, it stays so until the session ends."""
    row = conn.execute(_SQL["hold_gate"]).fetchone()
    return row is not None and bool(row[0])


def open_gate(conn: Session, public_key: bytes) -> str:
    """Say how to seal for this gate; what names of its credentials begin with."""
    return str(conn.execute(_SQL["open_gate"], [public_key]).fetchall()[0][0])


def gate_lives(conn: Session) -> None:
    """A sign of life."""
    conn.execute(_SQL["gate_lives"])


def to_apply(conn: Session, limit: int) -> list[Waiting]:
    """Credentials that the broker must learn, the oldest first; theirs until the transaction ends."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_SQL["to_apply"], [limit]).fetchall()


def to_remove(conn: Session, limit: int) -> list[tuple[UUID, str]]:
    """Ids and usernames of credentials that are over and that the broker may still know."""
    return [(credential_id, username) for credential_id, username in conn.execute(_SQL["to_remove"], [limit])]


def note_applied(conn: Session, ids: Sequence[UUID]) -> None:
    """The broker knows these."""
    conn.execute(_SQL["note_applied"], [list(ids)])


def note_removed(conn: Session, ids: Sequence[UUID]) -> None:
    """The broker does not know these any more, and has closed their connections."""
    conn.execute(_SQL["note_removed"], [list(ids)])


def note_missing(conn: Session, usernames: Sequence[str]) -> None:
    """The broker has forgotten these, or cannot be told of them."""
    conn.execute(_SQL["note_missing"], [list(usernames)])


def note_found(conn: Session, usernames: Sequence[str]) -> None:
    """The broker knows these, whatever was noted."""
    conn.execute(_SQL["note_found"], [list(usernames)])


def standing(conn: Session) -> set[str]:
    """Usernames that the broker must know."""
    return {username for (username,) in conn.execute(_SQL["standing"])}


def machine(conn: Transaction, device: str) -> dict[str, Any]:
    """What is known of the machine under a device; empty where nothing was said. NotFound where there is no device."""
    row = conn.execute(_SQL["machine"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    facts: dict[str, Any] = row[0]
    return facts


def said_of_machine(conn: Transaction, device: str) -> Said | None:
    """Who last said what the machine under a device is; None where nobody has, as far as that is known."""
    with conn.cursor(row_factory=class_row(Said)) as cursor:
        return cursor.execute(_SQL["said_of_machine"], {"device": device}).fetchone()


def set_machine(conn: Transaction, device: str, facts: Mapping[str, Any], who: str) -> None:
    """Keep what is known of the machine under a device, instead of what was, and who said it. NotFound: no device."""
    said = {"device": device, "facts": Jsonb(dict(facts)), "who": who}
    if conn.execute(_SQL["set_machine"], said).fetchone() is None:
        raise NotFound(f"there is no device {device}")
