"""Files on their way in: received to a nameless file on disk, judged by their content, then kept.

Never whole in memory: a piece at a time. What is sent is read only once it is known who sends it, and few do so at a
time, since what has come so far lies on the disk, or in a container in its `/tmp`, which is memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from fastapi import HTTPException, Request
from starlette.datastructures import FormData, UploadFile

from api.access.auth import Caller
from api.errors import BadValue, TooMany
from api.models import is_text
from api.settings import ApiSettings
from store import attachments, pictures
from store.attachments import PIECE_BYTES, Attachment, Budget, Given
from store.transactions import Transaction
from tickets.attachments import HEAD_BYTES, checked, kind_of, name_of
from tickets.photos import strip

MIB = 1024 * 1024
# What a form has beside its files.
FORM_BYTES = 256 * 1024
# Each may hold as much as a request may have. Too low: a site that reports at once waits. Too high: `/tmp` is full.
UPLOADS_AT_ONCE = 4
# Too short: no video over a bad line. Too long: who sends a byte a second keeps others from theirs.
LONGEST_UPLOAD_S = 600.0
# A report with more files than that is told by its first ones.
FILES_PER_FORM = 10
_FIELDS_PER_FORM = 40

_places = threading.BoundedSemaphore(UPLOADS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that has come whole, and may be kept."""

    given: Given
    content: IO[bytes]

    def pieces(self) -> Iterator[bytes]:
        """Its content, piece by piece."""
        self.content.seek(0)
        while piece := self.content.read(PIECE_BYTES):
            yield piece


@contextmanager
def one_of_few() -> Iterator[None]:
    """A place among the uploads that are under way. TooMany where there is none."""
    if not _places.acquire(blocking=False):
        raise TooMany("too many files are on their way: try again in a few seconds", 5)
    try:
        yield
    finally:
        _places.release()


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LONGEST_UPLOAD_S):
            yield
    except TimeoutError as error:
        raise HTTPException(408, "this file was too long on its way") from error


@asynccontextmanager
async def body_of(request: Request) -> AsyncIterator[IO[bytes]]:
    """All that a request sends, in a file without a name. How much that may be is held by `api.bodies`."""
    with one_of_few(), TemporaryFile() as content:
        async with _in_time():
            async for piece in request.stream():
                content.write(piece)
        yield content


@asynccontextmanager
async def form_of(
    request: Request, most_files: int = FILES_PER_FORM, most_fields: int = _FIELDS_PER_FORM
) -> AsyncIterator[FormData]:
    """A form with files, each in a file without a name."""
    with one_of_few():
        async with _in_time():
            form = await request.form(max_files=most_files, max_fields=most_fields)
        try:
            if not all(is_text(text) for text in form.values()):
                raise BadValue("body", "control characters are not text")
            yield form
        finally:
            await form.close()


def files_of(form: FormData, field: str) -> list[UploadFile]:
    """What was chosen in a field; a browser sends one that is empty where nothing was."""
    found = form.getlist(field)
    return [one for one in found if isinstance(one, UploadFile) and (one.filename or one.size)]


def judge(content: IO[bytes], name: str, shows: str) -> Received:
    """What a file is, by its content. Where a photo was taken is taken out of it.

    Raises
    ------
    NotTaken
        It is of no kind that is taken.
    BadValue
        There is nothing in it.
    """
    content.seek(0)
    head = content.read(HEAD_BYTES)
    if not head:
        raise BadValue("body", "this file is empty")
    kind = kind_of(head, name)
    strip(kind, content)
    sha256, came_bytes = hashlib.sha256(), 0
    content.seek(0)
    for piece in checked(kind, iter(lambda: content.read(PIECE_BYTES), b"")):
        sha256.update(piece)
        came_bytes += len(piece)
    return Received(Given(name_of(name, kind), kind, shows, came_bytes, sha256.digest()), content)


def keep(conn: Transaction, caller: Caller, ticket_id: UUID, received: Received) -> Attachment:
    """Put a file to its ticket. Raises as `store.attachments.add` does."""
    who, settings = caller.principal, caller.service.settings
    return attachments.add(
        conn,
        who.tenant,
        ticket_id,
        received.given,
        received.pieces(),
        budget=budget_of(settings),
        who=who.name,
        now=datetime.now(UTC),
    )


def budget_of(settings: ApiSettings) -> Budget:
    return Budget(settings.ticket_files_mib * MIB, settings.tenant_files_mib * MIB)


def larger_bodies(settings: ApiSettings) -> dict[str, int]:
    """Where more may be sent than elsewhere: patterns of paths, and how many bytes."""
    most = settings.file_mib * MIB
    return {
        r"/api/v1/tickets/[^/]+/files": most,
        r"/api/v1/sops/pictures": pictures.MOST_BYTES,
        r"/procedures/write": 4 * pictures.MOST_BYTES + FORM_BYTES,
        r"/report|/tickets/[^/]+/files": most + FORM_BYTES,
    }
