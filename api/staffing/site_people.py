"""Who answers for the alarms of which site."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Desk, Staff
from api.access.users import Login
from api.models import Answered, Asked, Name, example
from store import site_people as store

# More than share one site's alarms anywhere: a table that was pasted is noticed.
MOST_PEOPLE = 50

router = APIRouter(prefix=f"{ROOT}/sites/people", tags=["alarms"])

_EXAMPLE = {"site": "Riverside", "people": ["jo", "kim"]}


class SitePeopleIn(Asked):
    """All who answer for a site from now on."""

    model_config = Asked.model_config | example(**_EXAMPLE)

    site: Name = Field(description="As its devices call it")
    people: Annotated[list[Login], Field(max_length=MOST_PEOPLE)] = Field(
        description="Logins of engineers and dispatchers; none: the site is everybody's"
    )


class SitePeopleOut(Answered):
    """Who answers for a site."""

    model_config = Answered.model_config | example(**_EXAMPLE)

    site: str
    people: list[str]


class AllSitePeople(Answered):
    """Every site that somebody answers for."""

    items: list[SitePeopleOut]


@router.get("", summary="Who answers for which site")
def list_site_people(caller: Staff) -> AllSitePeople:
    """By site; what is not there is everybody's who deals with alarms."""
    with caller.transaction() as conn:
        by_site = store.duties(conn, caller.principal.tenant).by_site
    return AllSitePeople(items=[SitePeopleOut(site=site, people=list(people)) for site, people in by_site.items()])


@router.put("", summary="Say who answers for a site")
def keep_site_people(caller: Desk, asked: SitePeopleIn) -> SitePeopleOut:
    """These, and nobody else. 404 where no machine stands; 409 for who is neither engineer nor dispatcher."""
    who = caller.principal
    with caller.transaction() as conn:
        return SitePeopleOut(site=asked.site, people=store.keep(conn, who.tenant, asked.site, asked.people, who.name))
