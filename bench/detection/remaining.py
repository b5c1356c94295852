"""Remaining life as it is said live: of simulated machines that wear to their end, and of the turbofans of C-MAPSS.

Simulated: faults of firmware_sim that grow for 6 to 90 days, steadily or ever faster (damage as a power of time, 1 to
3), after 8 to 12 healthy ones; a machine fails when its damage is whole. Health is found hour by hour as `notify` does,
and each machine is asked at parts of its wear by a fleet of all others. Turbofans: each cycle is taken for a day, its
health measured by the normal of its first 50; every other engine teaches, the others are asked.

`python -m bench.detection.remaining_picture` draws docs/images/prognosis.png.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.detection.table import Row
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from notify.assessment import by_the_hour
from prognosis.ages import Lives, fails_within
from prognosis.health import TREND_HOURS, falling, fit, fit_rows, smoothed
from prognosis.life.accuracy import alpha_lambda, brier, horizons, reliability
from prognosis.outlook import HORIZON_DAYS, Course, Failure, Fleet, Prognosis, prognose
from telemetry.quantities import quantity_of

START_S = 1_763_740_800
SAMPLE_S, ROW_S, DAY_S = 200, 600, 86_400
WORN, WELL, SEED = 48, 3, 2741
FAULTS = (
    ("pump", FaultKind.BEARING_WEAR),
    ("pump", FaultKind.BLOCKED_FILTER),
    ("pump", FaultKind.LEAK),
    ("pump", FaultKind.IMBALANCE),
    ("pump", FaultKind.CAVITATION),
    ("pump", FaultKind.OVERHEATING),
    ("gearmotor", FaultKind.BEARING_WEAR),
    ("gearmotor", FaultKind.IMBALANCE),
    ("gearmotor", FaultKind.OVERHEATING),
    ("compressor", FaultKind.BEARING_WEAR),
    ("compressor", FaultKind.BLOCKED_FILTER),
    ("compressor", FaultKind.LEAK),
)
TURBOFANS = ("FD001", "FD003")
PARTS = np.linspace(0.15, 0.95, 9)
LAMBDAS = (0.45, 0.65, 0.85)
_FIRST_ROWS, _TURBOFAN_ROWS, _ASKED_EVERY = 36, 50, 30

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wear(Fault):
    """A fault whose damage grows with a power of time."""

    power: float = 1.0

    def damage(self, since_start_s: Floats) -> Floats:
        grown = np.clip((since_start_s - self.onset_s) / self.growth_s, 0.0, 1.0)
        return np.asarray(grown**self.power * self.severity)


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """A machine to its end: its kind, its health by the hour and what pulled it down, its onset and end in days."""

    kind: str
    days: Floats
    measured: Floats
    worst_points: list[str]
    onset: float
    end: float

    def failure(self) -> Failure:
        """What it tells its like when it has failed."""
        first = int(np.argmax(falling(smoothed(self.measured)) < 80.0))
        health = float(np.median(self.measured[-6:]))
        return Failure(
            health, float(self.end - self.days[first]), Counter(self.worst_points[-24:]).most_common(1)[0][0]
        )

    def until(self, day: float) -> Course:
        """What was known of it on a day."""
        n = int(np.searchsorted(self.days, day))
        return Course(
            self.days[:n], self.measured[:n], self.worst_points[:n], day - self.days[n - 1], day, False, frozenset()
        )


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was said: machine, the part of life and the days that were left; 5, 50, 95 % and the probability."""

    unit: npt.NDArray[np.intp]
    part: Floats
    left: Floats
    days: Floats
    p_fail: Floats

    @property
    def said(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.p_fail)


def rows(data: Path) -> list[Row]:
    worn, well = simulated()
    found = ask(worn, PARTS)
    alone = ask(worn, PARTS[::3], with_fleet=False)
    needless = np.mean([prognose(life.until(day), _fleet(worn)).life is not None
                        for life in well for day in np.arange(10.0, life.end, 3.0)])  # fmt: skip
    ours, base = briers(found)
    at = {part: _within(found, part) for part in LAMBDAS}
    horizon = horizon_share(worn, found)
    return [
        Row("worn to the end", "90 % interval holds, off 90 by points", abs(100 * covered(found) - 90), 3, 1,
            upwards=False, beside={"holds, %": round(100 * covered(found), 1),
                                   "without a fleet's failures": round(100 * covered(alone), 1)}),
        Row("worn to the end", "remaining life said, % of the time from the onset", 100 * float(found.said.mean())),
        Row("worn to the end", "Brier score of failure within 30 days", ours, base, upwards=False,
            beside={"how often it happens": round(base, 4)}),
        Row("worn to the end", "within 20 % of what was left, at 45 % of wear", 100 * at[0.45],
            beside={f"at {100 * part:.0f} %": round(100 * at[part], 1) for part in LAMBDAS[1:]}),
        Row("worn to the end", "prognostic horizon, % of the wear's days (median)", 100 * horizon),
        Row("worn to the end", "remaining life said of healthy machines, % of the times", 100 * float(needless), 5, 1,
            upwards=False),
        *(row for name in TURBOFANS for row in turbofans(data, name)),
        *by_age(),
    ]  # fmt: skip


