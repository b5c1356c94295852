"""Preventive plans by the clock: what falls due is found here, and carried to the API as alarms are.

On a thread and a connection of its own. Each machine and plan is a transaction; of two of us one does it, and killed
between two nothing is lost and nothing is twice: see `store.plans.rounds`.
"""

from __future__ import annotations

import logging
import random
import threading
from datetime import UTC, datetime

from store.connection import Session, connect, unavailable
from store.errors import Unavailable
from store.plans import rounds

log = logging.getLogger("bellwether.notify.plans")

# Who makes a plan sees within this what falls due by it.
ROUND_S = 5.0
# Too low: a new plan for a fleet takes hours. Too high: who is told to stop waits for it.
BATCH = 500
_AWAY_S = 10.0
# What arithmetic over odd readings, or a plan that was written elsewhere, may raise; the server's is the round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class Plans:
    """One who looks at the plans of one database."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stopping = threading.Event()

    def run(self) -> None:
        """A round every few seconds until `stop`. Whatever fails is said, and tried again."""
        while not self._stopping.is_set():
            try:
                with unavailable(), connect(self._database_url, "plans") as conn:
                    conn.autocommit = True
                    while not self._stopping.is_set():
                        self.round(conn, datetime.now(UTC))
                        self._stopping.wait(ROUND_S)
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
            except Exception:
                log.exception("plans failed: they are looked at again")
            self._stopping.wait(_AWAY_S * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the machine in hand."""
        self._stopping.set()

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
