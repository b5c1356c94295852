"""What verdicts teach: which departures of a subject were worth a visit, by how high they went and how long.

A ticket is closed with a verdict. Where several found nothing wrong, alarms like theirs are given patience: they are
raised when they go higher than those did, or last longer. Nothing is silenced: a fault that stays is raised later, and
patience has an end. A verdict that found a fault speaks against patience with its like; one wrong verdict in five
leaves it about where it belongs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from telemetry import Stream

# A fault that comes late costs so many needless visits. Lower, and a noisy detector is soon deaf; higher, and it takes
# more visits in vain before it is believed less.
_LATE = 3.0
# Faults that nobody has seen yet on a subject: so many, their heights and durations spread evenly over the orders of
# magnitude up to `_HIGHEST` and `_LONGEST_S`. They keep patience from coming with one verdict, or growing without need.
_UNSEEN = 0.6
_HIGHEST = 10.0
_SHORTEST_S, _LONGEST_S = 60.0, 30 * 86_400.0
# Patience must spare more than so many visits: a single verdict, which may be wrong, teaches nothing.
_GAIN = 1.0
# The next false alarm will not be exactly as high and as long as the last.
_MARGIN = 1.25
# The kinds of patience there are. It ends at the last: beyond it a detector is not taught but switched off, and that is
# for a person to decide.
_LEVELS = np.geomspace(1.5, 6.0, 8)
_LASTING_S = np.geomspace(600.0, 86_400.0, 8)
# What was found on another machine of the tenant, of the same point by the same detector, counts so much: a machine
# begins with what its like have taught.
_OF_LIKE = 0.7
# Machines, sensors and seasons change: a verdict counts for half after so long.
_HALF_LIFE_S = 180 * 86_400.0

Subject = TypeVar("Subject", bound=Hashable)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """One alarm of a detector about one subject, and whether there was a fault.

    Attributes
    ----------
    peak : float
        The highest score that it reached; 1.0 is the detector's limit.
    lasted_s : float
        From the beginning of the departure to its end, or to the verdict.
    fault
        Whether a fault was found, be it another one than thought.
    age_s : float
        Since the verdict.
    """

    peak: float
    lasted_s: float
    fault: bool
    age_s: float


@dataclass(frozen=True, slots=True)
class Patience:
    """A departure of one subject is raised from this score on, or when it has lasted for so long.

    It is what a rule's `weak_below` and `weak_delay_s` are, learnt: those are the owner's word, for all that the rule
    covers and before anything has been judged; this is what visits have taught of one subject, may be taken back by the
    next verdict, and never makes a rule quicker. Where both say to wait, the longer wait counts.
    """

    level: float
    lasting_s: float

    def delay_s(self, score: float) -> float:
        """How long a departure of this score must have lasted to be raised."""
        return self.lasting_s if score < self.level else 0.0


NO_PATIENCE = Patience(1.0, 0.0)
UNTAUGHT = frozenset({"limits", "silence", "site", "sequence"})
"""Detectors that verdicts do not move: what an owner has said, and what was counted."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A lesson, and what it is about: a stream, or a machine where `stream` is None."""

    tenant: str
    detector: str
    machine: int
    stream: int | None
    point: str
    lesson: Lesson


def by_subject(judged: Iterable[Judged], streams: Iterable[Stream]) -> dict[tuple[str, int], Patience]:
    """The patience with each subject by its detector and number; those without any are left out.

    Streams of one tenant and point are alike, and so are the machines of a tenant.
    """
    groups: dict[tuple[str, str], dict[str, dict[int, list[Lesson]]]] = {}  # by tenant and point, then by detector
    for each in judged:
        subject, point = (each.machine, "") if each.stream is None else (each.stream, each.point)
        group = groups.setdefault((each.tenant, point), {}).setdefault(each.detector, {})
        group.setdefault(subject, []).append(each.lesson)
    for stream in streams if groups else ():
        for point, subject in ((stream.point, stream.id), ("", stream.machine)):
            for group in groups.get((stream.tenant, point), {}).values():
                group.setdefault(subject, [])
    return {
        (detector, subject): patience
        for by_detector in groups.values()
        for detector, group in by_detector.items()
        for subject, patience in taught(group).items()
        if patience != NO_PATIENCE
    }


def taught(heard: Mapping[Subject, Iterable[Lesson]]) -> dict[Subject, Patience]:
    """The patience with each of a group of subjects that are alike, by what was found on it and on the others.

    The one of least cost: the alarms it would have raised in vain, and `_LATE` times those it would have raised late.
    """
    spared = {subject: _spared(lessons) for subject, lessons in heard.items()}
    of_like = _OF_LIKE * np.sum(list(spared.values()), axis=0) if spared else np.zeros(_GRID)
    return {subject: _best(of_like + (1.0 - _OF_LIKE) * own - _unseen()) for subject, own in spared.items()}


_GRID = (len(_LEVELS), len(_LASTING_S))


def _spared(lessons: Iterable[Lesson]) -> Floats:
    """What each kind of patience would have spared, less what it would have cost. Shape (levels, durations)."""
    total = np.zeros(_GRID)
    for lesson in lessons:
        waits = np.outer(lesson.peak * _MARGIN <= _LEVELS, lesson.lasted_s * _MARGIN <= _LASTING_S)
        weight = 2.0 ** (-max(lesson.age_s, 0.0) / _HALF_LIFE_S)
        total += waits * (-_LATE if lesson.fault else 1.0) * weight
    return total


def _unseen() -> Floats:
    """What each kind of patience costs in faults that nobody has seen yet. Shape (levels, durations)."""
    height = np.minimum(np.log(_LEVELS) / np.log(_HIGHEST), 1.0)
    duration = np.log(_LASTING_S / _SHORTEST_S) / np.log(_LONGEST_S / _SHORTEST_S)
    return _LATE * _UNSEEN * np.outer(height, duration)


def _best(gain: Floats) -> Patience:
    level, lasting = np.unravel_index(gain.argmax(), _GRID)
    return Patience(float(_LEVELS[level]), float(_LASTING_S[lasting])) if gain[level, lasting] > _GAIN else NO_PATIENCE
