"""What `shift` makes of one span of a stream after the other: a recursion, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.compiled import compiled

# Spans in the fast window. Its median needs four to move: a step is seen after four spans, a spike of two never.
FAST = 6
# Memory of the baseline and of the scales, in spans.
_BASE_SPANS = 30
_SCALE_SPANS = 240
# A surprise counts for at most so many times its own scale when the scale is learnt, so that a fault barely widens it.
_SURPRISE = 3.0
# A departure ends below this score: at 1 the baseline would start and stop with every wobble around the limit.
_RETURNED = 0.7
# While learning, a level that has been away for so many spans, seen from at least so many, begins the learning anew;
# not for ever, since a machine that is switched all day has no other normal.
_STARTED_UP = 2 * FAST
_LEARNT_ENOUGH = 4 * FAST
_RESTARTS = 3
# Departures of about the same size that came and went this often are a habit, and reach so much farther than their
# mean.
_HABIT_AFTER = 3
_HABIT_REACH = 1.5
# No departure is accepted as the new normal before so many spans: an hourly stream needs longer than the clock says.
_ACCEPT_SPANS = 120
# Spans among which there is one peak at most, for the limit's tail: two fast windows share no reading.
SPELL = 2 * FAST
# A departure that has ended by itself counts as a peak no higher than so many times the limit: a fault that was
# repaired must not be free to come again.
_STRETCH = 2.0
# Of its peaks so many of the highest are remembered, and from so many on they have a tail. Fewer, and single peaks make
# the limit; more, and the body of the scores does.
TOPS = 12
_FEWEST_TOPS = 5
# Heights are remembered in steps of a fiftieth, a byte each: from a tenth of the usual limit to sixteen times that.
_STEP, _USUAL = 0.02, 116
_HEIGHTS = np.concatenate(([0.0], np.exp(_STEP * (np.arange(1, 256) - _USUAL))))
# Scores are finite.
_HUGE = 1e300

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


class Columns(NamedTuple):
    """The columns of the memory that a span changes, (capacity,) or (capacity, n)."""

    fast: Floats
    spans: npt.NDArray[np.int32]
    base: Floats
    base_n: Bytes
    rough: Floats
    rough_n: Bytes
    move: Floats
    move_n: Bytes
    unsettled: Bytes
    restarts: npt.NDArray[np.int8]
    away: Bytes
    peak: Singles
    habit: Singles
    habits: Bytes
    slight: Singles
    since_us: Integers
    score: Floats
    near: Bytes
    tops: Bytes
    level: Bytes


class Settings(NamedTuple):
    """Of `Shift`, by the names of its parameters."""

    limit: float
    least_steps: float
    scatter_limit: float
    learn_spans: int
    accept_us: float
    learn_until_us: int
    least_level: float
    most_level: float
    foretold: float


@compiled
def margins(columns: Columns, settings: Settings, row: int) -> tuple[float, float]:
    """How far the level may be from the baseline, and how rough the stream may be: as has often been before.

    What nobody would be called for is never a shift.
    """
    rough = columns.rough[row]
    level = max(settings.limit * columns.move[row], settings.least_steps * rough, columns.slight[row])
    scatter = settings.scatter_limit * rough
    if columns.habits[row] >= _HABIT_AFTER:
        level = max(level, _HABIT_REACH * columns.habit[row, 0])
        scatter = max(scatter, _HABIT_REACH * columns.habit[row, 1])
    return level, scatter


@compiled
def limit_of(columns: Columns, settings: Settings, row: int) -> float:
    """How many times as far as usual the limit is, by what the stream's own past foretells."""
    return max(settings.least_level, float(_HEIGHTS[columns.level[row]]))


