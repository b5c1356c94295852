"""Slow, obvious versions of what the detectors do in bulk: the specification that the fast ones are held to."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from detectors.limits import RATE_WINDOW_US, Limit
from tickets.calendar import Calendar
from tickets.plans import Recurrence, moment

Reading = tuple[int, float]


def limit_score(limit: Limit, value: float) -> float:
    """Score of a level whose limits are all four set."""
    assert limit.hihi is not None
    assert limit.hi is not None
    assert limit.lo is not None
    assert limit.lolo is not None
    above = 1 + (value - limit.hi) / (limit.hihi - limit.hi)
    below = 1 + (limit.lo - value) / (limit.lo - limit.lolo)
    return max(above, below, 0.0)


def rates_per_min(readings: Sequence[Reading]) -> list[float]:
    """Change per minute since the newest of the kept readings that is 7/8 of the window old or more."""
    kept: list[Reading] = []
    rates = []
    for now_us, value in readings:
        old = [(t, v) for t, v in kept if now_us - t >= 7 * RATE_WINDOW_US // 8]
        rates.append((value - old[-1][1]) / ((now_us - old[-1][0]) / 60e6) if old else math.nan)
        if not kept or now_us - kept[-1][0] >= RATE_WINDOW_US // 8:
            kept = [*kept, (now_us, value)][-9:]
    return rates


def stays_us(readings: Sequence[Reading], gaps_us: int, most_us: int) -> list[int]:
    """How long each reading's value has lasted, where a gap counts for `most_us` once `gaps_us` gaps were seen."""
    ages: list[int] = []
    for index, (now_us, value) in enumerate(readings):
        if index == 0 or readings[index - 1][1] != value:
            ages.append(0)
            continue
        gap_us = now_us - readings[index - 1][0]
        ages.append(ages[-1] + (min(gap_us, most_us) if index >= gaps_us else gap_us))
    return ages


def spans(readings: Sequence[Reading], width_us: int, trimmed: bool = False) -> Iterator[float]:
    """Means of the readings in each span of time that is over; without the highest and the lowest, for `trimmed`."""
    held: list[float] = []
    number = None
    for time_us, value in readings:
        if number is not None and time_us // width_us != number:
            yield statistics.fmean(sorted(held)[1:-1] if trimmed and len(held) > 2 else held)
            held = []
        number = time_us // width_us
        held.append(value)


def tail_level(excesses: Sequence[float], share: float, informative: float) -> float:
    """The level that a share of further excesses exceeds, averaged over all tails by how well they fit."""
    mean = statistics.fmean(excesses)
    tails = [(shape, scale * mean) for shape in np.linspace(-0.425, 0.625, 22) for scale in np.geomspace(0.25, 4.0, 17)]

    def above(level: float, shape: float, scale: float) -> float:
        inside = 1 + shape * level / scale
        return inside ** (-1 / shape) if inside > 0 else 0.0

    def fit(shape: float, scale: float) -> float:
        density = [above(excess, shape, scale) ** (1 + shape) / scale for excess in excesses]
        prior = math.exp(-0.5 * ((shape - 0.10) / 0.122) ** 2)
        return prior * math.prod(each * mean for each in density) ** informative

    weights = [fit(*tail) for tail in tails]
    low, high = 0.0, 1e4 * mean
    for _ in range(50):
        middle = (low + high) / 2
        expected = sum(weight * above(middle, *tail) for weight, tail in zip(weights, tails, strict=True))
        low, high = (middle, high) if expected > share * sum(weights) else (low, middle)
    return high


def drift_scores(means: Sequence[float], false_alarm_rate: float) -> list[float]:
    """Score after each span of a stream that is never accepted as it is."""
    levels = [statistics.median(means[n - 6 : n]) if n >= 6 else math.nan for n in range(1, len(means) + 1)]
    learnt = levels[5:48:3]
    base = statistics.median(learnt[7:])
    away = sorted(abs(level - base) for level in learnt)
    share = false_alarm_rate * 15 / 8
    limit = away[7] + tail_level([each - away[7] for each in away[7:]], share, 0.5)
    rough = statistics.fmean(abs(b - a) for a, b in itertools.pairwise(means[:48]))
    deviation = rough * math.sqrt(math.pi) / 2
    sure = statistics.NormalDist().inv_cdf(1 - false_alarm_rate / 2)
    limit = max(limit, sure * deviation * math.sqrt(math.pi / 2 / 6))
    return [
        math.nan if age < 48 else abs(level - base) / (limit * math.sqrt(max(1.0, age / 48)))
        for age, level in enumerate(levels, start=1)
    ]


