"""Operating regimes: where machines run at a few settings, readings are compared within one setting alone.

Nobody says which columns are settings. A column tells regimes apart when its values lie in a few groups with wide gaps
between them, when these groups explain how the other columns vary, and when they say nothing of the life that is left:
what wears is no setting. A load that varies continuously is not seen by this: it stays a channel like the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]

# Between two groups of values nothing lies for so much of the column's range. Narrower, and rounded readings are
# groups.
_GAP = 0.02
_MOST_GROUPS = 20
# A regime has so much of all rows, or it is too seldom to be known.
_LEAST_SHARE = 0.005
# Groups explain so much of the variance of the other columns, and a further column of settings so much more.
_EXPLAINS = 0.3
_EXPLAINS_MORE = 0.02
# Columns that explain so much of what the best one does are equals: each leaves itself out of the sum.
_ALIKE = 0.9
# And so little of the variance of the life that is left.
_EXPLAINS_LIFE = 0.05
_MOST_COLUMNS = 3
_SAMPLED_ROWS = 20_000
# A value farther from every group than this part of the narrowest gap between two belongs to none.
_OUTSIDE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """How a row's regime is found.

    Attributes
    ----------
    columns : intp (S,)
        The columns of settings; none where there is one regime only.
    lows, highs : float64 (S, G)
        Each column's groups of values, growing; NaN behind the last.
    codes : intp (R,)
        The combinations of groups that are regimes, growing.
    """

    columns: Labels
    lows: Floats
    highs: Floats
    codes: Labels

    def label(self, values: Floats) -> Labels:
        """Each row's regime, intp (N,); -1 where it is none that training saw."""
        code = np.zeros(len(values), np.intp)
        known = np.ones(len(values), np.bool_)
        for column, lows, highs in zip(self.columns, self.lows, self.highs, strict=True):
            group, inside = _group(values[:, column], lows[np.isfinite(lows)], highs[np.isfinite(highs)])
            code = code * _MOST_GROUPS + group
            known &= inside
        place = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        return np.where(known & (self.codes[place] == code), place, -1)


def find_regimes(values: Floats, left: Floats) -> Regimes:
    """Find them in rows of all units, (N, C), beside the life that is left, (N,)."""
    step = max(1, len(values) // _SAMPLED_ROWS)
    found = Regimes(np.empty(0, np.intp), np.empty((0, 1)), np.empty((0, 1)), np.zeros(1, np.intp))
    candidates = {c: edges for c in range(values.shape[1]) if (edges := _groups(values[:, c])) is not None}
    explained = 0.0
    while len(found.columns) < _MOST_COLUMNS:
        split = {column: _with(found, column, *edges, values) for column, edges in candidates.items()}
        more = {column: regimes for column, regimes in split.items() if len(regimes.codes) > len(found.codes)}
        tried = {column: _judge(regimes, values[::step], left[::step]) for column, regimes in more.items()}
        best = max(tried.values(), default=0.0)
        if best < max(_EXPLAINS, explained + _EXPLAINS_MORE):
            break
        alike = [column for column, share in tried.items() if share > _ALIKE * best]
        column = min(alike, key=lambda each: _looseness(*candidates[each]))
        found, explained = split[column], tried[column]
        del candidates[column]
    return found


def _groups(column: Floats) -> tuple[Floats, Floats] | None:
    """The lowest and highest value of each group, or None where there are not a few."""
    value = np.unique(column[np.isfinite(column)])
    if len(value) < 2:
        return None
    wide = np.flatnonzero(np.diff(value) > _GAP * (value[-1] - value[0]))
    if not 1 <= len(wide) < _MOST_GROUPS:
        return None
    return value[np.concatenate(([0], wide + 1))], value[np.concatenate((wide, [len(value) - 1]))]


def _looseness(lows: Floats, highs: Floats) -> float:
    """The widest group in narrowest gaps: a setting keeps to its values, a reading that follows it strays."""
    return float((highs - lows).max() / (lows[1:] - highs[:-1]).min())


def _group(column: Floats, lows: Floats, highs: Floats) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """The nearest group of each value, and whether it is near enough."""
    group = np.searchsorted((highs[:-1] + lows[1:]) / 2, column)
    slack = _OUTSIDE * (lows[1:] - highs[:-1]).min()
    with np.errstate(invalid="ignore"):
        inside = (column >= lows[group] - slack) & (column <= highs[group] + slack)
    return group, inside


def _with(found: Regimes, column: int, lows: Floats, highs: Floats, values: Floats) -> Regimes:
    """These regimes, split further by a column's groups."""
    width = max(found.lows.shape[1], len(lows))

    def beside(table: Floats, row: Floats) -> Floats:
        grown = np.full((len(table) + 1, width), np.nan)
        grown[:-1, : table.shape[1]], grown[-1, : len(row)] = table, row
        return grown

    columns = np.append(found.columns, column)
    every = np.arange(_MOST_GROUPS ** len(columns), dtype=np.intp)
    split = Regimes(columns, beside(found.lows, lows), beside(found.highs, highs), every)
    label = split.label(values)
    codes, rows = np.unique(label[label >= 0], return_counts=True)
    return Regimes(split.columns, split.lows, split.highs, codes[rows >= _LEAST_SHARE * len(values)])


def _judge(regimes: Regimes, values: Floats, left: Floats) -> float:
    """The share of the other columns' variance that the regimes explain; 0 if they tell of the life that is left."""
    label = regimes.label(values)
    rows = label >= 0
    if rows.mean() < 0.9 or _explained(left[rows], label[rows]) > _EXPLAINS_LIFE:
        return 0.0
    others = [c for c in range(values.shape[1]) if c not in regimes.columns]
    shares = [_explained(values[rows, c], label[rows]) for c in others]
    return float(np.mean([share for share in shares if np.isfinite(share)] or [0.0]))


def _explained(column: Floats, label: Labels) -> float:
    """1 - variance within regimes / variance, NaN where there is none."""
    known = np.isfinite(column)
    value, at = column[known], label[known]
    if not len(value) or (spread := float(value.var())) <= 1e-12 * float(np.abs(value).max()) ** 2:
        return float("nan")
    rows = np.bincount(at)
    mean = np.bincount(at, value) / np.maximum(rows, 1)
    return 1.0 - float(((value - mean[at]) ** 2).mean()) / spread
