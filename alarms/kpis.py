"""How well an alarm system serves its people: the figures of ISA-18.2 and EEMUA 191 beside what they recommend.

Counted are *calls*: each time that an alarm asks somebody to look. What is shelved, suppressed by design or out of
service calls nobody. Ten-minute spans are those of the clock, as both standards allow. See docs/alarm-kpis.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

SPAN_S = 600
DAY_S = 86_400.0
MONTH_S = 365.25 / 12 * DAY_S
FLEETING_S = 60.0  # above what one takes to walk to a screen: nobody could have done anything
TOP = 10
# Ten alarms are 5 % of what calls only where there are two hundred: of fewer, their share says nothing.
LEAST_CALLS_FOR_SHARES = 200

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Word(StrEnum):
    """How a figure stands beside its target."""

    WITHIN = "within"
    ABOVE = "above"
    FAR_ABOVE = "far above"
    UNJUDGED = ""  # there is no target, or too little to hold against it


@dataclass(frozen=True, slots=True)
class Target:
    """What is recommended, and how that is said. Up to `within` a figure is well; beyond `above` it is far too high."""

    within: float
    above: float
    words: str
    source: str

    def word(self, value: float | None) -> Word:
        if value is None:
            return Word.UNJUDGED
        if value <= self.within:
            return Word.WITHIN
        return Word.ABOVE if value <= self.above else Word.FAR_ABOVE


_ISA, _EEMUA, _OURS = "ISA-18.2", "EEMUA 191", "the house's alarm budget"
# Where a standard gives one figure, `above` is ours: up to five times as much may be mended alarm by alarm.
TARGETS: Mapping[str, Target] = {
    "calls_per_span": Target(1.0, 2.0, "1 at most; 2 can be borne", _ISA),
    "most_in_a_span": Target(10, 100, "10 at most; above 100 is beyond anybody", f"{_ISA}, {_EEMUA}"),
    "spans_above_10": Target(0.01, 0.05, "1 % of the time at most", _ISA),
    "calls_per_day_and_person": Target(144.0, 288.0, "144 at most; 288 can be borne", _ISA),
    "calls_per_span_and_person": Target(1.0, 2.0, "1 at most; 2 can be borne", f"{_ISA}, {_EEMUA}"),
    "flood_share": Target(0.01, 0.05, "1 % of the time at most", _ISA),
    "chattering": Target(0, 5, "none", _ISA),
    "fleeting": Target(0, 5, "none", _ISA),
    "stale": Target(4, 20, "fewer than 5 on any day", _ISA),
    "top_ten_share": Target(0.05, 0.25, "1 to 5 % of all at most", _ISA),
    "medium_share": Target(0.20, 0.40, "about 15 %", f"{_ISA}, {_EEMUA}"),
    "high_share": Target(0.05, 0.25, "about 5 %", f"{_ISA}, {_EEMUA}"),
    "shelved_now": Target(30, 150, "30 at most", _EEMUA),
    "false_per_machine_month": Target(1.0, 3.0, "1 at most", _OURS),
}


@dataclass(frozen=True, slots=True)
class Calls:
    """What people were called for, one entry a call, in any order.

    Attributes
    ----------
    at_s
        When, in seconds of the epoch.
    machine
        Which.
    alarm
        Numbers that tell one alarm (a rule at one point of one machine) from another.
    severity
        1 low, 2 medium, 3 high, 4 critical.
    answered_s, stood_s
        Until a person answered, and until the condition had returned; NaN: not yet.
    """

    at_s: Numbers
    machine: Indices
    alarm: Indices
    severity: Indices
    answered_s: Numbers
    stood_s: Numbers

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(frozen=True, slots=True)
class Rates:
    """How alarms came. `counts`: calls in each ten-minute span of the period, the first first."""

    calls: int
    counts: Indices
    calls_per_span: float
    most_in_a_span: int
    spans_above_1: float
    spans_above_10: float


@dataclass(frozen=True, slots=True)
class Answers:
    """How they were answered; None where none was. `never` have returned unanswered, `waiting` stand unanswered."""

    median_s: float | None
    p90_s: float | None
    never: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the priorities; None without a call. `high_share` holds what is critical too."""

    low_share: float | None
    medium_share: float | None
    high_share: float | None


