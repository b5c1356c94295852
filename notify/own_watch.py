"""A watch over what `notify` finds by itself from what is stored: under the rules of all alarms, with a memory beside
that of ingest."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from alarms.events import AlarmEvent
from alarms.lessons import by_subject
from alarms.rules import Rule
from alarms.watch import Watch
from detectors.scores import Evidence, Snapshot
from detectors.told import Told
from store import lessons, occurrences
from store.connection import Session
from store.rules import rules_of_all
from store.telemetry import streams_numbered
from telemetry import Batch, Stream, microseconds

RULES_EVERY_S = 60.0


class OwnWatch:
    """The watch over one of our detectors.

    `name` is the one that rules know it by. Whatever a transaction takes back, `forget` takes back here.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # The names under which the database has its memory, by those that a watch gives.
        self._kept = {name: name, "watch": f"{name}_watch"}
        self._detector = Told()
        self._watch: Watch | None = None
        self._rules: Mapping[str, Sequence[Rule]] = {}
        self._streams: dict[int, Stream] = {}
        self._rules_at = -math.inf

    def forget(self) -> None:
        """Begin again with the memory that the database has."""
        self._watch = None

    def tell(
        self, conn: Session, at: datetime, said: Sequence[tuple[Stream, float, Evidence]], now: datetime
    ) -> list[AlarmEvent]:
        """The edges that follow from scores of streams at a time. NaN is no opinion."""
        watch = self._up_to_date(conn, now)
        opinions = [(stream, score) for stream, score, _ in said if not math.isnan(score)]
        new = [stream for stream, _ in opinions if self._streams.get(stream.id) != stream]
        if new:
            self._streams.update((stream.id, stream) for stream in new)
            watch.watch(new)
        for stream, _, evidence in said:
            self._detector.tell(stream.id, evidence)
        ids, scores = [stream.id for stream, _ in opinions], [score for _, score in opinions]
        return watch.step(Batch.of([microseconds(at)] * len(ids), ids, scores), microseconds(now))

    def keep(self, conn: Session, events: Sequence[AlarmEvent]) -> None:
        """Write alarms and the memory that they follow from, in the transaction that is open."""
        occurrences.apply(conn, events)
        if self._watch is not None:
            memory = self._watch.snapshot()
            occurrences.save_state(conn, {self._kept[name]: part for name, part in memory.items()})

    def _up_to_date(self, conn: Session, now: datetime) -> Watch:
        """The watch with its memory, under the rules in force and by what verdicts of tickets have taught."""
        watch = self._watch
        if watch is not None and time.monotonic() - self._rules_at < RULES_EVERY_S:
            return watch
        rules = rules_of_all(conn)
        if watch is None or rules != self._rules:
            memory = self._remembered(conn) if watch is None else watch.snapshot()
            if watch is None:
                ids = memory.get("watch", {}).get("last_stream", np.empty(0, np.int32)).tolist()
                self._streams = {stream.id: stream for stream in streams_numbered(conn, ids)}
            watch = Watch({self._name: self._detector}, rules)
            watch.watch(list(self._streams.values()))
            watch.restore(memory)
        watch.teach(by_subject(lessons.judged(conn, now), list(self._streams.values())))
        self._watch, self._rules, self._rules_at = watch, rules, time.monotonic()
        return watch

    def _remembered(self, conn: Session) -> dict[str, Snapshot]:
        stored = occurrences.load_state(conn)
        return {name: stored[kept] for name, kept in self._kept.items() if kept in stored}
