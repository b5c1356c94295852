"""The seal of the audit log: once a second what was committed is given its place in the chain.

Killed between two transactions it loses nothing: what is not sealed waits. Of several that run one seals at a time.
"""

from __future__ import annotations

import logging
import time

from notify.worker import Worker
from store import audit
from store.connection import Session

log = logging.getLogger("bellwether.notify.sealing")

# What an act may be changed within unseen. Lower costs a look at an empty index more.
ROUND_S = 1.0
# Too high: acts of a busy hour are held in memory at once after a night without us.
BATCH = 2000
# A log that is kept elsewhere is the anchor against which a chain that was rewritten is caught.
SAY_HEADS_EVERY_S = 86_400.0


class Sealing(Worker):
    """One sealer of one database."""

    name = "sealing"

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._said_at = -SAY_HEADS_EVERY_S

    def turn(self, conn: Session) -> float:
        self.round(conn)
        return ROUND_S

    def round(self, conn: Session) -> int:
        """Seal what there is, and say the heads once a day; how many acts. The connection is in autocommit."""
        sealed = 0
        while not self._stopping.is_set():
            with conn.transaction():
                some = audit.seal(conn, BATCH)
            sealed += some
            if some < BATCH:
                break
        if time.monotonic() - self._said_at >= SAY_HEADS_EVERY_S:
            self._said_at = time.monotonic()
            for head in audit.heads(conn):
                log.info(
                    "head of the audit log", extra={"tenant": head.tenant, "seq": head.seq, "hash": head.hash.hex()}
                )
        return sealed
