"""C-MAPSS: simulated turbofans run to failure, one or six operating regimes, one or two kinds of fault.

Protocol of the field: train on all of train_FD00x, one estimate a test unit at its last row; errors raw, and with both
sides clipped at 125 cycles. The tests of FD002 to FD004 are not here: units of their training are held back in three
parts and cut at random, so that what is left lies as in the tests: like FD001's for FD003, up to 195 cycles, the
shorter the more often, for FD002 and FD004.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.detection.table import Row
from prognosis.life import Forecast, Trajectories, fit, predict, read
from prognosis.life.trajectories import Floats

CAP = 125
PARTS = 3
# A test unit has shown at least so many cycles, and has so many left.
_FEWEST_CYCLES = 20
_SHORTEST_LEFT, _LONGEST_LEFT = 6, 195
_LEAST = {"FD001": 12.3, "FD002": 12.5, "FD003": 12.4, "FD004": 14.0}
_AIM = {"FD001": 10.5, "FD002": 11.5, "FD003": 10.5, "FD004": 12.5}
_RAW_AIM = {"FD001": 11.0, "FD002": 16.8, "FD003": 10.9, "FD004": 18.9}
_FFVE = {"FD001": 12.31, "FD002": 12.55, "FD003": 12.43, "FD004": 14.08}
_BOOSTING = {"FD001": (11.7, 13.0), "FD002": (13.4, 25.7), "FD003": (12.1, 13.7), "FD004": (13.7, 26.2)}
_LSTM = {"FD001": 16.1, "FD002": 24.5, "FD003": 16.2, "FD004": 28.2}


def rows(data: Path) -> list[Row]:
    folder = data / "CMAPSS"
    like = np.loadtxt(folder / "RUL_FD001.txt")
    found = []
    for name in _LEAST:
        train = _read(folder / f"train_{name}.txt")
        if (folder / f"test_{name}.txt").exists():
            tested = _read(folder / f"test_{name}.txt")
            found += _of(name, predict(fit(train), tested), np.loadtxt(folder / f"RUL_{name}.txt"), np.ones(len(like)))
            recordings = f"{name}, cut"
        else:
            recordings = name
        forecast, left = _held_back(train)
        found += _of(
            recordings, forecast, left, cut_weights(left, forecast.cycle, like if name in ("FD001", "FD003") else None)
        )
    return found


def _read(path: Path) -> Trajectories:
    return read(path, unit="c1", cycle="c2")


def _held_back(train: Trajectories, seed: int = 0) -> tuple[Forecast, Floats]:
    """A forecast at every row of every unit, by models of the other two thirds of the units."""
    part = np.random.default_rng(seed).permutation(len(train.units)) % PARTS
    forecasts, left = [], []
    for held in range(PARTS):
        asked = train.picked(np.flatnonzero(part == held))
        forecasts.append(predict(fit(train.picked(np.flatnonzero(part != held)), seed=seed), asked, every=True))
        left.append(asked.left)
    joined = (np.concatenate([getattr(each, name) for each in forecasts]) for name in _COLUMNS)
    reasons = tuple(reason for each in forecasts for reason in each.reason)
    return Forecast(*joined, within=forecasts[0].within, reason=reasons), np.concatenate(left)


_COLUMNS = ("unit", "cycle", "rul", "rul_p05", "rul_p95", "p_fail")


def cut_weights(left: Floats, cycle: Floats, like: Floats | None) -> Floats:
    """How often a unit would be cut at this row, (N,): every row with its share, not a few at random."""
    edges = np.arange(0.0, left.max() + 20, 10)
    if like is None:
        centre = edges[:-1] + 5
        part = (centre - _SHORTEST_LEFT) / (_LONGEST_LEFT - _SHORTEST_LEFT)
        wanted = np.where(centre <= _LONGEST_LEFT, 1 - 0.7 * part, 0.0)
    else:
        wanted = np.histogram(like, edges)[0].astype(float)
    shown = (cycle >= _FEWEST_CYCLES) & (left >= _SHORTEST_LEFT)
    bin_of = np.digitize(left, edges) - 1
    rows = np.bincount(bin_of[shown], minlength=len(wanted))
    return np.where(shown, (wanted / np.maximum(rows, 1))[bin_of], 0.0)


def _of(name: str, forecast: Forecast, left: Floats, weight: Floats) -> list[Row]:
    base = name[:5]
    said = np.isfinite(forecast.rul)
    weight = np.where(said, weight, 0.0)
    rul = np.where(said, forecast.rul, 0.0)

    def error(estimate: Floats, truth: Floats) -> float:
        return float(np.sqrt(np.average((estimate - truth) ** 2, weights=weight)))

    held = (forecast.rul_p05 <= left) & (left <= forecast.rul_p95)
    happened = left <= forecast.within
    brier = np.average((np.where(said, forecast.p_fail, 0.0) - happened) ** 2, weights=weight)
    often = np.average(happened, weights=weight)
    clipped = np.minimum(left, CAP)
    mean = np.full_like(left, np.average(clipped, weights=weight))
    boosted, boosted_raw = _BOOSTING[base]
    coverage = 100 * float(np.average(held, weights=weight))
    return [
        Row(f"C-MAPSS {name}", "error, clipped at 125", error(np.minimum(rul, CAP), clipped), _LEAST[base], _AIM[base],
            upwards=False, beside={"FFVE": _FFVE[base], "boosting": boosted, "the mean": error(mean, clipped)}),
        Row(f"C-MAPSS {name}", "error, raw", error(rul, left), aim=_RAW_AIM[base], upwards=False,
            beside={"MTSTAN": _RAW_AIM[base], "deep LSTM": _LSTM[base], "boosting": boosted_raw}),
        Row(f"C-MAPSS {name}", "in the 90 % interval, %", coverage),
        Row(f"C-MAPSS {name}", "the interval off 90 %, points", abs(coverage - 90), 3, upwards=False),
        Row(f"C-MAPSS {name}", "Brier, failure within 30", float(brier), upwards=False,
            beside={"how often it happens": float(often * (1 - often))}),
        Row(f"C-MAPSS {name}", "without an estimate, % of rows", 100 * float((~said).mean()), 0.1, upwards=False),
    ]  # fmt: skip
