"""What devices say of themselves on their `status` topic, retained; their last will says it for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from ingest.messages import Message
from ingest.reading import MAX_COUNT
from ingest.reading.stamps import LATEST_MS
from store.rejects import Reject
from store.telemetry import Status
from telemetry import Topic

_MAX_BYTES = 16_384
_MAX_TEXT = 128


def decode(messages: Iterable[tuple[Topic, Message]], arrived_us: int) -> tuple[list[Status], list[Reject]]:
    """Read status messages; one that is no status is a reject. An empty one clears what the broker retains: no news."""
    statuses: list[Status] = []
    rejects: list[Reject] = []
    for topic, message in messages:
        if not message.payload:
            continue
        fields = _object(message.payload)
        if fields is None or not isinstance(fields.get("online"), bool):
            reason = 'a status is an object with "online", true or false'
            rejects.append(Reject(message.topic, message.payload, reason, topic.tenant, topic.device))
            continue
        texts = {name: _text(fields.get(name)) for name in ("kind", "model", "site", "firmware", "gateway", "reason")}
        boot, seq = _count(fields.get("boot")), _count(fields.get("seq"))
        online: bool = fields["online"]
        statuses.append(
            Status(
                topic.tenant,
                topic.device,
                online,
                arrived_us,
                boot=boot,
                seq=seq,
                said_us=_moment_us(fields.get("ts")),
                retained=message.retained,
                **texts,
            )
        )
    return statuses, rejects


def _object(payload: bytes) -> dict[str, Any] | None:
    if len(payload) > _MAX_BYTES:
        return None
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _text(value: Any) -> str:
    """A short printable text; anything else counts as not said."""
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable() else ""


def _count(value: Any) -> int | None:
    """A number of boots or messages; anything else counts as not said."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _moment_us(stamp: Any) -> int | None:
    """A time in milliseconds since 1970; anything else counts as not said."""
    return round(stamp * 1000) if type(stamp) in (int, float) and 0 <= stamp <= LATEST_MS else None
