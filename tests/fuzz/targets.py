"""What is fuzzed: each decoder, with inputs to begin from, and what must hold whatever comes.

A target takes bytes and raises where a promise is broken: a reading that is no number, a mistake of ours caught by the
net below the decoders, an exception that the decoder's contract does not name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware_sim.encoding import CONTENT_TYPES
from firmware_sim.sparkplug import EdgeNode, Point
from firmware_sim.sparkplug_encoding import Type
from ingest.broker.buffered import Connection, Heard
from ingest.decoding import Decoded, decode
from ingest.forms import waveforms
from ingest.mapping import Mappings
from ingest.messages import Message
from ingest.reading import Columns, Reader
from ingest.reading.refusals import BadMessage
from ingest.sparkplug import SparkplugHost
from telemetry import Topic

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
ARRIVED_US = 1_782_907_200_000_000
TELEMETRY = Topic("demo", "pump-1", "telemetry")


@dataclass(frozen=True, slots=True)
class Target:
    """`seeds` are inputs to begin from; `fuzz` raises where a promise is broken."""

    seeds: Callable[[], list[bytes]]
    fuzz: Callable[[bytes], None]


def _check(result: Decoded) -> None:
    batch = result.batch
    assert np.isfinite(batch.value).all()
    assert len(batch.time_us) == len(batch.stream) == len(batch.value) == len(batch.quality) == len(result.message)
    assert (batch.time_us >= 946_684_800_000_000).all(), "before the year 2000"
    assert (batch.time_us <= ARRIVED_US + 86_400_000_000).all(), "more than a day ahead"
    for reject in result.rejects:
        assert reject.reason
        assert not reject.reason.startswith("could not be read"), reject.reason


def _golden(*forms: str) -> list[bytes]:
    cases = [json.loads(path.read_text()) for form in forms for path in sorted((GOLDEN / form).glob("*.json"))]
    return [bytes.fromhex(case["hex"]) if "hex" in case else case["payload"].encode() for case in cases]


# Telemetry and status ---------------------------------------------------------------------------------------------


def _telemetry(content_type: str) -> Callable[[bytes], None]:
    def fuzz(data: bytes) -> None:
        _check(decode([Message(str(TELEMETRY), data, content_type)], {}, ARRIVED_US))

    return fuzz


def _status(data: bytes) -> None:
    topic = str(TELEMETRY._replace(kind="status"))
    _check(decode([Message(topic, data)], {}, ARRIVED_US))


def _statuses() -> list[bytes]:
    return [
        b'{"online": true, "boot": 7, "seq": 0, "firmware": "1.4.2", "kind": "pump", "model": "CP", "site": "here"}',
        b'{"online": false, "reason": "connection lost", "points": {"flow": "m3/h"}}',
    ]


# Waveforms ------------------------------------------------------------------------------------------------------------


def _waveform(data: bytes) -> None:
    columns = Columns({}, ARRIVED_US, ARRIVED_US)
    try:
        block = waveforms.read(Reader(TELEMETRY._replace(kind="waveform"), columns, 0), data)
    except BadMessage:
        return
    assert len(block.samples)
    assert np.isfinite(block.samples).all()
    assert np.isfinite(columns.value).all()


def _waveforms() -> list[bytes]:
    return [
        bytes.fromhex(json.loads(path.read_text())["payload"]) for path in sorted((GOLDEN / "waveform").glob("*.json"))
    ]


# Sparkplug: several messages of one edge node -------------------------------------------------------------------------

_KINDS = (
    "NBIRTH/edge",
    "NDATA/edge",
    "NDEATH/edge",
    "DBIRTH/edge/pump",
    "DDATA/edge/pump",
    "DDEATH/edge/pump",
    "STATE",
)


def _sparkplug(data: bytes) -> None:
    """Each message: its kind, two bytes of length, and so many of payload."""
    host = SparkplugHost()
    now_us = ARRIVED_US
    columns = Columns({}, ARRIVED_US, ARRIVED_US)
    while len(data) > 3:
        length = int.from_bytes(data[1:3])
        topic = f"spBv1.0/demo/{_KINDS[data[0] % len(_KINDS)]}"
        heard = host.hear(Message(topic, data[3 : 3 + length]), now_us)
        now_us += 1_000_000
        for one in [*heard, *host.due(now_us).heard]:
            if one.tenant and one.device:
                reader = Reader(Topic(one.tenant, one.device, "telemetry"), columns, 0)
                one.write(reader)
            assert not any(reason.startswith("could not be read") for reason in one.reasons), one.reasons
        data = data[3 + length :]
    assert np.isfinite(columns.value).all()


def _plant() -> list[bytes]:
    seeds = []
    for aliases in (True, False):
        node = EdgeNode(
            "demo",
            "edge",
            [Point("voltage", Type.FLOAT, 12.5, "V")],
            {"pump": [Point("flow", Type.DOUBLE, 4.0, "m3/h"), Point("starts", Type.INT32, 7)]},
            aliases=aliases,
            first_alias=1,
        )
        said = [
            node.will(),
            *node.births(ARRIVED_US // 1000),
            node.data({"flow": 5.0}, ARRIVED_US // 1000, device="pump"),
        ]
        framed = [
            bytes([number]) + len(one.payload).to_bytes(2) + one.payload
            for one in said
            for number, kind in enumerate(_KINDS)
            if one.topic == f"spBv1.0/demo/{kind}"
        ]
        seeds += [b"".join(framed), *framed]
    return seeds


# Mappings: those of the manual ----------------------------------------------------------------------------------------


def _manual() -> Mappings:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/mapping.md").read_text(), re.DOTALL)
    return Mappings.from_settings([entry for block in blocks for entry in tomllib.loads(block).get("mapping", [])])


_MAPPINGS = _manual()
_MAPPED = [json.loads(path.read_text()) for path in sorted((GOLDEN / "mapping").glob("*.json"))]
_TOPICS = sorted({case["topic"] for case in _MAPPED})


def _mapping(data: bytes) -> None:
    """The first byte chooses a topic."""
    if data:
        message = Message(_TOPICS[data[0] % len(_TOPICS)], data[1:])
        _check(decode([message], {}, ARRIVED_US, mappings=_MAPPINGS))


def _mapped() -> list[bytes]:
    return [bytes([_TOPICS.index(case["topic"])]) + case["payload"].encode() for case in _MAPPED]


# What the broker sends ------------------------------------------------------------------------------------------------


class _Hearer:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def has_room(self, _: float) -> bool:
        return True

    def hear(self, heard: Heard) -> None:
        self.messages += heard.messages


def _packets(data: bytes) -> None:
    """Cut in two anywhere, a stream of packets says the same as whole, or is refused."""

    def heard(*pieces: bytes) -> list[Message] | None:
        hearer = _Hearer()
        connection = Connection(None, hearer, lambda _: None)  # type: ignore[arg-type]
        try:
            for piece in pieces:
                connection._cut(piece)
        except ConnectionError:
            return None
        return hearer.messages

    cut = data[0] if data else 0
    assert heard(data[1:]) == heard(data[1 : 1 + cut], data[1 + cut :])


def _publications() -> list[bytes]:
    plain = b"\x30\x0b\x00\x03a/b\x00hello"
    confirmed = b"\x32\x0d\x00\x03a/b\x00\x01\x00hello"
    typed = b"\x3a\x1b\x00\x03a/b\x00\x07\x0e\x03\x00\x0bapplication\x68"
    return [b"\x04" + plain + confirmed, b"\x0a" + typed + b"\xd0\x00" + plain, b"\x00" + b"\x30\x80\x01" + bytes(128)]


TARGETS = {
    "json": Target(lambda: _golden("json"), _telemetry("application/json")),
    "cbor": Target(lambda: _golden("cbor"), _telemetry("application/cbor")),
    "senml-json": Target(lambda: _golden("senml-json"), _telemetry("application/senml+json")),
    "senml-cbor": Target(lambda: _golden("senml-cbor"), _telemetry("application/senml+cbor")),
    "untold": Target(lambda: _golden("json", "cbor", "senml-json", "senml-cbor"), _telemetry("")),
    "status": Target(_statuses, _status),
    "waveform": Target(_waveforms, _waveform),
    "sparkplug": Target(_plant, _sparkplug),
    "mapping": Target(_mapped, _mapping),
    "packets": Target(_publications, _packets),
}
assert {"application/json", "application/cbor", "application/senml+json", "application/senml+cbor"} == {
    *CONTENT_TYPES.values()
}
