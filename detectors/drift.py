"""Slow drift: a level that leaves, over days and weeks, where it was when the machine was known to be well.

The baseline is learnt once and then held: what `shift` follows as normal wandering adds up here. A level is the median
of six spans, a day in all (less for an accelerated test, by its own learning period), so that neither a burst of half
that length nor the day's cycle moves it. How far it may be from the baseline follows from how far it went while it was
learnt, by the tail that `calibration` continues, and grows with the square root of age, as a wandering level does. A
machine that was still running in while it was learnt has moved far, and its limit is wide.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from detectors import spans
from detectors.calibration import exceeded
from detectors.each_stream import EachStream
from detectors.memory import Rows
from detectors.rounds import departed_since
from detectors.scores import Evidence
from detectors.spans import HUGE
from telemetry import Batch

Floats = npt.NDArray[np.float64]

# Spans of the learning period; in a level; from one level that is learnt from to the next.
LEARN_SPANS = 48
_LEVEL = 6
_EVERY = 3
_SAMPLES = 1 + (LEARN_SPANS - _LEVEL) // _EVERY
# Levels half a window apart share half of their readings.
_INFORMATIVE = 0.5
# Deviation of the median of six independent spans, in mean steps from span to span.
_STEADIEST = np.sqrt(np.pi / 2 / _LEVEL) * np.sqrt(np.pi) / 2
_ROUNDING = 1e-9
# A departure ends below this score.
_RETURNED = 0.7
# One alarm a month of a machine, shared by sixteen streams and detectors, when a level of a day is new every day.
_SHARE = 1.0 / (30.4 * 16)


class Drift(EachStream):
    """Score 1.0 = the level is as far from the baseline as healthy levels are once in `1 / false_alarm_rate` levels.

    Parameters
    ----------
    learn_s : float
        A healthy period, from a stream's first reading on. Its 48th part is a span, its eighth the time it takes to
        replace a level. Too short, and what the machine does by the week is drift; too long, and it is late.
    false_alarm_rate : float
        Share of healthy levels that may be in alarm.
    accept_learnings : float
        A departure that lasts for so many learning periods is the new normal, which is then learnt.
    """

    def __init__(
        self, learn_s: float = 8 * 86_400.0, false_alarm_rate: float = _SHARE, accept_learnings: float = 8.0
    ) -> None:
        self._span_us = max(1, int(learn_s * 1e6) // LEARN_SPANS)
        self._false_alarm_rate = false_alarm_rate
        self._least = _STEADIEST * NormalDist().inv_cdf(1.0 - false_alarm_rate / 2)
        self._accept_spans = accept_learnings * LEARN_SPANS
        super().__init__(
            "drift 2",
            {
                **spans.COLUMNS,
                **spans.EXTREMES,
                "recent": np.full(_LEVEL, np.nan),
                "learnt": np.full(_SAMPLES, np.nan),
                "spans": np.int32(0),
                "rough": 0.0,
                "base": np.nan,
                "limit": np.nan,
                "away": np.int32(0),
                "score": np.nan,
                "time_us": np.int64(-1),
                "since_us": np.int64(-1),
            },
        )

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> Floats:
        memory = self._memory
        width_us = np.full(len(batch), self._span_us)
        gathered = spans.gather(memory, np.repeat(rows, counts), batch.time_us, batch.value, width_us, extremes=True)
        mean = _trimmed(gathered)
        after = np.full(len(gathered.row), np.nan)
        after[gathered.leads] = memory["score"][gathered.row[gathered.leads]]
        for row, close in gathered.turns():
            after[gathered.opened_by[close]] = self._take(row, mean[close])
        score = after[gathered.of_item]
        memory["time_us"][rows] = batch.time_us[starts + counts - 1]
        memory["since_us"][rows] = departed_since(memory["since_us"][rows], batch.time_us, score, starts)
        return score

    def explain(self, subject: int) -> Evidence:
        memory, row, point = self._memory, self._memory.row(subject), self._streams[subject].point
        base, allowed = float(memory["base"][row]), float(self._allowed(np.array([row]))[0])
        since_us = memory["since_us"][row]
        recent = memory["recent"][row]
        return Evidence(
            point=point,
            observed=float(np.median(recent[~np.isnan(recent)])) if memory["spans"][row] else float("nan"),
            expected=base,
            low=base - allowed,
            high=base + allowed,
            since_us=int(since_us if since_us >= 0 else memory["time_us"][row]),
            contributions={point: 1.0},
        )

    def _take(self, row: Rows, mean: Floats) -> Floats:
        """One span of each of these streams: the new scores."""
        memory = self._memory
        recent = np.concatenate((memory["recent"][row][:, 1:], mean[:, None]), axis=1)
        memory["recent"][row] = recent
        memory["spans"][row] += 1
        age = memory["spans"][row]
        level = np.median(recent, axis=1)
        step = np.abs(recent[:, -1] - recent[:, -2])
        learning = (age > 1) & (age <= LEARN_SPANS)
        memory["rough"][row] += np.where(learning, step / (LEARN_SPANS - 1), 0.0)
        self._learn(row, age, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            away: Floats = np.abs(level - memory["base"][row]) / self._allowed(row)
        score = np.minimum(away, HUGE)
        memory["score"][row] = score
        self._accept(row, score)
        return score

    def _allowed(self, row: Rows) -> Floats:
        memory = self._memory
        learnings = np.maximum(memory["spans"][row] / LEARN_SPANS, 1.0)
        allowed: Floats = np.minimum(memory["limit"][row] * np.sqrt(learnings), HUGE)
        return allowed

    def _learn(self, row: Rows, age: npt.NDArray[np.int64], level: Floats) -> None:
        """Keep levels of the learning period; at its end, find where they were and how far they went."""
        memory = self._memory
        keep = (age >= _LEVEL) & (age <= LEARN_SPANS) & ((age - _LEVEL) % _EVERY == 0)
        memory["learnt"][row[keep], (age[keep] - _LEVEL) // _EVERY] = level[keep]
        done = row[age == LEARN_SPANS]
        if not len(done):
            return
        learnt = memory["learnt"][done]
        # The later half: a machine that ran in was not yet itself before.
        base = np.median(learnt[:, _SAMPLES // 2 :], axis=1)
        away = np.sort(np.abs(learnt - base[:, None]), axis=1)
        threshold, excess = away[:, _SAMPLES // 2], away[:, _SAMPLES // 2 :] - away[:, [_SAMPLES // 2]]
        share = np.full(len(done), self._false_alarm_rate * _SAMPLES / excess.shape[1])
        limit = threshold + exceeded(excess, share, _INFORMATIVE)
        # By chance fifteen levels can have lain closer than the scatter of their spans lets them.
        limit = np.maximum(limit, self._least * memory["rough"][done])
        memory["base"][done] = base
        # A level that has not moved, but for the rounding of its means, says nothing of how far it may.
        memory["limit"][done] = np.where(limit > _ROUNDING * np.abs(base), limit, np.nan)

    def _accept(self, row: Rows, score: Floats) -> None:
        """What nobody has changed for so long is how the machine is now."""
        memory = self._memory
        away = memory["away"][row]
        away = np.where(score >= np.where(away > 0, _RETURNED, 1.0), away + 1, 0)
        memory["away"][row] = away
        afresh = row[away > self._accept_spans]
        for name in ("spans", "rough", "away"):
            memory[name][afresh] = 0
        for name in ("base", "limit", "recent", "learnt"):
            memory[name][afresh] = np.nan


def _trimmed(closed: spans.Spans) -> Floats:
    """The mean of each span without its highest and its lowest reading, where it has others."""
    inner = np.maximum(closed.count - 2, 1)
    trimmed: Floats = np.where(
        closed.count > 2, (closed.total - closed.low - closed.high) / inner, closed.total / closed.count
    )
    return trimmed
