"""Fixed limits: HIHI, HI, LO, LOLO and rate of change.

Says nothing (NaN) about a stream without limits. Needs no learning and forgets nothing but the last minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.memory import Beside, Memory, Rows
from detectors.rounds import began_us, lengths, rounds, since_or_last
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# Long enough that a device's jitter of tens of milliseconds is nothing against it, short enough that a rate per minute
# is seen within its minute.
RATE_WINDOW_US = 60_000_000
# Readings kept for the rate: the newest of these that is old enough is compared with. Nine, an eighth of the window
# apart, always hold one between 7/8 of the window and all of it, however fast the stream.
_KEPT = 9
_SPACING_US = RATE_WINDOW_US // 8
_OLD_ENOUGH_US = 7 * _SPACING_US

_NEVER = np.int64(-1)
# Before the names of what is known of rates, in a snapshot.
_PAST = "past_"


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of one stream in its own unit; None where there is none. Set where lolo <= lo < hi <= hihi."""

    hihi: float | None = None
    hi: float | None = None
    lo: float | None = None
    lolo: float | None = None
    rate_per_min: float | None = None


_UNLIMITED = Limit()


class Limits:
    """Score 1.0 at HI or LO, 2.0 at HIHI or LOLO, linear between and beyond with the same slope.

    Where only one of a pair is set the slope comes from the width of the normal band, or from the limit itself. Where
    only HIHI is set it is the alarm limit too, and the score steps from 1 to 2 there. A change faster than
    `rate_per_min` over the last minute scores its multiple of it; for a stream slower than that, from one reading to
    the next.

    Parameters
    ----------
    limit_of : callable
        The limits of a stream, asked when the stream is watched and again whenever it is watched again.
    """

    scope = Scope.STREAM

    def __init__(self, limit_of: Callable[[Stream], Limit | None]) -> None:
        self._limit_of = limit_of
        unset = np.full(3, np.nan)
        self._bounds = Memory("", {"upper": unset, "lower": unset, "rate_per_min": np.float64(np.nan)})
        self._memory = Memory("limits 3", {"value": np.float64(np.nan), "since_us": _NEVER})
        self._streams: Beside[Stream] = Beside(self._memory)
        self._limits: Beside[Limit] = Beside(self._memory)
        # Of streams with a limited rate alone: they are few, and it is much.
        self._past = Memory(
            "rates 1",
            {
                "rate": np.float64(np.nan),
                "kept_us": np.full(_KEPT, np.iinfo(np.int64).max // 2),
                "kept_value": np.zeros(_KEPT),
            },
        )

    def watch(self, streams: Sequence[Stream]) -> None:
        subjects = [stream.id for stream in streams]
        self._memory.add(subjects)
        self._bounds.add(subjects)
        limits = [self._limit_of(stream) or _UNLIMITED for stream in streams]
        self._streams.update(zip(subjects, streams, strict=True))
        self._limits.update(zip(subjects, limits, strict=True))
        for row, limit in zip(self._bounds.rows(np.array(subjects, np.int32)).tolist(), limits, strict=True):
            self._bounds["upper"][row] = _side(limit.hi, limit.hihi, limit.lo)
            self._bounds["lower"][row] = _side(_negative(limit.lo), _negative(limit.lolo), _negative(limit.hi))
            self._bounds["rate_per_min"][row] = limit.rate_per_min or np.nan
        self._past.add([subject for subject, limit in zip(subjects, limits, strict=True) if limit.rate_per_min])

    def score(self, batch: Batch, now_us: int) -> Scores:
        if not len(batch):
            return Scores(batch.time_us, batch.stream, batch.value)
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        rows = self._memory.rows(batch.stream[starts])
        each = np.repeat(rows, counts)
        upper, lower = self._bounds["upper"][each], self._bounds["lower"][each]
        score = np.fmax(_beyond(batch.value, upper), _beyond(-batch.value, lower))
        rate = self._rates(batch, rows, counts)
        with np.errstate(over="ignore"):
            score = np.fmax(score, np.minimum(np.abs(rate) / self._bounds["rate_per_min"][each], _HUGE))
        memory, last = self._memory, starts + counts - 1
        memory["since_us"][rows] = since_or_last(memory["since_us"][rows], batch.time_us, score, starts)
        memory["value"][rows] = batch.value[last]
        return Scores(batch.time_us, batch.stream, score)

    def explain(self, subject: int) -> Evidence:
        memory, row = self._memory, self._memory.row(subject)
        limit = self._limits[subject]
        low = _first(limit.lo, limit.lolo)
        high = _first(limit.hi, limit.hihi)
        value = float(memory["value"][row])
        bounds = [bound for bound in (low, high) if not np.isnan(bound)]
        nearest = min(bounds, key=lambda bound: abs(bound - value), default=float("nan"))
        inside = not (value < low or value > high)
        since_us = began_us(int(memory["since_us"][row]))
        allowed = limit.rate_per_min
        if inside and allowed and abs(rate := float(self._past["rate"][self._past.row(subject)])) >= allowed:
            return _too_fast(self._streams[subject], rate, allowed, since_us)
        return Evidence(
            point=self._streams[subject].point,
            observed=value,
            expected=value if inside else nearest,
            low=low,
            high=high,
            since_us=since_us,
            contributions={self._streams[subject].point: 1.0},
        )

    def snapshot(self) -> Snapshot:
        past = {f"{_PAST}{name}": column for name, column in self._past.snapshot().items()}
        return {**self._memory.snapshot(), **past}

    def restore(self, snapshot: Snapshot) -> None:
        self._memory.restore(snapshot)
        self._past.restore({name.removeprefix(_PAST): snapshot[name] for name in snapshot if name.startswith(_PAST)})

    def _rates(self, batch: Batch, rows: Rows, counts: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Change per minute at each reading, NaN where no rate is limited or nothing old enough is known."""
        rate = np.full(len(batch), np.nan)
        limited = ~np.isnan(self._bounds["rate_per_min"][rows])
        if not limited.any():
            return rate
        item = np.flatnonzero(np.repeat(limited, counts))
        last = (np.cumsum(counts) - 1)[limited]
        rows = self._past.rows(batch.stream[last])
        kept_us, kept_value = self._past["kept_us"], self._past["kept_value"]
        for segment, turn in rounds(counts[limited]):
            at, row = item[turn], rows[segment]
            now, value = batch.time_us[at], batch.value[at]
            age = now[:, None] - kept_us[row]
            age = np.where(age >= _OLD_ENOUGH_US, age, np.iinfo(np.int64).max)
            best = age.argmin(axis=1)
            age_min = age[np.arange(len(row)), best] / RATE_WINDOW_US
            # Halves, so that the difference of two finite numbers of any size is finite.
            change = value * 0.5 - kept_value[row, best] * 0.5
            found = age[np.arange(len(row)), best] < np.iinfo(np.int64).max
            rate[at] = np.where(found, np.clip(change / age_min, -_HUGE, _HUGE) * 2.0, np.nan)
            due = now - kept_us[row, -1] >= _SPACING_US
            due |= kept_us[row, -1] > now
            row = row[due]
            kept_us[row, :-1], kept_value[row, :-1] = kept_us[row, 1:], kept_value[row, 1:]
            kept_us[row, -1], kept_value[row, -1] = now[due], value[due]
        self._past["rate"][rows] = rate[last]
        return rate


_HUGE = np.finfo(np.float64).max / 4


def _negative(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _first(*bounds: float | None) -> float:
    return next((bound for bound in bounds if bound is not None), float("nan"))


def _side(hi: float | None, hihi: float | None, lo: float | None) -> tuple[float, float, float]:
    """Alarm limit, the score there, and the change of value that is worth one more of score; NaN without a limit."""
    alarm = hi if hi is not None else hihi
    if alarm is None:
        return np.nan, np.nan, np.nan
    if hi is not None and hihi is not None and hihi > hi:
        return hi, 1.0, hihi - hi
    unit = (alarm - lo) / 2 if lo is not None and lo < alarm else abs(alarm)
    return alarm, 1.0 if hihi is None else 2.0, unit or 1.0


def _beyond(value: npt.NDArray[np.float64], side: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Score of values against the upper limits `side` (N, 3)."""
    alarm, at_alarm, unit = side.T
    with np.errstate(over="ignore"):
        above = np.clip((value * 0.5 - alarm * 0.5) / unit, -_HUGE, _HUGE) * 2.0
    below = np.maximum(0.0, np.minimum(1.0 + above, np.nextafter(1.0, 0.0)))
    score: npt.NDArray[np.float64] = np.where(above >= 0, at_alarm + above, below)
    return score


def _too_fast(stream: Stream, rate: float, allowed: float, since_us: int) -> Evidence:
    """The evidence of a value within its limits that changes faster than it may."""
    share = {stream.point: 1.0}
    return Evidence(stream.point, rate, 0.0, -allowed, allowed, since_us, share, unit=f"{stream.unit}/min")
