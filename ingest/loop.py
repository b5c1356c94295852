"""The heart: from messages to rows to alarms, one delivery at a time.

Nothing lost: a delivery is acknowledged after its transaction has committed, and comes again if we die before. Nothing
doubled: what comes again is found stored. Nothing scored twice: the memory of the detectors is saved in the transaction
of the alarms that follow from it, and after a crash the readings stored since are scored before anything new.

Under pressure - the database slow or away - deliveries wait unacknowledged, the broker's window fills, and the broker
is slowed; memory holds one window and no more.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

import store.telemetry as rows
from ingest.accounts.bookkeeping import Bookkeeping
from ingest.accounts.ledger import Ledger
from ingest.database import Database
from ingest.decoding import NO_MAPPINGS, TurnedAway, fit_early
from ingest.directory import Directory
from ingest.footprint import return_idle
from ingest.halving import whole_or_halves
from ingest.intake import Intake
from ingest.mapping import Mappings
from ingest.messages import Message, Source
from ingest.metrics import Metrics
from ingest.presence.attendance import Attendance
from ingest.replays import Replays
from ingest.sparkplug import Due, Heard, SparkplugHost
from ingest.watch.detectors import load_compiled
from ingest.watch.edges import Edges
from ingest.watch.scoring import Scoring
from ingest.watch.watching import Watching
from store import edge_nodes, ledger
from store.connection import Session
from store.ledger import Entry
from store.replays import Replay
from telemetry import Batch, Quality

log = logging.getLogger("bellwether.ingest")

BEAT_EVERY_S = 5.0
# How long the ledger may lag behind. Too low: a fleet of thousands costs a row a device each time. At rest it costs
# nothing that anybody waits for.
SETTLE_EVERY_S = 10.0
SETTLE_AT_REST_S = 0.5


class Ingest:
    """One ingest: a source, a database, and the watch between them.

    Parameters
    ----------
    clock_us
        The time, in µs since 1970: given, so that tests can own it.
    oldest_days
        Readings older than so many days are dropped, and counted as such; 0: none.
    mappings
        How topics that are not of ours are read.
    renewed
        Asked every few seconds: other mappings from now on, or None.
    unhear
        Told at the start which filters the mappings of an earlier run had that these have not: the broker keeps them.
    loaded
        Called once, when all that is needed to run is loaded.
    metrics
        Where the figures go; without them, nowhere.
    sparkplug
        Makes who hears edge nodes, told whom we turn away; without it they are nobody's.
    """

    def __init__(
        self,
        source: Source,
        database_url: str,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        *,
        oldest_days: int = 0,
        mappings: Mappings = NO_MAPPINGS,
        renewed: Callable[[], Mappings | None] = lambda: None,
        unhear: Callable[[Sequence[str]], None] = lambda _: None,
        loaded: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
        sparkplug: Callable[[TurnedAway], SparkplugHost] | None = None,
    ) -> None:
        self._source = source
        self._attendance = Attendance(clock_us)
        self._clock_us = self._attendance.now_us
        self._directory = Directory()
        self._sparkplug = sparkplug(self._directory.turned_away) if sparkplug else None
        self._metrics = metrics or Metrics()
        self._counts: Counter[str] = Counter()
        self._scoring = Scoring(self._metrics, self._counts)
        self._database = Database(database_url, self._metrics.reconnected)
        self._transact = self._database.transact
        self._ledger = Ledger()
        self._replays = Replays()
        self._watching = Watching(self._transact, self._scoring, self._attendance, self._directory)
        self._intake = Intake(self._directory, self._attendance, self._ledger, self._scoring, mappings, oldest_days)
        self._edges = Edges(self._transact, self._scoring, self._watching.models, self._counts)
        self._books = Bookkeeping(
            source,
            self._transact,
            self._ledger,
            self._directory,
            lambda: self._watching.rules,
            self._clock_us,
            self._counts,
        )
        self._renewed = renewed
        self._unhear = unhear
        self._loaded = loaded
        self._beat_at = 0.0

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
            load_compiled()
            self._loaded()
            self._wake()
            for delivery in self._source.deliveries():
                arrived_us = self._tick()
                heard = self._fit_early(delivery.messages, arrived_us) if delivery.early else delivery.messages
                messages, due = self._in_turn(heard, arrived_us)
                batch = self._store(messages, arrived_us)
                delivery.ack()
                self._tell_edge_nodes(due)
                self._edges.score(batch, arrived_us, at_once=not self._source.has_waiting)
                self._acknowledge()
                self._books.settle(SETTLE_EVERY_S if delivery.messages else SETTLE_AT_REST_S)
                self._replays.turn(self._transact, self._play, at_rest=not delivery.messages)
                self._look_after()
            if self._sparkplug is not None:
                self._edges.score(self._store(self._sparkplug.leave(), self._clock_us()), self._clock_us())
            self._scoring.catch_up()
            self._edges.save()
            self._books.settle(0.0)
        finally:
            self._database.close()
        log.info("stopped", extra=dict(self._counts))

    def stop(self) -> None:
        """No more waiting for a database that is away. The source is closed by its owner."""
        self._database.wait_no_more()

    def _tick(self) -> int:
        """The time of an arrival."""
        now_us, excused_us = self._attendance.tick(self._source.connected)
        if excused_us:
            self._scoring.watch.excuse(excused_us)
        return now_us

    def _fit_early(self, messages: Sequence[Message], arrived_us: int) -> Sequence[Message]:
        return fit_early(messages, arrived_us, self._directory.turned_away, self._intake.mappings)

    def _in_turn(self, messages: Sequence[Message], arrived_us: int) -> tuple[Sequence[Message | Heard], Due]:
        """A delivery with those messages of edge nodes whose turn it is; and what else is due to these.

        Outside of any transaction: those are tried again, and a message is heard once.
        """
        host = self._sparkplug
        if host is None:
            return messages, Due()
        heard = host.in_turn(messages, arrived_us)
        due = host.due(arrived_us, self._source.connected)
        return [*heard, *due.heard] if due.heard else heard, due

    def _tell_edge_nodes(self, due: Due) -> None:
        if due.statuses:
            self._transact(lambda conn: self._attendance.note(conn, due.statuses))
        if due.members:
            self._transact(lambda conn: edge_nodes.note(conn, due.members))
            self._attendance.confirm(self._clock_us())
        for command in due.commands:
            self._source.send(command.topic, command.payload, command.retain, command.qos)

    # Storing --------------------------------------------------------------------------------------------------------

    def _store(self, messages: Sequence[Message | Heard], arrived_us: int) -> Batch:
        """Store a delivery whole, in one transaction, or all of it but what cannot be; the batch to be scored."""
        lag_s = self._source.lag_s

        def take(part: Sequence[Message | Heard]) -> tuple[Batch, Entry]:
            begun = time.monotonic()
            taken = self._transact(lambda conn: self._intake.append(conn, part, arrived_us, lag_s))
            self._metrics.commit(time.monotonic() - begun)
            return taken

        def refuse(message: Message | Heard, reason: str) -> tuple[Batch, Entry]:
            return Batch.empty(), self._transact(lambda conn: self._intake.refuse(conn, message, reason, arrived_us))

        batches = []
        for part, (batch, entry) in whole_or_halves(messages, take, refuse):
            self._directory.confirm()
            self._attendance.confirm(arrived_us)
            self._ledger.take(entry, self._directory.names)
            self._count(entry, part, batch, arrived_us)
            batches.append(batch)
        return Batch.concat(batches)

    def _count(self, entry: Entry, messages: Sequence[Message | Heard], batch: Batch, arrived_us: int) -> None:
        """What was committed, for whoever watches this process."""
        total = dict(zip(ledger.COUNTS, entry.total().tolist(), strict=True))
        self._counts.update(messages=total["messages"], readings=total["stored"], rejects=total["rejected"])
        self._metrics.delivery(
            messages=total["messages"],
            stored=total["stored"],
            duplicates=total["duplicates"],
            late=total["late"],
            future=int(np.count_nonzero(batch.quality & Quality.FUTURE)),
            reasons=entry.reasons,
            payload_bytes=sum(len(message.payload) for message in messages),
        )
        if len(batch):
            self._metrics.event_lag((arrived_us - int(batch.time_us.max())) / 1e6)

    # Playing again --------------------------------------------------------------------------------------------------

    def _play(self, replays: Sequence[Replay]) -> None:
        """Play rejected messages again, as if they had just been decoded; what comes of each is noted with it."""

        def take(part: Sequence[Replay]) -> tuple[Batch, Entry]:
            return self._transact(lambda conn: self._intake.append_played(conn, part))

        def refuse(replay: Replay, reason: str) -> tuple[Batch, Entry]:
            return Batch.empty(), self._transact(lambda conn: self._intake.refuse_played(conn, replay, reason))

        for part, (batch, entry) in whole_or_halves(replays, take, refuse):
            self._directory.confirm()
            self._ledger.take(entry, self._directory.names)
            self._counts["played"] += len(part)
            self._edges.score(batch, self._clock_us())

    def _acknowledge(self) -> None:
        """Tell devices what is stored, once a second; and whoever watches this process how the source stands."""
        sent = self._books.acknowledge()
        if sent is None:
            return
        self._metrics.acks(sent)
        self._metrics.source(self._source)

    # Waking up and looking after ------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Learn what the database knows: streams, rules, and the memory of the detectors; score what was missed."""
        before = self._transact(lambda conn: rows.last_beat(conn, "ingest")).get("mapped", [])
        if gone := sorted(set(before) - set(self._intake.mappings.heard())):
            self._unhear(gone)
        streams = self._transact(self._directory.load)
        if self._sparkplug is not None:
            self._sparkplug.remember(self._transact(edge_nodes.known))
        self._transact(self._recall)
        self._transact(self._attendance.load)
        remembers = self._watching.wake()
        self._attendance.presence.recall(self._clock_us())
        if remembers:
            # Nobody could have been heard while we were not there. Twice excused, and who is silent seems heard again.
            watch, now_us = self._scoring.watch, self._attendance.begin()
            watch.excuse(now_us - watch.now_us if watch.now_us else 0)
            self._edges.score_missed(self._directory.streams, self._clock_us)
            self._attendance.presence.recall(self._clock_us())
        self._edges.save()
        self._database.recall = self._recall
        log.info("awake", extra={"streams": len(streams)})

    def _recall(self, conn: Session) -> None:
        """The ledger as the database has it: what we held may or may not have been committed."""
        self._directory.recall(conn)
        self._ledger.restore(conn, self._directory.names)

    def _look_after(self) -> None:
        """Once in a while: a sign of life, new tenants, changed rules."""
        now = time.monotonic()
        if now - self._beat_at < BEAT_EVERY_S:
            return
        self._beat_at = now
        lag_s = round(self._source.lag_s, 1)
        heard = {"mapped": names} if (names := self._intake.mappings.heard()) else {}
        detail: dict[str, object] = {"connected": self._source.connected, "lag_s": lag_s, **self._counts, **heard}
        detail["clock_doubted_s"] = self._attendance.doubted_s
        self._transact(lambda conn: rows.beat(conn, "ingest", detail))
        self._transact(self._directory.refresh)
        watch = self._scoring.watch
        self._transact(lambda conn: self._attendance.look_after(conn, watch, self._clock_us()))
        self._intake.mappings = self._renewed() or self._intake.mappings
        if self._watching.look_after():
            self._edges.save()
        return_idle()
