"""Machines after their repairs, by the clock: compared with their healthy baselines once they have run for long enough.

On a thread and a connection of its own: no delivery waits for it. Each look is a transaction; of two of us one does it,
and killed in between nothing is lost and nothing is twice: see `store.repairs.rounds`.
"""

from __future__ import annotations

import logging
import random
import threading
from datetime import UTC, datetime

from store.connection import Session, connect, unavailable
from store.errors import Unavailable
from store.repairs import rounds

log = logging.getLogger("bellwether.notify.after_repair")

# A row is ten minutes long: who waits for a verdict does not notice half of one.
ROUND_S = 30.0
# Too low: after a night without us the last is looked at late. Too high: who is told to stop waits for it.
BATCH = 100
_AWAY_S = 10.0
# What arithmetic over odd readings may raise; the server's is the round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class AfterRepair:
    """One who looks after the repairs of one database."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stopping = threading.Event()

    def run(self) -> None:
        """A round every half minute until `stop`. Whatever fails is said, and tried again."""
        while not self._stopping.is_set():
            try:
                with unavailable(), connect(self._database_url, "after repair") as conn:
                    conn.autocommit = True
                    while not self._stopping.is_set():
                        self.round(conn, datetime.now(UTC))
                        self._stopping.wait(ROUND_S)
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
            except Exception:
                log.exception("checks after repairs failed: they are looked at again")
            self._stopping.wait(_AWAY_S * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the machine in hand."""
        self._stopping.set()

    def round(self, conn: Session, now: datetime) -> list[str]:
        """Look at those whose turn it is; the verdicts of those that are settled. The connection is in autocommit."""
        settled = []
        for turn in rounds.due(conn, now, BATCH):
            if self._stopping.is_set():
                break
            try:
                with conn.transaction():
                    outcome = rounds.look(conn, turn, now)
            except _OURS:
                log.exception("a machine cannot be compared", extra={"check": str(turn.id)})
                with conn.transaction():
                    rounds.postpone(conn, turn, now)
                continue
            if outcome:
                log.info("compared after its repair", extra={"check": str(turn.id), "outcome": outcome})
                settled.append(outcome)
        return settled
