"""A Sparkplug host application: what edge nodes say becomes readings and statuses, and what is to be said back.

A state machine without a clock, a network or a database. It stands before the loop's transaction, which may be tried
again: a message is heard once. Nothing raises, whatever the bytes. Under pressure it holds no more than its limits:
messages that wait for an earlier one are read as they are, births beyond are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.messages import Message
from ingest.sparkplug.heard import Heard
from ingest.sparkplug.holding import Held
from ingest.sparkplug.metrics import REBIRTH
from ingest.sparkplug.node import Node
from ingest.sparkplug.payloads import unpack
from ingest.sparkplug.schema import DataType, Payload
from ingest.sparkplug.state import HostState
from ingest.sparkplug.topics import BIRTHS, COMMANDS, ROOT, Address, address_of
from store.edge_nodes import Member
from store.telemetry import Status
from telemetry import Topic

# How long a message waits for those before it. Too low: what is merely late counts as missing, and births are asked for
# in vain. Too high: what follows a lost message is stored that much later.
REORDER_S = 2.0
# Edge nodes in all. Beyond, those that are dead make room.
MAX_NODES = 5000
# Requests for a rebirth at once, and how often at most. Too low: after a start a large site takes minutes to be known.
# Too high: all its births come in the same second.
ASKS_AT_ONCE = 10
LOOK_EVERY_US = 100_000


_BELOW = f"{ROOT}/"


class Command(NamedTuple):
    """What is to be published: QoS 0 and not retained for a command, QoS 1 and retained for STATE."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(slots=True)
class Due:
    """What time alone has brought: messages to be read, devices that are offline, what is to be published.

    `members` are those whose presence has changed since this was last asked: to be kept, and remembered after a start.
    """

    heard: list[Heard] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)


