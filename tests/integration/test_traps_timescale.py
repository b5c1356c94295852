"""Traps that others have fallen into, each set up here: TimescaleDB's columnstore and its chunks, psycopg's pool.

Those of the columnstore need the community edition (`TEST_DSN`), and are skipped, visibly, where there is none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import psycopg
import pytest
from psycopg import errors, sql
from servers import Database
from waiting import until

import store.telemetry as rows
from store import retention
from store.connection import GIVE_UP_AFTER_S, Session, connect
from store.errors import Unavailable
from store.migrate import edition
from store.telemetry import Fate
from store.transactions import Transactions
from telemetry import Batch, StreamKey, microseconds

DAY = (datetime.now(UTC) - timedelta(days=20)).replace(hour=0, minute=0, second=0, microsecond=0)
DAY_US = microseconds(DAY)


@pytest.fixture
def owner(database: Database) -> Iterator[Session]:
    with database.owner() as conn:
        yield conn


@pytest.fixture
def columnstore(owner: Session) -> Session:
    if edition(owner) != "community":
        pytest.skip("the columnstore is of the community edition: set TEST_DSN to one")
    return owner


@pytest.fixture
def ingest(database: Database) -> Iterator[Session]:
    with connect(database.url("ingest"), "ingest") as conn:
        yield conn


@pytest.fixture
def stream(ingest: Session) -> int:
    (found,) = rows.add_streams(ingest, [StreamKey("demo", "pump-1", "flow")])
    ingest.commit()
    return found.id


def batch(stream: int, seconds: range, value: float = 1.0) -> Batch:
    times = DAY_US + np.array(seconds) * 1_000_000
    return Batch.of(times, np.full(len(times), stream), np.full(len(times), value))


def append(conn: Session, readings: Batch) -> dict[Fate, int]:
    fate = rows.append(conn, readings).fate
    conn.commit()
    return {each: int(np.count_nonzero(fate == each)) for each in Fate if np.any(fate == each)}


def compress(conn: Session) -> None:
    conn.execute("SELECT compress_chunk(c, true) FROM show_chunks('readings') c")


def count(conn: Session) -> int:
    ((found,),) = conn.execute("SELECT count(*) FROM readings").fetchall()
    return int(found)


# The columnstore ------------------------------------------------------------------------------------------------------


def test_a_conflict_in_a_compressed_chunk_stops_nothing_else(
    columnstore: Session, ingest: Session, stream: int
) -> None:
    """timescaledb#7672: ON CONFLICT DO NOTHING stopped at the first conflict, and the rest was lost without a word."""
    append(ingest, batch(stream, range(0, 3000, 3)))
    compress(columnstore)
    assert append(ingest, batch(stream, range(3000))) == {Fate.STORED: 2000, Fate.DUPLICATE: 1000}
    assert count(columnstore) == 3000


def test_what_is_compressed_stays_as_it_is_when_it_comes_again(
    columnstore: Session, ingest: Session, stream: int
) -> None:
    """timescaledb#5801, #6063: what comes again is found without unpacking all there is, and another value is kept."""
    append(ingest, batch(stream, range(20_000)))
    compress(columnstore)
    began_s = time.monotonic()
    assert append(ingest, batch(stream, range(20_000))) == {Fate.DUPLICATE: 20_000}
    assert append(ingest, batch(stream, range(500), value=2.0)) == {Fate.CONTESTED: 500}
    assert time.monotonic() - began_s < 10
    assert columnstore.execute("SELECT DISTINCT value FROM readings").fetchall() == [(1.0,)]


def test_the_limit_on_unpacking_does_not_end_a_delivery(columnstore: Session, ingest: Session, stream: int) -> None:
    """A delivery that meets more compressed readings than one statement may unpack would fail for ever, and all behind
    it. Ingest has no limit; with one, servers of today do not reach it by inserting (2.28: measured)."""
    name = "timescaledb.max_tuples_decompressed_per_dml_transaction"
    assert ingest.execute("SELECT current_setting(%s)", [name]).fetchall() == [("0",)]
    append(ingest, batch(stream, range(0, 40_000, 2)))
    compress(columnstore)
    ingest.execute("SELECT set_config(%s, '1', false)", [name])
    assert append(ingest, batch(stream, range(40_000))) == {Fate.STORED: 20_000, Fate.DUPLICATE: 20_000}
    assert count(columnstore) == 40_000


def test_readings_that_come_while_their_chunk_is_compressed_are_stored_once(
    columnstore: Session, ingest: Session, stream: int
) -> None:
    """timescaledb#5480, #5448: a conflict was not seen while the chunk was being compressed."""
    append(ingest, batch(stream, range(0, 30_000, 2)))
    stop = threading.Event()
    failures: list[BaseException] = []

    def pack() -> None:
        try:
            while not stop.is_set():
                compress(columnstore)
        except BaseException as failure:
            failures.append(failure)

    packer = threading.Thread(target=pack)
    packer.start()
    fates: dict[Fate, int] = {}
    for begin in range(0, 30_000, 2000):
        for fate, n in append(ingest, batch(stream, range(begin, begin + 2000))).items():
            fates[fate] = fates.get(fate, 0) + n
    stop.set()
    packer.join()
    assert not failures
    assert fates == {Fate.STORED: 15_000, Fate.DUPLICATE: 15_000}
    assert count(columnstore) == 30_000
    assert columnstore.execute("SELECT count(DISTINCT time) FROM readings").fetchall() == [(30_000,)]


