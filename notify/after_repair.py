"""Machines after their repairs, by the clock: compared with their healthy baselines once they have run for long enough.

On a thread and a connection of its own: no delivery waits for it. Each look is a transaction; of two of us one does it,
and killed in between nothing is lost and nothing is twice: see `store.repairs.rounds`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from notify.worker import Worker
from store.connection import Session
from store.repairs import rounds

log = logging.getLogger("bellwether.notify.after_repair")

# A row is ten minutes long: who waits for a verdict does not notice half of one.
ROUND_S = 30.0
# Too low: after a night without us the last is looked at late. Too high: who is told to stop waits for it.
BATCH = 100
# What arithmetic over odd readings may raise; the server's is the round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class AfterRepair(Worker):
    """One who looks after the repairs of one database."""

    name = "after repair"

    def turn(self, conn: Session) -> float:
        self.round(conn, datetime.now(UTC))
        return ROUND_S

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
