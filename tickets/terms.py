"""What a tenant promises: its working calendar, the limits of each level, why a ticket may wait, how urgent what is.

`HOUSE` is what holds for a tenant that has said nothing. It runs day and night: nobody else knows a tenant's hours,
holidays and zone, and a promise that is too strict is noticed sooner than one that is too lax. Whatever a tenant says,
emergencies run day and night; major and general promises count its own working time, since nobody waits for them
where nobody works.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from tickets.calendar import ALWAYS, WEEKDAYS, BadCalendar, Calendar, spans_from_text
from tickets.clocks import PROMISED, ClockName, Effect, Promise
from tickets.priority import Criticality, FaultClass, Level, Matrix, Priority, Tier
from tickets.surveys import HOUSE_FOLLOW_UP, BadQuestions, FollowUp, follow_up_of

ON_HOLD = "on_hold"
"""Why a ticket is held where nothing else is said."""

WAITS_FOR = {"awaiting_approval": "waiting_for_customer", "awaiting_parts": "waiting_for_parts"}
"""Why a ticket waits in these states, where the terms still have that reason; else `ON_HOLD`."""

_EVERY_CLOCK = [name.value for name in PROMISED]
_PRIORITIES = {
    # regular and VIP, for a machine of criticality A, B, C
    FaultClass.SAFETY: ("urgent urgent", "urgent urgent", "urgent urgent"),
    FaultClass.LINE_DOWN: ("urgent urgent", "urgent urgent", "high urgent"),
    FaultClass.FUNCTION_LOST: ("urgent urgent", "high urgent", "medium high"),
    FaultClass.DEGRADED: ("high high", "medium high", "low medium"),
    FaultClass.COSMETIC: ("low medium", "low medium", "low low"),
}

HOUSE: Mapping[str, Any] = {
    "calendar": {"zone": "UTC", "week": {day: ["00:00-24:00"] for day in WEEKDAYS}, "exceptions": []},
    "levels": {
        "emergency": {
            "around_the_clock": True,
            "assignment_min": 30,
            "response_min": 60,
            "on_site_min": 720,
            "resolution_min": 1440,
        },
        "major": {
            "around_the_clock": False,
            "assignment_min": None,
            "response_min": 240,
            "on_site_min": 1440,
            "resolution_min": 2880,
        },
        "general": {
            "around_the_clock": False,
            "assignment_min": None,
            "response_min": 480,
            "on_site_min": 2880,
            "resolution_min": 5760,
        },
    },
    "vip_assignment_min": 30,
    # Of the time from start to due. Too low: a warning that nobody believes. Too high: no time left to act on it.
    "warn_at_share": 0.8,
    "pause_reasons": [
        {"id": "waiting_for_customer", "label": "Waiting for the customer", "pauses": _EVERY_CLOCK},
        {"id": "waiting_for_parts", "label": "Waiting for parts", "pauses": _EVERY_CLOCK},
        {"id": ON_HOLD, "label": "On hold", "pauses": _EVERY_CLOCK},
    ],
    "matrix": {
        fault_class.value: {
            criticality.value: dict(zip((tier.value for tier in Tier), row.split(), strict=True))
            for criticality, row in zip(Criticality, rows, strict=True)
        }
        for fault_class, rows in _PRIORITIES.items()
    },
    # An alarm that comes back within this time of closing belongs to the repair that did not hold.
    "reopens_within_h": 72,
    # A person may reopen for as long as a first-time fix is measured: a return within 30 days counts against it.
    "guarantee_days": 30,
    # By then an expert has answered who was asked.
    "expert_h": 24,
    # So long a diagnosis, and the report of a repair that has been tested, may take.
    "report_h": 2,
    # So long after its repair what was sent in may stay.
    "send_back_h": 48,
    # Machines so critical are looked at by an inspector after each repair.
    "inspected": [Criticality.A.value],
    # Of repairs that are drawn for the head office. At a tenth, half of all months would have less than a tenth.
    "sample_share": 0.15,
    "follow_up": HOUSE_FOLLOW_UP,
    # Whether a repair is checked only when each step of its work order was done, or left out with a reason.
    "steps_needed": True,
    # Of running, after which a repair is compared with the healthy baseline. Shorter: a load that comes once a day is
    # not seen. Longer: the customer waits for it, or has the machine back before anybody knows.
    "after_repair_h": 4,
    # So long before an appointment the customer is reminded of it; 0: never.
    "remind_h": 2,
}


class BadTerms(Exception):
    """Terms that cannot be kept: `field` says where, the message why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class PauseReason:
    """Why a ticket waits, and which of its clocks wait with it."""

    label: str
    clocks: frozenset[ClockName]

    @property
    def effects(self) -> Mapping[ClockName, Effect]:
        return dict.fromkeys(sorted(self.clocks), Effect.PAUSE)


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of what a tenant promises. Version 0 is the house's."""

    version: int
    calendar: Calendar
    around_the_clock: frozenset[Level]
    limits: Mapping[Level, Mapping[ClockName, timedelta]]
    vip_assignment: timedelta | None
    warn_at_share: float
    pauses: Mapping[str, PauseReason]
    matrix: Matrix
    reopens_within: timedelta
    guarantee: timedelta
    expert: timedelta
    report: timedelta
    send_back: timedelta
    inspected: frozenset[Criticality]
    sample_share: float
    follow_up: FollowUp
    steps_needed: bool
    after_repair_h: float

    def calendar_of(self, level: Level) -> Calendar:
        """Whose working time a level counts."""
        return ALWAYS if level in self.around_the_clock else self.calendar

    def promises(self, level: Level, tier: Tier = Tier.REGULAR) -> dict[ClockName, Promise]:
        """What a ticket of this level is promised; a clock that is not there is not promised."""
        limits = dict(self.limits[level])
        if tier is Tier.VIP and self.vip_assignment is not None:
            limits[ClockName.ASSIGNMENT] = min(self.vip_assignment, limits.get(ClockName.ASSIGNMENT, timedelta.max))
        calendar = self.calendar_of(level)
        return {
            name: Promise(limit, calendar, self.warn_at_share, level, self.version) for name, limit in limits.items()
        }

    def expert_promise(self, level: Level) -> Promise:
        """By when an expert answers who is asked of a ticket of this level: after hours on the clock, day and night or
        by the calendar, as the level counts."""
        return Promise(self.expert, self.calendar_of(level), self.warn_at_share, level, self.version)

    def second_promises(self) -> dict[ClockName, Promise]:
        """By when somebody is at it again, and has called back: in the tenant's own time, whatever the level."""
        level, calendar = Level.GENERAL, self.calendar_of(Level.GENERAL)
        limits = {
            ClockName.SECOND_HANDLING: self.follow_up.second_start,
            ClockName.CALL_BACK: self.follow_up.call_back,
        }
        return {
            name: Promise(limit, calendar, self.warn_at_share, level, self.version) for name, limit in limits.items()
        }

    def report_promise(self, level: Level) -> Promise:
        """By when the customer has a diagnosis, or the report of a repair: counted as the expert's answer is."""
        return Promise(self.report, self.calendar_of(level), self.warn_at_share, level, self.version)

    def send_back_promise(self, level: Level) -> Promise:
        """By when sent-in goods have left: counted as the expert's answer is."""
        return Promise(self.send_back, self.calendar_of(level), self.warn_at_share, level, self.version)

    def why_waiting(self, state: str) -> str:
        """The reason to wait of a state."""
        reason = WAITS_FOR.get(state, ON_HOLD)
        return reason if reason in self.pauses else ON_HOLD


