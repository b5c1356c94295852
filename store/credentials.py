"""The credentials that devices and gateways show to the broker, as the API makes, lists and revokes them.

One is told to the broker by the gate (`ingest.access.gate`, `store.gate`). Its password is sealed for the gate while it
waits, and gone once the broker has it: nothing in the database opens anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from psycopg.rows import class_row

from store.devices import stands
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("credentials")

# Two are needed while one takes over from the other. Too high: what nobody uses any more goes on opening.
MAX_LIVE_OF_DEVICE = 4
MAX_LIVE_GATEWAYS = 64


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
        device_id, standing = stands(conn, wanted.device)
        most = MAX_LIVE_OF_DEVICE
        if not standing:
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
