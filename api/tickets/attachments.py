"""The files of a ticket: photos, videos and logs, sent as they are and given back for keeping, never for showing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from alarms.roles import EXPERTS, INSPECTORS, STAFF, Role
from api import ROOT
from api.access.auth import Caller, Manager, require
from api.models import Answered, Instant, Line, example
from api.once import Key, Once
from api.service import service
from api.tickets.uploads import Received, body_of, judge, keep
from store import attachments, tickets
from store.attachments import Attachment
from tickets.attachments import KINDS

router = APIRouter(prefix=f"{ROOT}/tickets/{{ticket_id}}/files", tags=["tickets"])

REPORTERS = STAFF | {Role.OWNER}
"""People who report and send files: staff, and the owner of the machine, who sees no other's tickets."""
READERS = REPORTERS | EXPERTS | INSPECTORS
"""Whom a ticket concerns; experts are asked with all that is known, inspectors look at what came before."""

Reporter = Annotated[Caller, Depends(require(*REPORTERS, Role.SERVICE))]
Reader = Annotated[Caller, Depends(require(*READERS, Role.SERVICE))]

Shows = Literal["fault", "before", "after"]

# Whatever it is, it is neither run nor drawn as a page, and asks for nothing.
KEEPING = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file, to be kept under its name"}
}
SENT_AS_IT_IS = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class AttachmentOut(Answered):
    """A file of a ticket; of one that was taken out, that it was there."""

    model_config = Answered.model_config | example(
        id="6f1c1f0e-5a3f-4a53-9b53-1f6b6a1f9f10",
        name="seal.jpg",
        kind="jpeg",
        media_type="image/jpeg",
        shows="fault",
        bytes=2_381_004,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        added_at="2026-11-22T10:20:00Z",
        added_by="jo",
        removed_at=None,
        removed_by=None,
    )

    id: UUID
    name: str
    kind: str
    media_type: str = Field(description="Found in its content, not believed of whoever sent it")
    shows: Shows
    bytes: int
    sha256: str
    added_at: Instant
    added_by: str
    removed_at: Instant | None
    removed_by: str | None


class AttachmentsOut(Answered):
    """The files of a ticket, the first first."""

    items: list[AttachmentOut]


@router.get("", summary="Files of a ticket")
def list_attachments(caller: Reader, ticket_id: UUID) -> AttachmentsOut:
    """What came with its reports and was added since."""
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)
        return AttachmentsOut(items=[attachment_out(one) for one in attachments.attachments(conn, ticket_id)])


@router.post("", response_model=AttachmentOut, status_code=201, summary="Add a file", openapi_extra=SENT_AS_IT_IS)
async def add_attachment(
    request: Request,
    caller: Reporter,
    ticket_id: UUID,
    name: Annotated[Line, Query(description="What it is called; its kind is found in its content")] = "file",
    shows: Annotated[Shows, Query(description="The fault, or the machine before or after the repair")] = "fault",
    key: Key = None,
) -> JSONResponse:
    """Send the file itself as the body: `curl --data-binary @seal.jpg`. The same content twice is kept once.

    Taken are photos (JPEG, PNG, WebP), video (MP4), PDF, and logs and tables of plain text, up to the sizes of
    `docs/settings.md`. They are kept as they come; of a JPEG or PNG the picture, how it is turned and when it was
    taken stay, and what else a camera writes goes.
    """
    await run_in_threadpool(_see, caller, ticket_id)
    async with body_of(request) as content:

        def do() -> JSONResponse:
            received = judge(content, name, shows)
            with caller.transaction() as conn:
                return _once(request, key, received).answer(
                    caller, conn, lambda: (201, attachment_out(keep(conn, caller, ticket_id, received)))
                )

        return await run_in_threadpool(do)


@router.get("/{file_id}", summary="A file", response_class=Response, responses=_CONTENT)
def get_attachment(caller: Reader, ticket_id: UUID, file_id: UUID) -> StreamingResponse:
    """Its content. A browser keeps it as a file; it opens nothing of it as a page."""
    with caller.transaction() as conn:
        found = attachments.attachment(conn, ticket_id, file_id)
        first = attachments.piece(conn, ticket_id, file_id, 0)

    def pieces() -> Iterator[bytes]:
        yield first
        # Each in a transaction of its own: a slow reader holds no connection, and one who may no longer is cut off.
        for place in range(1, found.pieces):
            with caller.transaction() as conn:
                yield attachments.piece(conn, ticket_id, file_id, place)

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Length": str(found.bytes),
        **KEEPING,
    }
    return StreamingResponse(pieces(), headers=headers, media_type=KINDS[found.kind].media_type)


@router.delete("/{file_id}", summary="Take a file out", status_code=204)
def remove_attachment(caller: Manager, ticket_id: UUID, file_id: UUID) -> Response:
    """Its content goes for good; that it was there, and who took it out, stays."""
    who = caller.principal
    with caller.transaction() as conn:
        attachments.remove(conn, who.tenant, ticket_id, file_id, who=who.name, now=datetime.now(UTC))
    return Response(status_code=204)


def attachment_out(found: Attachment) -> AttachmentOut:
    """A file as it is shown."""
    fields = {name: getattr(found, name) for name in AttachmentOut.model_fields if name != "media_type"}
    return AttachmentOut(**fields, media_type=KINDS[found.kind].media_type.partition(";")[0])


def _see(caller: Caller, ticket_id: UUID) -> None:
    """NotFound before anything is received for a ticket that is not there."""
    with caller.transaction() as conn:
        tickets.ticket(conn, ticket_id)


def _once(request: Request, key: str | None, received: Received) -> Once:
    """By the content that came, which is too large to be held whole."""
    secret = service(request).settings.secret.encode()
    said = f"{received.given.name}\n{received.given.shows}\n".encode() + received.given.sha256
    return Once(key, f"{request.method} {request.url.path}", hmac.digest(secret, said, hashlib.sha256))
