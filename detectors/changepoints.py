"""The moments at which a machine's behaviour changed: `bellwether changepoints`.

Sequential, and causal: the mean of the newest rows is compared with that of the rows since the last change. All
channels count together, by how far such means normally differ, alone and with one another, in the training rows. What
was found begins a new behaviour: the next comparison knows nothing from before, so that one change is reported once,
and the end of a fault is as much a change as its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from detectors.files import Analysed, Asked, each
from detectors.offline import training_rows
from detectors.recordings import Floats, Recording, in_order

# Rows whose mean is compared. Fewer, and single readings count as changes; more, and each is found that much later.
_NEWEST = 10
# Rows of the behaviour before: so many at least, or its own mean is too uncertain, and so many at most, so that slow
# drift common to health (a pump that warms up) stays within what is normal.
_FEWEST_BEFORE = 20
_MOST_BEFORE = 150
# Lengths of "before" that have a model of their own; between them the next shorter one's holds.
_LENGTHS = 5
# Where no healthy start is named the first rows are taken for it.
_LEARN_ROWS = 400
FEWEST_LEARN_ROWS = 80
# The limit is found from distances of rows that a model without them gives: as many turns. Fewer, and each turn's model
# has learnt too little, which makes the limit wide.
_TURNS = 8
# Correlations are drawn towards none by so much: four hundred rows are forty independent means.
_SHRINKAGE = 0.3
# Readings farther out than this, in normal deviations, say no more.
_FAR = 50.0
_NOTHING = 1e-12

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of behaviour.

    Attributes
    ----------
    row : int
        The row with which it is known: never before the change.
    since : int
        The row, at or before that one, at which it most probably happened.
    score : float
        Distance from the behaviour before; 1.0 is the limit, so never less.
    top_channel : str
        The channel with the largest share of the distance.
    """

    row: int
    since: int
    score: float
    top_channel: str


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """How far the newest mean normally is from that of `before` rows ahead of it.

    `spread` (C,), `inverse` (C, C) of the correlation, and the distance that the allowed share of rows exceeds.
    """

    before: int
    spread: Floats
    inverse: Floats
    limit: float

    def distance(self, away: Floats) -> Floats:
        """Of differences float64 (N, C) in deviations of the channels: float64 (N,)."""
        return _distance(away, self.spread, self.inverse)


