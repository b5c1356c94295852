"""Blocks of vibration as they come: each has a verdict within seconds; what several of them say alike is an alarm.

On a thread and a connection of its own, and one in a fleet however many `notify` run: no delivery waits for it, nor
does ingest. Its watch is that of all detectors - rules, severities, tickets, lessons -, fed with what blocks say
together (`detectors.vibration.standing`). When more come than a core can diagnose, the newest of each axis are, and
the others are passed over, which is said.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from datetime import UTC, datetime

from alarms.events import AlarmEvent
from detectors.vibration import Diagnosis, Machine, diagnose
from detectors.vibration.standing import DETECTOR, OF_BLOCKS, POINTS, evidence, standing
from notify.own_watch import OwnWatch
from notify.worker import Worker
from store import baselines, vibration
from store.baselines import Baseline
from store.connection import Session
from store.vibration import KeptVerdict, Waiting

log = logging.getLogger("bellwether.notify.vibration")

LOOK_EVERY_S = 3.0
FORGET_EVERY_S = 3600.0
_OTHERS_S = 10.0  # while another gives them
_AT_ONCE = 20
# Some minutes of a core. Too low: a site that comes back after an hour has gaps in its verdicts. Too high: what is new
# waits behind what is over.
MOST_WAITING = 3000
# A shaft that turns once a minute stands.
_STANDS_RPM = 1.0
# What arithmetic over odd blocks may raise; whatever the server raises is the whole round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class Vibration(Worker):
    """One who gives verdicts on the blocks of one database."""

    name = "vibration"

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._watch = OwnWatch(DETECTOR)
        self._alone = False
        self._forgot_at = -math.inf

    def begin(self, conn: Session) -> None:
        """With the memory that the database has."""
        super().begin(conn)
        self._watch.forget()
        self._alone = False

    def turn(self, conn: Session) -> float:
        self._alone = self._alone or vibration.alone(conn)
        if not self._alone:
            return _OTHERS_S
        if time.monotonic() - self._forgot_at >= FORGET_EVERY_S:
            vibration.forget(conn)
            self._forgot_at = time.monotonic()
        passed_over = vibration.pass_over(conn, MOST_WAITING, OF_BLOCKS)
        if passed_over:
            log.warning("more blocks than can be diagnosed: some have no verdict", extra={"blocks": passed_over})
        return 0.0 if self.judge(conn, datetime.now(UTC)) else LOOK_EVERY_S

    def judge(self, conn: Session, now: datetime) -> int:
        """Give verdicts on some of the blocks that wait, and raise or end alarms; returns on how many. The connection
        is in autocommit."""
        blocks = vibration.waiting(conn, _AT_ONCE)
        verdicts = [
            (block, _verdict(block, baselines.baseline(conn, block.device_id, block.axis)))
            for block in blocks
            if block.device_id is not None
        ]
        if not blocks:
            return 0
        try:
            with conn.transaction():
                events: list[AlarmEvent] = []
                for block, verdict in verdicts:
                    events += self._step(conn, block, verdict, now)
                vibration.done(conn, [block.waveform_id for block in blocks])
                self._watch.keep(conn, events)
        except BaseException:
            self._watch.forget()  # it has seen what is not stored
            raise
        return len(blocks)

    def _step(self, conn: Session, block: Waiting, verdict: KeptVerdict, now: datetime) -> list[AlarmEvent]:
        """One verdict, and the edges that follow from it."""
        if block.device_id is None or block.tenant is None:
            return []
        vibration.keep(conn, block.device_id, block.tenant, verdict)
        opinions = standing(vibration.latest(conn, block.device_id, block.axis, block.time))
        places = {kind: [f"{block.axis}_{name}" for name in names] for kind, names in POINTS.items()}
        known = vibration.streams(conn, block.device_id, [point for points in places.values() for point in points])
        said = []
        for kind, points in places.items():
            stream = next((known[point] for point in points if point in known), None)
            if stream is not None:
                opinion = opinions[kind]
                said.append((stream, opinion.score, evidence(stream.point, block.axis, opinion)))
        return self._watch.tell(conn, block.time, said, now)


def _verdict(block: Waiting, healthy: Baseline | None) -> KeptVerdict:
    """What one block says. A block of anything but vibration, and one that breaks our arithmetic, says nothing."""
    known = block.vibration
    if known is None:
        other = Diagnosis("none", f"a block in {block.unit} is no vibration")
        return replace(_kept(block, Machine(), other), not_known=())
    try:
        machine, signal = Machine.of_facts(block.facts, block.shaft_rpm), block.signal()
        said = known.quantity, block.rate_hz, machine.rpm, len(signal)
        before = None if healthy is None else healthy.signal_for(*said)
        return _kept(block, machine, diagnose(signal, block.rate_hz, known.quantity, machine, before))
    except _OURS:
        log.exception("no verdict", extra={"waveform": str(block.waveform_id)})
        return _kept(block, Machine(), Diagnosis("none", "it could not be made: the log of notify says why"))


def _kept(block: Waiting, machine: Machine, found: Diagnosis) -> KeptVerdict:
    stands = block.shaft_rpm is not None and block.shaft_rpm < _STANDS_RPM
    zone = None if stands else found.zone
    strongest = max(found.evidence, key=lambda line: line.height, default=None)
    return KeptVerdict(
        block.waveform_id,
        block.axis,
        block.time,
        # Without the shaft's lines nothing was judged: that is not the same as nothing being wrong.
        fault=None if found.shaft_hz is None or stands else found.fault,
        reason=found.reason,
        line="" if strongest is None else f"{strongest.line} at {strongest.found_hz:.1f} Hz",
        not_known=machine.not_known,
        velocity_mm_s=found.figures["velocity_rms"][0] if "velocity_rms" in found.figures else None,
        zone=None if zone is None else zone.letter,
        limits_mm_s=None if zone is None else list(zone.limits_mm_s),
    )
