"""Storage care against the real server: what is removed is what is over, its roll-ups stay, and the ledger adds up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import errors, sql
from servers import Database
from serving import RunningApi, ok, refused
from waiting import until

import store.telemetry as rows
from alarms.roles import Role
from notify.storage import StorageCare
from store import retention
from store.connection import Session, act_for
from store.migrate import edition
from store.queries import queries
from store.retention import CHUNK_HOURS, Measured, chunk_hours
from telemetry import Batch, Stream, StreamKey

NOW = datetime.now(UTC).replace(microsecond=0)
GIB = 1 << 30


@pytest.fixture
def owner(database: Database) -> Iterator[Session]:
    with database.owner() as conn:
        yield conn


@pytest.fixture
def notify(database: Database) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def streams(database: Database) -> dict[str, Stream]:
    """Three points of a pump and one of another tenant's fan, by name."""
    keys = [
        StreamKey("demo", "pump-1", "bearing_temperature"),
        StreamKey("demo", "pump-1", "vibration_velocity"),
        StreamKey("demo", "pump-1", "flow"),
        StreamKey("other", "fan-1", "flow"),
    ]
    with psycopg.connect(database.url("ingest")) as conn:
        found = rows.add_streams(conn, keys)
    return {stream.point if stream.tenant == "demo" else "fan": stream for stream in found}


def fill(database: Database, streams: dict[str, Stream], ages_days: list[int], minutes: int = 90) -> None:
    """A reading a minute of every stream, from so many days ago on."""
    for age in ages_days:
        start_us = int((NOW - timedelta(days=age)).replace(hour=3, minute=0, second=0).timestamp() * 1e6)
        for stream in streams.values():
            put(database, stream, [start_us + minute * 60_000_000 for minute in range(minutes)])


def put(database: Database, stream: Stream, times_us: list[int], lock_timeout_ms: int = 0) -> None:
    batch = Batch.of(times_us, np.full(len(times_us), stream.id), np.arange(len(times_us), dtype=float))
    with psycopg.connect(database.url("ingest"), options=f"-c lock_timeout={lock_timeout_ms}") as conn:
        rows.append(conn, batch)


def keep(database: Database, tenant: str = "demo", **days: int) -> None:
    with psycopg.connect(database.url("api")) as conn:
        act_for(conn, tenant)
        retention.keep(conn, tenant, days, "kim")


def expired(owner: Session) -> dict[tuple[str, str], int]:
    """Readings removed so far because their time was over, by tenant and device."""
    return {
        (tenant, device): count
        for tenant, device, count in owner.execute(
            "SELECT tenant, device, sum(readings)::bigint FROM expired GROUP BY 1, 2"
        )
    }


def expire(conn: Session, streams_at_once: int = 2) -> list[retention.Step]:
    steps = []
    while (step := retention.expire_some(conn, streams_at_once)) is not None:
        steps.append(step)
        assert len(steps) < 1000
    return steps


def ages(conn: Session, stream: Stream) -> set[int]:
    """How many days ago there are readings of a stream."""
    found = conn.execute("SELECT DISTINCT time::date FROM readings WHERE stream_id = %s", [stream.id]).fetchall()
    return {(NOW.date() - day).days for (day,) in found}


def rollups(conn: Session, view: str) -> list[tuple[object, ...]]:
    return conn.execute(
        sql.SQL("SELECT stream_id, bucket, n, min, max, mean, last FROM {} ORDER BY 1, 2").format(sql.Identifier(view))
    ).fetchall()


def refresh(conn: Session) -> None:
    """What the server does by itself every few minutes, where its edition does it at all."""
    if edition(conn) == "community":
        for name in ("rollup_1m", "rollup_1h"):
            conn.execute("CALL refresh_continuous_aggregate(%s, NULL, NULL)", [name])


def compress(conn: Session, older_than_days: int) -> None:
    if edition(conn) == "community":
        conn.execute(
            "SELECT compress_chunk(c, true) FROM show_chunks('readings', older_than => %s::interval) c",
            [f"{older_than_days} days"],
        )


# What is removed ------------------------------------------------------------------------------------------------------