def terms_of(fields: Mapping[str, Any], version: int) -> Terms:
    """Terms from plain values of the shape of `HOUSE`; what they mean together is checked here.

    Raises
    ------
    BadTerms
        They cannot be kept: an unknown zone, a calendar without hours, a stricter level that is due later …
    """
    levels = fields["levels"]
    terms = Terms(
        version,
        calendar_of(fields["calendar"]),
        frozenset(level for level in Level if levels[level]["around_the_clock"]),
        {level: _limits(levels[level]) for level in Level},
        _minutes(fields["vip_assignment_min"]),
        fields["warn_at_share"],
        {
            one["id"]: PauseReason(one["label"], frozenset(ClockName(name) for name in one["pauses"]))
            for one in fields["pause_reasons"]
        },
        {
            fault_class: {c: {t: Priority(fields["matrix"][fault_class][c][t]) for t in Tier} for c in Criticality}
            for fault_class in FaultClass
        },
        timedelta(hours=fields["reopens_within_h"]),
        timedelta(days=fields["guarantee_days"]),
        # Versions that were written before these were asked for go by the house's.
        timedelta(hours=fields.get("expert_h", HOUSE["expert_h"])),
        timedelta(hours=fields.get("report_h", HOUSE["report_h"])),
        timedelta(hours=fields.get("send_back_h", HOUSE["send_back_h"])),
        frozenset(Criticality(one) for one in fields.get("inspected", HOUSE["inspected"])),
        fields.get("sample_share", HOUSE["sample_share"]),
        _follow_up(fields.get("follow_up", HOUSE_FOLLOW_UP)),
        fields.get("steps_needed", HOUSE["steps_needed"]),
        fields.get("after_repair_h", HOUSE["after_repair_h"]),
    )
    _check(terms, reasons=len(fields["pause_reasons"]))
    return terms