def shift_scores(
    means: Sequence[float], learn_spans: int, limit: float, least_steps: float, scatter: float
) -> list[float]:
    """Score after each span of a stream without start-up, departures ending by themselves and no habit."""
    fast: list[float] = []
    base, base_n, rough, rough_n, move, move_n = math.nan, 0, 0.0, 0, 0.0, 0
    departed, highest, widened = False, 0.0, 1.0
    spell_tops, spell_top, tops = [0, 0], 0, [0] * 12
    scores = []
    for number, mean in enumerate(means, start=1):
        leaving = fast[0] if len(fast) == 6 else None
        before = fast[-1] if fast else None
        fast = [*fast, mean][-6:]
        if leaving is not None and not departed:
            change = 0.0 if math.isnan(base) else leaving - base
            if base_n >= 6:
                reach = 3 * max(move, rough)
                change = min(max(change, -reach), reach)
            base_n = min(base_n + 1, 30)
            base = leaving if math.isnan(base) else base + change / base_n
        distance = abs(statistics.median(fast) - base) if len(fast) == 6 else math.nan
        worst = math.nan
        if rough > 0 and not math.isnan(distance):
            steps = statistics.median(abs(a - b) for a, b in zip(fast[1:], fast[:-1], strict=True))
            worst = max(distance / max(limit * move, least_steps * rough), steps / (scatter * rough))
        score = worst / widened if number >= learn_spans else math.nan
        if not departed:
            if before is not None:
                rough, rough_n = _learnt(rough, rough_n, abs(mean - before))
            if not math.isnan(distance):
                move, move_n = _learnt(move, move_n, distance)
        was, departed = departed, score >= 1.0 if not departed else score >= 0.7
        highest = max(highest, worst) if was else worst
        scores.append(score)
        if departed or move_n < 24:
            continue
        spell_top = max(spell_top, _coded(min(highest, 2 * widened)))
        if number % 12 == 0:
            if spell_tops[0] <= spell_tops[1] > spell_top:
                tops = sorted([*tops, spell_tops[1]])[1:]
                widened = max(1.0, _height(_coded(min(_exceeded_once(tops), 1.3))))
            spell_tops, spell_top = [spell_tops[1], spell_top], 0
    return scores


def _coded(height: float) -> int:
    return min(max(math.floor(50 * math.log(height) + 116.5), 0), 255) if height > 0 else 0


def _height(coded: int) -> float:
    return math.exp((coded - 116) / 50)


def _exceeded_once(tops: Sequence[int]) -> float:
    """In ten times as long as they took to come."""
    heights = [_height(coded) for coded in tops if coded]
    if len(heights) < 5:
        return 0.0
    k, lowest = len(heights) - 1, min(heights)
    return lowest + ((10 * k) ** (1 / k) - 1) * sum(height - lowest for height in heights)


def _learnt(scale: float, n: int, seen: float) -> tuple[float, int]:
    if n >= 24 and scale > 0:
        seen = min(seen, 3 * scale)
    n = min(n + 1, 240)
    return scale + (seen - scale) / n, n


