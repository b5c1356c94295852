"""The host application's STATE: what tells edge nodes whether we listen.

The will and the birth of one connection carry the same time, so that a will which the broker sends late is known for
an old one.
"""

from __future__ import annotations

import orjson

from ingest.sparkplug.topics import ROOT


class HostState:
    """STATE of one host; used by the thread that connects and by the one that reads.

    Attributes
    ----------
    topic
        Of all three messages: QoS 1, retained.
    """

    def __init__(self, host_id: str) -> None:
        self.topic = f"{ROOT}/STATE/{host_id}"
        self._since_ms = 0

    def will(self, now_ms: int) -> bytes:
        """For the connection that begins now: to be set as its last will before each CONNECT."""
        self._since_ms = now_ms
        return _payload(False, now_ms)

    def birth(self) -> bytes:
        """To be published as the first message of the connection, once subscribed."""
        return _payload(True, self._since_ms)

    def death(self, now_ms: int) -> bytes:
        """To be published before a disconnection that is meant."""
        return _payload(False, now_ms)

    def denied_by(self, topic: str, payload: bytes) -> bool:
        """Whether somebody says, on our topic, that we are offline."""
        if topic != self.topic:
            return False
        try:
            said = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return True
        return not isinstance(said, dict) or said.get("online") is not True


def _payload(online: bool, timestamp_ms: int) -> bytes:
    return orjson.dumps({"online": online, "timestamp": timestamp_ms})
