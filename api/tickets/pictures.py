"""Pictures of procedures' steps: sent as they are, named by what is in them, given to whoever works by the steps."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from os import SEEK_END
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from api import ROOT
from api.access.auth import Anyone, Caller, Manager
from api.models import Answered, Instant, example
from api.once import Key, Once
from api.service import service
from api.tickets.attachments import KEEPING, SENT_AS_IT_IS
from api.tickets.uploads import MIB, Received, body_of, budget_of, judge
from store import pictures
from store.attachments import TooMuch
from store.pictures import Picture
from store.transactions import Transaction
from tickets.attachments import KINDS, NotTaken

router = APIRouter(prefix=f"{ROOT}/sops/pictures", tags=["tickets"])

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="What its step names")]
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The picture"}
}


class PictureOut(Answered):
    """A picture, by the name that a step gives it."""

    model_config = Answered.model_config | example(
        picture="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        media_type="image/jpeg",
        bytes=481_004,
        added_at="2026-11-22T10:20:00Z",
        added_by="mara",
    )

    picture: str = Field(description="SHA-256 of its content, in hex")
    media_type: str = Field(description="Found in its content, not believed of whoever sent it")
    bytes: int
    added_at: Instant
    added_by: str


@router.post("", response_model=PictureOut, status_code=201, summary="Add a picture", openapi_extra=SENT_AS_IT_IS)
async def add_picture(request: Request, caller: Manager, key: Key = None) -> JSONResponse:
    """Send the picture itself as the body (JPEG, PNG, WebP, 8 MiB at most), then name it in a step. The same content
    twice is kept once; it is never taken out, since tickets show it for good."""
    async with body_of(request) as content:

        def do() -> JSONResponse:
            received = picture_of(content)
            secret = service(request).settings.secret.encode()
            sent = hmac.digest(secret, received.given.sha256, hashlib.sha256)
            once = Once(key, f"{request.method} {request.url.path}", sent)
            with caller.transaction() as conn:
                return once.answer(caller, conn, lambda: (201, _picture_out(keep(conn, caller, received))))

        return await run_in_threadpool(do)


@router.get("/{picture}", summary="A picture", response_class=Response, responses=_CONTENT)
def get_picture(caller: Anyone, picture: Sha256) -> Response:
    """What it shows. An owner is given those of work orders on their own machines."""
    with caller.transaction() as conn:
        kind, content = pictures.content(conn, picture)
    headers = KEEPING | {"Content-Disposition": f"attachment; filename={picture[:12]}{KINDS[kind].endings[0]}"}
    return Response(content, headers=headers, media_type=KINDS[kind].media_type)


def picture_of(content: IO[bytes]) -> Received:
    """A picture that has come whole, judged by its content.

    Raises
    ------
    NotTaken
        It is no picture of a kind that is taken.
    BadValue
        There is nothing in it.
    TooMuch
        It is too large.
    """
    if content.seek(0, SEEK_END) > pictures.MOST_BYTES:
        raise TooMuch(f"a picture may have {pictures.MOST_BYTES // MIB} MiB")
    received = judge(content, "picture", "fault")
    if not KINDS[received.given.kind].is_image:
        raise NotTaken("this is no picture: JPEG, PNG or WebP")
    return received


def keep(conn: Transaction, caller: Caller, received: Received) -> Picture:
    """Keep a picture. Raises as `store.pictures.add` does."""
    who = caller.principal
    return pictures.add(
        conn,
        who.tenant,
        received.given,
        b"".join(received.pieces()),
        budget=budget_of(caller.service.settings),
        who=who.name,
        now=datetime.now(UTC),
    )


def _picture_out(found: Picture) -> PictureOut:
    return PictureOut(
        picture=found.sha256,
        media_type=KINDS[found.kind].media_type,
        bytes=found.bytes,
        added_at=found.added_at,
        added_by=found.added_by,
    )
