"""Assessment by the clock: what is wrong with the machines of open tickets, how well all are, how long they have, and
which of them go another way than their like.

On a thread and a connection of its own: no delivery waits for it, nor does ingest. A ticket has its diagnosis within
seconds, and a newer one as its fault grows. Health is of hours that are over; each machine is a transaction, and a
mistake of ours over one of them is said and holds up nobody else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from notify.peers import Peers
from notify.prognosis import Prognoses
from notify.worker import Worker
from prognosis.diagnosis import Diagnosis, Heard, diagnose
from prognosis.episodes import signature
from prognosis.faults import FailureMode
from prognosis.health import HEALTHY_INDEX, TREND_HOURS, Normal, fit, trend
from prognosis.signature import departures
from store import assessment, episodes, vibration
from store.assessment import HEALTH_POINTS, Hour, Machine, Undiagnosed
from store.connection import Session

log = logging.getLogger("bellwether.notify.assessment")

# Who opens a ticket waits so long for its diagnosis.
LOOK_EVERY_S = 3.0
# Whoever is up to date costs nothing: this is how soon after an hour, or after its first hours, a machine is looked at.
HEALTH_EVERY_S = 120.0
# Readings of an hour may be on their way for so long after it.
_SETTLED = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
# A first normal is looked for in so much of the past; and a machine that comes home with more than a month of readings
# is assessed over the last one.
_FIRST_LOOK, _LONGEST_LOOK = timedelta(days=3), timedelta(days=31)
# Blocks of vibration older than this before a fault say nothing of it.
_HEARD = timedelta(days=7)
_AT_ONCE = 20
_MACHINES_AT_ONCE = 200
# What arithmetic over odd readings may raise; whatever the server raises is the whole round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)
_FAILED = Diagnosis((), 1.0, "it could not be made: the log of notify says why")

Floats = npt.NDArray[np.float64]


class Assessment(Worker):
    """One assessor of one database, by a library of failure modes."""

    name = "assessment"

    def __init__(self, database_url: str, modes: Sequence[FailureMode]) -> None:
        super().__init__(database_url)
        self._modes = modes
        self._health_at = -HEALTH_EVERY_S
        # Up to when each machine was looked at last, whether anything was found or not.
        self._looked: dict[int, datetime] = {}
        self._prognoses = Prognoses()
        self._peers = Peers()

    def turn(self, conn: Session) -> float:
        self.diagnose(conn)
        if time.monotonic() - self._health_at >= HEALTH_EVERY_S:
            now = datetime.now(UTC)
            self.assess(conn, now)
            self._peers.compare(conn, now)
            self._health_at = time.monotonic()
        return LOOK_EVERY_S

    def diagnose(self, conn: Session) -> int:
        """Diagnose the tickets that wait for it; returns how many. The connection is in autocommit."""
        waiting = assessment.undiagnosed(conn, _AT_ONCE)
        for ticket in waiting:
            if self._stopping.is_set():
                break
            try:
                self._diagnose(conn, ticket)
            except _OURS:
                log.exception("no diagnosis", extra={"ticket": str(ticket.id)})
                assessment.keep_diagnosis(conn, ticket, ticket.since, _FAILED)
        return len(waiting)

    def _diagnose(self, conn: Session, ticket: Undiagnosed) -> None:
        courses, until = assessment.courses(conn, ticket)
        moved = departures(courses, int(ticket.since.timestamp() * 1e6), int(until.timestamp() * 1e6))
        heard = [
            Heard(fault, *said)
            for fault, said in vibration.named(conn, ticket.device_id, ticket.since - _HEARD, until).items()
        ]
        assessment.keep_diagnosis(conn, ticket, until, diagnose(self._modes, moved, ticket.kind, heard))
        episodes.keep(conn, ticket, signature(moved))

    def assess(self, conn: Session, now: datetime) -> int:
        """The health of every machine up to the last hour that is over; returns how many hours were found."""
        found, after = 0, 0
        while machines := assessment.machines(conn, after, _MACHINES_AT_ONCE):
            for machine in machines:
                if self._stopping.is_set():
                    return found
                try:
                    with conn.transaction():
                        found += self._assess(conn, machine, now)
                    with conn.transaction():
                        self._prognoses.say(conn, machine.id, _hour_over(now))
                except _OURS:
                    log.exception("no health", extra={"machine": machine.id})
            after = machines[-1].id
        return found

    def _assess(self, conn: Session, machine: Machine, now: datetime) -> int:
        end = _hour_over(now)
        if self._looked.get(machine.id) == end:
            return 0
        points = assessment.points(conn, machine.id, HEALTH_POINTS)
        if machine.normal is None or machine.until is None:
            if machine.ill or not points:
                return 0
            times, rows = assessment.rows(conn, [point.id for point in points], end - _FIRST_LOOK, end)
            normal = fit([point.point for point in points], [point.quantity for point in points], rows)
            # Those hours are in it already.
            learning = False
        else:
            normal = Normal.from_json(machine.normal)
            stream_of = {point.point: point.id for point in points}
            streams = [stream_of.get(point, -1) for point in normal.points]
            times, rows = assessment.rows(conn, streams, max(machine.until, end - _LONGEST_LOOK), end)
            learning = not machine.ill
        self._looked[machine.id] = end
        if normal is None or not times:
            return 0
        before = assessment.measured(conn, machine, times[0].replace(minute=0), TREND_HOURS)
        normal, hours = by_the_hour(normal, times, rows, before, learning=learning)
        assessment.keep_health(conn, machine, normal, times[-1].replace(minute=0) + _HOUR, hours)
        return len(hours)


def _hour_over(now: datetime) -> datetime:
    """The end of the last hour whose readings have had time to come."""
    return (now - _SETTLED).replace(minute=0, second=0, microsecond=0)


def by_the_hour(
    normal: Normal, times: Sequence[datetime], rows: Floats, before: Sequence[float], *, learning: bool
) -> tuple[Normal, list[Hour]]:
    """Health of each hour in which the machine ran, and the normal with its healthy hours learnt.

    `times` are the beginnings of the rows, in order; `before` is what was measured since the last repair until then.
    """
    hours: list[Hour] = []
    history = list(before)
    starts = [time.replace(minute=0, second=0, microsecond=0) for time in times]
    for hour in dict.fromkeys(starts):
        mine = rows[[start == hour for start in starts]]
        indices = normal.indices(mine)
        if np.isnan(indices).all():
            continue
        measured = float(np.nanmedian(indices))
        shares = normal.shares(mine)
        history.append(measured)
        worst_point = max(shares, key=lambda point: shares[point]) if shares else ""
        hours.append(Hour(hour, trend(history), measured, worst_point))
        # Learnt from while it is well beyond doubt: a fault that grows over hours would widen the normal before it.
        if learning and measured >= HEALTHY_INDEX and hours[-1].health >= HEALTHY_INDEX:
            normal = normal.learn(mine)
    return normal, hours