@compiled
def take(
    columns: Columns,
    settings: Settings,
    row: Rows,
    mean: Floats,
    now_us: Integers,
    allowed: Floats,
    score: Floats,
) -> None:
    """Take spans, each stream's in order of time, and write their scores; `allowed` is one alarm in so many spells."""
    fast_sorted, steps_sorted = np.empty(FAST), np.empty(FAST - 1)
    for at in range(len(row)):
        stream = row[at]
        was = columns.since_us[stream] >= 0
        before = columns.fast[stream, FAST - 1]
        _enter(columns, stream, mean[at], was)
        seen = columns.spans[stream]
        level = steps = np.nan
        if seen >= FAST:
            level, steps = _window(columns.fast[stream], fast_sorted, steps_sorted)
        move = abs(level - columns.base[stream])
        level_margin, scatter_margin = margins(columns, settings, stream)
        worst = min(_larger(move / level_margin, steps / scatter_margin), _HUGE)
        opinion = seen >= FAST and seen >= settings.learn_spans and columns.rough[stream] > 0
        limit = max(settings.least_level, _HEIGHTS[columns.level[stream]])
        score[at] = worst / limit if opinion else np.nan
        if not was:
            columns.rough[stream], columns.rough_n[stream] = _adapted(
                columns.rough[stream], columns.rough_n[stream], abs(mean[at] - before)
            )
            columns.move[stream], columns.move_n[stream] = _adapted(columns.move[stream], columns.move_n[stream], move)
        _restart(columns, settings, stream, level, worst)
        _turn(columns, settings, stream, score[at], level, move, steps, now_us[at], was)
        columns.score[stream] = score[at]
        if was:
            worst = _larger(columns.peak[stream, 0] / level_margin, columns.peak[stream, 1] / scatter_margin)
        # How far it goes in health; a departure that has ended is told by its highest.
        if columns.since_us[stream] < 0 and columns.move_n[stream] >= _LEARNT_ENOUGH and columns.rough[stream] > 0:
            height = min(worst, _STRETCH * limit)
            if height > _HEIGHTS[columns.near[stream, 2]]:
                columns.near[stream, 2] = coded(height)
            if columns.spans[stream] % SPELL == 0:
                close_spell(columns, settings, stream, allowed[at])


@compiled
def _larger(one: float, other: float) -> float:
    """Of two numbers, one of which may be NaN."""
    return one if one >= other or np.isnan(other) else other


@compiled
def _enter(columns: Columns, row: int, mean: float, departed: bool) -> None:
    """Let a span into the fast window, and the baseline follow the span that leaves it, no faster than the level
    normally moves."""
    fast = columns.fast[row]
    leaving = fast[0]
    for place in range(FAST - 1):
        fast[place] = fast[place + 1]
    fast[FAST - 1] = mean
    columns.spans[row] += 1
    if departed or np.isnan(leaving):
        return
    base, n = columns.base[row], min(columns.base_n[row] + 1, _BASE_SPANS)
    change = leaving - base
    if columns.base_n[row] >= FAST:
        reach = _SURPRISE * max(columns.move[row], columns.rough[row])
        change = min(max(change, -reach), reach)
    columns.base[row] = leaving if np.isnan(base) else base + change / n
    columns.base_n[row] = n


