"""How long a machine has, from the course of its health: wear that grows, extrapolated to where its like have failed.

Wear is the distance from the normal, 1 at the limit of it. It is taken as a Wiener process in a time that may run ever
faster or slower: from an onset on it drifts with a power of the time since, and strays by chance. Onset, power, speed
and straying are weighed by how well they explain the course so far and by how long machines like it took; the level at
which it fails is not known either, but by that of its like. From each of them it is a first passage of a level, whose
time has an inverse Gaussian distribution; what is said is their mixture. Causal; arithmetic alone, no chance in it.

Fails where wear comes in steps, where it stops or is run slower than so far, and for what fails without wear.

Sources: Whitmore and Schenkelberg 1997, Wiener diffusion with a time scale transformation; Gebraeel and others 2005,
residual-life distributions, a Bayesian approach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, log_ndtr, ndtr, ndtri

from prognosis.health import HEALTHY_INDEX, RECOVERED_AFTER, falling, smoothed

Floats = npt.NDArray[np.float64]

# What is believed before anything is known of its like, as logarithms: the wear at which machines fail, and its spread
# (a health of 13, two thirds of them between 8 and 20), and the days from the onset until then.
_LEVEL, _LEVEL_SPREAD = float(np.log(15.0)), 0.9
_DAYS, _DAYS_SPREAD = float(np.log(30.0)), 1.3
# Less is within the normal.
_LEAST_WEAR = 0.2
# So many failures weigh as much as that belief.
_BELIEF = 1.0

# The course is looked at in so many pieces at most, over so many times the wear that is seen so far.
_PIECES, _BEFORE = 40, 3.0
_FEWEST_PIECES = 12
# Powers of time: 1 is steady, more accelerates, less slows down.
_POWERS = (0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
_STRAYINGS = (0.03, 0.1, 0.3)
_ONSETS, _LEVELS = 16, 9
# How long machines may take from the onset to their failure, over the time that has passed since.
_LIVES = np.geomspace(0.3, 100.0, 41)
# Noise of a piece: so much, and so much of its wear.
_NOISE, _NOISE_SHARE = 0.1, 0.1
# How sure one is of that noise beforehand, in pieces.
_SURE = 4.0
# A trend is what chance makes so seldom, in spreads of Kendall's rank correlation. Pieces are not quite independent.
_TREND_Z = 2.5
_KEPT = 240
# The hazard is so many times what the mixture says: machines fail sooner than it does (docs/prognosis.md). Too low:
# they fail before the median. Too high: warnings come too early.
_HASTE = 1.5
# And it is surer than it thinks: probabilities are drawn apart by a beta distribution of this shape. 1: not at all, and
# 90 % intervals hold 96 %.
_SURER = 1.4
# Days ahead at which it is asked.
AHEAD_DAYS = np.concatenate(([0.0], np.geomspace(0.02, 3650.0, 95)))


@dataclass(frozen=True, slots=True)
class Like:
    """What is known of its like: logarithms of the wear at failure and of the days that it took, with their spreads."""

    level: float = _LEVEL
    level_spread: float = _LEVEL_SPREAD
    days: float = _DAYS
    days_spread: float = _DAYS_SPREAD


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """How long it has.

    Attributes
    ----------
    failed : float64 (S,)
        The probability that it has failed so many days from now: `AHEAD_DAYS`.
    band_days, band : float64 (B,), (B, 3)
        Its health as it goes on: days from now; the lower and upper bound of 90 %, with what is likeliest between.
    level : float
        The health at which it is taken to fail, most likely.
    """

    failed: Floats
    band_days: Floats
    band: Floats
    level: float

    def within(self, days: float) -> float:
        """The probability that it fails within so many days."""
        return float(np.interp(days, AHEAD_DAYS, self.failed))

    def quantile(self, share: float) -> float:
        """Days until when it has failed with so much probability; infinite beyond ten years."""
        if share > self.failed[-1]:
            return float("inf")
        rising = np.concatenate(([True], np.diff(self.failed) > 0))
        return float(np.interp(share, self.failed[rising], AHEAD_DAYS[rising]))


def learn(indices: Sequence[float], days: Sequence[float], like: Like | None = None) -> Like:
    """What machines tell: the health at which each failed, and the days from the first sign until then.

    `like` is what is believed without them: of machines of their kind, where these failed of one thing.
    """
    like = like or Like()
    if not len(indices):
        return like
    levels = np.log(wear_of(np.array(indices, np.float64)).clip(min=_LEAST_WEAR))
    lives = np.log(np.maximum(np.array(days, np.float64), 0.1))
    level, level_spread = _believed(levels, like.level, like.level_spread)
    took, took_spread = _believed(lives, like.days, like.days_spread)
    return Like(level, level_spread, took, took_spread)


def _believed(seen: Floats, mean: float, spread: float) -> tuple[float, float]:
    """Mean and spread of the next one, from what was believed and what was seen."""
    n = len(seen)
    middle = (_BELIEF * mean + seen.sum()) / (_BELIEF + n)
    apart = ((seen - middle) ** 2).sum() + _BELIEF * (spread**2 + (mean - middle) ** 2)
    return float(middle), float(np.sqrt(apart / (_BELIEF + n) * (1.0 + 1.0 / (_BELIEF + n))))


def wear_of(index: Floats) -> Floats:
    """Wear from health: 0 at 100, 1 at 50, 4 at 25."""
    index = np.clip(index, 1.0, 100.0)
    return np.where(index >= 50.0, (100.0 - index) / 50.0, (50.0 / index) ** 2)


def index_of(wear: Floats) -> Floats:
    """Health from wear, the other way."""
    wear = np.maximum(wear, 0.0)
    return np.where(wear <= 1.0, 100.0 - 50.0 * wear, 50.0 / np.sqrt(np.maximum(wear, 1.0)))


def since_recovery(indices: Floats) -> int:
    """Where the course begins that counts: after the machine was ill and then well again, though nobody told of it."""
    well = smoothed(indices) >= HEALTHY_INDEX
    begins, was_ill, run = 0, False, 0
    for at, (index, is_well) in enumerate(zip(indices.tolist(), well.tolist(), strict=True)):
        run = run + 1 if is_well else 0
        was_ill = was_ill or index < 50.0
        if was_ill and run >= 2 * RECOVERED_AFTER:
            begins, was_ill = at - run + 1, False
    return begins


def outlook(days: Floats, indices: Floats, like: Like | None = None) -> Outlook | None:
    """How long a machine has; None where no wear is seen.

    Parameters
    ----------
    days : float64 (N,)
        When, rising; the last is now.
    indices : float64 (N,)
        Its health in each of these hours as measured, since it was repaired.
    """
    like = like or Like()
    time, wear, seen_days = _pieces(days, indices)
    if len(time) < _FEWEST_PIECES or not _grows(wear[time >= -seen_days]):
        return None
    cells = _weighed(time, wear, like)
    failed = _passages(cells, like)
    return Outlook(failed, *_band(cells, failed), float(index_of(np.array(np.exp(like.level)))))


def _pieces(days: Floats, indices: Floats) -> tuple[Floats, Floats, float]:
    """Days before now (negative) and wear, by pieces of equal length, and for how many days wear is seen.

    A course in which nothing is seen has no pieces.
    """
    course = falling(smoothed(indices))
    if not len(course) or course[-1] >= HEALTHY_INDEX:
        return np.empty(0), np.empty(0), 0.0
    seen_days = days[-1] - days[int(np.argmax(course < HEALTHY_INDEX))]
    ago = days - days[-1]
    length = min(-ago[0], max(_BEFORE * seen_days, 1.0))
    inside = ago >= -length
    pieces = int(min(_PIECES, inside.sum()))
    which = np.minimum(((ago[inside] + length) / max(length, 1e-9) * pieces).astype(np.intp), pieces - 1)
    wear, at = wear_of(indices[inside]), ago[inside]
    there = np.unique(which)
    middles = np.array([at[which == k].mean() for k in there])
    return middles, np.array([np.median(wear[which == k]) for k in there]), float(seen_days)


def _grows(wear: Floats) -> bool:
    """Whether it has grown since it was seen. What came in a step and stays has not, nor what is healing."""
    after = wear[1:]
    n = len(after)
    later = np.sign(after[None, :] - after[:, None])[np.triu_indices(n, 1)].sum()
    return bool(n > 2 and later > _TREND_Z * np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Ways in which the wear may go on, (C,) each: their weights, the time since the onset in days, the power of time,
    wear per power of days, its variance per power of days, and the wear now."""

    weight: Floats
    since: Floats
    power: Floats
    speed: Floats
    straying: Floats
    now: Floats


