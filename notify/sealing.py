"""The seal of the audit log: once a second what was committed is given its place in the chain.

Killed between two transactions it loses nothing: what is not sealed waits. Of several that run one seals at a time.
"""

from __future__ import annotations

import logging
import random
import threading
import time

from store import audit
from store.connection import Session, connect, unavailable
from store.errors import Unavailable

log = logging.getLogger("bellwether.notify.sealing")

# What an act may be changed within unseen. Lower costs a look at an empty index more.
ROUND_S = 1.0
# Too high: acts of a busy hour are held in memory at once after a night without us.
BATCH = 2000
# A log that is kept elsewhere is the anchor against which a chain that was rewritten is caught.
SAY_HEADS_EVERY_S = 86_400.0
_AWAY_S = 5.0


class Sealing:
    """One sealer of one database."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._stopping = threading.Event()
        self._said_at = -SAY_HEADS_EVERY_S

    def run(self) -> None:
        """A round a second until `stop`. Whatever fails is said, and tried again."""
        while not self._stopping.is_set():
            pause_s = _AWAY_S
            try:
                with unavailable(), connect(self._database_url, "sealing") as conn:
                    conn.autocommit = True
                    while not self._stopping.is_set():
                        self.round(conn)
                        self._stopping.wait(ROUND_S)
            except Unavailable as error:
                log.warning("database away", extra={"reason": str(error)})
            except Exception:
                log.exception("sealing failed: acts wait for their seal until it succeeds")
                pause_s = 60.0
            self._stopping.wait(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, guards nothing

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()

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
