"""The hazard of a fleet's components: how probable it is that one fails soon, by what its machine shows and by its age.

For fleets with a record of services and failures. Each row of a machine is told by how its channels have moved (sums of
departures from its own past, which see a lasting move of one spread within half a day of hourly rows), by the events of
its last day, and by the age of the component; a logistic regression of each component says how probable a failure is
within the horizon. `tickets` makes one of a stretch of risk, at the `threshold` that a budget of needless ones allows.

Fails where services are not recorded (every component looks old), with fewer than a dozen failures to learn from, and
for a component that never failed: it has no risk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# A ticket is in time so long before a failure: later, no part comes in time; earlier, nobody finds anything.
IN_TIME_US = (24 * HOUR_US, 168 * HOUR_US)
# How long before a failure signs show. Shorter, and the model learns from too few rows; longer, and from rows without
# a sign in them.
_HORIZON_US = 48 * HOUR_US
# A move of twice this is found soonest, in spreads; and the sums are of no more interest beyond that.
_ALLOWANCE, _MOST = 0.65, 15.0
# Rows before a channel's own level and spread are known.
_SETTLED_ROWS = 24
# How strongly coefficients are drawn towards none: a dozen failures tell of little.
_INVERSE_STRENGTH = 0.1
# Without risk for so long, what comes next is another ticket.
_OVER_US = DAY_US
_MONTH_US = 30.4 * DAY_US
# A component that was never serviced on record is taken to be this old, in days.
_OLD_DAYS = 365.0

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One machine: readings in rows, and what happened to it. All times in µs, rising.

    Attributes
    ----------
    time_us : int64 (N,)
    values : float64 (N, C)
        NaN where a channel is missing.
    events
        Times of each kind of event that it reported.
    services, failures
        Times at which each component was replaced, and at which it failed.
    """

    time_us: Times
    values: Floats
    events: Mapping[str, Times] = field(default_factory=dict)
    services: Mapping[str, Times] = field(default_factory=dict)
    failures: Mapping[str, Times] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """What was learnt: for each component, weights of the features, (F,), each less its mean and over its spread."""

    components: tuple[str, ...]
    events: tuple[str, ...]
    mean: Floats
    spread: Floats
    weights: Floats
    intercepts: Floats

    def risk(self, history: History) -> Floats:
        """The probability that a component fails within the horizon, (N, K). Causal: a row rests on earlier ones."""
        moves = np.hstack([_moves(history), _counts(history, self.events)])
        risk = np.empty((len(history.time_us), len(self.components)))
        for number, component in enumerate(self.components):
            features = np.column_stack([moves, _age(history, component)])
            score = (features - self.mean[number]) / self.spread[number] @ self.weights[number]
            risk[:, number] = 1.0 / (1.0 + np.exp(-(score + self.intercepts[number])))
        return risk


def fit(fleet: Sequence[History]) -> Hazard:
    """Learn from machines of the same channels.

    Raises
    ------
    ValueError
        If no component ever failed.
    """
    events = tuple(sorted({name for machine in fleet for name in machine.events}))
    moves = [np.hstack([_moves(machine), _counts(machine, events)]) for machine in fleet]
    failed = sorted({name for machine in fleet for name, times in machine.failures.items() if len(times)})
    learnt = []
    for component in failed:
        columns = [np.column_stack([m, _age(one, component)]) for m, one in zip(moves, fleet, strict=True)]
        features = np.vstack(columns)
        soon = np.concatenate([_fails_soon(one, component) for one in fleet])
        if not soon.any():
            continue
        mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
        model = LogisticRegression(C=_INVERSE_STRENGTH, max_iter=500).fit((features - mean) / spread, soon)
        learnt.append((component, mean, spread, model.coef_[0], float(model.intercept_[0])))
    if not learnt:
        raise ValueError("no component ever failed: there is nothing to learn from")
    names, means, spreads, weights, intercepts = zip(*learnt, strict=True)
    return Hazard(names, events, np.array(means), np.array(spreads), np.array(weights), np.array(intercepts))


def any_risk(risk: Floats) -> Floats:
    """The probability that any of the components fails, from those of each, (N, K) to (N,)."""
    return np.asarray(1.0 - np.prod(1.0 - risk, axis=1))


def tickets(time_us: Times, risk: Floats, threshold: float) -> Times:
    """When tickets are opened: at the first row of each stretch at or above the threshold."""
    above = time_us[risk >= threshold]
    begins = np.diff(above, prepend=-np.inf) > _OVER_US
    return above[begins]


