"""The past of one machine, cut into what a challenger learns from and what it is tried on.

Healthy time is what no ticket has found a fault in: what was visited in vain stays. It begins after the last repair.
The newest quarter is held back for the trial. Bounded, whatever the machine: some hundred thousand rows are learnt
from and tried on; where it has more, stretches of them that lie evenly over the past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import numpy as np

from alarms.lessons import by_subject
from alarms.rehearsal import Episode, Stage
from detectors.modes import tell_tales
from notify import spans
from notify.spans import Span
from store import lessons, training
from store.connection import Session
from store.training import Illness
from telemetry import Batch, Stream, instant
from telemetry.quantities import slight_change

WINDOW = timedelta(days=30)
# Less is not tried: a day shows no week, but a machine that was repaired needs its normal back soon.
FEWEST_US, FEWEST_ROWS = 86_400_000_000, 600
# A fault is there before anybody sees it.
_BEFORE_A_FAULT_US = 6 * 3_600_000_000
# Held back for the trial: a part of the past, and so many rows at most.
_HELD_BACK, _MOST_TRIED_ROWS = 0.25, 100_000
# The newest rows before that, which baselines of minutes and hours rest on; so many of what lies before them, and how
# many of these follow on one another.
_LEAD_ROWS, _MOST_ROWS, _STRETCH_ROWS = 20_000, 100_000, 2_000
# All of this is for machines of so many points; one with more has that many fewer rows.
_USUAL_POINTS = 16
# Readings that come from the database at once.
_AT_ONCE = 50_000
_SHORTEST_ROW_US = 1_000_000
_DAY_US = 86_400_000_000
# Faults of the past that a memory is tried on: the newest, with so many rows before each and so many of it.
_MOST_FAULTS, _YEAR = 5, timedelta(days=366)
_FAULT_LEAD_ROWS, _FAULT_ROWS = 500, 2_000
# Departures put into the last healthy readings, one a point: steps by so many times the point's scatter, which last so
# long. From 5 to 8 sound models find all of them, and models that have learnt eight times the noise none.
_PLANTED, _PLANTED_STEP = 8, 6.0
# And by so many times what is slight in its quantity at least: less is no departure to anybody.
_PLANTED_SLIGHT = 2.0
_PLANTED_US, _PLANTED_ROWS, _PLANTED_LEAD_ROWS = 45 * 60_000_000, 40, 200
_FEWEST_PLANTED_READINGS = 20


class TooLittle(Exception):
    """There is not enough of a healthy past to learn from; the message says how much there is."""


@dataclass(frozen=True, slots=True)
class Past:
    """A machine's healthy past: what is learnt from (`spread`, then `lead`), what is held back, and how it was found.

    `until_us` is after its latest reading; `width_us` is the machine's usual interval, a second at least.
    """

    streams: Sequence[Stream]
    width_us: int
    from_us: int
    until_us: int
    training: Sequence[Span]
    spread: Sequence[Span]
    lead: Sequence[Span]
    holdout: Sequence[Span]


def look(conn: Session, streams: Sequence[Stream], now: datetime) -> Past:
    """Cut a machine's past into pieces; no reading is read yet.

    Raises
    ------
    TooLittle
        What is healthy is too short.
    """
    paces = training.paces(conn, streams, now)
    if not paces:
        raise TooLittle("it has said nothing yet")
    until = max(pace.latest for pace in paces)
    ill = training.illnesses(conn, streams[0].machine, until - WINDOW)
    repaired = max((each.closed_at for each in ill if each.verdict != "sensor_fault"), default=until - WINDOW)
    begins = training.begins(conn, streams, max(until - WINDOW, repaired))
    start_us, until_us = _us(begins or until), _us(until) + 1
    width_us = max(int(median(pace.interval_s for pace in paces) * 1e6), _SHORTEST_ROW_US)
    holes = [(_us(each.since) - _BEFORE_A_FAULT_US, _us(each.closed_at)) for each in ill]
    healthy = spans.without([(start_us, until_us)], holes)
    long_us = spans.length_us(healthy)
    if long_us < max(FEWEST_US, FEWEST_ROWS * width_us):
        needed = max(FEWEST_US, FEWEST_ROWS * width_us) / _DAY_US
        raise TooLittle(f"{long_us / _DAY_US:.1f} healthy days since the last repair: it takes {needed:.1f}")
    row_us = max(int(width_us * min(1.0, _USUAL_POINTS / len(streams))), 1)
    taught, holdout = spans.newest(healthy, min(int(long_us * _HELD_BACK), _MOST_TRIED_ROWS * row_us))
    before, lead = spans.newest(taught, _LEAD_ROWS * row_us)
    return Past(
        streams=streams,
        width_us=width_us,
        from_us=start_us,
        until_us=until_us,
        training=taught,
        spread=spans.spread(before, _MOST_ROWS * row_us, _STRETCH_ROWS * row_us),
        lead=lead,
        holdout=holdout,
    )


def read(conn: Session, past: Past, parts: Sequence[Span]) -> Iterator[Batch]:
    """The readings of some spans, in pieces."""
    most_us = max(_AT_ONCE // len(past.streams), 1) * past.width_us
    for start, end in spans.pieces(parts, most_us):
        batch = training.readings(conn, past.streams, instant(start), instant(end))
        if len(batch):
            yield batch


def thinned(past: Past) -> bool:
    """Whether there is more of it than is learnt from."""
    return spans.length_us([*past.spread, *past.lead]) < spans.length_us(past.training)


def stage(conn: Session, past: Past, now: datetime) -> Stage:
    """What memories of the machine are tried on."""
    own = past.streams
    holdout = Batch.concat(list(read(conn, past, past.holdout)))
    start_us, end_us = max(past.holdout, key=lambda span: span[1] - span[0])
    unbroken = holdout.where((holdout.time_us >= start_us) & (holdout.time_us < end_us))
    ill = training.illnesses(conn, own[0].machine, now - _YEAR)
    faults = [_fault(conn, past, each) for each in ill if each.verdict != "sensor_fault"]
    return Stage(
        streams=own,
        rules=training.rules_of(conn, own[0].tenant),
        patience=by_subject(lessons.judged(conn, now), own),
        holdout=holdout,
        days=spans.length_us(past.holdout) / _DAY_US,
        faults=[fault for fault in faults if fault is not None][:_MOST_FAULTS],
        planted=planted(unbroken, own, past.width_us),
    )


def planted(healthy: Batch, streams: Sequence[Stream], width_us: int) -> list[Episode]:
    """The end of healthy readings, once for each of some points, which has moved in it: up and down in turn."""
    long_us = max(_PLANTED_US, _PLANTED_ROWS * width_us)
    until_us = int(healthy.time_us.max(initial=0))
    since_us = until_us - long_us
    end = healthy.where(healthy.time_us >= since_us - _PLANTED_LEAD_ROWS * width_us)
    made: list[Episode] = []
    # What tells the load is left alone: a step in it is another load.
    tales = {stream.id for stream in tell_tales(streams).values()}
    for stream in streams:
        if stream.id in tales:
            continue
        moved = (end.stream == stream.id) & (end.time_us >= since_us)
        low, high = _middle(healthy.value[healthy.stream == stream.id])
        if np.count_nonzero(moved) >= _FEWEST_PLANTED_READINGS and high > low and len(made) < _PLANTED:
            slight = slight_change(stream.quantity, stream.unit)
            size = max(_PLANTED_STEP * (high - low) / 2, _PLANTED_SLIGHT * slight)
            step = -size if len(made) % 2 else size
            made.append(Episode(Batch(end.time_us, end.stream, end.value + step * moved, end.quality), since_us))
    return made


def _fault(conn: Session, past: Past, ill: Illness) -> Episode | None:
    """The readings around a fault; None where they are not kept any more."""
    since_us = _us(ill.since)
    start_us = since_us - _FAULT_LEAD_ROWS * past.width_us
    end_us = min(_us(ill.closed_at), since_us + _FAULT_ROWS * past.width_us)
    parts = list(read(conn, past, [(start_us, end_us)] if end_us > since_us else []))
    batch = Batch.concat(parts)
    before = np.count_nonzero(batch.time_us < since_us)
    return Episode(batch, since_us) if 0 < before < len(batch) else None


def _middle(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Where the middle two thirds of some values lie: two standard deviations apart, whatever the rest does."""
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(values, [0.1587, 0.8413])
    return float(low), float(high)


def _us(time: datetime) -> int:
    return round(time.timestamp() * 1e6)
