"""A sensor that lies, told from a machine that is ill by signatures that no machine leaves.

Mis-scaled: level and scatter jump, from one reading to the next, to where a conversion of units leads. Swapped: two
points of a machine land at the same time where the other one was. Saturated: readings repeat the highest or lowest
value ever seen, to the last digit, while the others still scatter. Spiking: single readings far off whose neighbours
agree. A value that only repeats is `flatline`'s. What has no such signature (a slow drift, more noise) is a sensor's
fault or a machine's: that is for the diagnosis, which sees all points together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors import spans
from detectors.conversions import CONVERSIONS
from detectors.each_stream import EachStream
from detectors.jumps import COLUMNS, OF_JUMPS, Jumps, Sign
from detectors.memory import Rows
from detectors.rounds import began_us, since_or_last
from detectors.scores import Evidence
from detectors.sensor_signs import Signs, signs_of
from telemetry import Batch, Stream

# Readings in a span, roughly: the width is the power of two, in µs, next to so many intervals. So points of a machine
# that report at about the same pace have spans of one width, which begin together.
_SPAN_READINGS = 10
_FEWEST_READINGS = 4
# Gaps from which a stream's interval is known.
_PACED = 15
# Memory of what is counted in shares, and of the scale that spikes are measured by, in spans.
_SHARE_SPANS = 8.0
_SPIKE_SPANS = 12.0
_SCALE_SPANS = 120.0
# A surprise counts for at most so many times its own scale when the scale is learnt.
_SURPRISE = 3.0
# Shares of repeated readings, and of spans with a spike, below which nothing is amiss; and how far beyond what the
# stream showed while it was learnt.
_LEAST_CLIPPED = 0.12
_LEAST_SPIKING = 0.4
_BEYOND_LEARNT = 2.0
# A stream whose span of readings holds fewer steps of its converter than this repeats itself anyhow; and a reading that
# is off by no more steps than this is no spike.
_FINE = 8.0
_COARSE = 3.0
# How far off a spike is, in the largest such excursion of a normal span.
_SPIKE = 6.0
# and how far in mean steps of its span: two spikes in ten readings still are, and not where all of them scatter more.
_ALONE = 2.0
# A signature is there or not: its score says that it is.
_CERTAIN = 2.0
_FULL = 100.0
# Steps and ranges of these, some times over, fit single precision.
_HUGE = 1e37

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Sensors(EachStream):
    """Score 1.0 = the share of clipped readings or of spiky spans that no healthy stream shows; 2 = a signature.

    Parameters
    ----------
    learn_spans : int
        Spans of about ten readings before there is an opinion. Too few, and a coarse or spiky stream alarms for being
        itself.
    accept_s : float
        A new level that lasts so long, and 30 spans at least, is the new normal.
    """

    def __init__(self, learn_spans: int = 40, accept_s: float = 259_200.0) -> None:
        self._learn_spans = learn_spans
        super().__init__(
            "sensors 3",
            {
                "pace": 0.0,
                "paced": np.int8(0),
                "before": np.full(2, np.nan),
                **spans.COLUMNS,
                **spans.EXTREMES,
                **COLUMNS,
                "repeats": np.int32(0),
                "repeated": np.inf,
                "spike": np.float32(0),
                "step": np.float32(np.inf),
                "travel": 0.0,
                "steps": np.float32(np.inf),
                "farthest": 0.0,
                "percent": np.bool_(False),
                "clipped": np.float16(0),
                "clipped_most": np.float16(0),
                "spikes": np.float32(0),
                "spiking": np.float16(0),
                "spiking_most": np.float16(0),
                "score": np.float32(np.nan),
                "since_us": np.int64(-1),
            },
        )
        self._jumps = Jumps(self._memory, accept_s * 1e6)

    def watch(self, streams: Sequence[Stream]) -> None:
        super().watch(streams)
        for stream in streams:
            self._jumps.join(stream)
            self._memory["percent"][self._memory.row(stream.id)] = stream.unit == "%"

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> Floats:
        memory = self._memory
        known = self._pace(batch, rows, starts, counts)
        score = np.full(len(batch), np.nan)
        if known.any():
            self._step(batch, rows, starts, counts, known, score)
        last = starts + counts - 1
        earlier = np.where(counts > 1, batch.value[np.maximum(last - 1, 0)], memory["before"][rows, 1])
        memory["before"][rows] = np.stack((earlier, batch.value[last]), axis=1)
        memory["since_us"][rows] = since_or_last(memory["since_us"][rows], batch.time_us, score, starts)
        return score

    def explain(self, subject: int) -> Evidence:
        memory, row = self._memory, self._memory.row(subject)
        point = self._streams[subject].point
        level, margin = float(memory["level"][row]), float(self._jumps.margin(np.array([row]))[0])
        sign = Sign(int(memory["sign"][row]))
        jumped = OF_JUMPS[sign]
        since_us = memory["away_us"][row] if jumped else -1
        return Evidence(
            point=point,
            observed=float(memory["now"][row]) if memory["away"][row] > 1 else level,
            expected=level,
            low=level - margin,
            high=level + margin,
            since_us=int(since_us if since_us >= 0 else began_us(memory["since_us"][row])),
            contributions={point: 1.0},
            sign=self._words(row, sign),
        )

    def _words(self, row: int, sign: Sign) -> str:
        memory = self._memory
        partner = int(memory["with"][row])
        match sign:
            case Sign.SCALED:
                return f"reads {CONVERSIONS[partner].name}"
            case Sign.SWAPPED:
                return f"is exchanged with {self._streams[partner].point}"
            case Sign.SATURATED:
                return "is at the end of its range"
            case Sign.SPIKING:
                return "jumps for single readings"
            case Sign.NONE:
                return "reads as it should"

    # Spans ----------------------------------------------------------------------------------------------------------

    def _pace(self, batch: Batch, rows: Rows, starts: Rows, counts: Rows) -> Mask:
        """Learn a stream's interval, the geometric mean of its first gaps; at which readings they were all known.

        Of gaps of a second one of a day makes that two.
        """
        memory = self._memory
        seen = memory["paced"][rows].astype(np.int64)
        if (seen > _PACED).all():
            return np.ones(len(batch), bool)
        nth = np.arange(len(batch)) + np.repeat(seen - starts, counts)
        before_us = np.concatenate(([-1], batch.time_us[:-1]))
        # Nothing is scored as yet: this is when each was heard last.
        before_us[starts] = ~memory["since_us"][rows]
        item = np.flatnonzero((nth > 0) & (nth <= _PACED))
        gap_us = np.maximum(batch.time_us[item] - before_us[item], 1)
        np.add.at(memory["pace"], np.repeat(rows, counts)[item], np.log2(gap_us))
        memory["paced"][rows] = np.minimum(seen + counts, _PACED + 1)
        return nth >= _PACED

    def _step(self, batch: Batch, rows: Rows, starts: Rows, counts: Rows, known: Mask, score: Floats) -> None:
        """Gather readings into spans and take each span that is over, in order of time."""
        memory = self._memory
        value, before = (np.clip(of, -_HUGE, _HUGE) for of in (batch.value, memory["before"][rows]))
        segment = np.repeat(np.arange(len(rows)), counts)
        signs = signs_of(value, starts, before)
        time_us = batch.time_us
        if not known.all():
            time_us, value, segment = time_us[known], value[known], segment[known]
            signs = Signs._make(of[known] for of in signs)
        exponent = np.round(memory["pace"][rows] / _PACED + np.log2(_SPAN_READINGS))
        width_us = (2.0 ** np.clip(exponent, 0, 60)).astype(np.int64)[segment]
        gathered = spans.gather(
            memory,
            rows[segment],
            time_us,
            value,
            width_us,
            extremes=True,
            others={
                "repeats": (np.add, signs.repeats, 0),
                "repeated": (np.minimum, signs.held, np.inf),
                "spike": (np.maximum, signs.spike, 0.0),
                "step": (np.minimum, signs.step, np.inf),
                "travel": (np.add, signs.travel, 0.0),
            },
        )
        after = np.full(len(gathered.row), np.nan)
        after[gathered.leads] = memory["score"][gathered.row[gathered.leads]]
        opened = gathered.opened_by
        first = gathered.first_item[opened]
        begun_us = time_us[first] // width_us[first] * width_us[first]
        order = np.argsort(begun_us, kind="stable")
        for close in np.split(order, np.flatnonzero(np.diff(begun_us[order])) + 1):
            if len(close):
                row = gathered.row[opened[close]]
                after[opened[close]] = self._take(row, gathered, close, begun_us[close], width_us[first[close]])
        score[known] = after[gathered.of_item]

    def _take(self, row: Rows, closed: spans.Spans, close: Rows, begun_us: Times, width_us: Times) -> Floats:
        """One span of each of these streams: the new scores."""
        memory = self._memory
        self._jumps.compare(row, begun_us, width_us)
        enough = closed.count[close] >= _FEWEST_READINGS
        self._judge(row[enough], closed, close[enough], begun_us[enough])
        score: Floats = memory["score"][row]
        return score

    def _judge(self, row: Rows, closed: spans.Spans, close: Rows, begun_us: Times) -> None:
        memory = self._memory
        low, high = closed.low[close], closed.high[close]
        mean = (closed.total[close] - low - high) / (closed.count[close] - 2)
        memory["spans"][row] += 1
        memory["steps"][row] = np.minimum(memory["steps"][row], closed.others["step"][close])
        ready = memory["spans"][row] > self._learn_spans
        clipped = self._clipped(row, closed, close, ready)
        spiking = self._spiking(
            row, closed.others["spike"][close], closed.others["travel"][close] / closed.count[close], ready
        )
        self._jumps.follow(row, mean, high - low, ready, begun_us)
        sign = memory["sign"][row]
        told = OF_JUMPS[sign]
        worst = np.maximum(clipped, spiking)
        counted = np.where(worst < 1.0, Sign.NONE, np.where(clipped >= spiking, Sign.SATURATED, Sign.SPIKING))
        memory["sign"][row] = np.where(told, sign, counted)
        memory["score"][row] = np.where(ready, np.where(told, _CERTAIN, worst), np.nan)

    def _clipped(self, row: Rows, closed: spans.Spans, close: Rows, ready: Mask) -> Floats:
        """How often readings repeat the end of their range while others do not, by how often they may."""
        memory = self._memory
        low, high = closed.low[close], closed.high[close]
        # The end away from zero: the other one is where a machine at rest leaves its sensors.
        end, held = np.maximum(high, -low), closed.others["repeated"][close]
        at_end = (held == end) & (held >= memory["farthest"][row])
        # A valve that is wide open.
        at_end &= ~(memory["percent"][row] & (held == _FULL))
        share = np.where(at_end, closed.others["repeats"][close] / closed.count[close], 0.0)
        share[memory["range"][row] < _FINE * memory["steps"][row]] = 0.0
        memory["farthest"][row] = np.maximum(memory["farthest"][row], end)
        # Of a span that holds one value nothing is known: `flatline` is there for it.
        share = np.where(low == high, memory["clipped"][row], share)
        return self._share(row, "clipped", share, _SHARE_SPANS, _LEAST_CLIPPED, ready)

    def _spiking(self, row: Rows, spike: Floats, pace: Floats, ready: Mask) -> Floats:
        """In how many spans a single reading jumps out, by how many there may be."""
        memory = self._memory
        usual, n = memory["spikes"][row], memory["spans"][row]
        spiky = (spike > _SPIKE * usual) & (spike > _COARSE * memory["steps"][row]) & (n > _SPIKE_SPANS)
        spiky &= spike > _ALONE * pace
        known = (n > _SPIKE_SPANS) & (usual > 0)
        seen = np.minimum(spike, np.where(known, _SURPRISE * usual, np.inf))
        memory["spikes"][row] = usual + (seen - usual) / np.minimum(n, _SCALE_SPANS)
        return self._share(row, "spiking", spiky.astype(np.float64), _SPIKE_SPANS, _LEAST_SPIKING, ready)

    def _share(self, row: Rows, name: str, seen: Floats, spans_kept: float, least: float, ready: Mask) -> Floats:
        """Follow a share, and say how large it is beside the largest while learning."""
        memory = self._memory
        share = memory[name][row] + (seen - memory[name][row]) / spans_kept
        memory[name][row] = share
        most = memory[name + "_most"][row]
        memory[name + "_most"][row] = np.where(ready, most, np.maximum(most, share))
        beside: Floats = share / np.maximum(least, _BEYOND_LEARNT * most)
        return beside
