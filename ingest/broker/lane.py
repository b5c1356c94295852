"""A session with a broker, and what it hears, held until it is taken.

Under pressure the broker is slowed: it sends no more than the window (`Receive Maximum`) of messages that are not
acknowledged, and where large messages fill the room before that, the socket is not read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from ingest.broker.buffered import Heard
from ingest.broker.session import Session, State
from telemetry import Broker


class Lane:
    """What waits of one session; its parameters are the session's, and these.

    Parameters
    ----------
    room_bytes
        How much may wait here.
    arrival
        Notified when something has arrived; lanes may share it.

    Attributes
    ----------
    session
        What it hears by.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        filters: Mapping[str, bool],
        *,
        window: int,
        room_bytes: int,
        lasting: bool,
        arrival: threading.Condition,
        state: State | None = None,
    ) -> None:
        self._room_bytes = room_bytes
        self._arrival = arrival
        self._waiting: deque[Heard] = deque()
        self._waiting_bytes = 0
        self._deaf = False
        self.session = Session(broker, client_id, filters, self, window=window, lasting=lasting, state=state)

    def hear(self, heard: Heard) -> None:
        """See `Hearer`."""
        with self._arrival:
            if self._deaf:
                return
            self._waiting.append(heard)
            self._waiting_bytes += heard.size
            self._arrival.notify_all()

    def has_room(self, wait_s: float) -> bool:
        """See `Hearer`."""
        with self._arrival:
            return self._arrival.wait_for(lambda: self._deaf or self._waiting_bytes < self._room_bytes, wait_s)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def take(self, wait_s: float) -> Heard | None:
        """What has waited longest; None where nothing has come after `wait_s`."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self._waiting, wait_s):
                return None
            heard = self._waiting.popleft()
            self._waiting_bytes -= heard.size
            self.session.lives()
            self._arrival.notify_all()
        return heard

    def hear_no_more(self) -> None:
        """What has arrived can be taken; what comes from now on is let go, and not acknowledged."""
        with self._arrival:
            self._deaf = True
            self._arrival.notify_all()

    def leave(self) -> None:
        """Hear no more, and end the connection."""
        self.hear_no_more()
        self.session.leave()
