"""API keys: for programs. The key itself is shown once."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Administrator, new_key
from api.errors import BadValue
from api.models import Answered, Asked, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import access

router = APIRouter(prefix=f"{ROOT}/keys", tags=["access"])


class KeyOut(Answered):
    """An API key without its secret."""

    id: UUID
    name: str
    role: Role
    created_at: Instant
    created_by: str
    expires_at: Instant | None
    revoked_at: Instant | None


class NewKeyOut(KeyOut):
    """A new API key. `key` is shown here and never again: a repeated request with the same key gets null."""

    key: str | None


class KeyIn(Asked):
    """What a key is for, what it may do, and until when."""

    model_config = Asked.model_config | example(name="CMMS", role="service", expires_at="2027-11-21T00:00:00Z")

    name: Name
    role: Role
    expires_at: Instant | None = Field(None, description="null: until it is revoked")


@router.post("", response_model=NewKeyOut, status_code=201, summary="Create an API key")
def create_key(caller: Administrator, once: OnceOnly, asked: KeyIn) -> JSONResponse:
    """Make a key of 256 random bits. Only its hash is stored."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, NewKeyOut]:
            if asked.expires_at is not None and asked.expires_at <= datetime.now(UTC):
                raise BadValue("body.expires_at", "a time to come")
            key, key_hash = new_key()
            made = access.create_key(
                conn,
                who.tenant,
                name=asked.name,
                role=asked.role,
                key_hash=key_hash,
                who=who.name,
                expires_at=asked.expires_at,
            )
            return 201, NewKeyOut(**KeyOut.model_validate(made).model_dump(), key=key)

        return once.answer(caller, conn, do, keep=_without_secret)


@router.get("", summary="API keys")
def list_keys(caller: Administrator, limit: Limit = 50, cursor: Cursor = None) -> Page[KeyOut]:
    """Keys, newest first, revoked ones too."""
    with caller.transaction() as conn:
        rows = access.keys(conn, limit=limit + 1, after=after_time_id(cursor))
    return page(rows, limit, KeyOut.model_validate, lambda row: (row.created_at, row.id))


@router.delete("/{key_id}", summary="Revoke an API key")
def revoke_key(caller: Administrator, key_id: UUID) -> KeyOut:
    """Let it open nothing from the next request on. Revoking twice changes nothing."""
    with caller.transaction() as conn:
        return KeyOut.model_validate(access.revoke_key(conn, key_id))


def _without_secret(answered: BaseModel) -> BaseModel:
    return answered.model_copy(update={"key": None})