def test_nothing_is_removed_where_nobody_has_said_so(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [700, 2])
    assert expire(notify) == []
    assert ages(owner, streams["flow"]) == {700, 2}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_each_class_of_each_tenant_goes_in_its_own_time(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream], compressed: bool
) -> None:
    fill(database, streams, [100, 20, 2])
    if compressed:
        compress(owner, 10)
    keep(database, raw=50, vibration=10, temperature=365)
    expire(notify)
    assert ages(owner, streams["bearing_temperature"]) == {100, 20, 2}
    assert ages(owner, streams["vibration_velocity"]) == {2}
    assert ages(owner, streams["flow"]) == {20, 2}
    assert ages(owner, streams["fan"]) == {100, 20, 2}, "another tenant's"
    assert expire(notify) == [], "nothing is left to do"


def test_a_chunk_that_nobody_keeps_anything_of_is_dropped_whole(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [100, 99, 2])
    keep(database, raw=50)
    keep(database, "other", raw=60)
    steps = expire(notify)
    assert [step.readings for step in steps if step.dropped] == [360, 360]
    assert {day for stream in streams.values() for day in ages(owner, stream)} == {2}
    (chunks,) = owner.execute("SELECT count(*) FROM show_chunks('readings')").fetchall()
    assert chunks == (1,)


def contest(database: Database, stream: Stream, ages_days: list[int]) -> None:
    """Another value for the first reading of these days."""
    starts = [(NOW - timedelta(days=age)).replace(hour=3, minute=0, second=0) for age in ages_days]
    times_us = [int(start.timestamp() * 1e6) for start in starts]
    with psycopg.connect(database.url("ingest")) as conn:
        rows.append(conn, Batch.of(times_us, np.full(len(times_us), stream.id), np.full(len(times_us), 99.5)))


def contested(owner: Session, stream: Stream) -> set[int]:
    """How many days ago there are contested values of a stream."""
    found = owner.execute("SELECT time::date FROM contested WHERE stream_id = %s", [stream.id]).fetchall()
    return {(NOW.date() - day).days for (day,) in found}


