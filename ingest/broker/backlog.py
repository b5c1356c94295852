"""How far behind our queue at the broker is, and a second session that hears what is new while that is much.

Markers of our own stand in the queue: how long they take to come back says how far behind it is. What is new is heard
early, and comes again in its turn: see `Delivery.early`.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Collection, Sequence

from ingest.broker.lag import Lag
from ingest.broker.lane import Lane
from ingest.messages import Message
from telemetry import Broker

log = logging.getLogger("bellwether.ingest.mqtt")

# What the second session may leave unacknowledged, and what of it may wait in memory. Too low: what is new waits for
# the database as often as that fills. Too high: it may take so much longer to find that it is not needed any more.
LIVE_MESSAGES = 4000
LIVE_BYTES = 16 << 20
# The queue is behind when what it hands us has waited for longer, and for how long it may be so before what is new is
# heard apart: what stands in the queue by then is no longer scored once newer readings are. Too low: the queue after a
# database's short absence, which drains in a moment, costs the detectors its readings. Too high: alarms come that late.
BEHIND_S = 2.0
PATIENCE_S = 5.0

# Where ingest and the doctor speak to themselves.
_PROBES = "bellwether/probe/"


class Backlog:
    """What stands in the queue of a session, seen from its end; `live` is the second session while there is one.

    Parameters
    ----------
    client_id
        Of the session whose queue it is.
    filters
        What may be heard early.
    arrival
        Notified when something has arrived, in either session.
    """

    def __init__(self, broker: Broker, client_id: str, filters: Sequence[str], arrival: threading.Condition) -> None:
        self.live: Lane | None = None
        self.probe = f"{_PROBES}{client_id}"
        self._broker = broker
        self._client_id = client_id
        self._filters = list(filters)
        self._arrival = arrival
        self._lag = Lag(secrets.token_hex(8))
        self._behind_since: float | None = None
        self._connections = 0

    def lag_s(self, now_s: float) -> float:
        """At least so long ago was published what the queue gives now."""
        return self._lag.seconds(now_s)

    def without_markers(self, messages: list[Message]) -> list[Message]:
        """What the queue gave. The doctor's markers are among them where a mapping hears everything."""
        markers = [message for message in messages if message.topic.startswith(_PROBES)]
        if not markers:
            return messages
        for marker in markers:
            if marker.topic == self.probe:
                self._lag.returned(marker.payload, time.monotonic())
        return [message for message in messages if not message.topic.startswith(_PROBES)]

    def hear(self, filters: Collection[str]) -> None:
        """Hear something else early from now on."""
        self._filters = list(filters)
        self.close()

    def watch(self, main: Lane, now_s: float) -> None:
        """Send markers into the queue of `main`, and hear what is new apart while they take long to come back."""
        session = main.session
        if session.connections != self._connections:  # markers on their way may be lost
            self._connections = session.connections
            self._lag.forget()
            self._behind_since = None
        if not session.connected or not self._may_probe(session.refused.get(self.probe)):
            return
        if self._lag.is_due(now_s):
            session.ask(self.probe, self._lag.send(now_s))
        # Looked at while we take, not while we wait for the database: what it has held up may drain in a moment.
        if self._lag.seconds(now_s) < BEHIND_S:
            self._behind_since = None
            self.close()
        elif self._behind_since is None:
            self._behind_since = now_s
        elif now_s - self._behind_since > PATIENCE_S:
            self._keep_live(now_s)

    def close(self) -> None:
        """What has not been taken is dropped: the queue holds it too."""
        if self.live:
            log.info("no longer behind")
            live, self.live = self.live, None
            live.leave()

    def _may_probe(self, refusal: str | None) -> bool:
        if refusal and self._filters:
            log.warning(
                "the broker refuses our markers: what is new will wait behind a backlog",
                extra={"topic": self.probe, "reason": refusal},
            )
            self._filters = []
        return bool(self._filters)

    def _keep_live(self, now_s: float) -> None:
        if self.live is None:
            log.warning("behind: what is new is heard apart", extra={"lag_s": round(self._lag.seconds(now_s), 1)})
            self.live = Lane(
                self._broker,
                f"{self._client_id}-live",
                dict.fromkeys(self._filters, False),
                window=LIVE_MESSAGES,
                room_bytes=LIVE_BYTES,
                lasting=False,
                arrival=self._arrival,
            )
        self.live.session.watch_over()