@compiled
def _window(fast: Floats, ordered: Floats, steps: Floats) -> tuple[float, float]:
    """The medians of the fast window and of the steps between its spans; the last two arguments are room to sort in."""
    for place in range(FAST):
        _insert(ordered, place, fast[place])
    for place in range(FAST - 1):
        _insert(steps, place, abs(fast[place + 1] - fast[place]))
    return (ordered[FAST // 2 - 1] + ordered[FAST // 2]) / 2, steps[(FAST - 1) // 2]


@compiled
def _insert(ordered: Floats, count: int, number: float) -> None:
    """Put a number in its place among the first `count`."""
    while count > 0 and ordered[count - 1] > number:
        ordered[count] = ordered[count - 1]
        count -= 1
    ordered[count] = number


@compiled
def _adapted(scale: float, n: int, seen: float) -> tuple[float, int]:
    """Learn how rough a stream is from span to span, or how far its level normally is from its baseline."""
    if np.isnan(seen):
        return scale, n
    if n >= _LEARNT_ENOUGH and scale > 0:
        seen = min(seen, _SURPRISE * scale)
    n = min(n + 1, _SCALE_SPANS)
    return scale + (seen - scale) / n, n


@compiled
def _restart(columns: Columns, settings: Settings, row: int, level: float, worst: float) -> None:
    """Learn afresh where the level moved during learning and stayed away: what came before was a start-up."""
    spans = columns.spans[row]
    if not (_LEARNT_ENOUGH <= spans < settings.learn_spans and worst >= 1.0):
        columns.unsettled[row] = 0
        return
    columns.unsettled[row] += 1
    if columns.unsettled[row] < _STARTED_UP or columns.restarts[row] >= _RESTARTS:
        return
    columns.restarts[row] += 1
    columns.spans[row], columns.unsettled[row] = FAST, 0
    columns.base[row], columns.base_n[row] = level, FAST
    columns.rough[row] = columns.rough_n[row] = 0.0
    columns.move[row] = columns.move_n[row] = 0.0
    columns.tops[row] = columns.near[row] = columns.level[row] = 0


@compiled
def _turn(
    columns: Columns,
    settings: Settings,
    row: int,
    score: float,
    level: float,
    move: float,
    steps: float,
    now_us: int,
    was: bool,
) -> None:
    """Begin, end or accept a departure."""
    peak = columns.peak[row]
    if not was:
        began = score >= 1.0
        peak[0], peak[1] = (move, steps) if began else (0.0, 0.0)
        columns.away[row] = 1 if began else 0
        if began:
            columns.since_us[row] = now_us
        return
    peak[0], peak[1] = _larger(peak[0], move), _larger(peak[1], steps)
    ended = not score >= _RETURNED
    lasted_us = now_us - columns.since_us[row]
    accepted = not ended and lasted_us >= settings.accept_us and columns.away[row] >= _ACCEPT_SPANS
    if not ended and not accepted:
        columns.away[row] = min(columns.away[row] + 1, _ACCEPT_SPANS)
        return
    columns.away[row], columns.since_us[row] = 0, -1
    _learn_habit(columns, row, ended and now_us <= settings.learn_until_us)
    if accepted:
        columns.base[row], columns.base_n[row] = level, FAST


@compiled
def _learn_habit(columns: Columns, row: int, in_health: bool) -> None:
    """A departure is over: what comes again and again is the machine's way, an on-off pump, say.

    What came while the machine was known to be well needs no repetition.
    """
    n = _HABIT_AFTER if in_health else min(columns.habits[row] + 1, _HABIT_AFTER)
    columns.habits[row] = n
    for kind in range(2):
        peak, habit = columns.peak[row, kind], columns.habit[row, kind]
        columns.habit[row, kind] = _larger(peak, habit) if in_health else habit + (peak - habit) / n


@compiled
def close_spell(columns: Columns, settings: Settings, row: int, allowed: float) -> None:
    """Note how far the stream went in health: a peak is a spell that goes farther than both its neighbours."""
    near = columns.near[row]
    before, middle, after = near[0], near[1], near[2]
    near[0], near[1], near[2] = middle, after, 0
    if not before <= middle > after:
        return
    tops = columns.tops[row]
    lowest = tops.argmin()
    tops[lowest] = max(tops[lowest], middle)
    spells = columns.spans[row] / SPELL
    reach = min(settings.foretold, allowed / max(spells, 1.0))
    columns.level[row] = coded(min(exceeded_once(tops, reach), settings.most_level))


@compiled
def exceeded_once(tops: Bytes, reach: float) -> float:
    """The height that is exceeded once in `reach` times as long as these highest peaks were seen in; 0 for too few.

    An exponential tail whose scale is not fitted: where k excesses over the lowest have the sum S, the next one is
    above c S with probability (1 + c) ** -k, whatever the scale.
    """
    count, total, lowest = 0, 0.0, _HUGE
    for coded in tops:
        if coded > 0:
            height = _HEIGHTS[coded]
            count, total, lowest = count + 1, total + height, min(lowest, height)
    if count < _FEWEST_TOPS:
        return 0.0
    k = count - 1
    beyond: float = (k * reach) ** (1.0 / k) - 1.0
    return lowest + max(beyond, 0.0) * (total - count * lowest)


@compiled
def coded(height: float) -> int:
    """A height in steps; 0 for none."""
    if not height > 0.0:
        return 0
    return min(max(int(np.log(height) / _STEP + _USUAL + 0.5), 0), 255)
