"""What 1.0 means: the level that a raw statistic may exceed no more often than a false-alarm budget allows.

Set from healthy data alone. Where these hold enough excursions beyond the level sought it is a rank of them, whatever
their distribution (conformal prediction); beyond, the highest excursions are continued by a generalised Pareto tail
(peaks over threshold). The tail's shape and scale are never fitted to one value: the level is that of the predictive
distribution over all of them, so that few data give a wider limit, and none at all give none (NaN).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Excursions beyond a level from which on a rank of them is better known than a tail: with ten its standard error is a
# third of the rate.
_ENOUGH = 10
# Fewer scores than that say nothing of a tail.
_FEWEST_SCORES = 20
# Of a recording the part that is taken for its tail: the first that holds forty excursions, or the last. Too much, and
# the body bends the tail; too little, and nothing is left.
_TAIL_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
_IN_TAIL = 40
_FEWEST_EXCURSIONS = 3
_MOST_EXCESSES = 200
# Shape of the tail before anything is seen: mean and deviation that Martins and Stedinger (2000) found for floods.
# Heavier than any bounded statistic needs, lighter than what a dozen values alone could suggest.
_SHAPE_MEAN, _SHAPE_DEVIATION = 0.10, 0.122
# None of them is 0, the exponential tail, where the formulas divide by the shape.
_SHAPES = np.linspace(-0.425, 0.625, 22)
# Scales considered, in mean excesses.
_SCALES = np.geomspace(0.25, 4.0, 17)
_SHAPE = np.repeat(_SHAPES, len(_SCALES))
_SCALE = np.tile(_SCALES, len(_SHAPES))
_PRIOR = -0.5 * ((_SHAPE - _SHAPE_MEAN) / _SHAPE_DEVIATION) ** 2
# Where the level is sought, in mean excesses beyond the threshold.
_NEAREST, _FARTHEST = 1e-3, 1e4
_HALVINGS = 40


def limit(scores: Floats, share: float) -> float:
    """The level that a share of healthy rows like these exceeds, in the scores' own unit.

    Parameters
    ----------
    scores : float64 (N,)
        Of healthy rows in order of time; NaN where there was no opinion. They may depend on one another: what counts
        is how many excursions they hold, not how many rows.
    share : float
        Between 0 and 1.

    Returns
    -------
    float
        NaN where fewer than 20 rows have a score, or these hold fewer than three excursions.
    """
    said = scores[~np.isnan(scores)]
    if len(said) < _FEWEST_SCORES:
        return float("nan")
    ordered = np.sort(said)
    rank = int(np.ceil((len(said) + 1) * (1.0 - share)))
    if rank <= len(said) and excursions(said, ordered[rank - 1]) >= _ENOUGH:
        return float(ordered[rank - 1])
    threshold, held = _threshold(said, ordered)
    excess = np.sort(said[said > threshold] - threshold)
    if not len(excess):
        return threshold
    if held < _FEWEST_EXCURSIONS:
        return float("nan")
    sample = excess[np.linspace(0, len(excess) - 1, min(len(excess), _MOST_EXCESSES)).astype(np.intp)]
    informative = min(1.0, held / len(sample))
    beyond = np.array([share * len(said) / len(excess)])
    return float(threshold + exceeded(sample[None, :], beyond, informative)[0])


def excursions(scores: Floats, level: float) -> float:
    """How many independent excursions above a level the scores hold.

    Their number of rows times the extremal index, by the gaps between them (Ferro and Segers 2003); never more than
    there are runs of rows.
    """
    gaps = np.diff(np.flatnonzero(scores > level)).astype(np.float64)
    if not len(gaps):
        return float((scores > level).any())
    if gaps.max() <= 2:
        index = 2 * gaps.sum() ** 2 / (len(gaps) * (gaps**2).sum())
    else:
        spread = ((gaps - 1) * (gaps - 2)).sum()
        index = 2 * (gaps - 1).sum() ** 2 / (len(gaps) * spread)
    runs = 1 + np.count_nonzero(gaps > 1)
    return float(min(index * (len(gaps) + 1), runs))


def exceeded(excess: Floats, share: Floats, informative: float = 1.0) -> Floats:
    """The level that a share of further excesses exceeds, float64 (S,).

    Parameters
    ----------
    excess : float64 (S, n)
        Excesses over a threshold, not negative; NaN for fewer than n.
    share : float64 (S,)
        1 or more gives 0: the threshold itself.
    informative : float
        How much each excess counts: less than 1 where they depend on one another.

    Notes
    -----
    Cost: some 20 µs a row. Fails where the statistic grows by more than its history shows: no tail foresees a change.
    """
    mean = np.nanmean(excess, axis=1)
    scaled = excess[:, None, :] / (np.where(mean > 0, mean, 1.0)[:, None] * _SCALE)[:, :, None]
    inside = 1.0 + _SHAPE[:, None] * scaled
    with np.errstate(invalid="ignore", divide="ignore"):
        steep = 1.0 + 1.0 / _SHAPE[:, None]
        surprise = np.where(inside > 0, steep * np.log(inside), np.where(np.isnan(inside), 0.0, np.inf))
    count = (~np.isnan(excess)).sum(axis=1)
    fit = _PRIOR - informative * (surprise.sum(axis=2) + count[:, None] * np.log(_SCALE))
    weight = np.exp(fit - fit.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    low, high = np.zeros(len(excess)), np.full(len(excess), _FARTHEST)
    for _ in range(_HALVINGS):
        middle = np.sqrt((low + _NEAREST) * (high + _NEAREST)) - _NEAREST
        above = (weight * _survival(middle)).sum(axis=1) > share
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    level: Floats = np.where(share >= 1.0, 0.0, high) * mean
    return level


def _threshold(said: Floats, ordered: Floats) -> tuple[float, float]:
    """Where the tail begins, and how many excursions it holds."""
    for share in _TAIL_SHARES:
        level = float(ordered[int(len(said) * (1.0 - share))])
        held = excursions(said, level)
        if held >= _IN_TAIL:
            break
    return level, held


def _survival(level: Floats) -> Floats:
    """Share of excesses above a level (S,), in mean excesses, by tail considered: float64 (S, tails)."""
    inside = np.maximum(1.0 + _SHAPE * level[:, None] / _SCALE, 0.0)
    with np.errstate(divide="ignore"):
        share: Floats = np.where(inside > 0, inside ** (-1.0 / _SHAPE), 0.0)
    return share