def _weighed(time: Floats, wear: Floats, like: Like) -> _Cells:
    """The ways that explain the course, by how well they do."""
    onset, power, straying = (
        axis.ravel()
        for axis in np.meshgrid(
            time[0] + (time[-2] - time[0]) * np.linspace(0.0, 1.0, _ONSETS), _POWERS, _STRAYINGS, indexing="ij"
        )
    )
    clock = np.maximum(time - onset[:, None], 0.0) ** power[:, None]
    clock_now = (-onset) ** power
    spread = (straying * max(float(wear[-3:].mean()), _LEAST_WEAR)) ** 2 / np.maximum(clock[:, -1], 1e-12)
    covariance = spread[:, None, None] * np.minimum(clock[:, :, None], clock[:, None, :])
    places = np.arange(len(time))
    covariance[:, places, places] += _NOISE**2 + (_NOISE_SHARE * wear) ** 2
    # The products with the covariance's inverse that everything below is made of.
    sides = np.stack([clock, np.broadcast_to(wear, clock.shape), spread[:, None] * clock], axis=2)
    clock_in, wear_in, walk_in = np.moveaxis(np.linalg.solve(covariance, sides), 2, 0)
    volume = np.linalg.slogdet(covariance)[1]
    a, b, c = ((x * y).sum(axis=1)[:, None] for x, y in ((clock, clock_in), (clock, wear_in), (wear, wear_in)))

    # Speeds by the days from the onset to the level at which its like fail.
    days = np.maximum(-onset, 1e-3)[:, None] * _LIVES
    speed = np.exp(like.level) / days ** power[:, None]
    misfit = (c - 2.0 * speed * b + speed**2 * a + _SURE) / (len(time) + _SURE)
    believed = -0.5 * ((np.log(days) - like.days) / like.days_spread) ** 2
    believed -= np.log(np.exp(believed).sum(axis=1, keepdims=True))
    log = -0.5 * (len(time) + _SURE) * np.log(misfit) - 0.5 * volume[:, None] + believed
    # Where it is now, apart from the noise.
    now = speed * (clock_now - (clock * walk_in).sum(axis=1))[:, None] + (wear * walk_in).sum(axis=1)[:, None]
    columns = np.broadcast_arrays(log, -onset[:, None], power[:, None], speed, spread[:, None] * misfit, now)
    log, *others = (column.ravel() for column in columns)
    kept = np.argsort(log)[-_KEPT:]
    weight = np.exp(log[kept] - log[kept[-1]])
    return _Cells(weight / weight.sum(), *(np.maximum(column[kept], 0.0) for column in others))


