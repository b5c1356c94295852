"""What a tenant promises: its working calendar, limits, matrix of priorities and reasons to wait, by version."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from api import ROOT
from api.access.auth import Anyone, Manager, Staff
from api.errors import BadValue
from api.follow_up.terms import HOUSE as HOUSE_FOLLOW_UP
from api.follow_up.terms import FollowUpIn
from api.models import Answered, Asked, Instant, Line, Reason, example
from api.paging import Cursor, Limit, Page, after_text, page
from store import terms as term_store
from store.terms import KeptTerms
from store.transactions import Transaction
from tickets.calendar import MOST_EXCEPTIONS
from tickets.clocks import PROMISED, ClockName
from tickets.priority import Criticality, FaultClass, Level, Priority, Tier
from tickets.terms import HOUSE, BadTerms, Terms

router = APIRouter(prefix=f"{ROOT}/terms", tags=["terms"])

# A quarter of a year of working time: who promises later promises nothing.
MOST_MINUTES = 90 * 24 * 60
_MOST_SPANS = 12
_MOST_REASONS = 20

Hours = Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=_MOST_SPANS)]
Minutes = Annotated[int, Field(ge=1, le=MOST_MINUTES)]


class WeekIn(Asked):
    """Hours of each day, as `08:00-12:00`; none where nobody works."""

    monday: Hours
    tuesday: Hours
    wednesday: Hours
    thursday: Hours
    friday: Hours
    saturday: Hours
    sunday: Hours


class ExceptionIn(Asked):
    """A day that is otherwise: a holiday has no hours."""

    date: date
    hours: Hours = Field(default_factory=list)
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)] = ""


class CalendarIn(Asked):
    """Working hours on the clock on the wall."""

    zone: Annotated[str, Field(max_length=64, description="Of the IANA time zone database")]
    week: WeekIn
    exceptions: Annotated[list[ExceptionIn], Field(max_length=MOST_EXCEPTIONS)]


class LevelIn(Asked):
    """What is promised, in minutes of working time; null where nothing is."""

    around_the_clock: bool = Field(description="Day and night; else by the calendar")
    assignment_min: Minutes | None
    response_min: Minutes
    on_site_min: Minutes
    resolution_min: Minutes


class LevelsIn(Asked):
    """The three promises."""

    emergency: LevelIn
    major: LevelIn
    general: LevelIn


class PauseReasonIn(Asked):
    """Why a ticket may wait, and the clocks that wait with it."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    label: Line
    pauses: set[Literal["assignment", "response", "on_site", "resolution"]]


class TermsIn(Asked):
    """All of it. What is not said here is not promised."""

    calendar: CalendarIn
    levels: LevelsIn
    vip_assignment_min: Minutes | None = Field(description="For whose customer is VIP, whatever the level")
    warn_at_share: float = Field(ge=0.1, le=0.99, description="Of the time from start to due")
    pause_reasons: Annotated[list[PauseReasonIn], Field(max_length=_MOST_REASONS)]
    matrix: dict[FaultClass, dict[Criticality, dict[Tier, Priority]]]
    reopens_within_h: int = Field(ge=1, le=8760, description="An alarm that is back by then reopens its ticket")
    guarantee_days: int = Field(ge=1, le=3650, description="For so long a person may reopen a ticket")
    expert_h: int = Field(24, ge=1, le=720, description="Working time in which an expert answers")
    report_h: int = Field(2, ge=1, le=720, description="Working time for a diagnosis, and for the report of a repair")
    send_back_h: int = Field(48, ge=1, le=720, description="Working time from a repair until sent-in goods have left")
    inspected: set[Criticality] = Field({Criticality.A}, description="Machines whose repairs an inspector looks at")
    sample_share: float = Field(0.15, ge=0.1, le=1, description="Of repairs that are drawn for the head office")
    follow_up: FollowUpIn = Field(HOUSE_FOLLOW_UP, description="After a repair")
    steps_needed: bool = Field(True, description="Each step of a work order is done, or left out with a reason")
    after_repair_h: float = Field(4, ge=1, le=72, description="Running after a repair that is compared with health")
    remind_h: int = Field(2, ge=0, le=72, description="Before an appointment, to remind the customer of it; 0: never")

    def plain(self) -> dict[str, Any]:
        """As it is kept. BadValue where a row of the matrix is missing."""
        whole = all(
            self.matrix.get(fault_class, {}).get(c, {}).keys() == set(Tier)
            for fault_class in FaultClass
            for c in Criticality
        )
        if not whole:
            raise BadValue("body.terms.matrix", "it needs a priority for each fault class, criticality and tier")
        fields = self.model_dump(mode="json")
        for reason in fields["pause_reasons"]:
            reason["pauses"] = [name.value for name in PROMISED if name in reason["pauses"]]
        fields["inspected"] = sorted(fields["inspected"])
        return fields


