"""How many of a part will be needed, where most weeks need none.

Sources: Croston, Operational Research Quarterly 23 (1972) 289; Syntetos and Boylan, International Journal of
Forecasting 21 (2005) 303 (SBA); Teunter, Syntetos and Babai, European Journal of Operational Research 214 (2011) 606
(TSB).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Of the latest size and interval. Too low: a part that is no longer built in is forecast for years. Too high: one large
# repair is taken for a habit. Weeks are shorter than the months of the papers, which use 0.05 to 0.2.
SMOOTHING = 0.07
# A method is believed over the plain mean only where its squared error was smaller by this: by less is chance.
_BETTER = 0.98
# What is compared before one of the methods is chosen; shorter histories have the plain mean.
_LEAST_WEEKS = 26

Weeks = npt.NDArray[np.float64]
"""Demand by part and week, (P, T), the latest last; float64, never NaN."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """`weekly` (P,) float64: how many a week; `method` of each; `variance` (P,) of a week's demand about it."""

    weekly: npt.NDArray[np.float64]
    method: list[str]
    variance: npt.NDArray[np.float64]


def mean(weeks: Weeks) -> Weeks:
    """What each week would have been told before it: the mean of those before, (P, T + 1)."""
    counts = np.arange(1, weeks.shape[1] + 1)
    return np.concatenate([np.zeros((len(weeks), 1)), np.cumsum(weeks, axis=1) / counts], axis=1)


def croston(weeks: Weeks) -> Weeks:
    """The same by Croston: size of a demand over weeks from one to the next, each smoothed where there is demand."""
    said = np.zeros((weeks.shape[0], weeks.shape[1] + 1))
    size, interval, since = (np.zeros(len(weeks)) for _ in range(3))
    for week in range(weeks.shape[1]):
        came, first = weeks[:, week] > 0, size == 0
        since += 1
        pace = np.where(first, 1.0, SMOOTHING)
        size = np.where(came, size + pace * (weeks[:, week] - size), size)
        interval = np.where(came, interval + pace * (since - interval), interval)
        since = np.where(came, 0.0, since)
        said[:, week + 1] = np.divide(size, interval, out=np.zeros(len(weeks)), where=interval > 0)
    return said


def sba(weeks: Weeks) -> Weeks:
    """Croston's, less what it says too much: a quotient of means is above the mean of quotients."""
    return (1 - SMOOTHING / 2) * croston(weeks)


def tsb(weeks: Weeks) -> Weeks:
    """The same by TSB: the chance of a demand is smoothed every week, so that what is no longer asked for fades."""
    said = np.zeros((weeks.shape[0], weeks.shape[1] + 1))
    size, chance = np.zeros(len(weeks)), np.zeros(len(weeks))
    for week in range(weeks.shape[1]):
        came = weeks[:, week] > 0
        pace = np.where(size == 0, 1.0, SMOOTHING)
        size = np.where(came, size + pace * (weeks[:, week] - size), size)
        # The mean of the first weeks, then smoothed: a chance that began with the first demand would begin with 1.
        chance += max(SMOOTHING, 1 / (week + 1)) * (came - chance)
        said[:, week + 1] = size * chance
    return said


METHODS: Mapping[str, Callable[[Weeks], Weeks]] = {"mean": mean, "croston": croston, "sba": sba, "tsb": tsb}


def forecast(weeks: Weeks) -> Forecast:
    """How many a week will be needed: by the method that was nearest to the second half of the part's own history.

    Costs a pass over the weeks a method, over all parts at once. Fails where demand has a season, or comes in projects
    that are known beforehand: nothing here knows the calendar.
    """
    told = np.stack([method(weeks) for method in METHODS.values()])  # (M, P, T + 1)
    half = weeks.shape[1] // 2
    missed = ((told[:, :, half:-1] - weeks[None, :, half:]) ** 2).mean(axis=2)
    missed[0] *= _BETTER
    best = missed.argmin(axis=0) if weeks.shape[1] >= _LEAST_WEEKS else np.zeros(len(weeks), int)
    names = list(METHODS)
    weekly = told[best, np.arange(len(weeks)), -1]
    # A part that was hardly asked for varies at least as chance does (Poisson).
    variance = np.maximum(weeks.var(axis=1), weekly)
    return Forecast(weekly, [names[one] for one in best], variance)
