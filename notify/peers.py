"""Machines of one model against each other, by the clock: whatever happens to one of them alone is told.

Every six hours, of the means over the hours in which each of them ran (`detectors.peers`). What weather or season does
to all of them moves the others too. One in a fleet does it, however many `notify` run; a cohort is a transaction.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from detectors.peers import DETECTOR, FEWEST_PEERS, Apart, apart
from detectors.recordings import Floats
from detectors.scores import Evidence
from notify.own_watch import OwnWatch
from store import peers
from store.connection import Session
from store.peers import WIDTH, Beside, Cohort
from telemetry import Stream, microseconds

log = logging.getLogger("bellwether.notify.peers")

# Compared together: more cost more, and their median is as good.
_MOST_TOGETHER = 32
# How they stood in health is learnt from so much of the past, and looked for in so much of it at first: on servers
# without roll-ups that is read from the readings.
_LEARNT_FROM, _FIRST_LOOK = timedelta(days=28), timedelta(days=8)
# A departure is not learnt from while it is new.
_NOT_YET = timedelta(days=1)
# Kept a little longer, for what is looked at afterwards.
_KEPT = timedelta(days=60)
# Of healthy means beyond their limit, all points of a machine together: one in four months.
_SHARE = 1 / 480
# Readings of an hour may be on their way for so long, and its health is found after it.
_SETTLED = timedelta(minutes=20)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class Peers:
    """One who compares machines, and raises or ends alarms about those that stand apart."""

    def __init__(self) -> None:
        self._watch = OwnWatch(DETECTOR)
        self._end: datetime | None = None

    def compare(self, conn: Session, now: datetime) -> int:
        """Compare what the last six hours that are over have brought; returns how many means that were. The connection
        is in autocommit."""
        end = _EPOCH + (now - _SETTLED - _EPOCH) // WIDTH * WIDTH
        if end == self._end or not peers.alone(conn):
            return 0
        found = 0
        for cohort in peers.cohorts(conn, FEWEST_PEERS + 1, _MOST_TOGETHER):
            try:
                with conn.transaction():
                    found += self._compare(conn, cohort, end, now)
            except BaseException as error:
                self._watch.forget()  # it has seen what is not stored
                if not isinstance(error, _OURS):
                    raise
                log.exception("not compared", extra={"tenant": cohort.tenant, "model": cohort.model})
        peers.forget(conn, end - _KEPT)
        self._end = end
        return found

    def _compare(self, conn: Session, cohort: Cohort, end: datetime, now: datetime) -> int:
        grid = _Grid(cohort.machines, peers.streams(conn, cohort.machines), end)
        numbers = list(grid.place)
        begun = max(peers.compared_until(conn, numbers) or grid.start, end - _FIRST_LOOK)
        fresh = peers.levels(conn, numbers, begun, end) if numbers and begun < end else []
        if not fresh:
            return 0
        past = peers.history(conn, numbers, grid.start)
        new, old = grid.filled(fresh), grid.filled((stream, at, level) for stream, at, level, _ in past)
        levels = np.where(np.isnan(new), old, new)
        stood_out = grid.filled((stream, at, float(out)) for stream, at, _, out in past) == 1.0
        # What stood out was no health, and of what is new nobody knows yet.
        healthy = ~stood_out.any(axis=2)
        healthy[:, grid.bucket(end - _NOT_YET) :] = False
        found = apart(levels, healthy, _SHARE / max(grid.channels, 1))
        rows = _rows(grid, new, found)
        peers.keep(conn, rows)
        newest = [row for row in rows if row.at == end - WIDTH]
        said = [(stream, *_said(grid, stream, row, found)) for row in newest for stream in [grid.stream[row.stream]]]
        self._watch.keep(conn, self._watch.tell(conn, end, said, now))
        return len(rows)


class _Grid:
    """Machines, their last 28 days in sixes of hours, and the points that at least five of them have in one unit."""

    def __init__(self, machines: Sequence[int], streams: Sequence[Stream], end: datetime) -> None:
        count = Counter((stream.point, stream.unit) for stream in streams)
        names = sorted(name for name, machines_with_it in count.items() if machines_with_it > FEWEST_PEERS)
        column, row = {name: each for each, name in enumerate(names)}, {id_: each for each, id_ in enumerate(machines)}
        self.stream = {stream.id: stream for stream in streams if (stream.point, stream.unit) in column}
        self.place = {id_: (row[each.machine], column[each.point, each.unit]) for id_, each in self.stream.items()}
        self.machines, self.channels = len(machines), len(names)
        self.start, self.buckets = end - _LEARNT_FROM, _LEARNT_FROM // WIDTH

    def bucket(self, at: datetime) -> int:
        """The number of the six hours that hold a time."""
        return (at - self.start) // WIDTH

    def filled(self, values: Iterable[tuple[int, datetime, float]]) -> Floats:
        """Values of streams at times as float64 (M, B, C), NaN where there is none."""
        grid = np.full((self.machines, self.buckets, self.channels), np.nan)
        for stream, at, value in values:
            machine, channel = self.place[stream]
            grid[machine, self.bucket(at), channel] = value
        return grid


def _rows(grid: _Grid, levels: Floats, found: Apart) -> list[Beside]:
    """What is new: each mean that has four others beside it."""
    others = (~np.isnan(levels)).sum(axis=0) - 1
    rows = []
    for id_, (machine, channel) in grid.place.items():
        allowed, tenant = _known(found.allowed[machine, channel]), grid.stream[id_].tenant
        for bucket in np.flatnonzero(others[:, channel] >= FEWEST_PEERS).tolist():
            level, moved = levels[machine, bucket, channel], found.moved[machine, bucket, channel]
            if not math.isnan(level):
                at, beside = grid.start + bucket * WIDTH, int(others[bucket, channel])
                rows.append(Beside(id_, tenant, at, float(level), beside, _known(moved), allowed))
    return rows


def _said(grid: _Grid, stream: Stream, row: Beside, found: Apart) -> tuple[float, Evidence]:
    """The score of a stream's newest mean, and what an alarm of it shows: the mean, and where it would be in health."""
    machine, channel = grid.place[stream.id]
    scores = found.score[machine, :, channel]
    hot = scores >= 1.0
    lasted = int(np.argmin(hot[::-1])) if not hot.all() else len(hot)
    since_us = microseconds(row.at + WIDTH - max(lasted, 1) * WIDTH)
    expected = row.level - (row.moved or 0.0)
    allowed = math.nan if row.allowed is None else row.allowed
    sign = f"{row.peers} others of its model"
    shares = {stream.point: 1.0}
    evidence = Evidence(
        stream.point, row.level, expected, expected - allowed, expected + allowed, since_us, shares, sign
    )
    return float(scores[-1]), evidence


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
