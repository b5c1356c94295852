"""What is said of a machine's future: its remaining life and the probability that it fails within 30 days, or why not.

Where wear is seen, it decides (`prognosis.wear`), and beside it such failures of its like as came without any. Where
none is seen, its age does (`prognosis.ages`). No remaining life is said of a machine that is too young, was repaired
just now, stands still, or has a sensor that is not to be relied on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prognosis.ages import Lives, fails_within
from prognosis.health import HEALTHY_INDEX, trend
from prognosis.wear import Like, Outlook, learn, outlook, since_recovery

Floats = npt.NDArray[np.float64]

HORIZON_DAYS = 30.0
# Hours of running before anything is said of a new or repaired machine, and days without any after which it stands.
FEWEST_HOURS, STANDS_DAYS = 24, 3.0
# Hours over which it is looked at what pulls the health down.
_LATELY = 24


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault that was confirmed: the lowest health before it was repaired (NaN where it is not known), the days from
    the first sign of wear until then, and the point that pulled it down."""

    health: float
    days: float
    worst_point: str

    @property
    def was_seen(self) -> bool:
        return self.health < HEALTHY_INDEX


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """What is known of a kind of machine: failures, and lives that ended with one or have not ended."""

    failures: Sequence[Failure]
    lives: Lives

    def like(self, worst_point: str) -> tuple[Like, int]:
        """What is to be expected of a machine that this point pulls down, and on how many failures by wear it rests."""
        seen = [failure for failure in self.failures if failure.was_seen]
        kind = learn([one.health for one in seen], [one.days for one in seen])
        own = [one for one in seen if one.worst_point == worst_point]
        return learn([one.health for one in own], [one.days for one in own], kind), len(seen)

    def fails_unseen(self, age_days: float, within_days: float, *, worn: bool) -> float | None:
        """The probability of a failure by age; of a machine that is `worn`, of such alone as wear does not tell of."""
        by_age = fails_within(self.lives, age_days, within_days)
        if by_age is None or not worn:
            return by_age
        unseen = sum(not failure.was_seen for failure in self.failures)
        return by_age * (unseen + 1) / (len(self.failures) + 2)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A machine's health since it was repaired.

    Attributes
    ----------
    days, measured : float64 (N,)
        When each hour of running began, in days, rising, and its health.
    worst_points : sequence of str, N
        What pulled it down.
    stands_days : float
        Since it ran last.
    age_days : float
        Since it was first seen or repaired.
    repaired : bool
        Whether it ever was.
    distrusted : frozenset of str
        Points whose sensors are not to be relied on.
    """

    days: Floats
    measured: Floats
    worst_points: Sequence[str]
    stands_days: float
    age_days: float
    repaired: bool
    distrusted: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Prognosis:
    """What is said.

    Attributes
    ----------
    abstains : str
        Why there is no remaining life; empty where there is one.
    life : Outlook or None
        The remaining life.
    p_fail : float or None
        The probability of failure within 30 days; None where nothing is known.
    by_wear, by_age : float or None
        What wear and what age say of it.
    worst_point : str
        What pulls its health down most, lately.
    failures : int
        Failures of its kind by wear: 0, and the level at which it fails is a guess.
    """

    abstains: str
    life: Outlook | None
    p_fail: float | None
    by_wear: float | None
    by_age: float | None
    worst_point: str
    failures: int


def prognose(course: Course, fleet: Fleet) -> Prognosis:
    """What is to be said of a machine now."""
    worst = Counter(course.worst_points[-_LATELY:]).most_common(1)
    worst_point = worst[0][0] if worst else ""
    like, failures = fleet.like(worst_point)
    abstains, life = _too_little(course, worst_point), None
    if not abstains:
        begin = since_recovery(course.measured)
        life = outlook(course.days[begin:], course.measured[begin:], like)
        abstains = _unclear(course.measured[begin:], life)
    if life is None or abstains:
        by_age = fleet.fails_unseen(course.age_days, HORIZON_DAYS, worn=False)
        return Prognosis(abstains, None, by_age, None, by_age, worst_point, failures)
    by_wear, by_age = life.within(HORIZON_DAYS), fleet.fails_unseen(course.age_days, HORIZON_DAYS, worn=True)
    p_fail = 1.0 - (1.0 - by_wear) * (1.0 - (by_age or 0.0))
    return Prognosis("", life, p_fail, by_wear, by_age, worst_point, failures)


def _too_little(course: Course, worst_point: str) -> str:
    """Why the course says nothing; empty where it may."""
    if course.stands_days > STANDS_DAYS:
        return f"it has stood still for {course.stands_days:.0f} days"
    if len(course.days) < FEWEST_HOURS:
        since = "repaired" if course.repaired else "known"
        return f"it has run for {len(course.days)} hours since it was {since}: {FEWEST_HOURS} are needed"
    if worst_point in course.distrusted:
        return f"the sensor {worst_point} is not to be relied on"
    return ""


def _unclear(measured: Floats, life: Outlook | None) -> str:
    """Why there is no remaining life though the course may speak; empty where there is one."""
    if life is None:
        well = trend(measured.tolist()) >= HEALTHY_INDEX
        return "no wear is seen" if well else "its health is low, but no trend in it is beyond chance"
    return "" if np.isfinite(life.quantile(0.5)) else "its wear is too slow to say when"
