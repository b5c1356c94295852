"""What a Sparkplug message costs from its bytes to the columns, in processor time: `python -m bench.sparkplug`."""

from __future__ import annotations

import time

from firmware_sim.sparkplug import EdgeNode, Point
from firmware_sim.sparkplug_encoding import Type
from ingest.messages import Message
from ingest.reading import Columns, Reader
from ingest.sparkplug import SparkplugHost
from ingest.sparkplug.schema import Payload
from telemetry import Topic

START_MS = 1_782_907_200_000
ROUNDS = 5


def measure(metrics: int, messages: int, *, aliases: bool) -> tuple[int, float, float, float]:
    """Bytes of a message; µs of one for protobuf's parser, for the host with it, for the reader. Best of `ROUNDS`."""
    kinds = [Type.DOUBLE, Type.INT32]
    points = [Point(f"Folder 1/metric {i}", kinds[i % 2], i) for i in range(metrics)]
    node = EdgeNode("demo", "edge", [], {"pump": points}, aliases=aliases)
    node.will()
    births = [Message(said.topic, said.payload) for said in node.births(START_MS)]
    said = [
        node.data({point.name: i - k for i, point in enumerate(points)}, START_MS + k, device="pump")
        for k in range(messages)
    ]
    data = [Message(one.topic, one.payload) for one in said]
    parsed_s, heard_s, written_s = [], [], []
    for _ in range(ROUNDS):
        host = SparkplugHost()
        host.in_turn(births, START_MS * 1000)
        begun = time.process_time()
        for message in data:
            Payload.FromString(message.payload)
        parsed_s.append(time.process_time() - begun)
        begun = time.process_time()
        heard = [one for message in data for one in host.hear(message, START_MS * 1000)]
        heard_s.append(time.process_time() - begun)
        columns = Columns({}, START_MS * 1000, START_MS * 1000)
        begun = time.process_time()
        for one in heard:
            one.write(Reader(Topic(one.tenant, one.device, "telemetry"), columns, 0))
        written_s.append(time.process_time() - begun)
        if len(columns.value) != metrics * messages:
            raise RuntimeError("not all was read")
    parser, host_us, reader = (min(each) / messages * 1e6 for each in (parsed_s, heard_s, written_s))
    return len(data[0].payload), parser, host_us, reader


def main() -> None:
    for metrics, messages in ((100, 2000), (1, 20_000)):
        for aliases in (True, False):
            size, parser, host, reader = measure(metrics, messages, aliases=aliases)
            print(
                f"{metrics:4d} metrics by {'alias' if aliases else 'name '}: {size:5d} bytes, parser {parser:5.1f} µs, "
                f"host {host:6.1f} µs, reader {reader:5.1f} µs, {(host + reader) / metrics:5.2f} µs a metric"
            )


if __name__ == "__main__":
    main()
