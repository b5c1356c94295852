"""Models that were promoted, or come back to: taken over by the watch now and then.

Noted in the transaction that saves the memory with them in it: a crash before it takes them over again, one after it
does not. What cannot be read is refused, and the watch stays as it was.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from uuid import UUID

from alarms.watch import Watch
from detectors.learnt import Unfit
from ingest.database import Transact
from store import learnt, models
from store.connection import Session

log = logging.getLogger("bellwether.ingest")

EVERY_S = 5.0
# Taken over at once: for each the watch looks through its machines, 30 µs a machine. Too high: deliveries wait while a
# fleet's week of training comes in; too low: it takes hours.
_AT_ONCE = 2


class Models:
    """Looks for champions that are not taken over yet."""

    def __init__(self) -> None:
        self._looked_at: float | None = None
        self._taken: list[UUID] = []

    def turn(self, transact: Transact, watch: Watch) -> None:
        """Take over what there is; noted when the memory is saved next."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at < EVERY_S:
            return
        self._looked_at = now
        refused: list[tuple[models.Untaken, str]] = []
        for model in transact(lambda conn: models.untaken(conn, self._taken, _AT_ONCE)):
            try:
                watch.adopt(model.device_id, learnt.unpack(model.arrays, model.hash))
            except Unfit as reason:
                log.error("a model cannot be taken over", extra={"model": str(model.id), "reason": str(reason)})
                refused.append((model, str(reason)))
            else:
                log.info("a model was taken over", extra={"model": str(model.id), "machine": model.device_id})
                self._taken.append(model.id)
        for model, why in refused:
            transact(partial(models.cannot_take, unfit=model, reason=why))

    @property
    def to_note(self) -> bool:
        """Whether any was taken over that is not noted yet."""
        return bool(self._taken)

    def note(self, conn: Session) -> None:
        """What was taken over is in the memory that this transaction saves."""
        if self._taken:
            models.note_taken(conn, self._taken)

    def noted(self) -> None:
        """That transaction has committed."""
        self._taken = []
