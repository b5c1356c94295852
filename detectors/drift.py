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
from detectors.memory import Memory, Rows, part, restore_part
from detectors.rounds import began_us, since_or_last
from detectors.scores import Evidence, Snapshot
from telemetry import Batch

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

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
# Levels are remembered by how far they are from the baseline, in single precision; this fits.
_FARTHEST = 1e38
# Before the names of what is known of streams that are learnt, in a snapshot.
_LEARNING = "learning"
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
            "drift 3",
            {
                **spans.COLUMNS,
                **spans.EXTREMES,
                "recent": np.full(_LEVEL, np.nan, np.float32),
                "spans": np.int32(0),
                "base": np.nan,  # while it is not learnt, the first span
                "limit": np.float32(np.nan),
                "away": np.int32(0),
                "score": np.float32(np.nan),
                "since_us": np.int64(-1),
            },
        )
        # Of streams whose baseline is not learnt yet.
        self._learning = Memory("learning 1", {"learnt": np.full(_SAMPLES, np.nan, np.float32), "rough": np.float32(0)})

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
        memory["since_us"][rows] = since_or_last(memory["since_us"][rows], batch.time_us, score, starts)
        return score

    def explain(self, subject: int) -> Evidence:
        memory, row, point = self._memory, self._memory.row(subject), self._streams[subject].point
        learnt = memory["spans"][row] >= LEARN_SPANS
        first, allowed = float(memory["base"][row]), float(self._allowed(np.array([row]))[0])
        base = first if learnt else float("nan")
        recent = memory["recent"][row].astype(np.float64)
        return Evidence(
            point=point,
            observed=first + float(np.median(recent[~np.isnan(recent)])) if memory["spans"][row] else float("nan"),
            expected=base,
            low=base - allowed,
            high=base + allowed,
            since_us=began_us(int(memory["since_us"][row])),
            contributions={point: 1.0},
        )

    def snapshot(self) -> Snapshot:
        return {**super().snapshot(), **part(_LEARNING, self._learning)}

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        restore_part(_LEARNING, self._learning, self._memory, snapshot)
        rows = self._memory.rows(self._learning.subjects)
        self._learning.drop(self._learning.subjects[self._memory["spans"][rows] >= LEARN_SPANS])

    def _take(self, row: Rows, mean: Floats) -> Floats:
        """One span of each of these streams: the new scores."""
        memory = self._memory
        base = memory["base"][row]
        base = np.where(np.isnan(base), mean, base)
        memory["base"][row] = base
        recent = np.concatenate((memory["recent"][row][:, 1:], _near(mean - base)[:, None]), axis=1)
        memory["recent"][row] = recent
        memory["spans"][row] += 1
        young = memory["spans"][row] <= LEARN_SPANS
        if young.any():
            self._learn(row[young], recent[young].astype(np.float64))
        level = np.median(memory["recent"][row].astype(np.float64), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            score: Floats = np.minimum(np.abs(level) / self._allowed(row), _FARTHEST)
        memory["score"][row] = score
        self._accept(row, score)
        return score.astype(np.float32).astype(np.float64)

    def _allowed(self, row: Rows) -> Floats:
        memory = self._memory
        learnings = np.maximum(memory["spans"][row] / LEARN_SPANS, 1.0)
        allowed: Floats = np.minimum(memory["limit"][row] * np.sqrt(learnings), spans.HUGE)
        return allowed

    def _learn(self, row: Rows, recent: Floats) -> None:
        """Keep levels of the learning period; at its end, find where they were and how far they went."""
        memory, learning = self._memory, self._learning
        subjects, age = memory.subjects[row], memory["spans"][row]
        learning.add(subjects[age == 1].tolist())
        at = learning.rows(subjects)
        step = np.abs(recent[:, -1] - recent[:, -2])
        learning["rough"][at] += np.where(age > 1, step / (LEARN_SPANS - 1), 0.0)
        keep = (age >= _LEVEL) & ((age - _LEVEL) % _EVERY == 0)
        learning["learnt"][at[keep], (age[keep] - _LEVEL) // _EVERY] = np.median(recent[keep], axis=1)
        done = age == LEARN_SPANS
        if done.any():
            self._settle(row[done], learning["learnt"][at[done]].astype(np.float64), learning["rough"][at[done]])
            learning.drop(subjects[done])

    def _settle(self, row: Rows, learnt: Floats, rough: Singles) -> None:
        """The baseline of levels that were learnt, by their distances from the first span, and how far they may go."""
        memory = self._memory
        # The later half: a machine that ran in was not yet itself before.
        base = np.median(learnt[:, _SAMPLES // 2 :], axis=1)
        away = np.sort(np.abs(learnt - base[:, None]), axis=1)
        threshold, excess = away[:, _SAMPLES // 2], away[:, _SAMPLES // 2 :] - away[:, [_SAMPLES // 2]]
        share = np.full(len(row), self._false_alarm_rate * _SAMPLES / excess.shape[1])
        limit = threshold + exceeded(excess, share, _INFORMATIVE)
        # By chance fifteen levels can have lain closer than the scatter of their spans lets them.
        limit = np.maximum(limit, self._least * rough)
        memory["recent"][row] = _near(memory["recent"][row] - base[:, None])
        memory["base"][row] += base
        # A level that has not moved, but for the rounding of its means, says nothing of how far it may.
        moved = limit > _ROUNDING * np.abs(memory["base"][row])
        memory["limit"][row] = np.where(moved, np.minimum(limit, _FARTHEST), np.nan)

    def _accept(self, row: Rows, score: Floats) -> None:
        """What nobody has changed for so long is how the machine is now."""
        memory = self._memory
        away = memory["away"][row]
        away = np.where(score >= np.where(away > 0, _RETURNED, 1.0), away + 1, 0)
        memory["away"][row] = away
        afresh = row[away > self._accept_spans]
        for name in ("spans", "away"):
            memory[name][afresh] = 0
        for name in ("base", "limit", "recent"):
            memory[name][afresh] = np.nan


def _near(away: Floats) -> Singles:
    near: Singles = np.clip(away, -_FARTHEST, _FARTHEST).astype(np.float32)
    return near


def _trimmed(closed: spans.Spans) -> Floats:
    """The mean of each span without its highest and its lowest reading, where it has others."""
    inner = np.maximum(closed.count - 2, 1)
    trimmed: Floats = np.where(
        closed.count > 2, (closed.total - closed.low - closed.high) / inner, closed.total / closed.count
    )
    return trimmed
