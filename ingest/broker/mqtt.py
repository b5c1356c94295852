"""Messages from an MQTT 5 broker, each acknowledged only when the loop says so.

A persistent session, whose queue at the broker holds what we cannot take. Where that queue gets long, a second session
hears what is new at once while the first drains: see `ingest.broker.backlog`. Under pressure the broker is slowed, and
memory bounded, in both: see `ingest.broker.lane`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from ingest.broker.backlog import Backlog
from ingest.broker.buffered import Heard
from ingest.broker.lane import Lane
from ingest.broker.session import State
from ingest.messages import Delivery, Message
from store.errors import Misconfigured
from telemetry import STATUS_FILTER, TELEMETRY_FILTER, WAVEFORM_FILTER, Broker
from telemetry.topics import ROOT

log = logging.getLogger("bellwether.ingest.mqtt")

# What is heard without anybody asking for it; of this, what means something only in the order in which it was said, and
# what is news although it was retained: retained telemetry was said once, of an unknown age, a retained status is the
# status.
OURS = (TELEMETRY_FILTER, WAVEFORM_FILTER, STATUS_FILTER)
IN_ORDER = (STATUS_FILTER,)
RETAINED = (STATUS_FILTER,)

# Messages sent to us and not acknowledged. Too low: the network waits for the database, and the database for the
# network (measured: 4000 takes a fifth of the rate). Too high: so many are sent again after a lost connection. Must not
# be below `BATCH_MESSAGES`, or a batch would wait for what never comes.
WINDOW_MESSAGES = 8000
# What of the queue may wait in memory, beside what is heard early (`LIVE_BYTES`): a window of large messages would be
# gigabytes. Too low: they come one by one.
HELD_BYTES = 48 << 20
BATCH_MESSAGES = 2000
# A delivery ends with what reaches this. Too low: small commits of large messages. Too high: a backlog of columns
# becomes one transaction of millions of rows, and its alarms come only after all of it.
BATCH_BYTES = 1 << 20
# How long a message waits for company. Too low: a commit for every message. Too high: alarms come that much later.
LINGER_S = 0.02
# How often what is new goes before the backlog. Too low: commits of a few messages take the backlog's time. Too high:
# alarms come that much later.
LIVE_EVERY_S = 0.2
TICK_S = 1.0


class MqttSource:
    """A persistent session with a broker, and a second one while there is a backlog.

    Parameters
    ----------
    client_id
        Names the session at the broker: the same at every start, and no one else's.
    filters
        What to hear.
    in_order
        Those of `filters` that mean something only in the order in which they were said: never heard early.
    retained
        Those of which what is retained is wanted too.
    state
        What is said of us in the broker: at each connection, and at its end.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        filters: Sequence[str] = OURS,
        in_order: Collection[str] = IN_ORDER,
        retained: Collection[str] = RETAINED,
        state: State | None = None,
    ) -> None:
        self._broker = broker
        self._filters = filters
        self._unheard: set[str] = set()
        self._given_at: float | None = None  # the delivery that the loop has
        self._closed = threading.Event()
        self._arrival = threading.Condition()
        self._early_at = 0.0  # the last delivery of what is new
        early = [name for name in filters if name not in in_order]
        self._backlog = Backlog(broker, client_id, early, self._arrival)
        # Retained telemetry is what was said once, of an unknown age: it is no news. A retained status is the status.
        self._main = Lane(
            broker,
            client_id,
            {name: name in retained for name in filters} | {self._backlog.probe: False},
            window=WINDOW_MESSAGES,
            room_bytes=HELD_BYTES,
            lasting=True,
            arrival=self._arrival,
            state=state,
        )

    def deliveries(self) -> Iterator[Delivery]:
        """See `Source`.

        Raises
        ------
        Misconfigured
            The broker refuses our name or password, or what we want to hear.
        """
        try:
            while not self._closed.is_set():
                self._see_that_we_are_let_in()
                self._main.session.watch_over()
                self._backlog.watch(self._main, time.monotonic())
                delivery = self._next(TICK_S)
                self._given_at = time.monotonic()
                yield delivery
                self._given_at = None
            self._backlog.close()
            self._main.hear_no_more()
            while self._main.has_waiting:
                yield self._next(0.0)
        finally:
            self._backlog.close()
            self._main.leave()

    def close(self) -> None:
        """Let `deliveries` end after what has arrived."""
        self._closed.set()

    def send(self, topic: str, payload: bytes, retain: bool = False, qos: int = 1) -> None:
        """See `Source`."""
        self._main.session.send(topic, payload, retain, qos)

    def hear(self, filters: Sequence[str], in_order: Collection[str], retained: Collection[str]) -> None:
        """Hear something else from now on; from the thread that takes the deliveries."""
        self._filters = filters
        self._backlog.hear([name for name in filters if name not in in_order])
        self._main.session.hear_of({name: name in retained for name in filters} | {self._backlog.probe: False})

    def hear_no_more_of(self, filters: Sequence[str]) -> None:
        """Hear nothing of these, which an earlier run has heard of: the broker keeps that with the session."""
        self._main.session.hear_no_more_of(filters)

    @property
    def connected(self) -> bool:
        return self._main.session.connected

    @property
    def sessions_lost(self) -> int:
        """How often the broker forgot our session, and what waited in it."""
        return self._main.session.sessions_lost

    @property
    def has_waiting(self) -> bool:
        return any(lane.has_waiting for lane in (self._main, self._backlog.live) if lane)

    @property
    def lag_s(self) -> float:
        """At least so long ago was published what the broker hands us of its queue now."""
        now = time.monotonic()
        return max(self._backlog.lag_s(now), now - (self._given_at or now))

    @property
    def window(self) -> int:
        """How many messages the broker may leave with us unacknowledged."""
        return WINDOW_MESSAGES

    @property
    def unacknowledged(self) -> int:
        """How many it has left."""
        return self._main.session.unacknowledged

    # Deliveries -----------------------------------------------------------------------------------------------------

    def _next(self, wait_s: float) -> Delivery:
        """What has arrived, after at most `wait_s` for the first and `LINGER_S` for company."""
        lane, linger_s = self._turn(wait_s)
        taken: list[Heard] = []
        messages: list[Message] = []
        size = 0
        deadline = time.monotonic() + linger_s
        while len(messages) < BATCH_MESSAGES and size < BATCH_BYTES:
            heard = lane.take(deadline - time.monotonic())
            if heard is None:
                break
            taken.append(heard)
            messages += heard.messages
            size += heard.size

        def ack() -> None:
            for connection, heards in groupby(taken, lambda heard: heard.connection):
                connection.acknowledge([packet_id for heard in heards for packet_id in heard.packet_ids])

        early = lane is not self._main
        return Delivery(messages if early else self._backlog.without_markers(messages), ack, early)

    def _turn(self, wait_s: float) -> tuple[Lane, float]:
        """Whose turn it is, once there is something, and how long it may wait for company.

        What is new goes first, but in between: the backlog ends however much is new.
        """
        main, live = self._main, self._backlog.live
        with self._arrival:
            self._arrival.wait_for(lambda: main.has_waiting or (live and live.has_waiting), wait_s)
        if live is None:
            return main, LINGER_S
        backlog, new, now = main.has_waiting, live.has_waiting, time.monotonic()
        if new and not (backlog and now - self._early_at < LIVE_EVERY_S):
            self._early_at = now
            return live, 0.0 if backlog else LINGER_S
        return main, 0.0 if new else LINGER_S

    def _see_that_we_are_let_in(self) -> None:
        session = self._main.session
        reason = session.refusal
        for name in self._filters:
            if name in session.refused and name.startswith(f"{ROOT}/"):
                reason = f"{session.refused[name]} (subscribing to {name})"
            elif name in session.refused and name not in self._unheard:
                # Of other fleets: a broker that has none need not let us hear them.
                self._unheard.add(name)
                log.warning("the broker refuses to let us hear a filter", extra={"filter": name})
        if reason:
            raise Misconfigured(f"BELLWETHER_MQTT_URL: the broker at {self._broker} says: {reason}")
