"""What a device said, in words: a payload through `ingest.decoding` as the loop gives it, and the golden cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.decoding import Decoded, decode
from ingest.messages import Message
from ingest.reading import Numbers
from telemetry import Quality, Topic

ARRIVED_MS = 1_782_907_200_000
GOLDEN = Path(__file__).parent / "golden"

Said = tuple[str, int, float, str]
"""Point, µs since 1970, value, quality."""


def decoded(
    *payloads: bytes, content_type: str = "", device: str = "pump-1", numbers: Numbers | None = None
) -> Decoded:
    topic = str(Topic("demo", device, "telemetry"))
    messages = [Message(topic, payload, content_type) for payload in payloads]
    return decode(messages, {} if numbers is None else numbers, ARRIVED_MS * 1000)


def said(result: Decoded) -> list[Said]:
    batch = result.batch
    return [
        (result.unknown[-1 - stream].point, time_us, value, quality_of(quality))
        for time_us, stream, value, quality in zip(
            batch.time_us.tolist(), batch.stream.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
        )
    ]


def quality_of(bits: int) -> str:
    return "|".join(str(flag.name).lower() for flag in Quality(bits)) or "good"


@dataclass(frozen=True, slots=True)
class Case:
    """A golden case: a payload, and what becomes of it. `hex` in its file where it is no text."""

    path: Path

    @property
    def wanted(self) -> dict[str, Any]:
        case: dict[str, Any] = json.loads(self.path.read_text())
        assert case["arrived_ms"] == ARRIVED_MS
        return case

    @property
    def payload(self) -> bytes:
        wanted = self.wanted
        return bytes.fromhex(wanted["hex"]) if "hex" in wanted else wanted["payload"].encode()

    def check(self) -> None:
        """See that the payload becomes the readings and reasons of the file, whoever has to guess its form."""
        wanted = self.wanted
        result = decoded(self.payload, content_type=wanted.get("content_type", ""))
        assert [list(reading) for reading in said(result)] == wanted["readings"], wanted["why"]
        assert [reject.reason for reject in result.rejects] == wanted["rejects"], wanted["why"]
        assert all(reject.payload == self.payload for reject in result.rejects)


def golden(form: str) -> list[Case]:
    return [Case(path) for path in sorted((GOLDEN / form).glob("*.json"))]
