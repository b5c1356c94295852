"""What devices show to the broker: passwords, which are shown here once, and certificates, which are made elsewhere.

Each has a name of its own, so that two are valid at once while one takes over from the other. The broker lets a new one
in, and throws a revoked one out, within seconds: see `ingest.access.gate`.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field, model_validator

from api import ROOT
from api.access.auth import Administrator, Staff
from api.errors import BadValue
from api.models import Answered, Asked, DeviceFilter, DeviceName, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import credentials, gate
from store.credentials import Credential, CredentialState, Kind, NewCredential
from store.errors import Conflict
from store.sealed import seal
from store.transactions import Transaction
from telemetry.topics import why_not_foreign

router = APIRouter(prefix=f"{ROOT}/credentials", tags=["devices"])

# 256 random bits: beyond guessing at the broker, whose own hashing is light, so that a fleet's reconnect is no burden.
_PASSWORD_BYTES = 32
_NAME_BYTES = 8
_MOST_FILTERS = 16


def _grantable(topic_filter: str) -> str:
    if why := why_not_foreign(topic_filter):
        raise ValueError(why)
    return topic_filter


Filters = Annotated[list[Annotated[str, AfterValidator(_grantable)]], Field(max_length=_MOST_FILTERS)]


class CredentialOut(Answered):
    """A credential without its secret. `device` is null for a gateway, which speaks for any device of the tenant."""

    model_config = Answered.model_config | example(
        id="2f0c5d0e-7f55-4d21-9a67-0d9b3e0f6a11",
        device="pump-01",
        name="board of 2026",
        kind="password",
        username="bw-3f2a9c-7d1e5b0a9c4f2e68",
        publishes=[],
        subscribes=[],
        state="active",
        created_at="2026-11-21T22:14:03Z",
        created_by="admin",
        expires_at=None,
        revoked_at=None,
        revoked_by=None,
    )

    id: UUID
    device: str | None
    name: str
    kind: Kind
    username: str = Field(description="Also the common name of its certificate")
    publishes: list[str] = Field(description="Topics beside the device's own")
    subscribes: list[str] = Field(description="Likewise")
    state: CredentialState = Field(description="pending: the broker is told within seconds; lost: make another")
    created_at: Instant
    created_by: str
    expires_at: Instant | None
    revoked_at: Instant | None
    revoked_by: str | None


class NewCredentialOut(CredentialOut):
    """A new credential. `password` is shown here and never again: a repeated request with the same key gets null."""

    password: str | None = Field(description="null for a certificate")


class CredentialIn(Asked):
    """Whose it is, and what it may do beside the device's own topics."""

    model_config = Asked.model_config | example(device="pump-01", name="board of 2026")

    device: DeviceName | None = Field(None, description="One device, which must be known; or:")
    gateway: bool = Field(False, description="Any device of the tenant, and its group of Sparkplug B")
    name: Name = "credential"
    kind: Kind = Kind.PASSWORD
    expires_at: Instant | None = Field(None, description="null: until it is revoked")
    publishes: Filters = Field(default=[], description="Topic filters that it may publish to as well: zigbee2mqtt/#")
    subscribes: Filters = Field(default=[], description="Topic filters that it may hear as well")

    @model_validator(mode="after")
    def _of_one_or_of_all(self) -> Self:
        if (self.device is None) != self.gateway:
            raise ValueError("either a device, or gateway: true")
        return self


@router.post("", response_model=NewCredentialOut, status_code=201, summary="Create a credential")
def create_credential(caller: Administrator, once: OnceOnly, asked: CredentialIn) -> JSONResponse:
    """Make one of 256 random bits, or the name for a certificate. Nothing of the password stays with us."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, NewCredentialOut]:
            wanted, password = _wanted(conn, asked)
            made = credentials.make_credential(conn, who.tenant, wanted, who.name)
            return 201, NewCredentialOut(**_shown(made).model_dump(), password=password)

        return once.answer(caller, conn, do, keep=_without_secret)


@router.get("", summary="Credentials")
def list_credentials(
    caller: Staff, limit: Limit = 50, cursor: Cursor = None, device: DeviceFilter = None
) -> Page[CredentialOut]:
    """Credentials, newest first, revoked ones too."""
    with caller.transaction() as conn:
        rows = credentials.credentials(conn, limit=limit + 1, device=device, after=after_time_id(cursor))
    return page(rows, limit, _shown, lambda row: (row.created_at, row.id))


@router.get("/{credential_id}", summary="One credential")
def get_credential(caller: Staff, credential_id: UUID) -> CredentialOut:
    """A credential, and whether the broker knows it."""
    with caller.transaction() as conn:
        return _shown(credentials.credential(conn, credential_id))


@router.delete("/{credential_id}", summary="Revoke a credential")
def revoke_credential(caller: Administrator, credential_id: UUID) -> CredentialOut:
    """Let it open nothing any more, and close its connection, within seconds. Twice changes nothing."""
    with caller.transaction() as conn:
        return _shown(credentials.revoke(conn, credential_id, caller.principal.name))


def _wanted(conn: Transaction, asked: CredentialIn) -> tuple[NewCredential, str | None]:
    """What to make, and its password, if it has one."""
    if asked.expires_at is not None and asked.expires_at <= datetime.now(UTC):
        raise BadValue("body.expires_at", "a time to come")
    for field, filters in (("publishes", asked.publishes), ("subscribes", asked.subscribes)):
        if not all(credentials.may_be_granted(conn, topic_filter) for topic_filter in filters):
            raise BadValue(f"body.{field}", "not topics of this tenant: the server's owner says which are")
    present = gate.gate(conn)
    if present.public_key is None:
        raise Conflict("no gate has told the broker anything yet: its administrator is not set where ingest runs")
    username = present.prefix + secrets.token_hex(_NAME_BYTES)
    password = secrets.token_urlsafe(_PASSWORD_BYTES) if asked.kind is Kind.PASSWORD else None
    wanted = NewCredential(
        device=asked.device,
        name=asked.name,
        kind=asked.kind,
        username=username,
        sealed=seal(present.public_key, username, password) if password is not None else None,
        publishes=asked.publishes,
        subscribes=asked.subscribes,
        expires_at=asked.expires_at,
    )
    return wanted, password


def _shown(credential: Credential) -> CredentialOut:
    return CredentialOut.model_validate(credential)


def _without_secret(answered: BaseModel) -> BaseModel:
    return answered.model_copy(update={"password": None})
