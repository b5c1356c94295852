"""MQTT topics: `bellwether/v1/{tenant}/{device}/{kind}`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ROOT = "bellwether/v1"
KINDS = frozenset({"telemetry", "waveform", "status", "ack", "config"})
TELEMETRY_FILTER = f"{ROOT}/+/+/telemetry"
STATUS_FILTER = f"{ROOT}/+/+/status"
WAVEFORM_FILTER = f"{ROOT}/+/+/waveform"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_NOT_IN_A_FILTER = re.compile(r"[\x00-\x20\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_LONGEST_FILTER = 200
_MOST_LEVELS = 20


def is_name(text: str) -> bool:
    """Whether `text` may name a tenant or a device: 1 to 64 of `A-Za-z0-9_.-`."""
    return _NAME.match(text) is not None


def why_not_foreign(topic_filter: str) -> str | None:
    """Why these topics cannot be granted to a device beside its own; None where they can.

    Nothing that begins with a wildcard, which would include everybody's; nothing of the broker's ($…); and nothing of
    ours, since those topics follow from who the device is.
    """
    levels = topic_filter.split("/")
    if not 1 <= len(topic_filter) <= _LONGEST_FILTER or len(levels) > _MOST_LEVELS:
        return f"1 to {_LONGEST_FILTER} characters, at most {_MOST_LEVELS} levels"
    if _NOT_IN_A_FILTER.search(topic_filter):
        return "no spaces and no control characters"
    if levels[0] in {"", "+", "#", "bellwether", "spBv1.0"} or levels[0].startswith("$"):
        return "its first level must be a name, and not one of the broker's ($…) or ours (bellwether, spBv1.0)"
    if any(("+" in level or "#" in level) and level not in {"+", "#"} for level in levels) or "#" in levels[:-1]:
        return "a wildcard stands for a whole level, and # for the last ones"
    return None


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
