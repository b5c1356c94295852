"""How far the data of a stream can be trusted: a grade, and why it is no better.

Graded are what the data show of themselves, each by itself; the worst decides, since no completeness makes up for a
clock that is wrong. How good a sensor is that reports in time, without gaps and within reason, nobody can tell from it.
"""

from __future__ import annotations

from dataclasses import dataclass

GRADES: tuple[tuple[str, float], ...] = (("A", 97.0), ("B", 90.0), ("C", 75.0), ("D", 50.0), ("F", 0.0))
"""From how many points on; F: not to be used."""
# One reading in a hundred that cannot be, or that another one contradicts, says something of the other ninety-nine; one
# that is stored in its own time but behind its successor is only not scored.
_WEIGHT_IMPOSSIBLE = 10.0
_WEIGHT_CONTESTED = 10.0
_WEIGHT_MISTIMED = 1.0
_WEIGHT_LATE = 0.5
# Of less than a few hours nothing is said, nor of a stream that says less than this in them.
_FEWEST_HOURS = 3
_FEWEST_READINGS = 10
_HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Tally:
    """A stream over some days.

    Attributes
    ----------
    hours, heard : int
        How many there were, that in which it began included, and in how many of them it reported.
    owed_h : float
        How long it could have reported: where it began within an hour, from its first reading on.
    usual, kept_up : float
        Readings in the middle one of the hours in which it reported; and the sum over hours, none for more than that.
    readings, late, mistimed, impossible, contested : int
        `mistimed`: from the future, or of a clock that is known to be wrong.
    alarm : str
        What stands against the sensor itself; empty where nothing does.
    """

    hours: int
    heard: int
    owed_h: float
    usual: float
    kept_up: float
    readings: int
    late: int
    mistimed: int
    impossible: int
    contested: int
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """`letter` A to F, empty where nothing can be said yet; `points` 0 to 100; `why`: what keeps it from an A."""

    letter: str
    points: float
    why: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether what is found in it may be believed."""
        return self.letter in ("A", "B", "C")


def grade(tally: Tally) -> Grade:
    """The worst of completeness, timeliness, plausibility, consistency, and what stands against the sensor."""
    if tally.alarm:
        return Grade("F", 0.0, (tally.alarm,))
    if tally.owed_h < _FEWEST_HOURS:
        return Grade("", 0.0, ("Not counted long enough yet",))
    if tally.readings < _FEWEST_READINGS:
        silent = f"{tally.readings} readings in {_hours(tally.hours)}"
        return Grade("F", 0.0, (silent,))
    n = tally.readings
    found = [
        (_complete(tally), _missing(tally)),
        (1.0 - _WEIGHT_MISTIMED * tally.mistimed / n, f"{_share(tally.mistimed / n)} with a wrong time"),
        (1.0 - _WEIGHT_LATE * tally.late / n, f"{_share(tally.late / n)} behind readings of later times"),
        (1.0 - _WEIGHT_IMPOSSIBLE * tally.impossible / n, f"{_share(tally.impossible / n)} physically impossible"),
        (1.0 - _WEIGHT_CONTESTED * tally.contested / n, f"{_share(tally.contested / n)} contradicted by another value"),
    ]
    points = [100.0 * min(max(share, 0.0), 1.0) for share, _ in found]
    worst = min(points)
    why = sorted((points, text) for points, (_, text) in zip(points, found, strict=True) if points < GRADES[0][1])
    return Grade(_letter(worst), round(worst, 1), tuple(text for _, text in why))


def _letter(points: float) -> str:
    return next(letter for letter, least in GRADES if points >= least)


def _complete(tally: Tally) -> float:
    return tally.kept_up / (tally.usual * tally.owed_h)


def _missing(tally: Tally) -> str:
    silent = tally.hours - tally.heard
    return f"{_share(1.0 - _complete(tally))} missing" + (f", {_hours(silent)} without any" if silent else "")


def _share(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if share >= 0.01 else "less than 1 %"


def _hours(hours: int) -> str:
    if hours >= 2 * _HOURS_A_DAY:
        return f"{hours / _HOURS_A_DAY:.0f} days"
    return "1 hour" if hours == 1 else f"{hours} hours"
