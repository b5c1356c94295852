"""MQTT topics: `bellwether/v1/{tenant}/{device}/{kind}`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ROOT = "bellwether/v1"
KINDS = frozenset({"telemetry", "waveform", "status", "ack", "config"})
TELEMETRY_FILTER = f"{ROOT}/+/+/telemetry"
STATUS_FILTER = f"{ROOT}/+/+/status"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


def is_name(text: str) -> bool:
    """Whether `text` may name a tenant or a device: 1 to 64 of `A-Za-z0-9_.-`."""
    return _NAME.match(text) is not None


class Topic(NamedTuple):
    """The parts of a topic of ours."""

    tenant: str
    device: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/{self.tenant}/{self.device}/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> Topic | None:
        """The parts of `text`, or None where it is no topic of ours."""
        return _parse(text)


# A device says the same topic again and again: reading it costs a look-up. Bounded, since topics come from outside.
@lru_cache(maxsize=1 << 16)
def _parse(text: str) -> Topic | None:
    parts = text.split("/")
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT:
        return None
    tenant, device, kind = parts[2:]
    if not (is_name(tenant) and is_name(device) and kind in KINDS):
        return None
    return Topic(tenant, device, kind)