class TermsChange(Asked):
    """The next version, whole."""

    model_config = Asked.model_config | example(terms=HOUSE, version=0, reason="Closed on Saturdays from December on")

    terms: TermsIn
    version: int = Field(ge=0, description="The version that was read before the change")
    reason: Reason


class TermsOut(Answered):
    """One version. Version 0 is the house's, which nobody has changed."""

    model_config = Answered.model_config | example(
        version=3,
        terms=HOUSE,
        reason="Closed on Saturdays from December on",
        changed_at="2026-11-21T22:14:03Z",
        changed_by="kim",
    )

    version: int
    terms: dict[str, Any]
    reason: str
    changed_at: Instant | None
    changed_by: str


class DueOut(Answered):
    """When a promise that began now would be due, and would warn."""

    level: Level
    clock: ClockName
    due_at: Instant
    warn_at: Instant


class TermsInForce(TermsOut):
    """The terms in force, and what they come to."""

    model_config = Answered.model_config | example(
        **(TermsOut.model_config["json_schema_extra"]["example"]),  # type: ignore[index,arg-type]
        due_now=[
            {"level": "major", "clock": "response", "due_at": "2026-11-23T11:00:00Z", "warn_at": "2026-11-23T10:12:00Z"}
        ],
    )

    due_now: list[DueOut] = Field(description="For tickets that opened now")


@router.get("", summary="Terms in force")
def get_terms(caller: Anyone) -> TermsInForce:
    """The tenant's terms, and when each promise would be due for a ticket that opened now."""
    with caller.transaction() as conn:
        return _in_force(conn)


@router.get("/versions", summary="What the terms have been")
def list_terms_versions(caller: Staff, limit: Limit = 20, cursor: Cursor = None) -> Page[TermsOut]:
    """Every version with who changed it, when and why; newest first."""
    text = after_text(cursor)
    before = int(text) if text is not None and text.isdecimal() and len(text) < 10 else None
    with caller.transaction() as conn:
        rows = term_store.versions(conn, limit=limit + 1, before=before)
    return page(rows, limit, TermsOut.model_validate, lambda row: (row.version,))


@router.put("", summary="Change the terms")
def change_terms(caller: Manager, asked: TermsChange) -> TermsInForce:
    """Add the next version, for clocks that start from now on. 409 where somebody else has changed them meanwhile."""
    with caller.transaction() as conn:
        change(conn, caller.principal.tenant, asked, caller.principal.name)
        return _in_force(conn)


def change(conn: Transaction, tenant: str, asked: TermsChange, who: str) -> KeptTerms:
    """Keep the next version. BadValue where the terms contradict themselves."""
    try:
        return term_store.change(
            conn, tenant, asked.terms.plain(), seen_version=asked.version, reason=asked.reason, who=who
        )
    except BadTerms as error:
        raise BadValue(f"body.terms.{error.field}", str(error)) from error


def due_of(terms: Terms, now: datetime) -> list[DueOut]:
    """When each promise of each level would be due for a ticket that opened now, the strictest level first."""
    return [
        DueOut(
            level=level,
            clock=name,
            due_at=promise.calendar.add(now, promise.limit),
            warn_at=promise.calendar.add(now, promise.warn_at_share * promise.limit),
        )
        for level in reversed(Level)
        for name, promise in terms.promises(level).items()
    ]


def _in_force(conn: Transaction) -> TermsInForce:
    kept = term_store.kept(conn)
    due = due_of(term_store.in_force(conn), datetime.now(UTC))
    return TermsInForce(**TermsOut.model_validate(kept).model_dump(), due_now=due)
