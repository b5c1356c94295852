"""Champion and challenger: two memories of one machine, and which of them is to watch it.

Both were tried on the same readings. What the champion finds the challenger must find; then the fewer alarms in health
decide, and only where those are as many the newer and broader past. Whatever was promoted is held to what its trial
promised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_MONTH_DAYS = 30.4
# A fault counts as found by the challenger where it is raised so much later than by the champion, at most.
_LATER_S = 900.0
# Of the planted departures that the champion finds so many must be found by the challenger. All, and one that is at the
# edge of both decides by chance; fewer, and a deaf model gets in a tenth at a time.
_PLANTED_SHARE = 0.9
# What comes once in so many cases from a machine that keeps its promise is taken for a broken one. More often, and one
# bad week takes a good model back; less, and people are called in vain for longer.
_BROKEN = 0.01
_FEWEST_BROKEN = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one fault of the past.

    Attributes
    ----------
    after_s : float or None
        How long after its beginning it was raised; None: it was not.
    told
        Whether the machine was quiet before: one that is in alarm anyway tells nothing of a fault.
    """

    after_s: float | None
    told: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What a memory would have raised.

    Attributes
    ----------
    days : float
        Healthy time played.
    false_alarms : int
        Raised in it.
    planted, planted_found : int
        Departures put into healthy readings, one a point, and how many of them were raised.
    faults
        Those that tickets have confirmed.
    """

    days: float
    false_alarms: int
    planted: int
    planted_found: int
    faults: tuple[Found, ...]

    @property
    def per_month(self) -> float:
        """False alarms a month."""
        return self.false_alarms / self.days * _MONTH_DAYS if self.days > 0 else 0.0


def why_not(champion: Trial, challenger: Trial, *, broader: bool) -> str:
    """Why the challenger is not promoted; empty where it is.

    `broader`: it has learnt from no less healthy time than the champion, and from newer.
    """
    if challenger.planted and not challenger.planted_found:
        return f"it finds none of {challenger.planted} planted departures: what it learnt from tells nothing apart"
    lost = sum(_is_lost(*both) for both in zip(champion.faults, challenger.faults, strict=True))
    if lost:
        return f"it misses, or finds later, {lost} of {len(champion.faults)} confirmed faults that are found today"
    if challenger.planted_found < _PLANTED_SHARE * champion.planted_found:
        return (
            f"it finds {challenger.planted_found} of {challenger.planted} planted departures,"
            f" today's finds {champion.planted_found}"
        )
    if challenger.false_alarms > champion.false_alarms:
        return (
            f"{challenger.false_alarms} alarms in {challenger.days:.1f} healthy days,"
            f" today's raises {champion.false_alarms}"
        )
    better = challenger.false_alarms < champion.false_alarms or challenger.planted_found > champion.planted_found
    if better or broader:
        return ""
    return "it is no better, and has learnt from less of the machine's healthy time"


def promised_per_day(trial: Trial, budget_per_month: float = 1.0) -> float:
    """False alarms a day that a machine may raise after its trial: as many as then, and its budget at least."""
    tried = trial.false_alarms / trial.days if trial.days > 0 else 0.0
    return max(tried, budget_per_month / _MONTH_DAYS)


def breaks_promise(false_alarms: int, days: float, per_day: float) -> bool:
    """Whether so many false alarms in so many days come from a machine with that promise once in a hundred cases.

    By Poisson's law; one alarm alone never is enough.
    """
    if false_alarms < _FEWEST_BROKEN:
        return False
    expected = per_day * max(days, 0.0)
    fewer = math.fsum(math.exp(-expected) * expected**n / math.factorial(n) for n in range(min(false_alarms, 150)))
    return 1.0 - fewer < _BROKEN


def trial_to_json(trial: Trial) -> dict[str, Any]:
    """As it is kept and shown."""
    return {**asdict(trial), "days": round(trial.days, 3), "per_month": round(trial.per_month, 2)}


def trial_from_json(fields: Mapping[str, Any]) -> Trial:
    """A trial as `trial_to_json` made it."""
    faults: Sequence[Mapping[str, Any]] = fields["faults"]
    return Trial(
        days=float(fields["days"]),
        false_alarms=int(fields["false_alarms"]),
        planted=int(fields["planted"]),
        planted_found=int(fields["planted_found"]),
        faults=tuple(Found(each["after_s"], bool(each["told"])) for each in faults),
    )


def _is_lost(champion: Found, challenger: Found) -> bool:
    """What one of them cannot tell, being in alarm already, is not held against either."""
    if not champion.told or champion.after_s is None or not challenger.told:
        return False
    return challenger.after_s is None or challenger.after_s > champion.after_s + _LATER_S
