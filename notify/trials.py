"""Trials of rules that wait: one after the other, a machine at a time.

On a thread and a connection of its own: no delivery waits for it, nor does ingest. One that cannot be done is tried
three times, and then says so; who dies over one leaves it to the next.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from alarms.rules import BadRule
from notify.worker import Worker
from store import trial_runs, trials
from store.connection import Session

log = logging.getLogger("bellwether.notify.trials")

# Who has asked on a page waits so long for it to begin.
LOOK_EVERY_S = 2.0
_MOST_ATTEMPTS = 3
# What arithmetic over odd readings may raise; whatever the server raises ends the round.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError, BadRule)


class Trials(Worker):
    """Who does the trials of one database."""

    name = "trials"

    def turn(self, conn: Session) -> float:
        return 0.0 if try_next(conn, datetime.now(UTC)) else LOOK_EVERY_S


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
