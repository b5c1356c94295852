"""What is sent, looked at before anything reads it: its size, and whether its address is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

# The largest request of ours, an alarm event of a machine with a hundred points, has some 10 KiB.
LARGEST_BODY_BYTES = 1024 * 1024


class TooLarge(Exception):
    """More has come than may."""


class BodyLimit:
    """Refuses a larger body with 413: at once where it says its length, else as soon as too much has come. An address
    that nothing can have is refused with 400."""

    def __init__(
        self, app: ASGIApp, largest_bytes: int = LARGEST_BODY_BYTES, larger: Mapping[str, int] | None = None
    ) -> None:
        """`larger`: patterns of paths to which more may be posted, and how many bytes."""
        self._app = app
        self._largest_bytes = largest_bytes
        self._larger = [(re.compile(pattern), most) for pattern, most in (larger or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            # No name has a zero byte, and no database keeps one.
            await problem(400, "bad-address", "an address has no zero bytes")(scope, receive, send)
            return
        largest_bytes = self._largest_of(scope)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > largest_bytes:
            await self._refuse(scope, receive, send, largest_bytes)
            return
        came_bytes = 0
        started = False

        async def counted() -> Message:
            nonlocal came_bytes
            message = await receive()
            if message["type"] == "http.request":
                came_bytes += len(message.get("body", b""))
                if came_bytes > largest_bytes:
                    raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            # What reads the body may take our refusal for a fault of its own: the answer is ours.
            if started or came_bytes <= largest_bytes:
                started = True
                await send(message)

        with suppress(TooLarge):
            await self._app(scope, counted, noted)
        if came_bytes > largest_bytes and not started:
            await self._refuse(scope, receive, send, largest_bytes)

    def _largest_of(self, scope: Scope) -> int:
        if scope["method"] == "POST":
            for pattern, most in self._larger:
                if pattern.fullmatch(scope["path"]):
                    return most
        return self._largest_bytes

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, largest_bytes: int) -> None:
        answer = problem(
            413,
            "too-large",
            f"a request may have {largest_bytes} bytes",
            headers={"Connection": "close"},
        )
        await answer(scope, receive, send)