def needless(opened: Times, failures: Times) -> int:
    """How many tickets are not in time for any failure."""
    return int((~_in_time(opened, failures).any(axis=1)).sum())


def warned(opened: Times, failures: Times) -> int:
    """How many failures have a ticket in time."""
    return int(_in_time(opened, failures).any(axis=0).sum())


def threshold(fleet: Sequence[History], risks: Sequence[Floats], needless_a_month: float) -> float:
    """The threshold that warns of most failures with so many needless tickets a machine and month at most.

    Of several the lowest; above any risk, where no threshold keeps to the budget. `risks` must be of models that had
    not seen the machine: each row of a fleet by a model of the others.
    """
    months = sum(float(machine.time_us[-1] - machine.time_us[0]) for machine in fleet) / _MONTH_US
    best, most = 1.1, -1
    # Each of them: at a high threshold tickets are few and late, at a low one all of a life is one ticket.
    for level in np.unique(np.quantile(np.concatenate(risks), np.linspace(0.5, 0.9995, 150))).tolist():
        opened = [tickets(machine.time_us, risk, level) for machine, risk in zip(fleet, risks, strict=True)]
        pairs = [(own, failures_of(machine)) for own, machine in zip(opened, fleet, strict=True)]
        hits = sum(warned(*pair) for pair in pairs)
        if hits > most and sum(needless(*pair) for pair in pairs) <= needless_a_month * months:
            best, most = level, hits
    return float(best)


def failures_of(machine: History) -> Times:
    """When any of its components failed."""
    return np.unique(np.concatenate([*machine.failures.values(), np.empty(0, np.int64)])).astype(np.int64)


def _in_time(opened: Times, failures: Times) -> npt.NDArray[np.bool_]:
    lead = failures[None, :] - opened[:, None]
    return np.asarray((lead >= IN_TIME_US[0]) & (lead <= IN_TIME_US[1]))


def _moves(history: History) -> Floats:
    """Sums of what each channel was above and below its own past, less an allowance: (N, 2 C)."""
    z = _standardised(history.values)
    sums, rows = np.zeros((2, z.shape[1])), np.empty((len(z), 2 * z.shape[1]))
    for number, row in enumerate(z):
        sums = np.clip(sums + np.stack([row, -row]) - _ALLOWANCE, 0.0, _MOST)
        rows[number] = sums.ravel()
    return rows


def _standardised(values: Floats) -> Floats:
    """Each channel less the mean of its past, over its spread; 0 while the past is short or a value is missing."""
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    count = np.cumsum(there, axis=0) - there
    mean = (np.cumsum(filled, axis=0) - filled) / np.maximum(count, 1)
    # About a fixed level, so that a large mean costs no digits.
    level = np.nanmedian(values[:_SETTLED_ROWS], axis=0) if len(values) else np.zeros(values.shape[1])
    square = np.where(there, (filled - level) ** 2, 0.0)
    variance = (np.cumsum(square, axis=0) - square) / np.maximum(count, 1) - (mean - level) ** 2
    spread = np.sqrt(np.maximum(variance, 0.0))
    known = there & (count >= _SETTLED_ROWS) & (spread > 0.0)
    return np.where(known, (filled - mean) / np.where(known, spread, 1.0), 0.0)


def _counts(history: History, events: Sequence[str]) -> Floats:
    """How often each kind of event came within the last day, (N, E)."""
    rows = np.empty((len(history.time_us), len(events)))
    for number, name in enumerate(events):
        times = history.events.get(name, np.empty(0, np.int64))
        until = np.searchsorted(times, history.time_us, side="right")
        rows[:, number] = until - np.searchsorted(times, history.time_us - DAY_US, side="right")
    return rows


def _age(history: History, component: str) -> Floats:
    """The logarithm of the component's age in days, (N,)."""
    times = history.services.get(component, np.empty(0, np.int64))
    last = np.searchsorted(times, history.time_us, side="right") - 1
    known = last >= 0
    age_us = history.time_us - (times[np.maximum(last, 0)] if len(times) else 0)
    return np.log1p(np.where(known, age_us / DAY_US, _OLD_DAYS))


def _fails_soon(history: History, component: str) -> npt.NDArray[np.bool_]:
    times = history.failures.get(component, np.empty(0, np.int64))
    soon = np.zeros(len(history.time_us), bool)
    for at in times.tolist():
        soon |= (history.time_us < at) & (history.time_us >= at - _HORIZON_US)
    return soon