def rates(at_s: Numbers, begin_s: float, end_s: float) -> Rates:
    """Of the calls within [begin, end). A span that the period cuts counts as one: the mean goes by time alone."""
    first = int(begin_s // SPAN_S)
    spans = max(1, -int(-end_s // SPAN_S) - first)
    counts = np.bincount((at_s // SPAN_S).astype(np.int64) - first, minlength=spans)
    return Rates(
        calls=len(at_s),
        counts=counts,
        calls_per_span=len(at_s) / ((end_s - begin_s) / SPAN_S),
        most_in_a_span=int(counts.max()),
        spans_above_1=float(np.mean(counts > 1)),
        spans_above_10=float(np.mean(counts > 10)),
    )


def answers(calls: Calls) -> Answers:
    """How soon, and which never."""
    known = calls.answered_s[~np.isnan(calls.answered_s)]
    unanswered, gone = np.isnan(calls.answered_s), ~np.isnan(calls.stood_s)
    return Answers(
        median_s=float(np.median(known)) if len(known) else None,
        p90_s=float(np.percentile(known, 90)) if len(known) else None,
        never=int(np.count_nonzero(unanswered & gone)),
        waiting=int(np.count_nonzero(unanswered & ~gone)),
    )


def fleeting(calls: Calls) -> int:
    """Calls whose condition had gone within a minute, before anybody answered."""
    return int(np.count_nonzero((calls.stood_s < FLEETING_S) & ~(calls.answered_s <= calls.stood_s)))


def mix(calls: Calls) -> Mix:
    if not len(calls):
        return Mix(None, None, None)
    low, medium = (float(np.mean(calls.severity == rank)) for rank in (1, 2))
    return Mix(low, medium, float(np.mean(calls.severity >= 3)))


def share_of_time(spans: Sequence[tuple[float, float]], begin_s: float, end_s: float) -> float:
    """The share of [begin, end) that at least one of the spans covers."""
    covered, reached = 0.0, begin_s
    for since, until in sorted(spans):
        covered += max(0.0, min(until, end_s) - max(since, reached))
        reached = max(reached, until)
    return covered / (end_s - begin_s)


def highest(counts: Indices, columns: int) -> Indices:
    """`counts` in at most so many columns of a chart, each the highest of its spans: a flood is never averaged away."""
    width = -(-len(counts) // columns)
    padded = np.concatenate([counts, np.zeros(-len(counts) % width, dtype=counts.dtype)])
    return np.asarray(padded.reshape(-1, width).max(axis=1))


def most_calling(calls: Calls) -> list[tuple[int, int]]:
    """The ten alarms that call most: how often each, and the index of its last call."""
    alarms, which, counts = np.unique(calls.alarm, return_inverse=True, return_counts=True)
    last = np.full(len(alarms), -1)
    order = np.argsort(calls.at_s, kind="stable")
    last[which[order]] = order
    return [(int(counts[n]), int(last[n])) for n in np.lexsort((alarms, -counts))[:TOP]]


def share_of_top(top: Sequence[int], calls: int) -> float | None:
    """What the alarms that call most are of all; None of too few to say."""
    return sum(top) / calls if calls >= LEAST_CALLS_FOR_SHARES else None


@dataclass(frozen=True, slots=True)
class Person:
    """Who answered, on how many days (of UTC), and how soon."""

    who: str
    answers: int
    days: int
    median_s: float
    p90_s: float


def person(who: str, at_s: Numbers, answered_s: Numbers) -> Person:
    """`at_s`: when they answered, `answered_s`: how long after the call; one of them at least."""
    median_s, p90_s = np.percentile(answered_s, [50, 90])
    return Person(who, len(at_s), len(np.unique(at_s // DAY_S)), float(median_s), float(p90_s))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it is told.

    `unit` is `share` (0 to 1), `s`, or empty for a number; `target` is empty where nothing is recommended.
    """

    name: str
    value: float | None
    unit: str
    word: Word
    target: str
    source: str


_UNITS = {
    "spans_above_1": "share",
    "spans_above_10": "share",
    "flood_share": "share",
    "top_ten_share": "share",
    "low_share": "share",
    "medium_share": "share",
    "high_share": "share",
    "answered_median_s": "s",
    "answered_p90_s": "s",
    "stale_longest_s": "s",
}
_WITHOUT_WORD = {"low_share": ("about 80 %", f"{_ISA}, {_EEMUA}")}


def judged(values: Mapping[str, float | None]) -> list[Figure]:
    """Each figure beside its target, in the order given. Priorities of too few calls to say are told without a word."""
    few = (values.get("calls") or 0) < LEAST_CALLS_FOR_SHARES
    return [_judged(name, value, few and name in ("medium_share", "high_share")) for name, value in values.items()]


def _judged(name: str, value: float | None, too_few: bool) -> Figure:
    target = TARGETS.get(name)
    words, source = (target.words, target.source) if target else _WITHOUT_WORD.get(name, ("", ""))
    word = Word.UNJUDGED if target is None or too_few else target.word(value)
    return Figure(name, value, _UNITS.get(name, ""), word, words, source)
