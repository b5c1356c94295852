"""A lasting shift of one stream's level, or a strong change of its scatter, against its own recent normal.

Compares the last half minute (for a stream that reports every second; windows grow with a stream's own interval) with a
slow baseline, on the scale by which the two normally differ. A stream that drifts in health differs all the time, so
its scale is wide; a single spike does not move the median of the last half minute; a gap adds nothing to either window.
While a stream has departed its baseline stands still, so that a fault is not learnt away; what lasts for `accept_s` is
the new normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors import rhythm, spans
from detectors.calibration import Peaks
from detectors.memory import Memory, Rows
from detectors.rounds import departed_since, lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# Readings are averaged over spans before anything else: three intervals of the stream, five seconds at least. Fewer,
# and the noise of single readings rules; more, and a slow stream's step is seen late.
_SPAN_INTERVALS = 3
_SHORTEST_SPAN_US = 5_000_000
# Spans in the fast window. Its median needs four to move: a step is seen after four spans, a spike of two never.
_FAST = 6
_MOST_OF_FAST = 4
# Memory of the baseline and of the scales, in spans.
_BASE_SPANS = 30.0
_SCALE_SPANS = 240.0
# A surprise counts for at most so many times its own scale when the scale is learnt, so that a fault barely widens it.
_SURPRISE = 3.0
# A departure ends below this score: at 1 the baseline would start and stop with every wobble around the limit.
_RETURNED = 0.7
# While learning, a level that has been away for so many spans, seen from at least so many, begins the learning anew;
# not for ever, since a machine that is switched all day has no other normal.
_STARTED_UP = 2 * _FAST
_LEARNT_ENOUGH = 4 * _FAST
_RESTARTS = 3
# Departures of about the same size that came and went this often are a habit, and reach so much farther than their
# mean.
_HABIT_AFTER = 3
_HABIT_REACH = 1.5
# No departure is accepted as the new normal before so many spans: an hourly stream needs longer than the clock says.
_ACCEPT_SPANS = 120
# Share of spells that hold an alarm by the limits as they are, and how much farther scores go for each e-fold of it:
# the least that is believed of a stream, whatever its own short past says. From 0.1 to 0.25 recordings fare alike.
_USUAL_SHARE, _USUAL_REACH = 0.005, 0.15
# Spans among which there is one peak at most, for the limit's tail: two fast windows share no reading.
_SPELL = 2 * _FAST
# A departure that has ended by itself widens the limit to no more than so many times what it was: a fault that was
# repaired must not be free to come again.
_STRETCH = 2.0
# Scores are finite.
_HUGE = 1e300

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Shift:
    """Score 1.0 = the level has moved `limit` times as far as it normally moves, or its scatter is `scatter_limit`
    times the normal one.

    Parameters
    ----------
    limit : float
        In mean absolute deviations of fast window from baseline. Lower sees smaller steps; too low, and a stream that
        drifts in bouts alarms.
    least_steps : float
        No move smaller than this many standard deviations of single spans is an alarm, however still the stream's level
        normally is.
    scatter_limit : float
        How many times rougher than normal the fast window has to be.
    learn_spans : int
        Spans before there is an opinion: 75 are six minutes of a stream that reports every second.
    accept_s : float
        A departure that lasts so long, and 120 spans at least, is the new normal. Too low, and a fault is learnt away
        over a weekend; too high, and an alarm stands for ever after a set-point was changed.
    false_alarm_rate : float or None
        Share of healthy spells of twelve spans that may hold an alarm. Where the scores of a stream's own past say that
        the limits above are exceeded more often than that, they are widened.
    learn_until_us : int
        Whatever has come and gone by this time is a habit of the machine: it was known to be well.
    """

    scope = Scope.STREAM

    def __init__(
        self,
        limit: float = 7.5,
        least_steps: float = 1.5,
        scatter_limit: float = 5.0,
        learn_spans: int = 75,
        accept_s: float = 259_200.0,
        false_alarm_rate: float | None = None,
        learn_until_us: int = 0,
    ) -> None:
        self._limit = limit
        self._least_steps = least_steps
        self._scatter_limit = scatter_limit
        self._learn_spans = learn_spans
        self._accept_us = accept_s * 1e6
        self._false_alarm_rate = false_alarm_rate
        self._least_level = _usual_level(false_alarm_rate)
        self._learn_until_us = learn_until_us
        self._points: dict[int, str] = {}
        # Live memory is dear: a third less without.
        calibration: dict[str, npt.ArrayLike] = {**Peaks.COLUMNS, "height": 0.0, "level": self._least_level}
        if false_alarm_rate is None:
            calibration = {}
        self._memory = Memory(
            "shift 1" if false_alarm_rate is None else "shift 1, calibrated",
            {
                "time_us": np.int64(-1),
                "gaps_us": rhythm.NO_GAPS,
                "gaps_seen": np.int64(0),
                **spans.COLUMNS,
                "fast": np.full(_FAST, np.nan),
                "spans": np.int64(0),
                "base": np.nan,
                "base_n": 0.0,
                "rough": 0.0,
                "rough_n": 0.0,
                "move": 0.0,
                "move_n": 0.0,
                "unsettled": np.int64(0),
                "restarts": np.int64(0),
                "away": np.int64(0),
                "peak": np.zeros(2),
                "habit": np.zeros(2),
                "habits": np.int64(0),
                "departed_us": np.int64(-1),
                **calibration,
                "score": np.nan,
                "since_us": np.int64(-1),
            },
        )
        self._peaks = Peaks(self._memory)

    def watch(self, streams: Sequence[Stream]) -> None:
        self._memory.add([stream.id for stream in streams])
        self._points.update((stream.id, stream.point) for stream in streams)

    def score(self, batch: Batch, now_us: int) -> Scores:
        if not len(batch):
            return Scores(batch.time_us, batch.stream, batch.value)
        memory, starts = self._memory, batch.starts()
        counts = lengths(starts, len(batch))
        rows = memory.rows(batch.stream[starts])
        gap_us = rhythm.gaps(batch.time_us, starts, memory["time_us"][rows])
        known = rhythm.remember(memory["gaps_us"], memory["gaps_seen"], rows, gap_us, starts, counts)
        score = np.full(len(batch), np.nan)
        if known.any():
            self._step(batch, rows, counts, known, score)
        memory["time_us"][rows] = batch.time_us[starts + counts - 1]
        memory["since_us"][rows] = departed_since(memory["since_us"][rows], batch.time_us, score, starts)
        return Scores(batch.time_us, batch.stream, score)

    def explain(self, subject: int) -> Evidence:
        memory, row, point = self._memory, self._memory.row(subject), self._points[subject]
        base = float(memory["base"][row])
        margin = float(self._margins(np.array([row]))[0][0])
        fast = memory["fast"][row]
        return Evidence(
            point=point,
            observed=float(np.nanmedian(fast)) if memory["spans"][row] else float("nan"),
            expected=base,
            low=base - margin,
            high=base + margin,
            since_us=int(memory["since_us"][row] if memory["since_us"][row] >= 0 else memory["time_us"][row]),
            contributions={point: 1.0},
        )

    def snapshot(self) -> Snapshot:
        return self._memory.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self._memory.restore(snapshot)

    def _step(self, batch: Batch, rows: Rows, counts: Rows, known: Mask, score: Floats) -> None:
        """Gather readings into spans and take each span that is over."""
        memory = self._memory
        item = np.flatnonzero(known)
        segment = np.repeat(np.arange(len(rows)), counts)[item]
        row = rows[segment]
        interval_us = rhythm.interval_us(memory["gaps_us"][rows])
        width_us = np.maximum(_SPAN_INTERVALS * interval_us, _SHORTEST_SPAN_US)
        gathered = spans.gather(memory, row, batch.time_us[item], batch.value[item], width_us[segment])
        mean = gathered.total / gathered.count
        after = np.full(len(gathered.row), np.nan)
        after[gathered.leads] = memory["score"][gathered.row[gathered.leads]]
        for now, close in gathered.turns():
            target = gathered.opened_by[close]
            after[target] = self._take(now, mean[close], batch.time_us[item[gathered.first_item[target]]])
        score[item] = after[gathered.of_item]

    def _take(self, row: Rows, mean: Floats, now_us: npt.NDArray[np.int64]) -> Floats:
        """One span of each of these streams: the new scores."""
        memory = self._memory
        fast = memory["fast"][row]
        leaving, before = fast[:, 0], fast[:, -1]
        fast = np.concatenate((fast[:, 1:], mean[:, None]), axis=1)
        memory["fast"][row] = fast
        memory["spans"][row] += 1
        seen = memory["spans"][row]
        departed = memory["departed_us"][row] >= 0

        self._settle(row, leaving, departed)
        full = seen >= _FAST
        ordered = np.sort(fast, axis=1)
        level = (ordered[:, _FAST // 2 - 1] + ordered[:, _FAST // 2]) / 2
        move = np.abs(level - memory["base"][row])
        steps = np.sort(np.abs(np.diff(fast, axis=1)), axis=1)[:, (_FAST - 1) // 2]
        margin = self._margins(row)
        opinion = full & (seen >= self._learn_spans) & (memory["rough"][row] > 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            worst = np.minimum(np.fmax(move / margin[0], steps / margin[1]), _HUGE)
        limit = 1.0 if self._false_alarm_rate is None else memory["level"][row]
        score = np.where(opinion, worst / limit, np.nan)

        self._adapt(row, np.abs(mean - before), move, departed)
        self._restart(row, level, seen, worst)
        self._turn(row, score, level, np.stack((move, steps), axis=1), now_us, departed)
        if self._false_alarm_rate is not None:
            self._calibrate(row, worst, departed, seen // _SPELL, self._false_alarm_rate)
        memory["score"][row] = score
        return score

    def _margins(self, row: Rows) -> tuple[Floats, Floats]:
        """How far the level may be from the baseline, and how rough the stream may be: as has often been before."""
        memory = self._memory
        frequent = (memory["habits"][row] >= _HABIT_AFTER)[:, None]
        habit = np.where(frequent, _HABIT_REACH * memory["habit"][row], 0.0)
        level = np.maximum(self._limit * memory["move"][row], self._least_steps * memory["rough"][row])
        return np.maximum(level, habit[:, 0]), np.maximum(self._scatter_limit * memory["rough"][row], habit[:, 1])

    def _turn(
        self, row: Rows, score: Floats, level: Floats, size: Floats, now_us: npt.NDArray[np.int64], departed: Mask
    ) -> None:
        """Begin, end or accept a departure."""
        memory = self._memory
        began = ~departed & (score >= 1.0)
        memory["departed_us"][row[began]] = now_us[began]
        peak = np.where(began[:, None], size, np.fmax(memory["peak"][row], size))
        memory["peak"][row] = np.where((departed | began)[:, None], peak, 0.0)
        ended = departed & ~(score >= _RETURNED)
        self._learn_habit(row[ended], now_us[ended] <= self._learn_until_us)
        memory["departed_us"][row[ended]] = -1
        lasted_us = now_us - memory["departed_us"][row]
        accepted = departed & ~ended & (lasted_us >= self._accept_us) & (memory["away"][row] >= _ACCEPT_SPANS)
        memory["away"][row] = np.where((departed | began) & ~ended & ~accepted, memory["away"][row] + 1, 0)
        self._learn_habit(row[accepted], np.zeros(int(accepted.sum()), bool))
        self._accept(row[accepted], level[accepted])

    def _calibrate(
        self, row: Rows, worst: Floats, departed: Mask, spell: npt.NDArray[np.int64], false_alarm_rate: float
    ) -> None:
        """Note how far the stream goes in health, a departure that has ended included, and widen its limit to that."""
        memory = self._memory
        away = memory["departed_us"][row] >= 0
        memory["height"][row] = np.where(away, np.fmax(memory["height"][row], worst), memory["height"][row])
        ended = departed & ~away
        height = np.minimum(memory["height"][row], _STRETCH * memory["level"][row])
        noted = ~away & (ended | (worst >= 0)) & (memory["move_n"][row] >= _LEARNT_ENOUGH)
        changed = self._peaks.note(row[noted], np.where(ended, height, worst)[noted], spell[noted])
        memory["height"][row] = np.where(away, memory["height"][row], 0.0)
        if len(changed):
            memory["level"][changed] = np.fmax(self._least_level, self._peaks.level(changed, false_alarm_rate))

    def _learn_habit(self, row: Rows, in_health: Mask) -> None:
        """A departure is over: what comes again and again is the machine's way, an on-off pump, say.

        What came while the machine was known to be well needs no repetition.
        """
        memory = self._memory
        memory["habits"][row] += np.where(in_health, _HABIT_AFTER, 1)
        n = np.where(in_health, 1, np.minimum(memory["habits"][row], _HABIT_AFTER))
        peak, habit = memory["peak"][row], memory["habit"][row]
        mean = habit + (peak - habit) / n[:, None]
        memory["habit"][row] = np.where(in_health[:, None], np.fmax(peak, habit), mean)

    def _settle(self, row: Rows, leaving: Floats, departed: Mask) -> None:
        """Let the baseline follow the span that leaves the fast window, no faster than the level normally moves."""
        memory = self._memory
        learn = ~np.isnan(leaving) & ~departed
        row, leaving = row[learn], leaving[learn]
        base, n = memory["base"][row], memory["base_n"][row]
        reach = np.where(n >= _FAST, _SURPRISE * np.maximum(memory["move"][row], memory["rough"][row]), np.inf)
        change = np.clip(leaving - base, -reach, reach)
        n = np.minimum(n + 1.0, _BASE_SPANS)
        memory["base"][row] = np.where(np.isnan(base), leaving, base + change / n)
        memory["base_n"][row] = n

    def _adapt(self, row: Rows, step: Floats, move: Floats, departed: Mask) -> None:
        """Learn how rough the stream is from span to span, and how far its level normally is from its baseline."""
        memory = self._memory
        for name, seen in (("rough", step), ("move", move)):
            learn = ~np.isnan(seen) & ~departed
            at, scale = row[learn], memory[name][row[learn]]
            n = memory[name + "_n"][at]
            cap = np.where(n >= _LEARNT_ENOUGH, _SURPRISE * scale, np.inf)
            cap = np.where(cap > 0, cap, np.inf)
            n = np.minimum(n + 1.0, _SCALE_SPANS)
            memory[name][at] = scale + (np.minimum(seen[learn], cap) - scale) / n
            memory[name + "_n"][at] = n

    def _restart(self, row: Rows, level: Floats, spans: npt.NDArray[np.int64], worst: Floats) -> None:
        """Learn afresh where the level moved during learning and stayed away: what came before was a start-up."""
        memory = self._memory
        away = (spans >= _LEARNT_ENOUGH) & (spans < self._learn_spans) & (worst >= 1.0)
        memory["unsettled"][row] = np.where(away, memory["unsettled"][row] + 1, 0)
        again = (memory["unsettled"][row] >= _STARTED_UP) & (memory["restarts"][row] < _RESTARTS)
        at = row[again]
        memory["restarts"][at] += 1
        memory["spans"][at] = _FAST
        memory["unsettled"][at] = 0
        memory["base"][at], memory["base_n"][at] = level[again], _FAST
        for name in ("rough", "rough_n", "move", "move_n"):
            memory[name][at] = 0.0

    def _accept(self, row: Rows, level: Floats) -> None:
        memory = self._memory
        memory["base"][row] = level
        memory["base_n"][row] = _FAST
        memory["departed_us"][row] = -1


def _usual_level(false_alarm_rate: float | None) -> float:
    """The score that a share of the spells of any stream exceeds, in the limits as they are; never below these."""
    if false_alarm_rate is None:
        return 1.0
    return max(1.0, 1.0 + _USUAL_REACH * math.log(_USUAL_SHARE / false_alarm_rate))
