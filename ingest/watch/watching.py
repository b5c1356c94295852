"""The watch of an ingest: by the rules that are in force, taught by verdicts and promoted models.

Rules are looked at once in a while. Where they have changed there is another watch, with the memory of the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import store.telemetry as rows
from alarms.rules import Rule
from alarms.watch import Watch
from detectors.scores import Snapshot
from ingest.database import Transact
from ingest.directory import Directory
from ingest.presence.attendance import Attendance
from ingest.watch.detectors import detectors_for
from ingest.watch.lessons import Lessons
from ingest.watch.models import Models
from ingest.watch.remembered import Remembered
from ingest.watch.scoring import Scoring
from store import alarm_policy, occurrences
from store.rules import rules_of_all

log = logging.getLogger("bellwether.ingest")


class Watching:
    """What the watch is made by, and what the database has of it.

    Attributes
    ----------
    rules
        Those in force, by tenant.
    """

    def __init__(self, transact: Transact, scoring: Scoring, attendance: Attendance, directory: Directory) -> None:
        self.rules: dict[str, list[Rule]] = {}
        self.models = Models()
        self._transact = transact
        self._scoring = scoring
        self._attendance = attendance
        self._directory = directory
        self._lessons = Lessons()
        self._learnt: set[int] = set()  # machines noted as such
        self._modes: dict[int, tuple[str, int]] = {}  # of machines, as noted

    def wake(self) -> bool:
        """Begin by the rules and with the memory that the database has; whether the watch has read its own."""
        rules = self._transact(rules_of_all)
        names = self._transact(occurrences.remembered)
        snapshots = Remembered(names, lambda name: self._transact(lambda conn: occurrences.load_one(conn, name)))
        afresh = self._take_rules(rules, snapshots)
        return "watch" in snapshots and "watch" not in afresh

    def look_after(self) -> bool:
        """Teach the watch, note what it has learnt, and take over rules that have changed.

        Whether its memory is to be saved: it is another one than what was scored since the last time has made of it.
        """
        watch = self._scoring.watch
        self._teach(watch)
        self.models.turn(self._transact, watch)
        if learnt := watch.learnt() - self._learnt:
            self._transact(lambda conn: rows.note_learnt(conn, learnt))
            self._learnt |= learnt
        if modes := {machine: said for machine, said in watch.modes().items() if self._modes.get(machine) != said}:
            self._transact(lambda conn: rows.note_modes(conn, modes))
            self._modes |= modes
        rules = self._transact(rules_of_all)
        if rules != self.rules:
            log.info("rules changed")
            self._take_rules(rules, Remembered(watch.parts, watch.part))
            return True
        return self.models.to_note

    def _take_rules(self, rules: dict[str, list[Rule]], snapshots: Mapping[str, Snapshot]) -> list[str]:
        """Watch by these rules, with the memory there is; what could not read its own begins afresh."""
        self.rules = rules
        watch = self._scoring.watch = Watch(detectors_for(rules), rules, self._attendance.presence)
        watch.watch(self._directory.streams)
        watch.mark()
        watch.place(self._attendance.places)
        afresh = watch.restore(snapshots) if snapshots else []
        if afresh:
            log.warning("detectors begin afresh: their memory is of another layout", extra={"detectors": afresh})
        self._lessons.again()
        self._teach(watch)
        return afresh

    def _teach(self, watch: Watch) -> None:
        watch.govern(self._transact(alarm_policy.of_all))
        self._lessons.turn(self._transact, watch, self._directory.streams, self._attendance.now_us())
