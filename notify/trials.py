"""Trials of rules that wait: one after the other, a machine at a time.

On a thread and a connection of its own: no delivery waits for it, nor does ingest. One that cannot be done is tried
three times, and then says so; who dies over one leaves it to the next.
"""

from __future__ import annotations

import logging
import random
import threading
from datetime import UTC, datetime

from alarms.rules import BadRule
from store import trial_runs, trials
from store.connection import Session, connect, unavailable
from store.errors import Unavailable

log = logging.getLogger("bellwether.notify.trials")

# Who has asked on a page waits so long for it to begin.
LOOK_EVERY_S = 2.0
_AWAY_S = 10.0
_MOST_ATTEMPTS = 3
# What arithmetic over odd readings may raise; whatever the server raises ends the round.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError, BadRule)


class Trials:
    """Who does the trials of one database."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until `stop`. Whatever fails is said, and tried again."""
        while not self._stopping.is_set():
            try:
                with unavailable(), connect(self._database_url, "trials") as conn:
                    conn.autocommit = True
                    while not self._stopping.is_set():
                        if not try_next(conn, datetime.now(UTC)):
                            self._stopping.wait(LOOK_EVERY_S)
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
            except Exception:
                log.exception("trials of rules failed: they are tried again")
            self._stopping.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the trial in hand."""
        self._stopping.set()


def try_next(conn: Session, now: datetime) -> bool:
    """Do the trial that has waited longest; whether there was one. The connection is in autocommit."""
    begun = trials.begin(conn, now)
    if begun is None:
        return False
    trial_id, attempts = begun
    if attempts > _MOST_ATTEMPTS:
        trials.failed(conn, trial_id, f"it did not end {_MOST_ATTEMPTS} times", now)
        return True
    kept = trials.trial(conn, trial_id)
    try:
        with conn.transaction():
            fits, result = trial_runs.run(conn, trial_runs.Asked.of(kept), now)
    except _OURS:
        log.exception("a trial failed", extra={"rule": kept.rule_id})
        trials.failed(conn, trial_id, "it could not be done: the log of notify says why", now)
        return True
    trials.done(conn, trial_id, fits=fits, result=result, now=now)
    log.info("rule tried", extra={"tenant": kept.tenant, "rule": kept.rule_id, "fits": fits})
    return True
