"""A level that was never held before: for twelve readings running a value is far above the highest it held in health.

The oldest rule of vibration, where 6 dB over the baseline is a change that somebody must look at. It has one number,
needs no spread, no span and no tail, and so no long training: ten minutes of a machine's healthy start, read each ten
seconds, will do. What swells for less than twelve readings, and every load that the start has seen, changes nothing.

Fails where the start was not at the highest load; blind to what grows by less than four fifths, or falls. Of quantities
that are zero or less in health (a temperature in frost, a difference) it has no opinion.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from detectors.each_stream import EachStream
from detectors.memory import Rows
from detectors.rounds import departed_since
from detectors.scores import Evidence
from telemetry import Batch

Floats = npt.NDArray[np.float64]

# Plateaus, over PRONOSTIA, IMS and XEP with starts cropped: 1.7 to 2.0, and 12 to 15 readings. Too low: a load that was
# not seen is a fault. Too high: a bearing is warned when it can be heard through the wall.
FACTOR, HELD = 1.8, 12


class Rise(EachStream):
    """Score 1.0 = for `HELD` readings the value was `FACTOR` times the highest that it was so long in health.

    Parameters
    ----------
    learn_until_us : int
        End of the healthy start; without one there is no opinion.
    """

    def __init__(self, learn_until_us: int = 0) -> None:
        self._learn_until_us = learn_until_us
        super().__init__(
            "rise 1",
            {
                "recent": np.full(HELD - 1, np.nan),
                "highest": np.nan,
                "held": np.nan,
                "since_us": np.int64(-1),
            },
        )

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> Floats:
        memory = self._memory
        score = np.empty(len(batch))
        for row, first, count in zip(rows.tolist(), starts.tolist(), counts.tolist(), strict=True):
            part = slice(first, first + count)
            score[part] = self._take(row, batch.time_us[part], np.asarray(batch.value[part], np.float64))
        memory["since_us"][rows] = departed_since(memory["since_us"][rows], batch.time_us, score, starts)
        return score

    def explain(self, subject: int) -> Evidence:
        memory, row, point = self._memory, self._memory.row(subject), self._streams[subject].point
        highest, held = float(memory["highest"][row]), float(memory["held"][row])
        high = FACTOR * highest if highest > 0.0 else math.nan
        return Evidence(point, held, highest, math.nan, high, int(memory["since_us"][row]), {point: 1.0})

    def _take(self, row: int, time_us: npt.NDArray[np.int64], values: Floats) -> Floats:
        """The scores of one stream's readings; NaN before its highest is known."""
        memory = self._memory
        joined = np.concatenate((memory["recent"][row], values))
        held = sliding_window_view(joined, HELD).min(axis=1)  # NaN before there are so many
        learning = (time_us <= self._learn_until_us) & ~np.isnan(held)
        highest = float(np.fmax(memory["highest"][row], held[learning].max(initial=-np.inf)))
        highest = highest if highest > -np.inf else math.nan
        memory["recent"][row], memory["highest"][row], memory["held"][row] = joined[-(HELD - 1) :], highest, held[-1]
        if not highest > 0.0:
            return np.full(len(values), np.nan)
        with np.errstate(over="ignore"):
            return np.where(time_us > self._learn_until_us, np.maximum(held / FACTOR / highest, 0.0), np.nan)
