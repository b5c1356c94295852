"""The health index of a machine: 100 as in its own normal, 50 at the limit of it, towards 0 beyond.

Rows of the machine's points, means over some minutes each, are measured by their distance from the normal, in all
directions at once: every direction counts by how far the machine goes in it in health. `Normal` is learnt from healthy
rows and goes on learning from them; rows of a machine at rest are no rows. `trend` makes a course of indices that falls
with wear and does not climb by chance; a repair begins it anew.

Fails where the normal was learnt from a machine that was ill, or from less than its daily round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prognosis.roles import roles_of

# Rows before there is a normal, and for each point: with fewer, every direction is unlike the few that were seen.
FEWEST_ROWS, FEWEST_ROWS_A_POINT = 24, 3
# The normal is settled after so many rows, a week of ten minutes, and then a row counts for little. More: a wear
# of weeks is followed as normal, and never seen. Less: another season is not learnt.
_SETTLED_ROWS, _WEIGHT_THEN = 1008.0, 1 / 26
# Correlations are drawn towards none: with few rows the smallest directions are mostly chance.
_SHRINKAGE = 0.1
# The limit of the normal: so many spreads of the logarithm of healthy distances above their mean, and at least so far.
_LIMIT_Z, _SURPRISE_Z, _LEAST_LIMIT = 4.0, 2.0, 1.6
_FOLDS = 5
# Points that stand for a machine's running: all of them below so much of their normal, and it is at rest.
_RUNNING_ROLES = frozenset({"speed", "current", "power", "torque", "flow"})
_AT_REST = 0.1
# With more of its points missing a row says nothing.
_MISSING_AT_MOST = 0.34
# A normal point's own spread is no smaller than this share of its level: rounding is no departure.
_LEAST_SPREAD = 1e-4
_LIMIT_INDEX = 50.0

# Above, a machine counts as well; and so many indices in a row must be there for a repair that nobody told of.
HEALTHY_INDEX, RECOVERED_AFTER = 80.0, 3
# Indices that the trend looks at, and those over which it is smoothed first: hours.
TREND_HOURS, _TREND_SPAN = 336, 3

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """What is normal for one machine: sums from which its mean and covariance follow, and how far healthy rows stray.

    Attributes
    ----------
    points : tuple of str
        The D points, in the order of the columns of every row.
    running : tuple of int
        The columns that tell whether it runs.
    n : float
        Rows learnt from; it stays at `_SETTLED_ROWS`, and older rows fade.
    mean : float64 (D,)
    square : float64 (D, D)
        Sum of the products of differences from the mean.
    log_n, log_mean, log_square : float
        The same of the logarithm of the distance of healthy rows that had not been learnt from.
    """

    points: tuple[str, ...]
    running: tuple[int, ...]
    n: float
    mean: Floats
    square: Floats
    log_n: float
    log_mean: float
    log_square: float

    @property
    def limit(self) -> float:
        """The distance at which a row is no longer normal."""
        sigma = np.sqrt(self.log_square / max(self.log_n - 1.0, 1.0))
        return float(max(_LEAST_LIMIT, np.exp(self.log_mean + _LIMIT_Z * sigma)))

    def scores(self, rows: Floats) -> Floats:
        """Each row's distance over the limit; NaN where it is at rest or too much is missing. (N, D) to (N,)."""
        return np.where(self.usable(rows), self._distance(rows) / self.limit, np.nan)

    def indices(self, rows: Floats) -> Floats:
        """Each row's health, 0 to 100, NaN where it has none."""
        return index_of(self.scores(rows), float(np.exp(self.log_mean)) / self.limit)

    def shares(self, rows: Floats) -> dict[str, float]:
        """What each point adds to the distance of these rows: not negative, together 1."""
        z = self._standardised(rows[self.usable(rows)])
        if not len(z):
            return {}
        part = np.maximum(z * (z @ self._precision()), 0.0).sum(axis=0)
        total = part.sum()
        return {point: float(p / total) for point, p in zip(self.points, part, strict=True)} if total > 0 else {}

    def usable(self, rows: Floats) -> Flags:
        """Which rows are of a running machine with enough of its points."""
        there: Flags = np.isnan(rows).mean(axis=1) <= _MISSING_AT_MOST
        return there & _runs(rows, self.running, np.abs(self.mean))

    def learn(self, rows: Floats) -> Normal:
        """The normal with healthy rows added. Their distances are taken before they are learnt from."""
        rows = rows[self.usable(rows)]
        if not len(rows):
            return self
        # A row near the limit is learnt, and does not move the limit by more than a surprise.
        sigma = np.sqrt(self.log_square / max(self.log_n - 1.0, 1.0))
        logs = np.minimum(np.log(np.maximum(self._distance(rows), 1e-6)), self.log_mean + _SURPRISE_Z * sigma)
        n, mean, square = _added(self.n, self.mean, self.square, np.where(np.isnan(rows), self.mean, rows))
        log_n, log_mean, log_square = _added(
            self.log_n, np.array([self.log_mean]), np.array([[self.log_square]]), logs[:, None]
        )
        return Normal(self.points, self.running, n, mean, square, log_n, float(log_mean[0]), float(log_square[0, 0]))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {
            "points": list(self.points),
            "running": list(self.running),
            "n": self.n,
            "mean": self.mean.tolist(),
            "square": self.square.tolist(),
            "log": [self.log_n, self.log_mean, self.log_square],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Normal:
        log_n, log_mean, log_square = (float(value) for value in body["log"])
        mean, square = np.array(body["mean"], np.float64), np.array(body["square"], np.float64)
        return cls(
            tuple(body["points"]), tuple(body["running"]), float(body["n"]), mean, square, log_n, log_mean, log_square
        )

    def _distance(self, rows: Floats) -> Floats:
        z = self._standardised(rows)
        squares = np.einsum("ij,jk,ik->i", z, self._precision(), z) / len(self.points)
        distance: Floats = np.sqrt(np.maximum(squares, 0.0))
        return distance

    def _standardised(self, rows: Floats) -> Floats:
        z = (rows - self.mean) / self._spread()
        return np.where(np.isnan(z), 0.0, np.clip(z, -1e6, 1e6))

    def _spread(self) -> Floats:
        variance = np.diag(self.square) / max(self.n - 1.0, 1.0)
        return np.maximum(np.sqrt(variance), np.maximum(_LEAST_SPREAD * np.abs(self.mean), 1e-12))

    def _precision(self) -> Floats:
        spread = self._spread()
        correlation = self.square / max(self.n - 1.0, 1.0) / np.outer(spread, spread)
        drawn = (1.0 - _SHRINKAGE) * correlation
        np.fill_diagonal(drawn, 1.0)
        return np.asarray(np.linalg.inv(drawn))


def fit(points: Sequence[str], quantities: Sequence[str], rows: Floats) -> Normal | None:
    """The normal from healthy rows, float64 (N, D), NaN where a point is missing; None while they are too few.

    How far healthy rows stray is found with each fold of them measured by a normal of the others.
    """
    roles = [roles_of(point, quantity) for point, quantity in zip(points, quantities, strict=True)]
    running = tuple(column for column, own in enumerate(roles) if own and own[-1] in _RUNNING_ROLES)
    with np.errstate(invalid="ignore"):
        usual = np.nan_to_num(np.nanquantile(np.abs(rows), 0.9, axis=0)) if len(rows) else np.zeros(len(points))
    rows = rows[_runs(rows, running, usual) & (np.isnan(rows).mean(axis=1) <= _MISSING_AT_MOST)]
    if len(rows) < max(FEWEST_ROWS, FEWEST_ROWS_A_POINT * len(points)):
        return None
    return fit_rows(points, running, rows)


def fit_rows(points: Sequence[str], running: Sequence[int], rows: Floats) -> Normal:
    """The normal from rows that are known to be healthy ones of a running machine, however few."""
    middle = np.nanmedian(rows, axis=0)
    rows = np.where(np.isnan(rows), middle, rows)
    names, columns = tuple(points), tuple(running)

    def of(some: Floats) -> Normal:
        n, mean, square = _added(0.0, np.zeros(len(names)), np.zeros((len(names), len(names))), some)
        return Normal(names, columns, n, mean, square, 0.0, 0.0, 0.0)

    # Folds in a row: neighbours are alike, and tell nothing of each other.
    fold = np.arange(len(rows)) * _FOLDS // len(rows)
    parts = [
        np.log(np.maximum(of(rows[fold != k])._distance(rows[fold == k]), 1e-6))
        for k in range(_FOLDS)
        if (fold == k).any()
    ]
    logs = np.concatenate(parts)[:, None]
    log_n, log_mean, log_square = _added(0.0, np.zeros(1), np.zeros((1, 1)), logs)
    whole = of(rows)
    return Normal(names, columns, whole.n, whole.mean, whole.square, log_n, float(log_mean[0]), float(log_square[0, 0]))


def index_of(score: Floats, usual: float = 0.5) -> Floats:
    """Health from scores (1 is the limit of the normal), 100 up to the `usual` score of health.

    From there in a straight line to 50 at the limit, and beyond as one over the root: at four times the limit 25.
    """
    usual = min(usual, 0.95)
    inside = 100.0 - _LIMIT_INDEX * np.clip((score - usual) / (1.0 - usual), 0.0, 1.0)
    beyond = _LIMIT_INDEX / np.sqrt(np.maximum(score, 1.0))
    return np.where(score <= 1.0, inside, beyond) + 0.0 * score


def trend(indices: Sequence[float]) -> float:
    """The health now, from the hourly indices since the last repair, oldest first; NaN without any.

    The last value of the best course that never rises, over smoothed indices: it falls as wear grows, and chance does
    not lift it. Where the latest indices are those of a healthy machine again, what was before is over.
    """
    values = np.array([value for value in indices if not np.isnan(value)][-TREND_HOURS:])
    if not len(values):
        return float("nan")
    values = values[_recovered(values >= HEALTHY_INDEX) :]
    return float(falling(smoothed(values))[-1])


def smoothed(values: Floats) -> Floats:
    """Each index as the median of it and the two before it, as far as there are."""
    first = [np.median(values[: k + 1]) for k in range(min(_TREND_SPAN - 1, len(values)))]
    if len(values) < _TREND_SPAN:
        return np.array(first)
    return np.concatenate([first, np.median(np.lib.stride_tricks.sliding_window_view(values, _TREND_SPAN), axis=1)])


def _recovered(well: Flags) -> int:
    """Where the last run of healthy indices begins that is long enough; 0 where there is none."""
    begins, found = 0, 0
    for at, is_well in enumerate(well.tolist()):
        if not is_well:
            begins = at + 1
        elif at - begins + 1 >= RECOVERED_AFTER:
            found = begins
    return found


def falling(values: Floats) -> Floats:
    """The closest course that never rises, by pooling neighbours that do. (N,) to (N,)."""
    level: list[float] = []
    weight: list[int] = []
    for value in values.tolist():
        level.append(value)
        weight.append(1)
        while len(level) > 1 and level[-2] < level[-1]:
            w = weight[-2] + weight[-1]
            level[-2] = (level[-2] * weight[-2] + level[-1] * weight[-1]) / w
            weight[-2] = w
            level.pop()
            weight.pop()
    return np.repeat(level, weight)


def _runs(rows: Floats, running: Sequence[int], usual: Floats) -> Flags:
    if not running:
        return np.ones(len(rows), bool)
    columns = list(running)
    low = np.abs(rows[:, columns]) < _AT_REST * usual[columns]
    known = ~np.isnan(rows[:, columns])
    return np.asarray(~((low | ~known).all(axis=1) & known.any(axis=1)))


def _added(n: float, mean: Floats, square: Floats, rows: Floats) -> tuple[float, Floats, Floats]:
    """Count, mean and sum of products of differences with rows added; of what is settled as much fades as is added."""
    k = len(rows) * (1.0 if n < _SETTLED_ROWS else _WEIGHT_THEN)
    kept = n if n + k <= _SETTLED_ROWS else max(_SETTLED_ROWS - k, 0.0)
    faded = square * (kept / n) if n > 0 else square
    own = rows.mean(axis=0)
    apart = rows - own
    total = kept + k
    moved = own - mean
    square = faded + apart.T @ apart * (k / len(rows)) + np.outer(moved, moved) * (kept * k / total)
    return total, mean + moved * (k / total), square
