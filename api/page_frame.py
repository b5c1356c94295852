"""What every page has: its head, its answer to errors, how a part of it is asked for.

Each page is whole without a script; the script asks for parts of it again (`HX-Request`), which are the same
templates. An error is a page too, but for a part that was asked for: that gets the problem which the API would answer.
Nothing on a page comes from elsewhere and nothing is inline: the content security policy allows neither.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from alarms.roles import STAFF
from api.access.auth import Caller
from api.errors import BadValue, NotForYou, NotSignedIn, TooMany
from api.models import in_utc, is_text
from api.problems import SAY_THEMSELVES
from dashboard import Pages, zone_of
from dashboard.pages import THEMES
from store import live, overview
from store.errors import NotFound, Unavailable
from store.transactions import Transaction

# A list is looked through by filters, not by turning two hundred pages.
LAST_PAGE_BEGINS = 10_000
HEADERS = {"Cache-Control": "no-store", "Vary": "HX-Request, Cookie"}

_log = logging.getLogger(__name__)
_PAGES = Pages()


@dataclass(frozen=True, slots=True)
class Mistake:
    """What an error page says."""

    status: int
    heading: str
    advice: str
    onward: str = "/fleet"
    onward_text: str = "Back to the fleet"


NOT_FOUND = Mistake(404, "There is nothing here", "The address is wrong, or what was here belongs to somebody else.")
_BROKEN = Mistake(500, "Something is wrong on our side", "It has been noted. Try again, or go back.", "", "Try again")
_MISTAKES: tuple[tuple[type[Exception], Mistake], ...] = (
    (NotFound, NOT_FOUND),
    (NotForYou, Mistake(403, "This is not for your role", "Ask an administrator if it should be.")),
    (
        Unavailable,
        Mistake(
            503,
            "The database cannot be reached",
            "It heals by itself: readings and alarms that come meanwhile are kept. Try again in a few seconds.",
            "",
            "Try again",
        ),
    ),
    (TooMany, Mistake(429, "Too many attempts", "Wait a minute, then try again.", "", "Try again")),
)


class PageRoute(APIRoute):
    """Answers errors with pages, and sends whoever is not signed in to the door."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def read(request: Request) -> Response:
            await _check_form(request)
            return await inner(request)

        async def handle(request: Request) -> Response:
            if wants_part(request):
                return await read(request)
            try:
                return await read(request)
            except NotSignedIn:
                return RedirectResponse(_door(request), 303, HEADERS)
            except Exception as error:
                return answer_mistake(request, mistake_of(request, error))

        return handle


def wants_part(request: Request) -> bool:
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def answer(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
    theme = request.cookies.get("bw_theme", "auto")
    always = {
        "now": datetime.now(UTC),
        "zone": zone_of(unquote(request.cookies.get("bw_zone", ""))),
        "theme": theme if theme in THEMES else "auto",
        "partial": wants_part(request),
    }
    return HTMLResponse(_PAGES.render(template, {**always, **values}), status, HEADERS)


def reasons(error: ValidationError, together: str = "") -> dict[str, str]:
    """Why what was typed cannot be, by field; what is wrong with several `together` under that name."""
    found: dict[str, str] = {}
    for one in error.errors():
        field = str(one["loc"][0]) if one["loc"] else together
        found.setdefault(field, one["msg"].removeprefix("Value error, "))
    return found


def mistake_of(request: Request, error: Exception) -> Mistake:
    for kind, mistake in _MISTAKES:
        if isinstance(error, kind):
            return mistake
    if isinstance(error, RequestValidationError):
        return NOT_FOUND if request.method == "GET" else _refused(422, "some of it is not what it must be")
    if isinstance(error, HTTPException):
        return _refused(error.status_code, str(error.detail))
    status, _ = SAY_THEMSELVES.get(type(error), (422, ""))
    if isinstance(error, (BadValue, *SAY_THEMSELVES)):
        return _refused(status, str(error))
    _log.error("a page failed", exc_info=error)
    return _BROKEN


def _refused(status: int, why: str) -> Mistake:
    advice = f"Nothing was changed: {why}. What was typed is still there when you go back in your browser."
    return Mistake(status, "This could not be done", advice, "", "To the page as it is now")


async def _check_form(request: Request) -> None:
    """BadValue at a field with what no database keeps. Forms with files are read only once it is known who sends them,
    see `api.uploads`."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return
    for name, text in (await request.form()).multi_items():
        if not is_text(text) or not is_text(name):
            raise BadValue(name if is_text(name) else "body", "control characters are not text")


def _here(request: Request) -> str:
    """The page from which this was asked for: what a form is sent to lies below it."""
    parts = request.url.path.split("/")
    return "/".join(parts[:3]) if request.method == "POST" else request.url.path


def _door(request: Request) -> str:
    """Where to sign in, and then come back to what was asked for."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if here == "/fleet" or request.method != "GET" else f"/login?{urlencode({'next': here})}"


def answer_mistake(request: Request, mistake: Mistake) -> Response:
    values = asdict(mistake)
    values["onward"] = mistake.onward or _here(request)
    return answer(request, "error.html", values, mistake.status)


def head_of(conn: Transaction, caller: Caller, section: str) -> dict[str, Any]:
    """What the head of each page shows, and the place from which the page goes on to listen for news.

    To be called before anything else of the page is read: what changes meanwhile is news then, and is not missed.
    """
    who = caller.principal
    place = live.head(conn)
    known = {person.login: person.name for person in overview.people(conn)}
    return {
        "section": section,
        "live_from": str(place),
        "counts": overview.counts(conn),
        "user": {
            "login": who.name,
            "name": known.get(who.name, who.name),
            "role": who.role.value,
            "tenant": who.tenant,
        },
        "may_act": who.role in STAFF,
        "names": known,
    }


def moment_of(request: Request, field: str, text: str) -> datetime:
    """A moment as a browser's field gives it, by the browser's clock. BadValue where it is none."""
    try:
        moment = datetime.fromisoformat(text)
        zone = zone_of(unquote(request.cookies.get("bw_zone", "")))
        return in_utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except ValueError as error:
        raise BadValue(field, f"{field}: a date and a time") from error


def filters_of(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params.get(name, "")[:200] for name in names}


def begin_of(after: str) -> int:
    return min(int(after), LAST_PAGE_BEGINS) if after.isdecimal() else 0


def paging(begin: int, per_page: int, *, more: bool) -> dict[str, str | None]:
    return {
        "after": str(begin) if begin else "",
        "before": (str(begin - per_page) if begin > per_page else "") if begin else None,
        "next_page": str(begin + per_page) if more and begin + per_page <= LAST_PAGE_BEGINS else None,
    }


def own_address(wanted: str) -> str:
    """An address of ours to go on to; empty for any other. A browser takes a backslash for a slash."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() else ""