def test_contested_values_go_with_the_readings_they_stood_beside(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    """Where a chunk still holds what is kept, they wait for it as the readings do; the ledger adds up all the same."""
    fill(database, streams, [100, 20, 2])
    for stream in streams.values():
        contest(database, stream, [100, 20, 2])
    assert retention.expire_contested(notify, 2) == 0, "nobody has said so"
    keep(database, raw=50, vibration=10, temperature=365)
    assert retention.expire_contested(notify, 2) == 0, "the readings are there"
    expire(notify)
    assert [retention.expire_contested(notify, 2) for _ in range(3)] == [2, 1, 0]
    assert contested(owner, streams["bearing_temperature"]) == {100, 20, 2}
    assert contested(owner, streams["vibration_velocity"]) == {2}
    assert contested(owner, streams["flow"]) == {20, 2}
    assert contested(owner, streams["fan"]) == {100, 20, 2}, "another tenant's"
    noted = owner.execute("SELECT tenant, device, sum(contested)::int FROM expired GROUP BY 1, 2").fetchall()
    assert noted == [("demo", "pump-1", 3)]
    figures = {(tenant, device): there for tenant, device, _, _, _, _, _, there, *_ in _figures(owner)}
    assert figures == {("demo", "pump-1"): 9, ("other", "fan-1"): 3}
    keep(database, raw=10)
    keep(database, "other", raw=10)
    expire(notify)
    while retention.expire_contested(notify, 100):
        pass
    (chunks,) = owner.execute("SELECT count(*) FROM show_chunks('contested')").fetchall()
    assert chunks == (1,), "chunks with nothing in them go"


def _figures(owner: Session) -> list[tuple[Any, ...]]:
    return owner.execute(queries("ledger")["figures"]).fetchall()


def pieces(owner: Session, device: str = "pump-1") -> list[tuple[int, int]]:
    """Boot and age in days of the pieces of a device's clock, the oldest first."""
    found = owner.execute(
        "SELECT boot, from_us FROM clock_pieces WHERE device = %s ORDER BY boot, from_us", [device]
    ).fetchall()
    return [(boot, (NOW.date() - datetime.fromtimestamp(from_us / 1e6, UTC).date()).days) for boot, from_us in found]


def mended(owner: Session, device: str, boot: int, ages_days: list[int], shift_days: int = 0) -> None:
    """Pieces of a clock that is behind by so many days, each used for an hour; `ages_days` are by its own time."""
    for age in ages_days:
        from_us = int((NOW - timedelta(days=age)).replace(hour=3, minute=0, second=0).timestamp() * 1e6)
        owner.execute(
            "INSERT INTO clock_pieces (tenant, device, boot, from_us, used_us, shift_us, made_at)"
            " SELECT tenant, device, %s, %s, %s, %s, %s FROM devices WHERE device = %s",
            [boot, from_us, from_us + 3_600_000_000, shift_days * 86_400_000_000, NOW - timedelta(days=age), device],
        )


def test_pieces_of_clocks_go_when_nothing_is_left_that_they_mended(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [130, 100, 20, 2])
    mended(owner, "pump-1", 1, [130, 100])
    mended(owner, "pump-1", 2, [400, 390], shift_days=380)  # by its own time; really 20 and 10 days ago
    mended(owner, "pump-1", 3, [110, 20, 101, 2])
    mended(owner, "fan-1", 1, [120, 110])
    keep(database, raw=50, vibration=10)
    keep(database, "other", raw=50)
    before = pieces(owner)
    assert retention.expire_clock_pieces(notify, 100) == 0, "the readings are there"
    expire(notify)
    keep(database, raw=50, vibration=10, temperature=365)
    assert retention.expire_clock_pieces(notify, 100) == 1
    assert pieces(owner, "fan-1") == [(1, 110)], "what comes next is mended from the last"
    assert pieces(owner) == before, "one of its points is kept"
    keep(database, raw=50, vibration=10)
    owner.execute(
        "INSERT INTO waveforms (id, time, tenant, device, axis, rate_hz, unit, scale, value_offset, sample_type,"
        " sample_count, received_at, packing, samples) VALUES (gen_random_uuid(), %s, 'demo', 'pump-1', 'x', 10000,"
        " 'g', 1, 0, 'i2', 1, now(), 0, '\\x0000')",
        [NOW - timedelta(days=105)],
    )
    assert retention.expire_clock_pieces(notify, 100) == 2, "from before the block"
    assert pieces(owner) == [(1, 100), (2, 400), (2, 390), (3, 101), (3, 20), (3, 2)]
    owner.execute("DELETE FROM waveforms")
    assert [retention.expire_clock_pieces(notify, 1) for _ in range(3)] == [1, 1, 0]
    assert pieces(owner) == [(2, 400), (2, 390), (3, 20), (3, 2)]


def test_a_run_loses_its_lowest_pieces_only(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    """Else stamps that the removed one was for would be mended by the piece below it, into what is kept."""
    fill(database, streams, [100, 2])
    mended(owner, "pump-1", -1, [130])
    mended(owner, "pump-1", -1, [128], shift_days=120)
    mended(owner, "pump-1", -1, [100, 2])
    keep(database, raw=50)
    expire(notify)
    assert retention.expire_clock_pieces(notify, 100) == 1
    assert pieces(owner) == [(-1, 128), (-1, 100), (-1, 2)]


def test_what_was_removed_is_noted_so_that_the_ledger_adds_up(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [100, 20, 2])
    keep(database, raw=50, vibration=10)
    keep(database, "other", raw=50)
    expire(notify)
    removed = expired(owner)
    left = dict[tuple[str, str], int](
        ((tenant, device), count)
        for tenant, device, count in owner.execute(
            "SELECT tenant, device, count(*) FROM readings JOIN streams s ON s.id = stream_id GROUP BY 1, 2"
        )
    )
    assert removed == {("demo", "pump-1"): 4 * 90, ("other", "fan-1"): 90}
    assert {key: left[key] + removed[key] for key in left} == {("demo", "pump-1"): 9 * 90, ("other", "fan-1"): 3 * 90}


def test_what_comes_after_its_time_goes_at_the_next_look_at_everything(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [100, 2])
    keep(database, flow=50)
    expire(notify)
    fill(database, {"flow": streams["flow"]}, [101, 100])
    retention.expire_afresh(notify)
    expire(notify)
    assert ages(owner, streams["flow"]) == {2}
    assert expired(owner) == {("demo", "pump-1"): 270}


def test_blocks_of_vibration_go_in_the_time_of_their_own_class(
    database: Database, notify: Session, owner: Session
) -> None:
    for tenant in ("demo", "other"):
        owner.execute(
            "INSERT INTO waveforms (id, time, tenant, device, axis, rate_hz, unit, scale, value_offset, sample_type,"
            " sample_count, received_at, packing, samples) SELECT gen_random_uuid(), now() - n * INTERVAL '1 day', %s,"
            " 'pump-1', 'x', 10000, 'g', 1, 0, 'i2', 1, now(), 0, '\\x0000' FROM generate_series(1, 20) n",
            [tenant],
        )
    assert retention.expire_waveforms(notify, 3) == 0, "nobody has said so"
    keep(database, waveforms=10, raw=1)
    assert [retention.expire_waveforms(notify, 3) for _ in range(5)] == [3, 3, 3, 2, 0]
    left = owner.execute("SELECT tenant, count(*) FROM waveforms GROUP BY 1 ORDER BY 1").fetchall()
    assert left == [("demo", 9), ("other", 20)]
    keep(database, "other", waveforms=10)
    while retention.expire_waveforms(notify, 100):
        pass
    (chunks,) = owner.execute("SELECT count(*) FROM show_chunks('waveforms')").fetchall()
    assert chunks[0] < 12, "chunks with nothing in them go"


# Roll-ups -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["readings_1m", "readings_1h"])
def test_rollups_outlive_their_readings(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream], view: str
) -> None:
    """The trap of timescaledb#4328: what is refreshed after its readings were removed is wiped."""
    fill(database, streams, [100, 20, 2])
    refresh(owner)
    before = rollups(owner, view)
    assert len(before) == 3 * 4 * (90 if view == "readings_1m" else 2)
    keep(database, raw=50, vibration=10)
    keep(database, "other", raw=50)
    expire(notify)
    assert rollups(owner, view) == before
    refresh(owner)
    assert rollups(owner, view) == before
    # A reading that comes late beside removed ones makes their time be computed anew: theirs must not be.
    late = {"flow": streams["flow"]}
    put(database, late["flow"], [int((NOW - timedelta(days=20, hours=1)).timestamp() * 1e6)])
    refresh(owner)
    assert {row[:2] for row in before} <= {row[:2] for row in rollups(owner, view)}
    vibration = [row for row in before if row[0] == streams["vibration_velocity"].id]
    assert [row for row in rollups(owner, view) if row[0] == streams["vibration_velocity"].id] == vibration


@pytest.mark.parametrize("weeks", [2, 3, 12])
def test_readings_that_come_weeks_late_are_in_their_rollups(
    database: Database, owner: Session, streams: dict[str, Stream], weeks: int
) -> None:
    """The trap of timescaledb#7960: what lies before the window of a refresh is never in it."""
    fill(database, streams, [7 * weeks + 1, 7 * weeks - 1, 1])
    run_policies(owner)
    fill(database, {"flow": streams["flow"]}, [7 * weeks])
    run_policies(owner)
    for view, width in (("readings_1m", "1 minute"), ("readings_1h", "1 hour")):
        right = owner.execute(
            "SELECT stream_id, time_bucket(%s::interval, time), count(*), min(value), max(value), avg(value),"
            " last(value, time) FROM readings GROUP BY 1, 2 ORDER BY 1, 2",
            [width],
        ).fetchall()
        assert rollups(owner, view) == right


def run_policies(conn: Session) -> None:
    """Run the very jobs that the server would run within minutes; it may be at one of them itself."""
    for (job,) in conn.execute(
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    ).fetchall():
        until(lambda job=job: ran(conn, job))


def ran(conn: Session, job: int) -> bool:
    try:
        conn.execute("CALL run_job(%s)", [job])
    except (errors.LockNotAvailable, errors.ObjectNotInPrerequisiteState):
        return False
    return True


# Under pressure -------------------------------------------------------------------------------------------------------


def test_ingest_never_waits_for_it(database: Database, notify: Session, streams: dict[str, Stream]) -> None:
    """While steps are under way, and while one waits for a chunk that somebody reads, readings are stored."""
    fill(database, streams, [100, 99, 98, 2])
    keep(database, raw=50)
    keep(database, "other", raw=50)
    waited: list[errors.LockNotAvailable] = []
    stop = threading.Event()

    def live() -> None:
        second = int(NOW.timestamp())
        try:
            while not stop.is_set():
                second += 1
                put(database, streams["flow"], [second * 1_000_000], lock_timeout_ms=1500)
        except errors.LockNotAvailable as error:
            waited.append(error)

    with database.owner() as reader:
        reader.autocommit = False
        reader.execute("SELECT count(*) FROM readings")  # holds every chunk against being dropped
        writer = threading.Thread(target=live)
        writer.start()
        steps = expire(notify)
        stop.set()
        writer.join()
        assert steps
        assert not [step for step in steps if step.dropped], "somebody reads it"
        assert not waited
    assert [step.readings for step in expire(notify) if step.dropped] == [360, 360, 360], "later, when nobody does"


def test_a_step_killed_half_way_leaves_everything_as_it_was(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [100, 2])
    keep(database, raw=50)
    with psycopg.connect(database.url("notify")) as conn:
        assert retention.expire_some(conn, 2)
        conn.rollback()
    assert expired(owner) == {}
    assert ages(owner, streams["flow"]) == {100, 2}
    expire(notify)
    assert expired(owner) == {("demo", "pump-1"): 270}


def test_the_caretaker_does_all_of_it_and_nobody_else_may(
    database: Database, owner: Session, streams: dict[str, Stream]
) -> None:
    fill(database, streams, [100, 2])
    contest(database, streams["flow"], [100, 2])
    mended(owner, "pump-1", 1, [100, 2])
    keep(database, raw=50)
    care = StorageCare(database.url("notify"))
    thread = threading.Thread(target=care.run)
    thread.start()
    try:
        until(lambda: ages(owner, streams["flow"]) == contested(owner, streams["flow"]) == {2})
        until(lambda: pieces(owner) == [(1, 2)])
    finally:
        care.stop()
        thread.join(60)
    assert not thread.is_alive()
    for role in ("ingest", "api"):
        with psycopg.connect(database.url(role), autocommit=True) as conn:
            calls = (
                "expire_some(1)",
                "expire_contested(1)",
                "expire_clock_pieces(1)",
                "expire_afresh()",
                "widen_chunks(24)",
            )
            for call in calls:
                with pytest.raises(errors.InsufficientPrivilege):
                    conn.execute(f"SELECT * FROM {call}")  # noqa: S608  (a call of the test's own)


def test_the_age_at_which_chunks_are_compressed_is_the_operators(
    database: Database, owner: Session, streams: dict[str, Stream]
) -> None:
    if edition(owner) != "community":
        assert not retention.compress_after(owner, 3), "nothing is compressed here, and nothing fails"
        return
    assert not retention.compress_after(owner, 8), "as it comes"
    assert retention.compress_after(owner, 15)
    assert not retention.compress_after(owner, 15)
    fill(database, streams, [20, 10])
    for (job,) in owner.execute(
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'"
    ).fetchall():
        until(lambda job=job: ran(owner, job))
    chunks = (
        "SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'readings'"
        " ORDER BY range_start"
    )
    assert owner.execute(chunks).fetchall() == [(True,), (False,)]


# The width of a chunk -------------------------------------------------------------------------------------------------


def seen(per_s: float, memory_gib: float, now: int = 24, shortest: int | None = None, hours: int = 24) -> Measured:
    return Measured(int(per_s * 3600 * hours), hours, int(memory_gib * GIB), now, shortest)


@pytest.mark.parametrize(
    ("measured", "hours"),
    [
        (seen(100, 1), 24),  # 0.99 GB a day
        (seen(1000, 1), 2),
        (seen(1000, 8), 24),  # 20 h would fit: near enough to stay
        (seen(100_000, 1), 1),  # never less than an hour
        (seen(0.1, 1), 720),  # never more than a month
        (seen(0.1, 1, shortest=15), 72),  # what is kept for days is removed by the day
        (seen(0.1, 1, shortest=1), 6),
        (seen(1000, 1, hours=23), 24),  # a day must have been seen
        (seen(0, 1), 720),
    ],
)
def test_chunks_are_as_wide_as_fits_a_quarter_of_the_memory(measured: Measured, hours: int) -> None:
    assert chunk_hours(measured) == hours


def test_the_width_does_not_flap() -> None:
    """A rate that swings by half around the one that a width was chosen for changes nothing, and a width once chosen
    is chosen again."""
    for per_s in np.geomspace(0.01, 50_000, 200):
        chosen = chunk_hours(seen(per_s, 2))
        assert chunk_hours(seen(per_s, 2, chosen)) == chosen
        moved = chunk_hours(seen(per_s, 2, 1 if chosen > 3 else 24))
        for factor in (0.8, 1.0, 1.25, 1.5):
            assert chunk_hours(seen(per_s * factor, 2, moved)) == moved, (per_s, factor)


def test_the_caretaker_sets_the_width_that_the_rate_asks_for(
    database: Database, notify: Session, owner: Session
) -> None:
    with owner.transaction():
        owner.execute(
            "INSERT INTO ledger (tenant, device, hour, stored) SELECT 'demo', 'pump-1',"
            " date_trunc('hour', now()) - n * INTERVAL '1 hour', 360000000 FROM generate_series(1, 24) n"
        )
    StorageCare(database.url("notify")).round(notify)
    found = retention.measured(notify)
    assert found.chunk_hours in CHUNK_HOURS
    assert found.chunk_hours == chunk_hours(found) < 24


# Who decides ----------------------------------------------------------------------------------------------------------


def test_an_administrator_says_how_long_what_is_kept(api: RunningApi) -> None:
    mine, others = api.client(), api.client(tenant="other")
    path = "/api/v1/retention"
    said = ok(mine.put(path, json={"keep_days": {"raw": 365, "vibration": 90}}))
    assert {item["name"]: item["keep_days"] for item in said["items"]} == {"raw": 365, "vibration": 90}
    assert ok(others.get(path))["items"] == []
    ok(mine.put(path, json={"keep_days": {"raw": 365}}))
    assert [item["name"] for item in ok(mine.get(path))["items"]] == ["raw"]
    for wrong in ({"colour": 3}, {"raw": 0}, {"raw": 1.5}, {"raw": 40_000}):
        refused(mine.put(path, json={"keep_days": wrong}), 422)
    refused(api.client(Role.MANAGER).put(path, json={"keep_days": {}}), 403)
    assert [item["name"] for item in ok(mine.get(path))["items"]] == ["raw"]


# Assessments ----------------------------------------------------------------------------------------------------------


def assessed(owner: Session, device: str, days: list[int], healths: tuple[int, ...] = (80, 60, 60, 70)) -> None:
    """Four hours of health, and as many prognoses, on each of these days ago."""
    for age in days:
        for hour, health in enumerate(healths):
            at = (NOW - timedelta(days=age)).replace(hour=9 + hour, minute=0, second=0)
            owner.execute(
                "INSERT INTO health SELECT id, %s, tenant, %s, %s, 'flow' FROM devices WHERE device = %s",
                [at, health, health, device],
            )
            owner.execute(
                "INSERT INTO prognoses (device_id, hour, tenant, abstains, worst_point, failures)"
                " SELECT id, %s, tenant, '', 'flow', 0 FROM devices WHERE device = %s",
                [at, device],
            )


def hours_left(owner: Session, table: str, device: str) -> dict[int, list[int]]:
    """By how many days ago: the hours of the day that are there."""
    found = owner.execute(
        sql.SQL("SELECT hour FROM {} t JOIN devices d ON d.id = t.device_id WHERE d.device = %s ORDER BY 1").format(
            sql.Identifier(table)
        ),
        [device],
    ).fetchall()
    left: dict[int, list[int]] = {}
    for (at,) in found:
        left.setdefault((NOW.date() - at.astimezone(UTC).date()).days, []).append(at.astimezone(UTC).hour)
    return left


def test_assessments_end_after_a_year_and_of_health_the_lowest_hour_of_a_day_stays(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream]
) -> None:
    for device in ("pump-1", "fan-1"):
        assessed(owner, device, [900, 400, 364, 40, 2])
    keep(database, "other", assessments=30)
    every = [9, 10, 11, 12]
    removed = retention.expire_assessments(notify, retention.machines(notify, 0, 100))
    assert hours_left(owner, "prognoses", "pump-1") == {364: every, 40: every, 2: every}
    assert hours_left(owner, "health", "pump-1") == {900: [11], 400: [11], 364: every, 40: every, 2: every}
    assert hours_left(owner, "prognoses", "fan-1") == {2: every}, "as its tenant says"
    assert hours_left(owner, "health", "fan-1") == {900: [11], 400: [11], 364: [11], 40: [11], 2: every}
    assert removed == 2 * 4 + 2 * 3 + 4 * 4 + 4 * 3
    assert retention.expire_assessments(notify, retention.machines(notify, 0, 100)) == 0


def test_the_caretaker_removes_assessments_of_every_machine_once_a_day(
    database: Database, notify: Session, owner: Session, streams: dict[str, Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.storage._ASSESSED_AT_ONCE", 1)
    care = StorageCare(database.url("notify"))
    for device in ("pump-1", "fan-1"):
        assessed(owner, device, [400])
    care.round(notify)
    assert hours_left(owner, "prognoses", "pump-1") == hours_left(owner, "prognoses", "fan-1") == {}
    assessed(owner, "pump-1", [401])
    care.round(notify)
    assert hours_left(owner, "prognoses", "pump-1") == {401: [9, 10, 11, 12]}, "tomorrow"
    monkeypatch.setattr("notify.storage.ASSESSMENTS_EVERY_S", 0.0)
    care.round(notify)
    assert hours_left(owner, "prognoses", "pump-1") == {}
