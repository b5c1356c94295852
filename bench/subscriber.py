"""The least that a subscriber does: take each message, and acknowledge them a batch at a time.

python -m bench.subscriber MESSAGES HOST PORT USER PASSWORD CLIENT_ID    # prints messages a second
"""

from __future__ import annotations

import queue
import sys
import time

from bench.throughput import persistent
from ingest.broker.mqtt import BATCH_MESSAGES

LINGER_S = 0.02


def main(messages: int, host: str, port: int, username: str, password: str, client_id: str) -> float:
    arrived: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    client, properties = persistent(client_id, username, password)
    client.on_message = lambda _, __, message: arrived.put((message.mid, message.qos))
    client.connect(host, port, clean_start=False, properties=properties)
    client.loop_start()
    taken, first, began = 0, 0, 0.0
    while taken < messages:
        batch = [arrived.get()]
        deadline = time.monotonic() + LINGER_S
        while len(batch) < BATCH_MESSAGES and taken + len(batch) < messages:
            try:
                batch.append(arrived.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                break
        for mid, qos in batch:
            client.ack(mid, qos)
        taken += len(batch)
        if not began:
            first, began = taken, time.perf_counter()
    rate = (taken - first) / (time.perf_counter() - began)
    client.disconnect()
    client.loop_stop()
    return rate


if __name__ == "__main__":
    count, to, at, *credentials = sys.argv[1:]
    print(main(int(count), to, int(at), *credentials))
