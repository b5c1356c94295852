"""The seam between a source of messages and the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Message(NamedTuple):  # made by the ten thousand a second: a frozen dataclass takes three times as long
    """One message as it came; `content_type` is empty where its sender named none, `again` MQTT's DUP flag.

    What is `retained` was said at some time before we subscribed.
    """

    topic: str
    payload: bytes
    content_type: str = ""
    again: bool = False
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that arrived together, with the function that acknowledges them.

    `ack` is called once, after the commit. A delivery that is never acknowledged comes again.

    What is `early` was heard past a backlog, and comes again in its turn whatever becomes of it here: readings that
    have a time of their own are stored and scored now, and found stored then; all else is that delivery's.
    """

    messages: Sequence[Message]
    ack: Callable[[], None]
    early: bool = False


class Source(Protocol):
    """Where messages come from."""

    @property
    def connected(self) -> bool:
        """Whether it can be heard right now."""
        ...

    @property
    def window(self) -> int:
        """How many messages may be with us unacknowledged."""
        ...

    @property
    def unacknowledged(self) -> int:
        """How many are."""
        ...

    @property
    def has_waiting(self) -> bool:
        """Whether more has arrived than was delivered."""
        ...

    @property
    def lag_s(self) -> float:
        """At least so long ago was said what is delivered in its turn now, by our clock alone."""
        ...

    @property
    def sessions_lost(self) -> int:
        """How often the sender has forgotten what it held for us."""
        ...

    def deliveries(self) -> Iterator[Delivery]:
        """At least one a second, empty if need be, until the source is closed; then what has arrived, and the end.

        At least once: a message comes again, in another delivery, until it is acknowledged. Memory is bounded by the
        source's window: while deliveries wait for their acknowledgement the sender is slowed, nothing is dropped.
        """
        ...

    def send(self, topic: str, payload: bytes, retain: bool = False, qos: int = 1) -> None:
        """Publish, from the thread that takes the deliveries. Never waits.

        Not sent, without a word, while the source is not connected or too much waits to be sent already: who must know
        that it arrived asks for an answer.
        """
        ...