def machine_reach(rows: np.ndarray, smooth: int, memory: int, blocks: int, t: float) -> float:
    """Limit of a machine's distance, from rows (N, C) in health that all of its channels moved in.

    `t` is Student's quantile for so many blocks.
    """
    fast, base = rows[0].copy(), rows[0].copy()
    away = []
    for number, row in enumerate(rows, start=1):
        fast = row.copy() if number == 1 else fast + (row - fast) / min(number, smooth)
        away.append(fast - base)
        base = fast.copy() if number == 1 else base + (fast - base) / min(number, memory)
    parts = np.array_split(np.array(away[20:]), blocks)
    logs = []
    for left_out, part in enumerate(parts):
        others = np.concatenate([other for number, other in enumerate(parts) if number != left_out])
        covariance = others.T @ others / len(others)
        spread = np.sqrt(np.diag(covariance))
        correlation = 0.95 * covariance / np.outer(spread, spread)
        np.fill_diagonal(correlation, 1.0)
        logs += [math.log(math.sqrt(z @ np.linalg.solve(correlation, z))) for z in part / spread]
    middle, upper = np.quantile(logs, [0.5, 0.95])
    return math.exp(middle + t * (upper - middle) / 1.6448536 * math.sqrt(1 + 1 / blocks))


def velocity_rms_of_tones(tones: Sequence[tuple[float, float, float]], rate_hz: float, n: int) -> float:
    """RMS velocity of a sum of (amplitude, Hz, phase), integrated step by step at ten times the rate."""
    fine_hz = 10 * rate_hz
    t = np.arange(10 * n) / fine_hz
    acceleration = sum(a * np.sin(2 * np.pi * f * t + phase) for a, f, phase in tones)
    velocity = np.cumsum(acceleration) / fine_hz
    return float(np.std(velocity))