def calendar_of(fields: Mapping[str, Any]) -> Calendar:
    """A calendar from plain values of the shape of that of `HOUSE`. BadTerms where it cannot be."""
    if fields["zone"] not in available_timezones():
        raise BadTerms("calendar.zone", "no zone of the IANA time zone database, like Europe/Berlin")
    exceptions: dict[date, Any] = {}
    for number, one in enumerate(fields["exceptions"]):
        where = f"calendar.exceptions.{number}"
        try:
            day = date.fromisoformat(one["date"])
            spans = spans_from_text(where, one["hours"])
        except ValueError as error:
            raise BadTerms(where, str(error)) from error
        if day in exceptions:
            raise BadTerms(where, f"{day} is there twice")
        exceptions[day] = spans
    try:
        week = [spans_from_text(f"week.{day}", fields["week"][day]) for day in WEEKDAYS]
        return Calendar(ZoneInfo(fields["zone"]), week, exceptions)
    except BadCalendar as error:
        raise BadTerms(f"calendar.{error.field}", str(error)) from error


def _follow_up(fields: Mapping[str, Any]) -> FollowUp:
    try:
        return follow_up_of(fields)
    except BadQuestions as error:
        raise BadTerms("follow_up.questions", str(error)) from error


def _limits(fields: Mapping[str, Any]) -> dict[ClockName, timedelta]:
    found = ((name, _minutes(fields[f"{name}_min"])) for name in PROMISED)
    return {name: limit for name, limit in found if limit is not None}


def _minutes(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(minutes=number)


def _check(terms: Terms, reasons: int) -> None:
    for level, limits in terms.limits.items():
        for (one, sooner), (other, later) in itertools.pairwise(limits.items()):
            if sooner > later:
                raise BadTerms(f"levels.{level}.{other}_min", f"{other} is due before {one}")
    for milder, stricter in itertools.pairwise(Level):
        for name in terms.limits[milder].keys() & terms.limits[stricter].keys():
            if terms.limits[stricter][name] > terms.limits[milder][name]:
                raise BadTerms(f"levels.{stricter}.{name}_min", f"{stricter} is due later than {milder}")
    if len(terms.pauses) < reasons:
        raise BadTerms("pause_reasons", "a reason is there twice")
    if ON_HOLD not in terms.pauses:
        raise BadTerms("pause_reasons", f"{ON_HOLD} has to be among them: it is meant where nothing else is said")
    for where, less, more in _steps(terms.matrix):
        if less.rank > more.rank:
            raise BadTerms(f"matrix.{where}", f"starts as {more} what starts as {less} where less is at stake")


def _steps(matrix: Matrix) -> Iterator[tuple[str, Priority, Priority]]:
    """Pairs of neighbours in a matrix, the one with more at stake second, and where that is."""
    for fault_class, rows in matrix.items():
        for criticality, row in rows.items():
            here = f"{fault_class}.{criticality}"
            yield f"{here}.vip", row[Tier.REGULAR], row[Tier.VIP]
    for tier in Tier:
        for fault_class in FaultClass:
            for more, less in itertools.pairwise(Criticality):
                rows = matrix[fault_class]
                yield f"{fault_class}.{more}.{tier}", rows[less][tier], rows[more][tier]
        for graver, milder in itertools.pairwise(FaultClass):
            for c in Criticality:
                yield f"{graver}.{c}.{tier}", matrix[milder][c][tier], matrix[graver][c][tier]


HOUSE_TERMS = terms_of(HOUSE, 0)
