"""The heart: from messages to rows to alarms, one delivery at a time.

Nothing lost: a delivery is acknowledged after its transaction has committed, and comes again if we die before. Nothing
doubled: what comes again is found stored. Nothing scored twice: the memory of the detectors is saved in the transaction
of the alarms that follow from it, and after a crash the readings stored since are scored before anything new.

Under pressure - the database slow or away - deliveries wait unacknowledged, the broker's window fills, and the broker
is slowed; memory holds one window and no more.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

import store.telemetry as rows
from alarms.events import AlarmEvent
from alarms.rules import DEFAULT_RULES, BadRule, Rule, rule_from_json
from alarms.watch import UNSCORED, Watch
from detectors.scores import Snapshot
from ingest import forms
from ingest.detectors import detectors_for
from ingest.directory import Directory
from ingest.messages import Message, Source
from store import occurrences
from store.connection import Session, connect, refused, unavailable
from store.errors import Refused, Unavailable
from store.telemetry import Reject, Tally
from telemetry import Batch, Quality, Stream, Topic

log = logging.getLogger("bellwether.ingest")

# How much is scored again after a crash, at most; each save costs one row a detector.
SAVE_EVERY_S = 10.0
BEAT_EVERY_S = 5.0
# How soon a database that is away is asked again. The last must stay small: it is how late we notice that it is back.
_BACKOFF_FIRST_S = 0.2
_BACKOFF_LAST_S = 3.0

T = TypeVar("T")


class Ingest:
    """One ingest: a source, a database, and the watch between them.

    Parameters
    ----------
    clock_us
        The time, in µs since 1970: given, so that tests can own it.
    """

    def __init__(
        self, source: Source, database_url: str, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._source = source
        self._database_url = database_url
        self._clock_us = clock_us
        self._stopping = threading.Event()
        self._conn: Session | None = None
        self._directory = Directory()
        self._rules: dict[str, list[Rule]] = {}
        self._watch = Watch({}, {})
        self._learnt: set[int] = set()  # machines noted as such
        self._saved_at = 0.0
        self._beat_at = 0.0
        self._counts: Counter[str] = Counter()

    def run(self) -> None:
        """Until the source ends; what had arrived by then is stored, acknowledged and scored, and memory saved.

        Raises
        ------
        Misconfigured
            The database or the broker refuses us.
        Unavailable
            The database went away while we were stopping: what was not stored stays with the broker.
        """
        try:
            self._wake()
            for delivery in self._source.deliveries():
                arrived_us = self._clock_us()
                batch = self._store(delivery.messages, arrived_us)
                delivery.ack()
                self._apply(self._score(batch, arrived_us))
                self._look_after()
            self._saved_at = 0.0
            self._apply([])
        finally:
            self._drop_connection()
        log.info("stopped", extra=dict(self._counts))

    def stop(self) -> None:
        """No more waiting for a database that is away. The source is closed by its owner."""
        self._stopping.set()

    # Storing --------------------------------------------------------------------------------------------------------

    def _store(self, messages: Sequence[Message], arrived_us: int) -> Batch:
        """Store a delivery whole, in one transaction; the batch to be scored.

        A delivery that the database refuses for its content is halved until the guilty message is found.
        """
        if not messages:
            return Batch.empty()
        try:
            batch = self._transact(lambda conn: self._append(conn, messages, arrived_us))
            self._directory.confirm()
            return batch
        except Refused as refusal:
            if len(messages) == 1:
                reject = Reject(messages[0].topic, messages[0].payload, f"refused by the database: {refusal}"[:500])
                self._transact(lambda conn: rows.add_rejects(conn, [reject], arrived_us))
                return Batch.empty()
        half = len(messages) // 2
        return Batch.concat([self._store(messages[:half], arrived_us), self._store(messages[half:], arrived_us)])

    def _append(self, conn: Session, messages: Sequence[Message], arrived_us: int) -> Batch:
        self._directory.take_back()  # of an attempt that failed, at its commit perhaps
        decoded = forms.decode(messages, self._directory.numbers, arrived_us, self._directory.turned_away)
        columns = decoded.batch
        stream, new = self._directory.resolve(conn, decoded)
        self._watch.watch(new)
        batch = Batch.of(columns.time_us, stream, columns.value, columns.quality)
        batch = batch.flagged(Quality.LATE, self._watch.late(batch))
        batch = batch.flagged(Quality.IMPOSSIBLE, self._directory.impossible(batch))
        appended = rows.append(conn, batch)
        rows.note_status(conn, decoded.statuses)
        rejects = decoded.rejects
        rows.add_rejects(conn, rejects, arrived_us)
        rows.count_messages(conn, self._tally(messages, stream, appended, rejects), arrived_us)
        self._counts.update(messages=len(messages), readings=appended.readings, rejects=len(rejects))
        return batch

    def _tally(
        self,
        messages: Sequence[Message],
        stream: npt.NDArray[np.int32],
        appended: rows.Appended,
        rejects: Sequence[Reject],
    ) -> list[Tally]:
        """What became of each device's part of the delivery."""
        heard = Counter((topic.tenant, topic.device) for message in messages if (topic := Topic.parse(message.topic)))
        rejected = Counter((reject.tenant, reject.device) for reject in rejects)
        machine_of = self._directory.machine_of
        decoded = np.bincount(machine_of[stream])
        stored = np.bincount(machine_of[: len(appended.stored)], appended.stored, len(decoded))
        late = np.bincount(machine_of[: len(appended.late)], appended.late, len(decoded))
        counted = {
            self._directory.names[machine]: (int(decoded[machine]), int(stored[machine]), int(late[machine]))
            for machine in np.flatnonzero(decoded).tolist()
        }
        tallies = []
        for (tenant, device), count in heard.items():
            readings, kept, too_late = counted.get((tenant, device), (0, 0, 0))
            tallies.append(Tally(tenant, device, count, kept, readings - kept, too_late, rejected[tenant, device]))
        return tallies

    # Scoring --------------------------------------------------------------------------------------------------------

    def _score(self, batch: Batch, now_us: int) -> list[AlarmEvent]:
        """The edges in a batch. A detector that fails must not stop what stores: it is said, and readings go on."""
        try:
            return self._watch.step(batch, now_us)
        except Exception:
            self._counts["failed_steps"] += 1
            log.exception("detectors failed on a batch; its readings are stored but were not scored")
            return []

    def _apply(self, events: Sequence[AlarmEvent]) -> None:
        """Edges and the memory they came from, in one transaction; memory alone when it is due."""
        if not events and time.monotonic() - self._saved_at < SAVE_EVERY_S:
            return
        snapshots = self._watch.snapshot()

        def write(conn: Session) -> int:
            occurrences.save_state(conn, snapshots)
            return occurrences.apply(conn, events)

        self._counts["events"] += self._transact(write)
        self._saved_at = time.monotonic()

    # Waking up and looking after ------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Learn what the database knows: streams, rules, and the memory of the detectors; score what was missed."""
        streams = self._transact(self._directory.load)
        rules = self._transact(_rules)
        snapshots = self._transact(occurrences.load_state)
        afresh = self._take_rules(rules, streams, snapshots)
        if "watch" in snapshots and "watch" not in afresh:
            self._catch_up()
        self._saved_at = 0.0
        self._apply([])
        log.info("awake", extra={"streams": len(streams)})

    def _take_rules(
        self,
        rules: dict[str, list[Rule]],
        streams: Sequence[Stream],
        snapshots: Mapping[str, Snapshot],
    ) -> list[str]:
        """Watch by these rules, with the memory there is; what could not read its own begins afresh."""
        self._rules = rules
        self._watch = Watch(detectors_for(rules), rules)
        self._watch.watch(streams)
        afresh = self._watch.restore(snapshots) if snapshots else []
        if afresh:
            log.warning("detectors begin afresh: their memory is of another layout", extra={"detectors": afresh})
        return afresh

    def _catch_up(self) -> None:
        """Score what was stored and not scored before we died; of a stream without a memory, everything."""
        last_us = {stream.id: 0 for stream in self._directory.streams}
        last_us.update(self._watch.last_scored())
        while True:
            batch = self._transact(lambda conn: rows.readings_after(conn, last_us, int(UNSCORED)))
            if not len(batch):
                return
            log.info("scoring what was stored before the last stop", extra={"readings": len(batch)})
            self._apply(self._score(batch, self._clock_us()))
            # By what was read, not by what was scored: detectors that fail on it must not be given it for ever.
            ends = np.append(batch.starts()[1:], len(batch)) - 1
            last_us.update(zip(batch.stream[ends].tolist(), batch.time_us[ends].tolist(), strict=True))

    def _look_after(self) -> None:
        """Once in a while: a sign of life, new tenants, changed rules."""
        now = time.monotonic()
        if now - self._beat_at < BEAT_EVERY_S:
            return
        self._beat_at = now
        detail: dict[str, object] = {"connected": self._source.connected, **self._counts}
        self._transact(lambda conn: rows.beat(conn, "ingest", detail))
        self._transact(self._directory.refresh_tenants)
        learnt = self._watch.learnt() - self._learnt
        if learnt:
            self._transact(lambda conn: rows.note_learnt(conn, learnt))
            self._learnt |= learnt
        rules = self._transact(_rules)
        if rules != self._rules:
            log.info("rules changed")
            self._take_rules(rules, self._directory.streams, self._watch.snapshot())

    # The database ---------------------------------------------------------------------------------------------------

    def _transact(self, work: Callable[[Session], T]) -> T:
        """Do `work` in one transaction, again and again until the database is there to do it.

        Raises
        ------
        Refused
            The database will not have the content.
        Unavailable
            We are stopping, and the database is away.
        """
        backoff_s = _BACKOFF_FIRST_S
        while True:
            try:
                with unavailable(), refused():
                    if self._conn is None:
                        self._conn = self._connect()
                    with self._conn.transaction():
                        return work(self._conn)
            except Unavailable as error:
                if self._stopping.is_set():
                    raise
                log.warning("database away", extra={"reason": str(error), "again_in_s": round(backoff_s, 1)})
                self._drop_connection()
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
                backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)

    def _connect(self) -> Session:
        """A connection that makes us the only ingest of this database; one that has just died is waited for."""
        conn = connect(self._database_url, "ingest")
        with conn.transaction():
            alone = rows.hold_ingest(conn)
        if not alone:
            conn.close()
            raise Unavailable("another ingest works on this database")
        return conn

    def _drop_connection(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _rules(conn: Session) -> dict[str, list[Rule]]:
    """The rules in force by tenant: the defaults, and what the tenant has put in their place or beside them."""
    stored = rows.rules_in_force(conn)
    rules: dict[str, list[Rule]] = {}
    for tenant in rows.tenants_known(conn):
        by_id = {rule.id: rule for rule in DEFAULT_RULES}
        for fields in stored.get(tenant, []):
            try:
                rule = rule_from_json(fields)
            except BadRule as reason:
                log.error("a stored rule cannot be used", extra={"tenant": tenant, "reason": str(reason)})
                continue
            by_id[rule.id] = rule
        rules[tenant] = list(by_id.values())
    return rules