def band_rms(signal: Sequence[float], rate_hz: float, low_hz: float, high_hz: float) -> float:
    """RMS from low to high, whole lines both, through a Hann window, sine by sine."""
    n = len(signal)
    mean = statistics.fmean(signal)
    window = [math.sin(math.pi * i / n) ** 2 for i in range(n)]
    power = sum(w * w for w in window)
    total = 0.0
    for k in range(1, (n + 1) // 2):
        if low_hz <= k * rate_hz / n <= high_hz:
            turns = [2 * math.pi * k * i / n for i in range(n)]
            c = sum((x - mean) * w * math.cos(a) for x, w, a in zip(signal, window, turns, strict=True))
            s = sum((x - mean) * w * math.sin(a) for x, w, a in zip(signal, window, turns, strict=True))
            total += 2 * (c * c + s * s) / (n * power)
    return math.sqrt(total)


class _Tail:
    """Rarity in decades of each number among those before it: a level that one in fifty exceeds, and by how much."""

    def __init__(self, learn_from: int, memory_n: int) -> None:
        self.learn_from, self.memory_n = learn_from, memory_n
        self.learnt: list[float] = []
        self.n, self.level, self.excess, self.over = 0, 0.0, 0.0, 0.0

    def decades(self, x: float) -> float:
        if len(self.learnt) < self.learn_from:
            self.learnt.append(x)
            self.n, self.level, self.over = len(self.learnt), max(self.learnt), 1.0
            self.excess = self.level - statistics.fmean(self.learnt)
            return 0.0
        rarity = math.log10(50) * x / self.level if x <= self.level else math.inf
        if x > self.level and self.excess > 0:
            rarity = math.log10(50) + (x - self.level) / self.excess / math.log(10)
        self.n = min(self.n + 1, self.memory_n)
        pace = 1 / (self.n * 0.02 + 1)
        if x > self.level:
            self.over = min(self.over + 1, self.memory_n * 0.02)
            self.excess += (min(x - self.level, 20 * self.excess) - self.excess) / self.over
            self.level *= math.exp(pace * 0.98)
        else:
            self.over = min(self.over, self.memory_n * 0.02)
            self.level *= math.exp(-pace * 0.02)
        return rarity


def novelty_scores(means: Sequence[float], first_span: int) -> list[float]:
    """Score after each five minutes without a gap, the first of which is that number since 1970; the limit is 4."""
    value, apart, shape = _Tail(50, 4000), _Tail(20, 1000), {width: _Tail(20, 1000) for width in (3, 6, 12)}
    diary = _Diary()
    pages = diary.pages
    held: list[float] = []
    said: list[tuple[int, float]] = []
    scores = []
    page = (first_span + 1) // 6
    for span, mean in enumerate(means, start=first_span):
        held.append(mean)
        then = [pages[page - 48 * day] for day in range(1, 8) if page - 48 * day in pages]
        total = min(value.decades(min(abs(mean - each) for each in then)), 4.0) if then else 0.0
        if (span + 1) // 6 != page:
            diary.enter(page, float(np.float32(statistics.fmean(held))))
            total += 0.3 * min(apart.decades(max(held) - min(held)), 4.0)
            rare = [_stretch_decades(pages, page, width, tail) for width, tail in shape.items()]
            total += min(statistics.fmean(rare), 4.0)
            held, page = [], page + 1
        if total > max((each for at, each in said if span - at <= 200), default=0.0):
            said = [(span, total)]
        else:
            total = 0.0
        scores.append(total / 4 if len(value.learnt) == 50 else math.nan)
    return scores


class _Diary:
    """Means by the number of their page, the last 336, in 254 steps of what a quarter of them spans."""

    def __init__(self) -> None:
        self.pages: dict[int, float] = {}
        self.scales: dict[int, tuple[float, float]] = {}

    def enter(self, page: int, mean: float) -> None:
        self.pages.pop(page - 336, None)
        quarter = page % 336 // 84
        begins, step = self.scales.get(quarter, (math.nan, 0.0))
        together = [each for each in self.pages if each % 336 // 84 == quarter]
        values = [self.pages[each] for each in together] + [mean]
        low, high = min(values), max(values)
        outside = not begins <= mean <= begins + 254 * step
        if outside or (step and round((high - begins) / step) - round((low - begins) / step) < 127):
            beyond = (high - low) / 2
            low, high = low - beyond * (mean == low), high + beyond * (mean == high)
            self.scales[quarter] = float(np.float32(low)), float(np.float32((high - low) / 254))
            for each in together:
                self.pages[each] = self._rounded(self.pages[each], quarter)
        self.pages[page] = self._rounded(mean, quarter)

    def _rounded(self, mean: float, quarter: int) -> float:
        begins, step = self.scales[quarter]
        return begins + step * min(max(round((mean - begins) / step), 0), 254) if step else begins


def _stretch_decades(pages: dict[int, float], page: int, width: int, tail: _Tail) -> float:
    """How rare the distance of the newest pages from the nearest earlier ones of the last seven days is."""

    def stretch(last: int) -> list[float]:
        return [pages.get(number, math.nan) for number in range(last - width + 1, last + 1)]

    each = [math.dist(stretch(page), stretch(page - age)) for age in range(width, 336 - width + 1)]
    whole = [distance for distance in each if not math.isnan(distance)]
    return tail.decades(min(whole)) if len(whole) >= width else 0.0


def window_mean(
    unit: Sequence[int], cycle: Sequence[float], values: Sequence[Sequence[float]], width: float
) -> list[list[float]]:
    """`Windows.mean` of life: each row and its unit's earlier ones of less than `width` cycles before."""
    found = []
    for row in range(len(unit)):
        near = [each for each in range(row + 1) if unit[each] == unit[row] and cycle[row] - cycle[each] < width]
        found.append([statistics.fmean(column) for column in zip(*(values[each] for each in near), strict=True)])
    return found


def minutes_worked(
    zone: ZoneInfo,
    week: Sequence[Sequence[tuple[int, int]]],
    exceptions: Mapping[date, Sequence[tuple[int, int]]],
    start: datetime,
    minutes: int,
) -> list[bool]:
    """Of each minute from `start` whether it is worked: the clock on the wall is within that day's hours."""
    found = []
    for minute in range(minutes):
        wall = (start + timedelta(minutes=minute)).astimezone(zone)
        hours = exceptions.get(wall.date(), week[wall.weekday()])
        shown = wall.hour * 60 + wall.minute
        found.append(any(begin <= shown < end for begin, end in hours))
    return found


# Preventive plans -----------------------------------------------------------------------------------------------------


def plan_moments(recurrence: Recurrence, after: datetime, until: datetime, calendar: Calendar) -> list[datetime]:
    """Every moment of a recurrence in (after, until], each once, by counting from the first."""
    found: set[datetime] = set()
    number = 0
    while (at := moment(recurrence, number, calendar)) <= until:
        if at > after:
            found.add(at)
        number += 1
    return sorted(found)
