"""The page of whom dispatch can send: skills, place, shifts, room; and of where sites are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import ValidationError

from alarms.roles import DESK
from api.access.auth import Caller, Desk, Staff
from api.access.users import Login
from api.page_frame import PageRoute, answer, head_of, reasons, wants_part
from api.staffing.engineers import EngineerChange, EngineerIn, SiteIn
from api.staffing.site_people import MOST_PEOPLE
from dashboard.figures import exact
from store import engineers, site_people
from store.errors import Conflict, NotFound
from store.transactions import Transaction
from tickets.calendar import WEEKDAYS
from tickets.terms import HOUSE, BadTerms

ROWS = 500

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _typed(request: Request) -> dict[str, str]:
    """The form as it came: text by the name of its field."""
    form = await request.form(max_fields=50)
    return {name: str(form[name]).strip() for name in form}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/engineers")
def engineers_page(request: Request, caller: Staff) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/engineers")
def add(request: Request, caller: Desk, typed: Typed) -> Response:
    """Make somebody known, or say anew what they are; what cannot be is shown again with the reason."""
    who, wrong = caller.principal, dict[str, str]()
    with caller.transaction() as conn:
        try:
            if typed.get("known"):
                change = EngineerChange.model_validate(_read(typed))
                engineers.change(conn, typed["known"], change.plain(), who.name)
            else:
                made = EngineerIn.model_validate({**_read(typed), "login": typed.get("login", "")})
                engineers.create(conn, who.tenant, made.login, made.plain(), who.name)
        except ValidationError as error:
            wrong = reasons(error)
        except BadTerms as error:
            wrong = {error.field: str(error)}
        except (Conflict, NotFound) as error:
            wrong = {"login": str(error)}
        return _page(request, conn, caller, typed if wrong else None, wrong)


@router.post("/engineers/{login}/remove")
def remove(request: Request, caller: Desk, login: str) -> Response:
    with caller.transaction() as conn:
        engineers.remove(conn, login)
        return _page(request, conn, caller)


@router.post("/engineers/sites")
def place(request: Request, caller: Desk, typed: Typed) -> Response:
    who, wrong = caller.principal, dict[str, str]()
    with caller.transaction() as conn:
        try:
            asked = SiteIn.model_validate(typed)
            engineers.keep_site(conn, who.tenant, asked.site, asked.latitude, asked.longitude, who.name)
        except ValidationError as error:
            wrong = reasons(error)
        return _page(request, conn, caller, None, wrong)


@router.post("/engineers/people")
def answer_for(
    request: Request,
    caller: Desk,
    site: Annotated[str, Form(min_length=1, max_length=128)],
    people: Annotated[list[Login] | None, Form(max_length=MOST_PEOPLE)] = None,
) -> Response:
    """Who answers for a site's alarms from now on."""
    who, wrong = caller.principal, dict[str, str]()
    with caller.transaction() as conn:
        try:
            site_people.keep(conn, who.tenant, site, people or [], who.name)
        except (Conflict, NotFound) as error:
            wrong = {"people": str(error)}
        return _page(request, conn, caller, None, wrong)


def _read(typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, for `EngineerChange` to judge; an empty field is not said."""
    plain = {name: typed[name] for name in ("latitude", "longitude", "speed_km_h", "most") if typed.get(name)}
    return {
        **plain,
        "skills": _parts(typed.get("skills", "")),
        "remote": bool(typed.get("remote")),
        "shifts": {
            "zone": typed.get("zone", ""),
            "week": {day: _parts(typed.get(day, "")) for day in WEEKDAYS},
            "exceptions": [{"date": day} for day in typed.get("away", "").replace(",", " ").split()],
        },
    }


def _written(row: engineers.Engineer) -> dict[str, str]:
    """An engineer as the form shows them."""
    shifts = row.shifts
    return {
        "known": row.login,
        "skills": ", ".join(row.skills),
        "remote": "yes" if row.remote else "",
        "latitude": "" if row.latitude is None else exact(row.latitude),
        "longitude": "" if row.longitude is None else exact(row.longitude),
        "speed_km_h": exact(row.speed_km_h),
        "most": str(row.most),
        "zone": str(shifts["zone"]),
        "away": ", ".join(one["date"] for one in shifts["exceptions"]),
        **{day: ", ".join(shifts["week"][day]) for day in WEEKDAYS},
    }


def _new() -> dict[str, str]:
    usual = {day: "08:00-17:00" if n < 5 else "" for n, day in enumerate(WEEKDAYS)}
    blank = dict.fromkeys(("known", "skills", "remote", "latitude", "longitude", "away"), "")
    return {**blank, "speed_km_h": "50", "most": "4", "zone": str(HOUSE["calendar"]["zone"]), **usual}


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    rows = engineers.engineers(conn, limit=ROWS)
    values = {
        **head_of(conn, caller, "tickets"),
        "engineers": [(row, _written(row)) for row in rows],
        "sites": engineers.sites(conn, limit=ROWS),
        "answer_for": site_people.duties(conn, caller.principal.tenant).by_site,
        "who_could_answer": site_people.who_could(conn, caller.principal.tenant),
        "who_could": engineers.who_could(conn),
        "typed": {**_new(), **(typed or {})},
        "weekdays": WEEKDAYS,
        "may_change": caller.principal.role in DESK,
        "wrong": wrong or {},
    }
    part = wants_part(request) or request.method == "POST"
    return answer(request, "engineers_live.html" if part else "engineers.html", values)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