def simulated() -> tuple[list[Life], list[Life]]:
    """Machines that wear to their end, and such as stay well for 40 days."""
    rng = np.random.default_rng(SEED)
    worn = []
    for number in range(WORN):
        kind, fault = FAULTS[number % len(FAULTS)]
        growth, power = float(np.exp(rng.uniform(np.log(6.0), np.log(90.0)))), float(rng.uniform(1.0, 3.0))
        worn.append(live(kind, fault, float(rng.uniform(8.0, 12.0)), growth, power, number))
    kinds = list(MODELS)
    return worn, [live(kinds[number % len(kinds)], None, 40.0, 0.0, 1.0, WORN + number) for number in range(WELL)]


def live(kind: str, fault: FaultKind | None, healthy: float, growth: float, power: float, number: int) -> Life:
    """One machine's health by the hour."""
    device = f"{kind}-{SEED}-{number}"
    faults = [Wear(device, fault, healthy * DAY_S, growth * DAY_S, power=power)] if fault else []
    machine = Machine(MachineSpec(device, kind, "", f"site-{number}"), number, faults, float(START_S))
    count = int((healthy + growth) * DAY_S) // ROW_S * (ROW_S // SAMPLE_S)
    readings = machine.run((START_S + np.arange(count, dtype=np.int64) * SAMPLE_S) * 1000)
    points = list(readings)
    values = np.stack(list(readings.values()), axis=1).reshape(-1, ROW_S // SAMPLE_S, len(points)).mean(axis=1)
    times = [datetime.fromtimestamp(START_S + ROW_S * row, UTC) for row in range(len(values))]
    normal = fit(points, [quantity_of(point).name for point in points], values[:_FIRST_ROWS])
    if normal is None:
        raise ValueError(f"no normal of {device} from its first {_FIRST_ROWS} rows")
    found, measured, a_day = [], list[float](), DAY_S // ROW_S
    for begin in range(0, len(values), a_day):
        day = slice(begin, begin + a_day)
        normal, hours = by_the_hour(normal, times[day], values[day], measured[-TREND_HOURS:], learning=begin > 0)
        measured += [hour.measured for hour in hours]
        found += hours
    days = np.array([(hour.hour.timestamp() - START_S) / DAY_S for hour in found])
    return Life(kind, days, np.array(measured), [hour.worst_point for hour in found], healthy, healthy + growth)


def ask(lives: Sequence[Life], parts: Floats, *, with_fleet: bool = True) -> Answers:
    """Each machine at parts of its wear, by what all others tell."""
    answers = []
    for unit, life in enumerate(lives):
        others = [one for one in lives if one is not life and one.kind == life.kind] if with_fleet else []
        fleet = _fleet(others)
        for part in parts:
            day = life.onset + part * (life.end - life.onset)
            answers.append((unit, part, life.end - day, *_numbers(prognose(life.until(day), fleet))))
    return _answers(answers)


def turbofans(data: Path, name: str) -> list[Row]:
    """How good what is said of the engines of one set is."""
    found = ask_turbofans(data, name)
    ours, base = briers(found)
    return [
        Row(f"turbofans {name}", "90 % interval holds, %", 100 * covered(found),
            beside={"said, % of the times": round(100 * float(found.said.mean()), 1)}),
        Row(f"turbofans {name}", "Brier score of failure within 30 cycles", ours, base, upwards=False,
            beside={"how often it happens": round(base, 4)}),
    ]  # fmt: skip


def ask_turbofans(data: Path, name: str) -> Answers:
    """What is said of every other engine of one set, every 30 cycles."""
    table = np.loadtxt(data / "CMAPSS" / f"train_{name}.txt")
    channels = [c for c in range(5, table.shape[1]) if len(np.unique(table[:, c])) > 8]
    lives = [_turbofan(table[table[:, 0] == unit], channels) for unit in np.unique(table[:, 0])]
    fleet = _fleet(lives[1::2])
    answers = []
    for unit, life in enumerate(lives[::2]):
        for day in np.arange(_TURBOFAN_ROWS + 10.0, life.end, _ASKED_EVERY):
            answers.append((unit, day / life.end, life.end - day, *_numbers(prognose(life.until(day), fleet))))
    return _answers(answers)


def _turbofan(engine: Floats, channels: list[int]) -> Life:
    rows = engine[:, channels]
    measured = fit_rows([str(c) for c in channels], (), rows[:_TURBOFAN_ROWS]).indices(rows)
    measured[:_TURBOFAN_ROWS] = 100.0
    return Life("turbofan", engine[:, 1], measured, [""] * len(rows), 0.0, float(engine[-1, 1]))


def by_age(fleets: int = 150) -> list[Row]:
    """Fleets whose lives are Weibull, most of them not over: what their age says of the next 30 days."""
    rng = np.random.default_rng(SEED)
    said, rate, failed = [], [], []
    for _ in range(fleets):
        shape, scale = rng.choice([0.8, 1.0, 1.5, 2.5, 4.0]), np.exp(rng.uniform(np.log(60.0), np.log(800.0)))
        days, ended, now = [], [], []
        for seen in rng.uniform(20.0, 600.0, int(rng.integers(15, 120))):
            left = seen
            while (life := scale * rng.weibull(shape)) < left:
                days.append(life)
                ended.append(True)
                left -= life
            days.append(left)
            ended.append(False)
            now.append((left, life - left))
        lives = Lives(np.array(days), np.array(ended))
        for age, left in now[:10]:
            p_fail = fails_within(lives, age, HORIZON_DAYS)
            if p_fail is not None:
                said.append(p_fail)
                rate.append(1.0 - np.exp(-HORIZON_DAYS * lives.failures / lives.days.sum()))
                failed.append(left <= HORIZON_DAYS)
    happened, weight = np.array(failed), np.ones(len(failed))
    ours, constant = (brier(np.array(each), happened, weight) for each in (said, rate))
    off = sum(share * abs(mean - often) for mean, often, share in reliability(np.array(said), happened, weight))
    return [
        Row("lives of fleets", "Brier score of failure within 30 days, by age", ours, constant, upwards=False,
            beside={"by the fleet's rate": round(constant, 4)}),
        Row("lives of fleets", "said and happened differ by, points (mean)", 100 * float(off), 3, 2, upwards=False),
    ]  # fmt: skip


def _fleet(lives: Sequence[Life]) -> Fleet:
    return Fleet([life.failure() for life in lives], Lives(np.empty(0), np.empty(0, bool)))


def _numbers(said: Prognosis) -> tuple[float, float, float, float]:
    if said.life is None:
        return (np.nan,) * 4
    return (*(said.life.quantile(share) for share in (0.05, 0.5, 0.95)), said.life.within(HORIZON_DAYS))


def _answers(found: list[tuple[float, ...]]) -> Answers:
    table = np.array(found)
    return Answers(table[:, 0].astype(np.intp), table[:, 1], table[:, 2], table[:, 3:6], table[:, 6])


def covered(found: Answers) -> float:
    """The share of what was left within the 90 % interval."""
    left, days = found.left[found.said], found.days[found.said]
    return float(((days[:, 0] <= left) & (left <= days[:, 2])).mean())


def briers(found: Answers) -> tuple[float, float]:
    """The Brier score of failure within 30 days, and that of always saying how often it happens."""
    happened, weight = found.left[found.said] <= HORIZON_DAYS, np.ones(int(found.said.sum()))
    often = np.full(len(happened), happened.mean())
    return brier(found.p_fail[found.said], happened, weight), brier(often, happened, weight)


def _within(found: Answers, part: float) -> float:
    here = np.flatnonzero(np.isclose(found.part, part) & found.said)
    return alpha_lambda(found.days[:, 1], found.left, here)


def horizon_share(lives: Sequence[Life], found: Answers) -> float:
    """The median over machines: so much of the wear's days before the end, and from then on, estimates were good."""
    wear = np.array([lives[unit].end - lives[unit].onset for unit in found.unit])
    estimate = np.where(found.said, found.days[:, 1], np.inf)
    good = horizons(estimate, found.part * wear, found.left, found.unit)
    return float(np.median(good / wear[np.unique(found.unit, return_index=True)[1]]))