def _passages(cells: _Cells, like: Like) -> Floats:
    """The probability of having passed the level of failure, at `AHEAD_DAYS`."""
    # It has not failed so far: levels below the wear of now are none.
    away = (np.log(np.maximum(cells.now, 1e-3)) - like.level) / like.level_spread
    part = (np.arange(_LEVELS) + 0.5) / _LEVELS
    z = -ndtri(np.maximum(ndtr(-away)[:, None] * part, 1e-300))
    level = np.exp(like.level + like.level_spread * z)
    gap = np.maximum(level - cells.now[:, None], 1e-6 + 0.01 * cells.now[:, None])[:, :, None]
    clock = _clock(cells, AHEAD_DAYS[1:])[:, None, :]
    speed, strays = cells.speed[:, None, None], np.maximum(cells.straying, 1e-12)[:, None, None]
    root = np.sqrt(strays * clock)
    # Inverse Gaussian, in the time of the process.
    passed = ndtr((speed * clock - gap) / root)
    again = np.exp(np.minimum(2.0 * speed * gap / strays + log_ndtr(-(speed * clock + gap) / root), 0.0))
    failed = cells.weight @ np.minimum(passed + again, 1.0).mean(axis=1)
    sooner = 1.0 - (1.0 - np.minimum(np.maximum.accumulate(failed), 1.0)) ** _HASTE
    return np.concatenate(([0.0], betainc(_SURER, _SURER, sooner)))


def _clock(cells: _Cells, ahead: Floats) -> Floats:
    """What passes in so many days in the time of each process, (C, S)."""
    since, power = cells.since[:, None], cells.power[:, None]
    return np.asarray((since + ahead) ** power - since**power)


def _band(cells: _Cells, failed: Floats) -> tuple[Floats, Floats]:
    """Health as it goes on until it has failed, most likely: days, and 5, 50, 95 %."""
    last = float(np.interp(0.5, failed, AHEAD_DAYS)) if failed[-1] > 0.5 else float(cells.since.mean())
    ahead = np.linspace(0.0, last, 13)
    clock = _clock(cells, ahead)
    grown = cells.now[:, None] + cells.speed[:, None] * clock
    strays = np.sqrt(np.maximum(cells.straying, 0.0)[:, None] * clock)
    weight = np.repeat(cells.weight, 3) / 3.0
    band = np.empty((len(ahead), 3))
    for row in range(len(ahead)):
        ways = (grown[:, row, None] + strays[:, row, None] * np.array([-1.22, 0.0, 1.22])).ravel()
        order = np.argsort(ways)
        reached = np.cumsum(weight[order])
        band[row] = index_of(np.interp([0.95, 0.5, 0.05], reached, ways[order]))
    return ahead, band