def test_live_readings_do_not_wait_while_old_ones_are_compressed(
    columnstore: Session, ingest: Session, stream: int, database: Database
) -> None:
    """timescaledb#4432: what was written now waited for yesterday's compression."""
    columnstore.execute(
        "INSERT INTO readings SELECT t, %s, random(), 0 FROM generate_series(%s::timestamptz, %s, '50 ms') t",
        [stream, DAY, DAY + timedelta(hours=20)],
    )
    packing = threading.Event()

    def pack() -> None:
        with database.owner() as conn:
            packing.set()
            compress(conn)

    packer = threading.Thread(target=pack)
    packer.start()
    packing.wait()
    longest_s, number = 0.0, 0
    while packer.is_alive():
        number += 1
        began_s = time.monotonic()
        live = Batch.of([DAY_US + 15 * 86_400_000_000 + number], [stream], [1.0])
        append(ingest, live)
        longest_s = max(longest_s, time.monotonic() - began_s)
    packer.join()
    assert number > 3
    assert longest_s < 1.0


def test_compressing_changes_no_answer(columnstore: Session, ingest: Session, stream: int) -> None:
    """Wrong results are fixed in TimescaleDB each month: the same questions before and after, of awkward values."""
    values = np.array([0.1, -0.0, 5e-324, 1.7e308, -1e-17, 1 / 3, 2**53 + 1])
    times = DAY_US + np.arange(7000) * 1_000_003
    rows.append(ingest, Batch.of(times, np.full(7000, stream), np.resize(values, 7000), np.resize([0, 1, 5], 7000)))
    ingest.commit()
    questions = (
        "SELECT * FROM readings ORDER BY time",
        "SELECT * FROM readings ORDER BY time DESC LIMIT 3",
        "SELECT quality, count(*), min(value), max(value), min(time), max(time) FROM readings GROUP BY 1 ORDER BY 1",
        "SELECT count(*) FROM readings WHERE value < 0.2",
        "SELECT bucket, n, min, max, last FROM readings_1h ORDER BY 1",
    )
    before = [columnstore.execute(question).fetchall() for question in questions]
    compress(columnstore)
    assert [columnstore.execute(question).fetchall() for question in questions] == before


def test_direct_compression_neither_loses_nor_doubles(columnstore: Session, ingest: Session, stream: int) -> None:
    """timescaledb#9381 lost rows with it. With a unique key the server leaves it be: we compress later."""
    known = columnstore.execute(
        "SELECT 1 FROM pg_settings WHERE name = 'timescaledb.enable_direct_compress_copy'"
    ).fetchone()
    if known is None:
        pytest.skip("this server has no direct compression")
    ingest.execute("SET timescaledb.enable_direct_compress_copy = on")
    for _ in range(2):
        append(ingest, batch(stream, range(5000)))
    assert count(columnstore) == 5000
    assert columnstore.execute(
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'readings' AND is_compressed"
    ).fetchall() == [(0,)]


# Chunks ---------------------------------------------------------------------------------------------------------------


def test_chunks_of_another_width_leave_no_gap_and_no_overlap(
    owner: Session, ingest: Session, stream: int, database: Database
) -> None:
    """A width that changes cuts new chunks where old ones are: every reading has a place, at edges of whole hours."""
    stored = 0
    with psycopg.connect(database.url("notify"), autocommit=True) as notify:
        for hours, day in ((24, 0), (1, 1), (720, 0), (6, -2), (48, 2), (3, 9), (720, 12)):
            retention.widen_chunks(notify, hours)
            begin = day * 86_400 + 1800
            stored += append(ingest, batch(stream, range(begin, begin + 2 * 86_400, 977))).get(Fate.STORED, 0)
    assert count(owner) == stored
    edges = owner.execute(
        "SELECT range_start, range_end FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'readings' ORDER BY 1"
    ).fetchall()
    assert all(one[1] <= other[0] for one, other in pairwise(edges))
    assert all(edge.minute == edge.second == 0 for pair in edges for edge in pair)


# The pool -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def transactions(database: Database) -> Iterator[Transactions]:
    transactions = Transactions(database.url("api"), 3)
    transactions.open()
    yield transactions
    transactions.close()


def answers(transactions: Transactions) -> bool:
    try:
        with transactions.of("demo") as conn:
            return conn.execute("SELECT 1").fetchall() == [(1,)]
    except Unavailable:
        return False


def test_the_pool_finds_back_after_an_outage_longer_than_its_patience(
    transactions: Transactions, database: Database, server_url: str
) -> None:
    """psycopg#1315, #438: stuck for ever, or until its growing pause was over."""
    name = database.owner_url.rsplit("/", 1)[1]
    assert answers(transactions)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'bellwether_api'",
            [name],
        )
        until_s = time.monotonic() + GIVE_UP_AFTER_S + 2
        while time.monotonic() < until_s:
            assert not answers(transactions)
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
    until(lambda: answers(transactions), within_s=10)


def test_a_transaction_that_fails_leaves_nothing_behind_in_the_pool(transactions: Transactions) -> None:
    """psycopg#1123, #709: connections came back in the middle of a transaction, or as somebody else's."""
    for _ in range(20):
        with pytest.raises(errors.DivisionByZero), transactions.of("demo") as conn:
            conn.execute("SELECT 1 / 0")
        with transactions.of_nobody() as conn:
            assert conn.execute("SELECT current_setting('bellwether.tenant', true)").fetchall() in ([("",)], [(None,)])
            assert conn.execute("SELECT count(*) FROM tenants").fetchall() == [(0,)], "nobody sees nothing"
    assert transactions.stats()["pool_size"] <= 3
