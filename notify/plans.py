"""Preventive plans by the clock: what falls due is found here, and carried to the API as alarms are.

On a thread and a connection of its own. Each machine and plan is a transaction; of two of us one does it, and killed
between two nothing is lost and nothing is twice: see `store.plans.rounds`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from notify.worker import Worker
from store.connection import Session
from store.plans import rounds

log = logging.getLogger("bellwether.notify.plans")

# Who makes a plan sees within this what falls due by it.
ROUND_S = 5.0
# Too low: a new plan for a fleet takes hours. Too high: who is told to stop waits for it.
BATCH = 500
# What arithmetic over odd readings, or a plan that was written elsewhere, may raise; the server's is the round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class Plans(Worker):
    """One who looks at the plans of one database."""

    name = "plans"

    def turn(self, conn: Session) -> float:
        self.round(conn, datetime.now(UTC))
        return ROUND_S

    def round(self, conn: Session, now: datetime) -> int:
        """Look at those whose turn it is; how many fell due. The connection is in autocommit."""
        fell_due = 0
        for turn in rounds.turns(conn, now, BATCH):
            if self._stopping.is_set():
                break
            try:
                with conn.transaction():
                    fell_due += rounds.look(conn, turn, now) == "opening"
            except _OURS:
                log.exception("a plan cannot be followed", extra={"plan": str(turn.plan), "machine": turn.device})
                with conn.transaction():
                    rounds.postpone(conn, turn, now)
        return fell_due
