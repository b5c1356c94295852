"""Requests that come twice: `Idempotency-Key`.

The key is claimed in the transaction of what the request does. A second one waits until the first is done, and is given
its answer; if the first fails, the second is the first. Without a key a request is simply done.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.access.auth import Caller
from api.service import service
from store import access
from store.transactions import Transaction

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Any text of your own for this request: sent again with it, it is done once and answered alike",
        examples=["0b9f3a52-8c1e-5a57-9c3d-6b1f0a4f7c11"],
    ),
]


@dataclass(frozen=True, slots=True)
class Once:
    """What makes this request the same as another.

    `fingerprint` is of what was sent, under our secret: a body may hold a password, which a plain hash would give to
    whoever reads the table.
    """

    key: str | None
    route: str
    fingerprint: bytes

    def answer(
        self,
        caller: Caller,
        conn: Transaction,
        do: Callable[[], tuple[int, BaseModel]],
        keep: Callable[[BaseModel], BaseModel] = lambda answered: answered,
    ) -> JSONResponse:
        """Do it, or give the answer of when it was done. `keep` takes out of an answer what must not be stored."""
        if self.key is None:
            status, answered = do()
            return JSONResponse(answered.model_dump(mode="json"), status)
        tenant = caller.principal.tenant
        earlier = access.earlier_answer(conn, tenant, self.key, route=self.route, request_hash=self.fingerprint)
        if earlier is not None:
            return JSONResponse(earlier.body, earlier.status, {"Idempotency-Replayed": "true"})
        status, answered = do()
        access.keep_answer(conn, tenant, self.key, status, keep(answered).model_dump(mode="json"))
        return JSONResponse(answered.model_dump(mode="json"), status)


async def _once(request: Request, key: Key = None) -> Once:
    plain = _plain(await request.body()) if key else b""
    secret = service(request).settings.secret.encode()
    return Once(key, f"{request.method} {request.url.path}", hmac.digest(secret, plain, hashlib.sha256))


def _plain(body: bytes) -> bytes:
    """The same for what says the same; what a route without a body is sent is taken as it comes."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode() if body else b""
    except (ValueError, RecursionError):
        return body


OnceOnly = Annotated[Once, Depends(_once)]
