"""Who can be sent, with what they can and when they work; and where sites are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response
from pydantic import Field, StringConstraints, model_validator

from api import ROOT
from api.access.auth import Desk, Staff
from api.access.users import Login
from api.errors import BadValue
from api.models import Answered, Asked, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, page
from api.tickets.terms import CalendarIn
from store import engineers as store
from tickets.terms import HOUSE, BadTerms

router = APIRouter(prefix=ROOT, tags=["dispatch"])

LoginPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.@+-]{1,254}$", description="A login", examples=["jo"])]
Skill = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=64)]
Latitude = Annotated[float, Field(ge=-90, le=90, description="Degrees, WGS 84")]
Longitude = Annotated[float, Field(ge=-180, le=180, description="Degrees, WGS 84")]
_EXAMPLE = {
    "skills": ["mechanical", "alignment"],
    "remote": False,
    "latitude": 49.45,
    "longitude": 11.08,
    "speed_km_h": 60.0,
    "most": 4,
    "shifts": HOUSE["calendar"],
}


class EngineerChange(Asked):
    """All of it. What is not said is as it is for somebody new."""

    model_config = Asked.model_config | example(**_EXAMPLE)

    skills: Annotated[list[Skill], Field(max_length=100)] = Field(
        default_factory=list, description="As procedures call them: `GET /api/v1/tickets/{id}/diagnosis` names theirs"
    )
    remote: bool = Field(
        False, description="Of the remote team: travels nowhere, and is asked first of software faults"
    )
    latitude: Latitude | None = Field(None, description="Where they set off from; null: nobody knows")
    longitude: Longitude | None = None
    speed_km_h: float = Field(50.0, ge=5, le=200, description="On the road, doors to doors")
    most: int = Field(4, ge=1, le=50, description="Tickets at once")
    shifts: CalendarIn = Field(description="When they work, by the clock on their wall")

    @model_validator(mode="after")
    def is_a_place(self) -> EngineerChange:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("a place has a latitude and a longitude")
        return self

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return self.model_dump(mode="json", exclude={"login"})


class EngineerIn(EngineerChange):
    """A user with the role engineer, from now on known to dispatch."""

    model_config = Asked.model_config | example(login="jo", **_EXAMPLE)

    login: Login


class EngineerOut(Answered):
    """An engineer. Their van is the depot of the kind `van` that is theirs."""

    model_config = Answered.model_config | example(
        login="jo", name="Jo Novak", **_EXAMPLE, changed_at="2026-11-22T08:00:00Z", changed_by="kim", can_go=True
    )

    login: str
    name: str
    skills: list[str]
    remote: bool
    latitude: float | None
    longitude: float | None
    speed_km_h: float
    most: int
    shifts: dict[str, Any]
    changed_at: Instant
    changed_by: str
    can_go: bool = Field(description="Still an engineer, and not disabled")


class SiteIn(Asked):
    """Where a site is."""

    model_config = Asked.model_config | example(site="Riverside", latitude=49.41, longitude=11.12)

    site: Name = Field(description="As its devices call it")
    latitude: Latitude
    longitude: Longitude


class SiteOut(Answered):
    """A site that a device names, or that somebody has placed."""

    model_config = Answered.model_config | example(
        site="Riverside",
        latitude=49.41,
        longitude=11.12,
        changed_at="2026-11-22T08:00:00Z",
        changed_by="kim",
        devices=7,
    )

    site: str
    latitude: float | None = Field(description="Null where nobody has said")
    longitude: float | None
    changed_at: Instant | None
    changed_by: str
    devices: int


@router.get("/engineers", summary="Engineers")
def list_engineers(caller: Staff, limit: Limit = 50, cursor: Cursor = None) -> Page[EngineerOut]:
    """Whom dispatch knows, by login."""
    with caller.transaction() as conn:
        rows = store.engineers(conn, limit=limit + 1, after=after_text(cursor))
    return page(rows, limit, EngineerOut.model_validate, lambda row: (row.login,))


@router.post("/engineers", response_model=EngineerOut, status_code=201, summary="Make an engineer known to dispatch")
def create_engineer(caller: Desk, once: OnceOnly, asked: EngineerIn) -> JSONResponse:
    """409 for who is no user with the role engineer, or known already."""
    who = caller.principal
    with caller.transaction() as conn:

        def do() -> tuple[int, EngineerOut]:
            try:
                made = store.create(conn, who.tenant, asked.login, asked.plain(), who.name)
            except BadTerms as error:
                raise bad_shifts(error) from error
            return 201, EngineerOut.model_validate(made)

        return once.answer(caller, conn, do)


@router.get("/engineers/{login}", summary="One engineer")
def get_engineer(caller: Staff, login: LoginPath) -> EngineerOut:
    """Skills, place, shifts and room."""
    with caller.transaction() as conn:
        return EngineerOut.model_validate(store.engineer(conn, login))


@router.put("/engineers/{login}", summary="Change an engineer")
def change_engineer(caller: Desk, login: LoginPath, asked: EngineerChange) -> EngineerOut:
    """All of it anew, but the login."""
    with caller.transaction() as conn:
        try:
            return EngineerOut.model_validate(store.change(conn, login, asked.plain(), caller.principal.name))
        except BadTerms as error:
            raise bad_shifts(error) from error


@router.delete("/engineers/{login}", status_code=204, summary="Dispatch proposes them no more")
def remove_engineer(caller: Desk, login: LoginPath) -> Response:
    """The user stays, and keeps the tickets that they have."""
    with caller.transaction() as conn:
        store.remove(conn, login)
    return Response(status_code=204)


@router.get("/sites", summary="Sites, and where they are")
def list_sites(caller: Staff, limit: Limit = 50, cursor: Cursor = None) -> Page[SiteOut]:
    """Every site that a device names, by name."""
    with caller.transaction() as conn:
        rows = store.sites(conn, limit=limit + 1, after=after_text(cursor))
    return page(rows, limit, SiteOut.model_validate, lambda row: (row.site,))


@router.put("/sites", summary="Say where a site is")
def keep_site(caller: Desk, asked: SiteIn) -> SiteOut:
    """New, or anew."""
    who = caller.principal
    with caller.transaction() as conn:
        kept = store.keep_site(conn, who.tenant, asked.site, asked.latitude, asked.longitude, who.name)
        return SiteOut.model_validate(kept)


def bad_shifts(error: BadTerms) -> BadValue:
    """Shifts that are no calendar, as what was wrong with the request."""
    return BadValue(f"body.shifts.{error.field.removeprefix('calendar.')}", str(error))
