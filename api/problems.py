"""Every error as an RFC 9457 problem, in one place.

A problem says what went wrong and, where the caller can act, what to do. It never echoes a value that was sent (it may
be a password) and never says what the database or the code said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from alarms.rules import BadRule
from alarms.states import NotAllowed as AlarmNotAllowed
from api.errors import BadValue, NotForYou, NotSignedIn, NotTried, OverBudget, TooMany
from store.access import KeyReused
from store.attachments import TooMuch
from store.errors import Conflict, NotFound, Unavailable
from tickets.attachments import NotTaken
from tickets.improvement import NoSuchStep, NotShown
from tickets.parts.moves import BadMove
from tickets.states import Missing, NotForRole, Unasked
from tickets.states import NotAllowed as TicketNotAllowed
from tickets.steps import BadMark
from tickets.tables import BadTable

MEDIA_TYPE = "application/problem+json"
# Long enough for a restart of the server, short enough that nobody gives up.
RETRY_AFTER_S = 5
_QUERY_CANCELED = "57014"
SAY_THEMSELVES: Mapping[type[Exception], tuple[int, str]] = {
    NotFound: (404, "not-found"),
    Conflict: (409, "conflict"),
    AlarmNotAllowed: (409, "not-allowed-now"),
    TicketNotAllowed: (409, "not-allowed-now"),
    NoSuchStep: (409, "not-allowed-now"),
    NotShown: (409, "not-shown"),
    NotForRole: (403, "not-for-you"),
    NotForYou: (403, "not-for-you"),
    Missing: (422, "something-missing"),
    BadRule: (422, "bad-rule"),
    NotTried: (409, "not-tried"),
    Unasked: (422, "out-of-place"),
    BadMove: (422, "bad-move"),
    BadMark: (422, "bad-mark"),
    NotTaken: (415, "not-taken"),
    TooMuch: (413, "no-room"),
}
"""What a caller can do about, and is told as the domain says it."""
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One thing wrong with one value."""

    model_config = ConfigDict(extra="forbid")

    pointer: str = Field(description="Where: `body.alarm.severity`, `query.limit`")
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "type": "urn:bellwether:problem:not-found",
                "title": "Not found",
                "status": 404,
                "detail": "there is no device pump-99",
            }
        },
    )

    type: str = Field(description="What kind of problem it is, for programs")
    title: str = Field(description="The kind, for people")
    status: int
    detail: str = Field("", description="This very problem, and what to do about it")
    errors: list[FieldProblem] = Field(default_factory=list, description="What is wrong with which value")


def problem(
    status: int,
    kind: str,
    detail: str = "",
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells of a problem. `kind` is the end of its type: `not-found`."""
    body: dict[str, Any] = {
        "type": f"urn:bellwether:problem:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": status,
    }
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = [error.model_dump() for error in errors]
    always = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return JSONResponse(body, status, {**always, **(headers or {})}, MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    for error, (status, kind) in SAY_THEMSELVES.items():
        app.add_exception_handler(error, _says_itself(status, kind))
    app.add_exception_handler(BadValue, _bad_value)
    app.add_exception_handler(BadTable, _bad_table)
    app.add_exception_handler(OverBudget, _over_budget)
    app.add_exception_handler(KeyReused, _key_reused)
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)


def _says_itself(status: int, kind: str) -> Any:
    def handle(_: Request, error: Exception) -> JSONResponse:
        return problem(status, kind, str(error))

    return handle


def _bad_value(_: Request, error: Exception) -> JSONResponse:
    field = error.field if isinstance(error, BadValue) else ""
    return problem(422, "invalid", str(error), errors=[FieldProblem(pointer=field, detail=str(error))])


def _over_budget(_: Request, error: Exception) -> JSONResponse:
    """The proposal, field by field: each is what it would be."""
    proposal = error.proposal if isinstance(error, OverBudget) else {}
    errors = [FieldProblem(pointer=f"body.rule.{name}", detail=json.dumps(value)) for name, value in proposal.items()]
    return problem(409, "over-budget", str(error), errors=errors)


def _bad_table(_: Request, error: Exception) -> JSONResponse:
    mistakes = error.mistakes[:50] if isinstance(error, BadTable) else []
    errors = [FieldProblem(pointer=f"body.csv.{one.line}.{one.column}", detail=one.what) for one in mistakes]
    return problem(422, "bad-table", str(error), errors=errors)


def _key_reused(_: Request, __: Exception) -> JSONResponse:
    return problem(422, "idempotency-key-reused", "this Idempotency-Key came with another request before")


def _not_signed_in(_: Request, error: Exception) -> JSONResponse:
    return problem(401, "not-signed-in", str(error), headers={"WWW-Authenticate": "Bearer"})


def _too_many(_: Request, error: Exception) -> JSONResponse:
    wait_s = error.retry_after_s if isinstance(error, TooMany) else RETRY_AFTER_S
    return problem(429, "too-many-requests", str(error), headers={"Retry-After": str(wait_s)})


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    retry = {"Retry-After": str(RETRY_AFTER_S)}
    if getattr(error.__cause__, "sqlstate", None) == _QUERY_CANCELED:
        return problem(503, "took-too-long", "the database took too long over this: ask for less", headers=retry)
    return problem(503, "unavailable", "the database cannot be reached; it heals by itself", headers=retry)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [FieldProblem(pointer=_pointer(one["loc"]), detail=one["msg"]) for one in found[:50]]
    return problem(422, "invalid", "some values are not what they must be", errors=errors)


def _of_http(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return problem(500, "internal")
    phrase = HTTPStatus(error.status_code).phrase
    detail = "" if error.detail == phrase else str(error.detail)
    return problem(error.status_code, phrase.lower().replace(" ", "-"), detail, headers=error.headers)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("a request failed", exc_info=error, extra={"method": request.method})
    return problem(500, "internal", "something is wrong on our side; it has been noted")


def _pointer(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location)
