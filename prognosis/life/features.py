"""What of a trajectory tells how far a machine is worn: slow changes, told from noise by what they share.

Readings are compared within their operating regime. Then those mixtures of channels are taken that change slowly
against their noise (slow feature analysis: the largest ratios of the variance of trailing means to that around them);
wear is slow, noise is not, and nobody has to say which channels matter. Their trailing means and slopes over
several windows, and the age, are the features. A window is a part of a typical life, so that it fits cycles, hours and
days alike. Nothing looks back to a unit's first row, so that a history with its beginning cut off is read the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prognosis.life.regimes import Labels, Regimes, find_regimes
from prognosis.life.trajectories import Floats, Rows, Trajectories

# Windows in parts of a typical life. Shorter than the first is noise, longer than the last is another state of wear.
MEANS = (0.015, 0.025, 0.05, 0.1, 0.2, 0.4)
SLOPES = (0.05, 0.1, 0.2, 0.4)
# Means over this tell slow from fast.
_SLOW = 0.075
# A mixture is slow if the variance of its means is so much of that around them: noise alone has about 1 / rows in the
# window, which is 0.07 for 15.
_SLOW_RATIO = 0.3
_MOST_SLOW = 8
# Slopes over short histories are drawn to none by this part of a full window's spread of time.
_SHRINKAGE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Wear:
    """From readings to features, as learnt from a fleet.

    Attributes
    ----------
    regimes : Regimes
    kept : intp (C,)
        The channels that vary.
    mean, spread : float64 (R, C)
        By regime.
    mixtures : float64 (C, K)
    span : float
        A typical life, in the cycle's unit.
    """

    regimes: Regimes
    kept: Rows
    mean: Floats
    spread: Floats
    mixtures: Floats
    span: float

    def standard(self, trajectories: Trajectories) -> tuple[Floats, Labels]:
        """Readings in their regime's spread, (N, C), the last one known where there is none, and regimes, (N,)."""
        label = self.regimes.label(trajectories.values)
        value = (trajectories.values[:, self.kept] - self.mean[label]) / self.spread[label]
        value[label < 0] = np.nan
        return _last_known(value, trajectories.first), label

    def features(self, trajectories: Trajectories) -> Floats:
        """(N, F): means and slopes of the slow mixtures, and the age in typical lives."""
        slow = self.standard(trajectories)[0] @ self.mixtures
        windows = Windows(trajectories)
        means = [windows.mean(slow, part * self.span) for part in MEANS]
        slopes = [windows.slope(slow, part * self.span) * part * self.span for part in SLOPES]
        return np.hstack([*means, *slopes, trajectories.cycle[:, None] / self.span])


class Windows:
    """Trailing windows over each unit's rows, by cycle."""

    def __init__(self, trajectories: Trajectories) -> None:
        self._since = trajectories.cycle - trajectories.cycle[trajectories.first]
        self._first = trajectories.first
        self._unit = trajectories.unit
        self._longest = float(self._since.max(initial=0.0)) + 1.0

    def mean(self, values: Floats, width: float) -> Floats:
        """Over the rows of the last `width` cycles, (N, K)."""
        begin, rows = self._begin(width)
        return _sums(values, begin) / rows

    def slope(self, values: Floats, width: float) -> Floats:
        """Least squares over the last `width` cycles, (N, K) a cycle."""
        begin, rows = self._begin(width)
        time = self._since[:, None]
        mean_time, mean = _sums(time, begin) / rows, _sums(values, begin) / rows
        variance = _sums(time**2, begin) / rows - mean_time**2 + _SHRINKAGE * width**2 / 12
        return np.asarray((_sums(values * time, begin) / rows - mean_time * mean) / variance)

    def _begin(self, width: float) -> tuple[Rows, Floats]:
        """Each row's first row within the window, (N,), and how many these are, (N, 1)."""
        lane = self._since + self._unit * (self._longest + width)
        begin = np.maximum(np.searchsorted(lane, lane - width, side="right"), self._first)
        begin = np.minimum(begin, np.arange(len(lane)))
        return begin, (np.arange(1, len(lane) + 1) - begin).astype(np.float64)[:, None]


def learn_wear(trajectories: Trajectories, span: float) -> Wear:
    """Learn regimes, what is normal in each, and what changes slowly."""
    values = trajectories.values
    regimes = find_regimes(values, trajectories.left)
    label = regimes.label(values)
    groups = [values[label == regime] for regime in range(len(regimes.codes))]
    mean = np.array([_over_rows(np.nanmean, group) for group in groups]).reshape(len(groups), -1)
    spread = np.array([_over_rows(np.nanstd, group) for group in groups]).reshape(len(groups), -1)
    varies = (np.isfinite(mean) & (spread > 1e-9 * np.abs(mean) + 1e-300)).all(axis=0)
    kept = np.flatnonzero(varies & ~np.isin(np.arange(values.shape[1]), regimes.columns))
    mean, spread = mean[:, kept], spread[:, kept]
    blank = Wear(regimes, kept, mean, spread, np.empty((len(kept), 0)), span)
    return Wear(regimes, kept, mean, spread, _slow_mixtures(blank.standard(trajectories)[0], trajectories, span), span)


def _slow_mixtures(value: Floats, trajectories: Trajectories, span: float) -> Floats:
    """(C, K), each of unit noise, the slowest first, growing towards the end of life."""
    if not value.shape[1]:
        return np.empty((0, 0))
    mean = Windows(trajectories).mean(value, _SLOW * span)
    settled = trajectories.cycle - trajectories.cycle[trajectories.first] >= _SLOW * span
    if settled.sum() < 10 * value.shape[1]:
        settled[:] = True
    noise = np.atleast_2d(np.cov((value - mean)[settled].T))
    size, direction = np.linalg.eigh(noise)
    whitening = direction / np.sqrt(np.maximum(size, 1e-6 * max(size[-1], 1e-300)))
    ratio, turn = np.linalg.eigh(whitening.T @ np.atleast_2d(np.cov(mean[settled].T)) @ whitening)
    slowest = np.flatnonzero(ratio[::-1][:_MOST_SLOW] >= _SLOW_RATIO)
    mixtures = (whitening @ turn)[:, ::-1][:, slowest if len(slowest) else [0]]
    falling = [np.corrcoef(column, trajectories.left)[0, 1] for column in (mean @ mixtures).T]
    return np.asarray(mixtures * np.where(np.asarray(falling) > 0, -1.0, 1.0))


def _over_rows(figure: object, group: Floats) -> Floats:
    """NaN for a column without readings, quietly."""
    empty = ~np.isfinite(group).any(axis=0)
    filled = np.where(empty, 0.0, group) if len(group) else np.zeros((1, group.shape[1]))
    return np.where(empty, np.nan, figure(filled, axis=0))  # type: ignore[operator]


def _last_known(value: Floats, first: Rows) -> Floats:
    """A gap holds what its unit last said, and 0 before it said anything."""
    if not np.isnan(value).any():
        return value
    rows = np.arange(len(value))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(value), -1, rows), axis=0)
    held = np.take_along_axis(value, np.maximum(last, 0), axis=0)
    return np.where(last >= first[:, None], held, 0.0)


def _sums(values: Floats, begin: Rows) -> Floats:
    """Of each row and those before it back to `begin`, (N, K)."""
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(total[1:] - total[begin])
