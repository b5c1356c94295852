"""One machine's past played again, through the watch that runs live: what a memory of its detectors would have raised.

Readings may be older than the memory: they are then played as if they came just after it. Nothing is stored, and
nothing here knows what time it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alarms.challengers import Found, Trial
from alarms.events import AlarmEvent, Kind
from alarms.lessons import Patience
from alarms.rules import Rule
from alarms.watch import Watch
from detectors.learnt import Learnt, fresh, of_detectors
from telemetry import Batch, Stream

_MINUTE_US = 60_000_000
# Readings played at once. More, and cutting them up by time costs more than playing them.
_AT_ONCE = 8_000


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """Readings of a machine in which something begins at `since_us`, with healthy ones before."""

    batch: Batch
    since_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What memories of a machine are tried on.

    Attributes
    ----------
    streams
        The machine's.
    rules, patience
        What governs its alarms, and what verdicts have taught of them.
    holdout
        Healthy readings that no challenger has learnt from.
    days : float
        How long they last.
    faults, planted
        What must be found: confirmed by tickets, and put into healthy readings.
    """

    streams: Sequence[Stream]
    rules: Sequence[Rule]
    patience: Mapping[tuple[str, int], Patience]
    holdout: Batch
    days: float
    faults: Sequence[Episode] = field(default=())
    planted: Sequence[Episode] = field(default=())


def tried(stage: Stage, memory: Learnt, until_us: int, *, goes_on: bool) -> tuple[Trial, Learnt]:
    """How a memory of until `until_us` fares, and what it is after the healthy readings.

    `goes_on`: the faults meet it as it is then, as they would a challenger that is promoted; else as it was given.
    """
    events, after = play(stage, memory, _after(stage.holdout, until_us))
    start, start_us = (after, _newest_us(_after(stage.holdout, until_us), until_us)) if goes_on else (memory, until_us)
    planted = [_found(stage, start, start_us, episode) for episode in stage.planted]
    trial = Trial(
        days=stage.days,
        false_alarms=len(raised_at(events)),
        planted=len(planted),
        planted_found=sum(found.told and found.after_s is not None for found in planted),
        faults=tuple(_found(stage, start, start_us, episode) for episode in stage.faults),
    )
    return trial, after


def play(stage: Stage, memory: Learnt, batch: Batch) -> tuple[list[AlarmEvent], Learnt]:
    """What follows from readings that are newer than a memory: edges, and the memory after them."""
    detectors = fresh()
    watch = Watch(detectors, {stage.streams[0].tenant: stage.rules})
    watch.watch(stage.streams)
    watch.teach(stage.patience)
    for name, detector in detectors.items():
        if name in memory:
            detector.restore(memory[name])
    events = [event for part in _parts(batch) for event in watch.step(part, 0)]
    return events, of_detectors(stage.streams, detectors)


def raised_at(events: Sequence[AlarmEvent]) -> list[int]:
    """When alarms were raised, in µs."""
    return [event.at_us for event in events if event.kind is Kind.RAISED]


def _found(stage: Stage, memory: Learnt, until_us: int, episode: Episode) -> Found:
    moved = _after(episode.batch, until_us)
    since_us = episode.since_us + (int(moved.time_us.min()) - int(episode.batch.time_us.min()))
    at = raised_at(play(stage, memory, moved)[0])
    told = not at or min(at) >= since_us
    return Found((min(at) - since_us) / 1e6 if at and told else None, told)


def _after(batch: Batch, until_us: int) -> Batch:
    """The same readings, moved by whole minutes where they do not come after a time."""
    if not len(batch) or (first_us := int(batch.time_us.min())) > until_us:
        return batch
    by_us = ((until_us - first_us) // _MINUTE_US + 1) * _MINUTE_US
    return Batch(batch.time_us + by_us, batch.stream, batch.value, batch.quality)


def _newest_us(batch: Batch, otherwise_us: int) -> int:
    return max(int(batch.time_us.max(initial=0)), otherwise_us)


def _parts(batch: Batch) -> Iterator[Batch]:
    """A batch cut by time, and no instant of it in two."""
    if not len(batch):
        return
    yield from batch.cut(np.sort(batch.time_us)[_AT_ONCE::_AT_ONCE])
