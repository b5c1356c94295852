"""Remaining useful life from a fleet's histories: how long it has, between what bounds, and how likely it ends soon.

`fit` learns from machines that ran to failure and from such that still run; `predict` says for each what is left. Both
are pure and, with the same seed, give the same. Where a machine's readings lie outside of what training saw, there is
no estimate but a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prognosis.life import accuracy
from prognosis.life.accuracy import Accuracy
from prognosis.life.conformal import Calibration, calibrate
from prognosis.life.envelope import Envelope, learn_envelope
from prognosis.life.features import Wear, learn_wear
from prognosis.life.network import Network, train
from prognosis.life.survival import Weibull, fit_weibull
from prognosis.life.trajectories import Floats, Mask, Rows, Trajectories

# With fewer failures there is nothing to learn a life from, nor to hold back.
_FEWEST_FAILED = 5
_FOLDS = 5
_MEMBERS = 4
# Rows to train on at most: neighbouring rows of a trajectory say much the same.
_TRAINING_ROWS = 25_000
# Wear shows late: before, a life of 1 and one of 2 look alike. Up to this part of a typical life errors count in full.
_CAP = 0.6
# What is left is told apart up to this part of a typical life at all, and at least so much farther than the cap.
_FARTHEST = 1.0
_BEYOND_CAP = 1.2
# A row counts by how near its end is, since that is when it matters; never less than this.
_LEAST_WEIGHT = 0.05
# From this part of the cap on the estimate goes over from the one that knows no more than the cap.
_GOES_OVER = 0.8
WITHIN = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What was learnt from a fleet. Lives in the unit of the table's cycles."""

    channels: tuple[str, ...]
    cap: float
    wear: Wear
    envelope: Envelope
    network: Network
    calibration: Calibration
    lives: Weibull
    accuracy: Accuracy


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What is left, one row a row asked for, (N,); NaN where there is no estimate.

    Attributes
    ----------
    unit : intp (N,)
        Index into the trajectories' units.
    rul, rul_p05, rul_p95 : float64 (N,)
        The estimate, and the bounds of its 90 % interval.
    p_fail : float64 (N,)
        The probability of failure within `within` from then on.
    reason : tuple of str
        Why there is no estimate; empty where there is one.
    """

    unit: Rows
    cycle: Floats
    rul: Floats
    rul_p05: Floats
    rul_p95: Floats
    p_fail: Floats
    within: float
    reason: tuple[str, ...]


def fit(
    given: Trajectories,
    *,
    cap: float | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Model:
    """Learn from histories.

    Parameters
    ----------
    cap : float or None
        Up to here what is left is learnt exactly; a part of a typical life unless given. Too low: long lives are told
        apart less; too high: the estimate is drawn by differences that nothing shows.

    Raises
    ------
    ValueError
        If fewer than five units failed. Where no channel varies, the age alone tells.
    """
    trajectories = _in_own_order(given)
    life = trajectories.cycle[trajectories.ends]
    if trajectories.failed.sum() < _FEWEST_FAILED:
        raise ValueError(f"{trajectories.failed.sum()} units failed: at least {_FEWEST_FAILED} are needed")
    if life.min() <= 0:
        raise ValueError("a unit's last cycle is not above 0")
    lives = fit_weibull(life, trajectories.failed)
    span = lives.median
    cap = cap or _CAP * span
    wear = learn_wear(trajectories, span)
    features = wear.features(trajectories)
    target = _target(trajectories, lives)
    weight = np.maximum(1.0 - target / span, _LEAST_WEIGHT)
    unit = np.array([cap, max(_FARTHEST * span, _BEYOND_CAP * cap)])

    def learn(units: Mask, part: int) -> Network:
        rows = np.flatnonzero(units[trajectories.unit])
        rows = rows[:: max(1, -(-len(rows) // _TRAINING_ROWS))]
        goal = np.minimum(target[rows, None], unit)
        return train(features[rows], goal, weight[rows], unit, members=_MEMBERS, seed=seed * 31 + part)

    folds = _folds(len(trajectories.units), seed)
    unseen = np.empty(len(trajectories))
    for part in range(_FOLDS):
        progress(f"held back: part {part + 1} of {_FOLDS}")
        held = (folds == part)[trajectories.unit]
        unseen[held] = _estimate(learn(folds != part, part + 1), features[held], cap)
    progress("all units")
    network = learn(np.ones(len(folds), np.bool_), 0)
    failed_rows = trajectories.failed[trajectories.unit]
    calibration = calibrate(unseen, trajectories.left, failed_rows, weight)
    figures = _figures(unseen, trajectories, weight, calibration, cap)
    envelope = learn_envelope(wear, trajectories)
    return Model(trajectories.channels, cap, wear, envelope, network, calibration, lives, figures)


def predict(model: Model, trajectories: Trajectories, *, every: bool = False, within: float = WITHIN) -> Forecast:
    """Say what is left at each unit's last row, or at every row, from that row and earlier ones.

    Raises
    ------
    ValueError
        If a channel of the model's is missing.
    """
    known = trajectories.only(model.channels)
    rows = np.arange(len(known)) if every else known.ends
    estimate = _estimate(model.network, model.wear.features(known)[rows], model.cap)
    low, high = model.calibration.quantile(estimate, 0.05), model.calibration.quantile(estimate, 0.95)
    reason = model.envelope.outside(model.wear, known, rows)
    silent = np.array([bool(text) for text in reason], np.bool_)
    columns = (np.clip(estimate, low, high), low, high, model.calibration.fails(estimate, within))
    rul, low, high, p_fail = (np.where(silent, np.nan, column) for column in columns)
    return Forecast(known.unit[rows], known.cycle[rows], rul, low, high, p_fail, within, reason)


def _in_own_order(given: Trajectories) -> Trajectories:
    """By how long the units lived: what they are called, and where in the table they stand, changes nothing."""
    rows = given.ends - np.flatnonzero(np.diff(given.unit, prepend=-1))
    starts = given.values[given.first[given.ends]]
    keys = [*np.nan_to_num(starts.T), rows, given.cycle[given.ends]]
    return given.picked(np.lexsort(keys))


def _target(trajectories: Trajectories, lives: Weibull) -> Floats:
    """What was left, (N,); of a unit that still runs what it is expected to live on, too."""
    ends = trajectories.cycle[trajectories.ends]
    more = np.where(trajectories.failed, 0.0, lives.left(ends))
    return np.asarray(trajectories.left + more[trajectories.unit])


def _folds(units: int, seed: int) -> Rows:
    """Each unit's part, so that each part has short lives and long ones."""
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(_FOLDS) for _ in range(-(-units // _FOLDS))]
    return np.concatenate(parts)[:units].astype(np.intp)


def _estimate(network: Network, features: Floats, cap: float) -> Floats:
    """What is left, (N,): by the output that knows no more than the cap, and near the cap by the one that does."""
    near, far = network.predict(features).T
    over = np.clip((near / cap - _GOES_OVER) / (1.0 - _GOES_OVER), 0.0, 1.0)
    return np.asarray(np.maximum(near + over * (far - near), 0.0))


def _figures(
    estimate: Floats, trajectories: Trajectories, weight: Floats, calibration: Calibration, cap: float
) -> Accuracy:
    """Of estimates by networks that had not seen the unit, over the units whose end is known."""
    known = trajectories.failed[trajectories.unit]
    estimate, weight, left = estimate[known], weight[known], trajectories.left[known]
    cycle, unit = trajectories.cycle[known], trajectories.unit[known]
    low, high = calibration.quantile(estimate, 0.05), calibration.quantile(estimate, 0.95)
    said, happened = calibration.fails(estimate, WITHIN), left <= WITHIN
    often = np.full(len(left), np.average(happened, weights=weight))
    asked = {part: accuracy.at_lambda(cycle, left, unit, part) for part in accuracy.LAMBDAS}
    close = np.concatenate([accuracy.relative_accuracy(estimate, left, rows) for rows in asked.values()])
    return Accuracy(
        units=int(trajectories.failed.sum()),
        rmse=accuracy.root_mean_square(estimate - left, weight),
        rmse_capped=accuracy.root_mean_square(np.minimum(estimate, cap) - np.minimum(left, cap), weight),
        coverage=float(np.average((low <= left) & (left <= high), weights=weight)),
        within=WITHIN,
        brier=accuracy.brier(said, happened, weight),
        brier_base=accuracy.brier(often, happened, weight),
        reliability=accuracy.reliability(said, happened, weight),
        alpha_lambda=tuple((part, accuracy.alpha_lambda(estimate, left, rows)) for part, rows in asked.items()),
        horizon=float(np.median(accuracy.horizons(estimate, cycle, left, unit))),
        relative_accuracy=float(np.nanmean(close)),
    )
