"""How well the alarms serve the people: the figures of ISA-18.2 and EEMUA 191, live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from alarms.kpis import SPAN_S, Person, Word, highest
from alarms.states import MANAGERS
from api import ROOT
from api.access.auth import Caller, Staff
from api.errors import BadValue
from api.models import Answered, Instant, Name, example
from store import alarm_kpis, alarm_policy, site_people
from store.alarm_kpis import Charge, Kpis
from store.transactions import Transaction

DEFAULT_SPAN = timedelta(days=7)
LONGEST_SPAN = timedelta(days=366)
COLUMNS = 168
Someone = TypeVar("Someone", Person, Charge)

router = APIRouter(prefix=f"{ROOT}/kpis", tags=["alarms"])


class FigureOut(Answered):
    """One figure beside what is recommended."""

    model_config = Answered.model_config | example(
        name="calls_per_span", value=0.42, unit="", word="within", target="1 at most; 2 can be borne", source="ISA-18.2"
    )

    name: str
    value: float | None = Field(description="null: nothing to count from")
    unit: str = Field(description="`share` (0 to 1), `s`, or empty for a number")
    word: Word = Field(description="Empty: no target, or too few calls to hold against it")
    target: str = Field(description="Empty: none is recommended")
    source: str


class ActorOut(Answered):
    """An alarm that called often."""

    device: str
    site: str
    rule: str
    point: str
    calls: int
    latest: UUID = Field(description="Its last occurrence in the period")


class SiteRateOut(Answered):
    """One site as if somebody sat there alone; empty: machines that stand at none."""

    site: str
    machines: int
    calls: int
    calls_per_span: float
    most_in_a_span: int
    spans_above_1: float
    spans_above_10: float
    floods: int
    flood_share: float
    people: int = Field(description="Who answer for it; 0: everybody who deals with alarms")


class ChargeOut(Answered):
    """What somebody who answers for sites is called for: their share of those sites' calls and of nobody's."""

    who: str = Field(description="Empty: each of those who answer for no site")
    sites: list[str]
    calls: float
    calls_per_span: float
    most_in_a_span: float


class PersonOut(Answered):
    """Who answered."""

    who: str
    answers: int
    days: int
    median_s: float
    p90_s: float


class FloodRow(Answered):
    """A flood that touches the period."""

    site: str
    began_at: Instant
    ended_at: Instant | None
    most_alarms: int
    first_out: UUID


class QuietOut(Answered):
    """For how long alarms were kept quiet."""

    state: str
    whose: str = Field(
        description="Who shelved them or took their rule out; `maintenance` or `parent` where suppressed"
    )
    times: int
    quiet_s: float


class RateOut(Answered):
    """How alarms came: columns of one width, each the most calls within ten minutes of it."""

    column_s: int
    highest: list[int]


class AlarmKpisOut(Answered):
    """The figures of a period, and what they are made of."""

    begin: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    figures: list[FigureOut]
    rate: RateOut
    sites: list[SiteRateOut] = Field(description="That which calls most first")
    actors: list[ActorOut] = Field(description="The ten alarms that call most")
    people: list[PersonOut] = Field(description="All for managers and administrators, else the caller alone")
    charges: list[ChargeOut] = Field(description="By who answers for sites; shown like `people`")
    floods: list[FloodRow]
    quiets: list[QuietOut]


@router.get("/alarms", summary="Figures of the alarm system", response_model_by_alias=True)
def get_alarm_kpis(
    caller: Staff,
    begin: Annotated[Instant | None, Query(alias="from", description="A week before `to` if not given")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Now if not given; 366 days later at most")] = None,
    site: Annotated[Name | None, Query(description="Of this site alone")] = None,
) -> AlarmKpisOut:
    """Calls per ten minutes and person, floods, bad actors, priorities, answers: each beside its target."""
    now = datetime.now(UTC)
    end = min(end or now, now)
    begin = begin or end - DEFAULT_SPAN
    if not timedelta(0) < end - begin <= LONGEST_SPAN:
        raise BadValue("query.from", f"before `to`, and at most {LONGEST_SPAN.days} days before it")
    with caller.transaction() as conn:
        found = kpis_for(conn, caller, begin, end, now, site)
    return _shown(found)


def kpis_for(
    conn: Transaction, caller: Caller, begin: datetime, end: datetime, now: datetime, site: str | None
) -> Kpis:
    """The figures of a period as the caller may see them."""
    policy = alarm_policy.policy(conn).policy
    duties = site_people.duties(conn, caller.principal.tenant)
    found = alarm_kpis.kpis(conn, begin, end, now, stale_h=policy.stale_h, site=site, duties=duties)
    found.people[:] = visible(found.people, caller)
    found.charges[:] = visible(found.charges, caller)
    return found


def visible(people: list[Someone], caller: Caller) -> list[Someone]:
    """Whose figures the caller may see: see docs/decisions/060-whose-speed-is-shown.md."""
    who = caller.principal
    return people if who.role in MANAGERS else [person for person in people if person.who == who.name]


def _shown(found: Kpis) -> AlarmKpisOut:
    columns = highest(found.rates.counts, COLUMNS)
    per_column = -(-len(found.rates.counts) // COLUMNS)
    return AlarmKpisOut.model_validate(
        {
            "from": found.begin,
            "to": found.end,
            "figures": [FigureOut.model_validate(figure) for figure in found.figures],
            "rate": {"column_s": per_column * SPAN_S, "highest": columns.tolist()},
            "sites": [
                SiteRateOut(
                    site=one.site,
                    machines=one.machines,
                    calls=one.rates.calls,
                    calls_per_span=one.rates.calls_per_span,
                    most_in_a_span=one.rates.most_in_a_span,
                    spans_above_1=one.rates.spans_above_1,
                    spans_above_10=one.rates.spans_above_10,
                    floods=one.floods,
                    flood_share=one.flood_share,
                    people=one.people,
                )
                for one in found.sites
            ],
            "actors": [ActorOut.model_validate(actor) for actor in found.actors],
            "people": [PersonOut.model_validate(person) for person in found.people],
            "charges": [ChargeOut.model_validate(charge) for charge in found.charges],
            "floods": [FloodRow.model_validate(flood) for flood in found.floods],
            "quiets": [QuietOut.model_validate(quiet) for quiet in found.quiets],
        }
    )
