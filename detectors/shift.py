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

from detectors import spans
from detectors.compensation import is_air
from detectors.each_stream import OwnRhythm
from detectors.memory import Rows
from detectors.rounds import began_us, or_last
from detectors.scores import Evidence
from detectors.shift_spans import FAST, SPELL, TOPS, Columns, Settings, limit_of, margins, take
from telemetry import Batch, Stream
from telemetry.quantities import slight_change

# Readings are averaged over spans before anything else: three intervals of the stream, five seconds at least. Fewer,
# and the noise of single readings rules; more, and a slow stream's step is seen late.
_SPAN_INTERVALS = 3
_SHORTEST_SPAN_US = 5_000_000
# Share of spells that hold an alarm by the limits as they are, and how much farther scores go for each e-fold of it:
# the least that is believed of a stream, whatever its own short past says. From 0.1 to 0.25 recordings fare alike.
_USUAL_SHARE, _USUAL_REACH = 0.005, 0.15
# Live: one alarm a month of a machine, shared by sixteen streams and detectors.
_ALLOWED_US = 16 * 30.4 * 86_400e6
# What a past foretells is ten times its own length. At three times a fifth more false alarms of simulated compressors
# are left; at a hundred times their faults are found half as soon again.
_FORETOLD = 10.0
# A front, or the sun on its sensor, moves the air by so much, and nobody is called for it.
_WEATHER_K = 40.0
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Shift(OwnRhythm):
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
        Share of healthy spells of twelve spans that may hold an alarm, for recordings; None, live: one alarm a month of
        a machine. Where a stream's own past says that the limits above are exceeded more often, they are widened, live
        no farther than its past can foretell.
    learn_until_us : int
        Whatever has come and gone by this time is a habit of the machine: it was known to be well.
    widest : float
        Live, no limit is widened farther. Too low, and restless streams alarm as ever; too high, and a machine that was
        restless while it was young hides its faults.
    """

    def __init__(
        self,
        limit: float = 7.5,
        least_steps: float = 1.5,
        scatter_limit: float = 5.0,
        learn_spans: int = 75,
        accept_s: float = 259_200.0,
        false_alarm_rate: float | None = None,
        learn_until_us: int = 0,
        widest: float = 1.3,
    ) -> None:
        live = false_alarm_rate is None
        self._settings = Settings(
            limit,
            least_steps,
            scatter_limit,
            learn_spans,
            accept_s * 1e6,
            learn_until_us,
            least_level=1.0 if false_alarm_rate is None else _usual_level(false_alarm_rate),
            most_level=widest if live else np.inf,
            foretold=_FORETOLD if live else np.inf,
        )
        self._false_alarm_rate = false_alarm_rate
        super().__init__(
            "shift 5",
            {
                **spans.COLUMNS,
                "fast": np.full(FAST, np.nan),
                "spans": np.int32(0),
                "base": np.nan,
                "base_n": np.uint8(0),
                "rough": 0.0,
                "rough_n": np.uint8(0),
                "move": 0.0,
                "move_n": np.uint8(0),
                "unsettled": np.uint8(0),
                "restarts": np.int8(0),
                "away": np.uint8(0),
                "slight": np.float32(0),
                "peak": np.zeros(2, np.float32),
                "habit": np.zeros(2, np.float32),
                "habits": np.uint8(0),
                "score": np.nan,
                "since_us": np.int64(-1),
                "near": np.zeros(3, np.uint8),
                "tops": np.zeros(TOPS, np.uint8),
                "level": np.uint8(0),
            },
        )

    def watch(self, streams: Sequence[Stream]) -> None:
        super().watch(streams)
        rows = self._memory.rows(np.array([stream.id for stream in streams], np.int64))
        self._memory["slight"][rows] = [
            _WEATHER_K if is_air(stream) else slight_change(stream.quantity, stream.unit) for stream in streams
        ]

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> Floats:
        memory = self._memory
        known = self._gaps.known(batch, starts, counts, rows)
        score = np.full(len(batch), np.nan)
        if known.any():
            self._step(batch, rows, counts, known, score)
        memory["since_us"][rows] = or_last(memory["since_us"][rows], batch.time_us, starts)
        return score

    def explain(self, subject: int) -> Evidence:
        memory, row, point = self._memory, self._memory.row(subject), self._streams[subject].point
        base = float(memory["base"][row])
        columns = memory.columns(Columns)
        margin = margins(columns, self._settings, row)[0] * limit_of(columns, self._settings, row)
        fast = memory["fast"][row]
        return Evidence(
            point=point,
            observed=float(np.nanmedian(fast)) if memory["spans"][row] else float("nan"),
            expected=base,
            low=base - margin,
            high=base + margin,
            since_us=began_us(int(memory["since_us"][row])),
            contributions={point: 1.0},
        )

    def _step(self, batch: Batch, rows: Rows, counts: Rows, known: Mask, score: Floats) -> None:
        """Gather readings into spans and take each span that is over."""
        memory = self._memory
        item = np.flatnonzero(known)
        segment = np.repeat(np.arange(len(rows)), counts)[item]
        gathered = spans.gather(
            memory, rows[segment], batch.time_us[item], batch.value[item], self._width_us(rows)[segment]
        )
        after = np.full(len(gathered.row), np.nan)
        after[gathered.leads] = memory["score"][gathered.row[gathered.leads]]
        opened = gathered.opened_by
        now_us = batch.time_us[item[gathered.first_item[opened]]]
        after[opened] = self._take(gathered.row[opened], gathered.total / gathered.count, now_us)
        score[item] = after[gathered.of_item]

    def _take(self, row: Rows, mean: Floats, now_us: npt.NDArray[np.int64]) -> Floats:
        """Spans in order of stream and time: the new scores."""
        allowed = self._allowed(row)
        score = np.empty(len(row))
        take(self._memory.columns(Columns), self._settings, row, mean, now_us, allowed, score)
        return score

    def _allowed(self, row: Rows) -> Floats:
        """In how many spells there may be one alarm."""
        if self._false_alarm_rate is not None:
            return np.full(len(row), 1.0 / self._false_alarm_rate)
        allowed: Floats = _ALLOWED_US / (SPELL * self._width_us(row))
        return allowed

    def _width_us(self, row: Rows) -> npt.NDArray[np.int64]:
        width_us: npt.NDArray[np.int64] = np.maximum(_SPAN_INTERVALS * self._gaps.interval_us(row), _SHORTEST_SPAN_US)
        return width_us


def _usual_level(false_alarm_rate: float) -> float:
    """The score that a share of the spells of any stream exceeds, in the limits as they are; never below these."""
    return max(1.0, 1.0 + _USUAL_REACH * math.log(_USUAL_SHARE / false_alarm_rate))
