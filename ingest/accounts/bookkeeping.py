"""The accounts kept up: devices told what is stored, the ledger brought up to date, what stays missing given up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from alarms.rules import Rule
from ingest.accounts.ledger import Ledger, acknowledgements
from ingest.database import Transact
from ingest.directory import Directory
from ingest.messages import Source
from store import occurrences
from store.connection import Session
from telemetry import Topic

ACKNOWLEDGE_EVERY_S = 1.0
LAG_AT_MOST_S = 10.0


class Bookkeeping:
    """What is due of a ledger, from time to time.

    Parameters
    ----------
    rules
        Gives those in force, by tenant.
    """

    def __init__(
        self,
        source: Source,
        transact: Transact,
        ledger: Ledger,
        directory: Directory,
        rules: Callable[[], Mapping[str, Sequence[Rule]]],
        clock_us: Callable[[], int],
        counts: Counter[str],
    ) -> None:
        self._source = source
        self._transact = transact
        self._ledger = ledger
        self._directory = directory
        self._rules = rules
        self._clock_us = clock_us
        self._counts = counts
        self._acknowledged_at = 0.0
        self._settled_at = 0.0

    def acknowledge(self) -> int | None:
        """Tell devices that count their messages what is stored, once a second: how many, or None when not yet due."""
        now = time.monotonic()
        if now - self._acknowledged_at < ACKNOWLEDGE_EVERY_S:
            return None
        self._acknowledged_at = now
        sent = 0
        for tenant, device, boot, seq in acknowledgements(self._ledger.sequences, self._directory.names):
            self._source.send(str(Topic(tenant, device, "ack")), b'{"boot":%d,"seq":%d}' % (boot, seq))
            sent += 1
        return sent

    def settle(self, every_s: float) -> None:
        """Bring the ledger up to date, give up what has been missing for too long, and say so."""
        now = time.monotonic()
        if now - self._settled_at < every_s:
            return
        self._settled_at = now
        # What is missing may wait at the broker still.
        patient = self._source.lag_s > LAG_AT_MOST_S

        def write(conn: Session) -> int:
            events = self._ledger.settle(conn, self._clock_us(), self._directory.names, self._rules(), patient=patient)
            return occurrences.apply(conn, events)

        self._counts["events"] += self._transact(write)
        self._ledger.settled()