def changepoints(
    recording: Recording,
    *,
    train_rows: int | None = None,
    train_until_us: int | None = None,
    false_alarm_rate: float = 0.02,
) -> list[Change]:
    """Find the changes after the training rows.

    Parameters
    ----------
    train_rows, train_until_us : int or None
        The healthy start, which says how much the machine moves without changing; the first 400 rows, or half of them,
        where neither is given.
    false_alarm_rate : float
        Share of healthy rows that may look like a change. Lower misses more changes and finds them later.

    Raises
    ------
    ValueError
        If there are fewer than 80 training rows.
    """
    time_us = in_order(recording.time_us)
    rows = np.flatnonzero(time_us >= 0)
    training = training_rows(time_us, train_rows, train_until_us)
    if train_rows is None and train_until_us is None:
        training = min(_LEARN_ROWS, len(recording) // 2)
    learnt = int(np.searchsorted(rows, training))
    if learnt < FEWEST_LEARN_ROWS:
        raise ValueError(f"{learnt} training rows with a time: at least {FEWEST_LEARN_ROWS} are needed")
    values = _in_deviations(_held(recording.values[rows]), learnt)
    sums = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    models = [_learn(sums, before, learnt, false_alarm_rate) for before in _lengths(learnt)]
    scores = [_scores(sums, model) for model in models]
    hits = [np.flatnonzero(score >= 1.0) for score in scores]
    found: list[Change] = []
    begin = 0  # the first row of the present behaviour
    while (row := _next(hits, models, begin, learnt)) is not None:
        nth = _which(models, row - _NEWEST + 1 - begin)
        away = _away(sums, models[nth].before, np.array([row]))
        pull = away / models[nth].spread @ models[nth].inverse / models[nth].spread
        first = max(begin, row + 1 - _NEWEST - models[nth].before)
        since = first + _split(values[first : row + 1] @ pull[0])
        top = recording.channels[int((away * pull)[0].argmax())]
        found.append(Change(int(rows[row]), int(rows[since]), float(scores[nth][row]), top))
        begin = row + 1
    return found


def run(
    paths: Sequence[Path],
    *,
    false_alarm_rate: float = 0.02,
    progress: Callable[[Path], None] = lambda path: None,
    **asked: Unpack[Asked],
) -> dict[str, Any]:
    """Find changes in files, each on its own: for each a CSV `time,score,since,top_channel`, and `summary.json`.

    Raises
    ------
    ValueError
        If a file can't be read as a recording or holds too few training rows, or `train_until` is no time.
    """
    train_rows = asked.get("train_rows")

    def analyse(path: Path, recording: Recording, until_us: int | None) -> Analysed:
        try:
            found = changepoints(
                recording, train_rows=train_rows, train_until_us=until_us, false_alarm_rate=false_alarm_rate
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        progress(path)
        table = {
            "time": [recording.time_text[change.row] for change in found],
            "score": [round(change.score, 6) for change in found],
            "since": [recording.time_text[change.since] for change in found],
            "top_channel": [change.top_channel for change in found],
        }
        return table, {"rows": len(recording), "changes": len(found)}

    return each(paths, analyse, false_alarm_rate=false_alarm_rate, **asked)


def _held(values: Floats) -> Floats:
    """A missing reading is the one before; those before a channel's first are its first, and 0 where it has none.

    A channel whose first comes after the training rows never moved in these, and has no say whatever it is.
    """
    row = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    first = np.argmin(np.isnan(values), axis=0)
    last = np.maximum(np.maximum.accumulate(row, axis=0), first)
    return np.nan_to_num(np.take_along_axis(values, last, axis=0))


def _in_deviations(values: Floats, learnt: int) -> Floats:
    """Readings in normal deviations from the median of the training rows; 0 for a channel that never moved there."""
    middle = np.median(values[:learnt], axis=0)
    away = np.clip(values - middle, -1e150, 1e150)
    spread = 1.4826 * np.median(np.abs(away[:learnt]), axis=0)
    # A channel that rests most of the time (a quantised flow) has no median deviation.
    spread = np.where(spread > 0, spread, np.sqrt(np.mean(np.square(np.clip(away[:learnt], -1e100, 1e100)), axis=0)))
    still = ~(spread > 0)
    scaled: Floats = np.clip(away / np.where(still, 1.0, spread), -_FAR, _FAR)
    scaled[:, still] = 0.0
    return scaled


def _lengths(learnt: int) -> list[int]:
    most = min(_MOST_BEFORE, learnt // 2 - _NEWEST)
    return sorted({int(length) for length in np.geomspace(_FEWEST_BEFORE, most, _LENGTHS)})


def _away(sums: Floats, before: int, rows: Rows) -> Floats:
    """Mean of the newest rows up to each of `rows`, less the mean of the `before` rows ahead of them."""
    split = rows + 1 - _NEWEST
    away: Floats = (sums[rows + 1] - sums[split]) / _NEWEST - (sums[split] - sums[split - before]) / before
    return away


def _learn(sums: Floats, before: int, learnt: int, share: float) -> _Model:
    """The model of the training rows; its limit from turns in which a part of them was left out of the model."""
    away = _away(sums, before, np.arange(before + _NEWEST - 1, learnt))
    edges = np.linspace(0, len(away), _TURNS + 1).astype(int)
    row = np.arange(len(away))
    logs = np.empty(len(away))
    for first, end in pairwise(edges):
        # Rows next to the part share readings with it.
        others = (row < first - _NEWEST) | (row >= end + _NEWEST)
        logs[first:end] = np.log(_distance(away[first:end], *_moments(away[others])))
    limit = np.exp(logs.mean() + NormalDist().inv_cdf(1.0 - share) * logs.std())
    return _Model(before, *_moments(away), float(limit))


def _moments(away: Floats) -> tuple[Floats, Floats]:
    spread = np.sqrt(np.square(away).mean(axis=0))
    spread[spread == 0] = 1.0
    scaled = away / spread
    correlation = scaled.T @ scaled / len(away) * (1.0 - _SHRINKAGE)
    np.fill_diagonal(correlation, 1.0)
    inverse: Floats = np.linalg.inv(correlation)
    return spread, inverse


def _distance(away: Floats, spread: Floats, inverse: Floats) -> Floats:
    scaled = away / spread
    squared = np.einsum("ni,ij,nj->n", scaled, inverse, scaled, optimize=True)
    distance: Floats = np.sqrt(np.maximum(squared, _NOTHING))
    return distance


def _scores(sums: Floats, model: _Model) -> Floats:
    """Distance by limit at every row; 0 where too few rows lie before it."""
    scores = np.zeros(len(sums) - 1)
    rows = np.arange(model.before + _NEWEST - 1, len(scores))
    scores[rows] = model.distance(_away(sums, model.before, rows)) / model.limit
    return scores


def _which(models: Sequence[_Model], before: int) -> int:
    """The model for a behaviour of so many rows: -1 for none yet."""
    return int(np.searchsorted([model.before for model in models], before, side="right")) - 1


def _next(hits: Sequence[Rows], models: Sequence[_Model], begin: int, learnt: int) -> int | None:
    """The next row, after training, at which the behaviour that began at `begin` has changed."""
    firsts = [begin + model.before + _NEWEST - 1 for model in models]
    for hit, first, end in zip(hits, firsts, [*firsts[1:], None], strict=True):
        at = np.searchsorted(hit, max(first, learnt))
        if at < len(hit) and (end is None or hit[at] < end):
            return int(hit[at])
    return None


def _split(line: Floats) -> int:
    """Where a line most probably stepped: the split between whose sides the means differ most surely."""
    count = np.arange(1, len(line))
    left = np.cumsum(line)[:-1] / count
    right = (line.sum() - np.cumsum(line)[:-1]) / (len(line) - count)
    return 1 + int(np.argmax((left - right) ** 2 * count * (len(line) - count)))