class SparkplugHost:
    """All edge nodes.

    Parameters
    ----------
    turned_away
        Why the messages of a device are not taken, with the tenant who may know of it; None where they are.
    state
        Our own STATE, which is said again when somebody denies it.

    Attributes
    ----------
    counts
        births, deaths, rebirths asked, out of order, missing; what of metrics was skipped, and why.
    """

    def __init__(
        self,
        turned_away: Callable[[Topic], tuple[str, str] | None] = lambda _: None,
        state: HostState | None = None,
        reorder_s: float = REORDER_S,
    ) -> None:
        self._turned_away = turned_away
        self._state = state
        self._reorder_us = round(reorder_s * 1_000_000)
        self._held = Held()
        self._nodes: dict[tuple[str, str], Node] = {}
        self._restless: dict[tuple[str, str], Node] = {}
        self._members: dict[tuple[str, str], Member] = {}  # by our names for tenant and device
        self._changed: dict[tuple[str, str], None] = {}
        self._denied = False
        self._looked_us = 0

    @property
    def counts(self) -> Counter[str]:
        return self._held.counts

    def remember(self, members: Iterable[Member]) -> None:
        """Who was known before our last stop: each node is asked for its births; who does not answer is offline."""
        for member in members:
            tenant, node, device, online = member
            address = address_of(f"{ROOT}/{tenant}/{f'DDATA/{node}/{device}' if device else f'NDATA/{node}'}")
            if address is None or len(self._nodes) >= MAX_NODES:
                continue
            key = (tenant, node)
            if key not in self._nodes:
                self._nodes[key] = Node(address, self._reorder_us, self._held)
            self._nodes[key].rebirths.remember(device, address.name, online)
            self._restless[key] = self._nodes[key]
            self._members[tenant, address.name] = member

    def in_turn(self, messages: Sequence[Message], arrived_us: int) -> list[Message | Heard]:
        """Messages of any topics: those of edge nodes as far as it is their turn, all others as they are."""
        taken: list[Message | Heard] = []
        for message in messages:
            if message.topic.startswith(_BELOW):
                taken += self.hear(message, arrived_us)
            else:
                taken.append(message)
        return taken

    def hear(self, message: Message, arrived_us: int) -> list[Heard]:
        """Take a message of a topic below `spBv1.0/`: what may be read now, in order.

        Nothing comes of what is meant for others (commands, the STATE of hosts). What waits for an earlier message
        comes with that one, or from `due`.
        """
        try:
            return self._hear(message, arrived_us)
        except Exception as error:  # a mistake of ours must cost one message: raised, it would come again for ever
            return [Heard(message, reasons=[f"could not be read: {type(error).__name__}: {error}"[:300]])]

    def due(self, now_us: int, may_ask: bool = True) -> Due:
        """What is due by now: to be called after each delivery, the empty ones too.

        `may_ask` is False while nothing can be published.
        """
        due = Due(members=[self._members[key] for key in self._changed])
        self._changed.clear()
        if self._denied and self._state and may_ask:
            due.commands.append(Command(self._state.topic, self._state.birth(), 1, True))
            self._denied = False
        if 0 <= now_us - self._looked_us < LOOK_EVERY_US:
            return due
        self._looked_us = now_us
        for key, node in list(self._restless.items()):
            due.heard += node.late(now_us)
            due.statuses += node.not_reborn(now_us)
            if may_ask and len(due.commands) < ASKS_AT_ONCE and node.ask(now_us):
                due.commands.append(Command(node.command_topic, rebirth(now_us // 1000), 0, False))
            if not node.restless:
                del self._restless[key]
        for status in [*due.statuses, *(status for one in due.heard for status in one.statuses)]:
            self._note(status)
        return due

    def leave(self) -> list[Heard]:
        """What waits, as it is: nobody will hear what it waits for."""
        return [heard for node in self._restless.values() for heard in node.let_go()]

    def _hear(self, message: Message, arrived_us: int) -> list[Heard]:
        if message.topic.startswith(f"{ROOT}/STATE/"):
            self._denied |= self._state is not None and self._state.denied_by(message.topic, message.payload)
            return []
        address = address_of(message.topic)
        if address is None:
            return [Heard(message, reasons=["not a topic of Sparkplug's"])]
        if address.kind in COMMANDS:
            return []
        return self._say(address, message, arrived_us)

    def _say(self, address: Address, message: Message, arrived_us: int) -> list[Heard]:
        """Tell its edge node of a message."""
        if refusal := self._turned_away(Topic(address.tenant, address.name, "telemetry")):
            tenant, reason = refusal
            return [Heard(message, tenant, reasons=[reason])]
        refused = Heard(message, address.tenant, address.name, address.node_name)
        try:
            item = unpack(address, message, arrived_us)
        except ValueError as reason:
            refused.reasons.append(str(reason))
            return [refused]
        key = (address.group, address.node)
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= MAX_NODES and not self._make_room():
                refused.reasons.append(f"there are {MAX_NODES} edge nodes already")
                return [refused]
            node = self._nodes[key] = Node(address, self._reorder_us, self._held)
        heard = node.hear(item)
        if node.restless:
            self._restless[key] = node
        if address.kind in BIRTHS and (address.tenant, address.name) not in self._members:
            member = Member(address.tenant, address.node, address.device, False)
            self._members[address.tenant, address.name] = member
        for one in heard:
            for status in one.statuses:
                self._note(status)
        return heard

    def _note(self, status: Status) -> None:
        key = (status.tenant, status.device)
        member = self._members.get(key)
        if member is not None and member.online != status.online:
            self._members[key] = member._replace(online=status.online)
            self._changed[key] = None

    def _make_room(self) -> bool:
        """Forget a node that is not born."""
        key = next((key for key, node in self._nodes.items() if node.session is None and not node.restless), None)
        if key is None:
            return False
        del self._nodes[key]
        return True


def rebirth(now_ms: int) -> bytes:
    """The command that asks an edge node for its births."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(name=REBIRTH, timestamp=now_ms, datatype=DataType.BOOLEAN, boolean_value=True)
    return bytes(payload.SerializeToString())
