"""A hundred thousand messages of rubbish among good ones: the good are stored, the bad told apart, nothing grows."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from ingesting import Device, IngestProcess
from servers import Database, RunningBroker
from waiting import until

from store.rejects import HEAD_BYTES, ROOM_BYTES

RUBBISH = 100_000
LARGE = 200  # of a megabyte each
GOOD = 2_000
SEED = 20_261_121
MEGABYTE = 1 << 20
NOW_MS = time.time_ns() // 1_000_000
# What ingest may grow by between the first tenth and the end: pages of a delivery of megabytes that came late.
GROWTH_BYTES = 64 << 20


def a_good_one(number: int) -> bytes:
    return orjson.dumps({"ts": NOW_MS - GOOD + number, "temperature": 70 + number % 7, "pressure": 3.1})


def rubbish(number: int, chance: random.Random) -> bytes:
    """One of a dozen kinds of nonsense; every one of them must be refused as a whole or in its only part."""
    kinds = (
        a_good_one(number)[: chance.randrange(1, 20)],  # cut off
        b'{"temperature": NaN}',
        b'{"temperature": 1e999}',
        b'{"temperature": "hot"}',
        b'{"temperature": {"value": {"deeper": 1}}}',
        b"[" * 5_000 + b"]" * 5_000,
        chance.randbytes(64),
        b'{"ts": "yesterday", "temperature": 1}',
        b'{"ts": 1e18, "temperature": 1}',
        b'{"t0": 0, "dt": 1, "values": {"temperature": [1, 2]}}',
        b'{"t0": %d, "dt": -5, "values": {"temperature": [1, 2]}}' % NOW_MS,
        b"[1, 2, 3]",
        b'"a text"',
        b"",
    )
    return kinds[number % len(kinds)]


def large(number: int) -> bytes:
    kinds = (b"\0" * MEGABYTE, b'{"a":"' + b"x" * (MEGABYTE - 8) + b'"}', b"[" + b"1," * (MEGABYTE // 2 - 1) + b"1]")
    return kinds[number % len(kinds)]


def all_messages(chance: random.Random) -> Iterator[bytes]:
    bad = [rubbish(number, chance) for number in range(RUBBISH - LARGE)]
    every = len(bad) // GOOD
    for number, payload in enumerate(bad):
        yield payload
        if number % every == 0 and number // every < GOOD:
            yield a_good_one(number // every)
        if number % (RUBBISH // LARGE) == 0:
            yield large(number)


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/status").read_text().split("\n")
    (line,) = (field for field in fields if field.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.mark.timeout(600)
def test_rubbish_among_good_ones(database: Database, broker: RunningBroker, tmp_path: Path) -> None:
    messages = list(all_messages(random.Random(SEED)))
    with database.owner() as conn, IngestProcess(database, broker, tmp_path / "ingest.log") as ingest:
        ingest.until_awake()
        with Device(broker) as device:
            sizes = []
            for begin in range(0, len(messages), 10_000):
                device.begin(messages[begin : begin + 10_000])
                device.finish(120)
                sizes.append(resident_bytes(ingest.process.pid))

        def taken() -> int:
            row = conn.execute("SELECT coalesce(sum(messages), 0) FROM ledger").fetchone()
            return int(row[0]) if row else 0

        until(lambda: taken() >= len(messages), 300, every_s=0.2)
        sizes.append(resident_bytes(ingest.process.pid))
        assert ingest.stop() == 0

        readings = conn.execute("SELECT count(*), count(DISTINCT stream_id) FROM readings").fetchone()
        reasons = Counter(dict(conn.execute("SELECT reason, count(*) FROM rejects GROUP BY reason").fetchall()))
        kept = conn.execute("SELECT sum(octet_length(payload)) FROM rejects").fetchone()
        ledger = conn.execute(
            "SELECT sum(messages), sum(stored), sum(duplicates), sum(rejected) FROM ledger"
        ).fetchone()
    assert readings == (2 * GOOD, 2)
    assert ledger is not None
    counted, stored, duplicates, rejected = (int(figure) for figure in ledger)
    assert (counted, stored, duplicates) == (len(messages), 2 * GOOD, 0)
    bad = len(messages) - GOOD
    # A list of numbers is refused item by item, a bounded number of times; everything else once.
    assert rejected == sum(reasons.values()) >= bad
    assert kept
    # Of a message its beginning, until the hour's room is full; the test may see the beginning of another hour.
    assert int(kept[0]) < 2 * ROOM_BYTES + HEAD_BYTES * rejected < sum(len(message) for message in messages) / 2
    assert all(reasons), "each has its reason"
    assert len(reasons) >= 10
    assert max(sizes) - sizes[1] < GROWTH_BYTES, f"resident, MiB: {[size >> 20 for size in sizes]}"
