"""The store against the real server: every reading once, the ledger exact, and each role held to its rights."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors, sql
from servers import PASSWORDS, TENANTS, Database
from waiting import until

import store.telemetry as rows
from store import ledger, presence, rejects
from store.connection import Session, act_for
from store.errors import Misconfigured
from store.migrate import edition, migrate, migrations, pending
from store.rejects import Refusal, Reject, Room
from store.telemetry import Fate, Status
from telemetry import Batch, Quality, Stream, StreamKey

START_US = 1_782_907_200_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def ingest(database: Database) -> Iterator[Session]:
    """What ingest's own role may do, in a transaction that each test ends as it likes."""
    with psycopg.connect(database.url("ingest"), options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def streams(ingest: Session) -> list[Stream]:
    keys = [StreamKey("demo", device, point) for device in ("pump-1", "pump-2") for point in ("flow", "pressure")]
    found = sorted(rows.add_streams(ingest, keys), key=lambda stream: stream.key)
    ingest.commit()
    return found


def a_batch(stream: int, seconds: range, quality: int = 0) -> Batch:
    times = [START_US + second * 1_000_000 for second in seconds]
    return Batch.of(times, [stream] * len(times), [float(second) for second in seconds], [quality] * len(times))


def stored(conn: Session, stream: int) -> list[tuple[datetime, float, int]]:
    return conn.execute(
        "SELECT time, value, quality FROM readings WHERE stream_id = %s ORDER BY time", [stream]
    ).fetchall()


def contested(conn: Session, stream: int) -> list[tuple[int, float, int]]:
    """What is kept beside another value: seconds from the start, value, quality."""
    return [
        (int((time - EPOCH).total_seconds() - START_US / 1e6), value, quality)
        for time, value, quality in conn.execute(
            "SELECT time, value, quality FROM contested WHERE stream_id = %s ORDER BY time, value", [stream]
        )
    ]


# Readings -------------------------------------------------------------------------------------------------------------


def test_readings_are_stored_as_they_are(ingest: Session, streams: list[Stream]) -> None:
    (a, b, *_) = streams
    values = [0.1, -0.0, 5e-324, 1.7e308, -1e-17]
    times = [START_US + i for i in range(len(values))]
    batch = Batch.of([*times, START_US], [a.id] * 5 + [b.id], [*values, 2.5], [0, 1, 2, 4, 8, 0])
    appended = rows.append(ingest, batch)
    assert stored(ingest, a.id) == [
        (EPOCH + timedelta(microseconds=time), value, quality)
        for time, value, quality in zip(times, values, [0, 1, 2, 4, 8], strict=True)
    ]
    assert appended.fate.tolist() == [Fate.STORED] * 6
    assert stored(ingest, b.id) == [(EPOCH + timedelta(microseconds=START_US), 2.5, 0)]


def test_what_is_stored_already_stays_as_it_was(ingest: Session, streams: list[Stream]) -> None:
    a, b = streams[0].id, streams[1].id
    rows.append(ingest, a_batch(a, range(10)))
    again = Batch.concat([a_batch(a, range(5, 15), Quality.LATE), a_batch(b, range(3))])
    changed = Batch(again.time_us, again.stream, again.value + 100, again.quality)
    appended = rows.append(ingest, changed)
    assert appended.fate[again.stream == a].tolist() == [Fate.CONTESTED] * 5 + [Fate.STORED] * 5
    assert appended.fate[again.stream == b].tolist() == [Fate.STORED] * 3
    assert [value for _, value, _ in stored(ingest, a)] == [*range(10), *range(110, 115)]
    appended = rows.append(ingest, changed)
    assert appended.fate.tolist() == [Fate.DUPLICATE] * 13
    assert contested(ingest, a) == [
        (second, 100.0 + second, Quality.LATE | Quality.CONTESTED) for second in range(5, 10)
    ]


def test_distinct_values_of_one_time_are_all_kept_however_they_come(ingest: Session, streams: list[Stream]) -> None:
    a = streams[0].id

    def readings(*values: float) -> Batch:
        size = len(values)
        return Batch(np.full(size, START_US), np.full(size, a, np.int32), np.array(values), np.zeros(size, np.uint8))

    first = rows.append(ingest, readings(1.0, 2.0, 1.0, 3.0, 2.0))
    assert sorted(first.fate.tolist()) == [Fate.STORED, *[Fate.DUPLICATE] * 2, *[Fate.CONTESTED] * 2]
    assert first.batch.value.tolist() == [1.0]
    assert [value for _, value, _ in stored(ingest, a)] == [1.0]
    assert [value for _, value, _ in contested(ingest, a)] == [2.0, 3.0]
    assert rows.append(ingest, readings(3.0, 1.0, 2.0)).fate.tolist() == [Fate.DUPLICATE] * 3
    assert rows.append(ingest, readings(2.0, 4.0)).fate.tolist() == [Fate.DUPLICATE, Fate.CONTESTED]
    assert [value for _, value, _ in contested(ingest, a)] == [2.0, 3.0, 4.0]


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), max_size=12), max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_the_order_each_distinct_value_is_kept_once(
    ingest: Session, streams: list[Stream], deliveries: list[list[tuple[int, int, int]]]
) -> None:
    with ingest.transaction(force_rollback=True):
        numbers = [streams[0].id, streams[1].id]
        model: dict[tuple[int, int], list[float]] = {}
        for delivery in deliveries:
            columns = Batch(
                np.array([START_US + second * 1_000_000 for second, _, _ in delivery], np.int64),
                np.array([numbers[stream] for _, stream, _ in delivery], np.int32),
                np.array([float(value) for _, _, value in delivery]),
                np.zeros(len(delivery), np.uint8),
            )
            fates = rows.append(ingest, columns).fate.tolist()
            expected = []
            for second, stream, value in delivery:
                there = model.setdefault((stream, second), [])
                expected.append(Fate.DUPLICATE if value in there else Fate.CONTESTED if there else Fate.STORED)
                if value not in there:
                    there.append(float(value))
            assert sorted(fates) == sorted(expected)
        for index, stream in enumerate(numbers):
            standing = [there[0] for (of, _), there in sorted(model.items()) if of == index]
            beside = [v for (of, _), there in sorted(model.items()) if of == index for v in sorted(there[1:])]
            assert [value for _, value, _ in stored(ingest, stream)] == standing
            assert [value for _, value, _ in contested(ingest, stream)] == beside


def test_the_fast_way_goes_on_in_the_same_transaction_after_the_slow_one(
    ingest: Session, streams: list[Stream]
) -> None:
    """The stage is empty again after each use: nothing is stored twice, nothing is left over for the next."""
    a = streams[0].id
    for seconds, new in ((range(5), 5), (range(3, 8), 3), (range(8, 10), 2), (range(12), 2)):
        assert rows.append(ingest, a_batch(a, seconds)).readings == new
    ingest.commit()
    assert rows.append(ingest, a_batch(a, range(13))).readings == 1
    ingest.rollback()
    assert len(stored(ingest, a)) == 12


@pytest.mark.parametrize("seconds", [range(5), range(3, 8)], ids=["all new", "some stored"])
def test_something_else_is_done_while_the_database_copies(
    database: Database, ingest: Session, streams: list[Stream], seconds: range
) -> None:
    """The table is let go by what is done meanwhile: done before or after the copying, it would wait for ever."""
    a = streams[0].id
    rows.append(ingest, a_batch(a, range(3, 5) if seconds.start else range(0)))
    ingest.commit()
    with psycopg.connect(database.owner_url) as holder, database.owner() as owner:
        holder.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")

        def let_go() -> None:
            sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            until(lambda: owner.execute(sql).fetchone() is not None)
            holder.rollback()

        appended = rows.append(ingest, a_batch(a, seconds), let_go)
    assert appended.readings == len(seconds) - (2 if seconds.start else 0)
    assert len(stored(ingest, a)) == len(seconds)


def test_an_empty_batch_is_no_work(ingest: Session) -> None:
    assert rows.append(ingest, Batch.empty()).readings == 0


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62),
            st.integers(-(2**31), 2**31 - 1),
            st.floats(allow_nan=False),
            st.integers(0, 255),
        ),
        max_size=20,
    )
)
def test_copy_s_bytes_are_those_of_the_driver(readings: list[tuple[int, int, float, int]]) -> None:
    """psycopg's own encoder is the slow, obvious version of ours."""
    times, ids, values, qualities = zip(*readings, strict=True) if readings else ((), (), (), ())
    batch = Batch(
        np.array(times, np.int64), np.array(ids, np.int32), np.array(values, float), np.array(qualities, np.uint8)
    )
    driver = psycopg.adapters
    int8, int4, int2, float8 = (
        driver.get_dumper_by_oid(psycopg.adapters.types[name].oid, psycopg.pq.Format.BINARY)
        for name in ("int8", "int4", "int2", "float8")
    )

    def field(dumper: type, name: str, value: float) -> bytes:
        data = bytes(dumper(type(value)).dump(value) or b"")
        return len(data).to_bytes(4, "big") + data

    wanted = io.BytesIO()
    wanted.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for time, stream, value, quality in readings:
        wanted.write((4).to_bytes(2, "big"))
        wanted.write(field(int8, "int8", time - 946_684_800_000_000))
        wanted.write(field(int4, "int4", stream))
        wanted.write(field(float8, "float8", value))
        wanted.write(field(int2, "int2", quality))
    wanted.write(b"\xff\xff")
    assert bytes(rows.encode(batch)) == wanted.getvalue()


def test_readings_after_a_crash_come_back_in_parts_and_in_order(
    ingest: Session, streams: list[Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = streams[0].id, streams[1].id
    rows.append(ingest, Batch.concat([a_batch(a, range(10)), a_batch(b, range(4, 8))]))
    rows.append(ingest, a_batch(a, range(20, 22), Quality.LATE))
    monkeypatch.setattr(rows, "CATCH_UP_READINGS", 5)
    last = {a: START_US + 2_000_000, b: 0}
    got: list[tuple[int, int]] = []
    while len(batch := rows.readings_after(ingest, last, int(Quality.LATE | Quality.FUTURE))):
        assert len(batch) <= 5
        for time, stream in zip(batch.time_us.tolist(), batch.stream.tolist(), strict=True):
            assert time > last[stream]
            last[stream] = max(last[stream], time)
            got.append((stream, (time - START_US) // 1_000_000))
    assert sorted(got) == sorted([(a, s) for s in range(3, 10)] + [(b, s) for s in range(4, 8)])


# Streams, ledger, rejects, status -------------------------------------------------------------------------------------


def test_streams_are_made_once_with_the_quantity_of_their_name(ingest: Session) -> None:
    keys = [StreamKey("demo", "pump-9", point) for point in ("bearing_temperature", "flow", "Ölstand?")]
    first = {stream.point: stream for stream in rows.add_streams(ingest, keys)}
    second = {stream.point: stream for stream in rows.add_streams(ingest, [*keys, StreamKey("demo", "pump-9", "new")])}
    assert {point: second[point] for point in first} == first
    assert (first["bearing_temperature"].quantity, first["bearing_temperature"].unit) == ("temperature", "degC")
    assert (first["Ölstand?"].quantity, first["Ölstand?"].unit) == ("unknown", "")
    assert len({stream.machine for stream in second.values()}) == 1


def test_two_that_meet_the_same_stream_at_once_get_the_same_number(database: Database) -> None:
    with psycopg.connect(database.url("ingest")) as one, psycopg.connect(database.url("ingest")) as two:
        keys = [StreamKey("demo", "pump-9", "flow")]
        (first,) = rows.add_streams(one, keys)
        one.commit()
        (second,) = rows.add_streams(two, keys)
        two.commit()
        assert first == second


def test_the_journal_says_what_was_noted_and_settling_empties_it(ingest: Session, streams: list[Stream]) -> None:
    hour_us = START_US - START_US % 3_600_000_000
    machine = streams[0].machine
    counted = np.array([(machine, 7, 3, True), (machine, -1, 2**62, False)], ledger.COUNTED)
    entry = ledger.Entry(
        hour_us, {machine: ledger.tally(messages=2, stored=20)}, {"": ledger.tally(messages=1, rejected=1)}, counted
    )
    ledger.note(ingest, entry)
    ledger.note(ingest, ledger.Entry(hour_us))  # nothing, and no row
    (found,) = ledger.journal(ingest)
    assert found.at_us == hour_us
    assert found.tallies[machine].tolist() == ledger.tally(messages=2, stored=20).tolist()
    assert found.others[""].tolist() == ledger.tally(messages=1, rejected=1).tolist()
    assert found.counted.tolist() == counted.tolist()

    row = ledger.SequenceRow(machine, 7, "demo", 0, 4, [(6, 9), (11, 12)], [(2, 3)], 1, 0, 0, START_US)
    for _ in range(2):
        ledger.settle(
            ingest,
            {
                ("demo", "pump-1", hour_us): ledger.tally(messages=2, stored=20, missing=1),
                ("demo", "pump-1", hour_us + 3_600_000_000): ledger.tally(messages=5),
                ("demo", "", hour_us): ledger.tally(messages=1),
            },
            [row],
            [],
        )
    assert ingest.execute("SELECT count(*) FROM journal").fetchall() == [(0,)]
    assert list(ledger.runs(ingest)) == [row]
    assert ingest.execute("SELECT device, messages, stored, missing FROM ledger ORDER BY device, hour").fetchall() == [
        ("", 2, 0, 0),
        ("pump-1", 4, 40, 2),
        ("pump-1", 10, 0, 0),
    ]
    ledger.settle(ingest, {}, [], [(machine, 7)])
    assert list(ledger.runs(ingest)) == []


def test_verifying_finds_what_the_ledger_does_not_say(
    ingest: Session, streams: list[Stream], database: Database
) -> None:
    hour_us = START_US - START_US % 3_600_000_000
    rows.append(ingest, a_batch(streams[0].id, range(10)))
    good = ledger.tally(messages=1, messages_stored=1, stored=10)
    ledger.settle(ingest, {("demo", "pump-1", hour_us): good}, [], [])
    ingest.commit()
    with database.owner() as owner:
        assert ledger.verify(owner) == (1, [])
        owner.commit()
        owner.execute("DELETE FROM readings WHERE time = (SELECT max(time) FROM readings)")
        owner.execute("UPDATE ledger SET messages = messages + 1")
        owner.commit()
        assert [(d.device, d.what, d.ledger, d.tables) for d in ledger.verify(owner)[1]] == [
            ("pump-1", "messages, and their fates", 2, 1),
            ("pump-1", "readings stored", 10, 9),
        ]


def test_a_reject_keeps_its_reason_and_its_first_bytes(ingest: Session, database: Database) -> None:
    rubbish = b"\0\xff" * 50_000
    refusals = [
        Refusal(Reject("a\0topic", rubbish, "no\0good", "demo", "pump-1"), 0, "", START_US, True),
        Refusal(Reject("t", b"", "nothing"), 1, "", START_US, True),
    ]
    rejects.add(ingest, refusals, START_US, Room())
    ingest.commit()
    with database.owner() as owner:
        found = owner.execute(
            "SELECT tenant, device, topic, payload, bytes, reason FROM rejects ORDER BY bytes"
        ).fetchall()
    assert found == [
        (None, None, "t", b"", 0, "nothing"),
        ("demo", "pump-1", "a\\0topic", rubbish[:4096], 100_000, "no\\0good"),
    ]


def test_of_several_statuses_the_last_counts_and_silence_about_a_thing_keeps_it(ingest: Session) -> None:
    presence.note_status(ingest, [Status("demo", "pump-1", True, START_US, kind="pump", firmware="1.4.2")])
    presence.note_status(
        ingest,
        [
            Status("demo", "pump-1", True, START_US + 1, site="A", firmware="1.5.0"),
            Status("demo", "pump-1", False, START_US + 2),
        ],
    )
    presence.note_status(ingest, [])
    found = ingest.execute("SELECT kind, site, firmware, online, online_at FROM devices").fetchall()
    assert found == [("pump", "A", "1.5.0", False, EPOCH + timedelta(microseconds=START_US + 2))]


def test_only_one_ingest_holds_a_database(database: Database) -> None:
    with psycopg.connect(database.url("ingest"), autocommit=True) as one:
        assert rows.hold_ingest(one)
        with psycopg.connect(database.url("ingest"), autocommit=True) as two:
            assert not rows.hold_ingest(two)
    with psycopg.connect(database.url("ingest"), autocommit=True) as three:
        assert rows.hold_ingest(three)


# Rights ---------------------------------------------------------------------------------------------------------------

FORBIDDEN = {
    "ingest": (
        "SELECT * FROM tickets",
        "SELECT * FROM users",
        "SELECT * FROM api_keys",
        "UPDATE readings SET value = 0",
        "DELETE FROM readings",
        "DELETE FROM alarms",
        "DELETE FROM rejects",
        "UPDATE ledger SET messages = 0 RETURNING (SELECT count(*) FROM users)",
        "UPDATE rules SET enabled = false",
        "INSERT INTO tenants VALUES ('mine', 'Mine')",
    ),
    "api": (
        "SELECT * FROM readings",
        "SELECT * FROM readings_1m",
        "SELECT * FROM rejects",
        "INSERT INTO readings VALUES (now(), 1, 1, 0)",
        "DELETE FROM tickets",
        "DELETE FROM alarm_events",
        "UPDATE alarm_events SET who = 'nobody'",
        "UPDATE ticket_events SET who = 'nobody'",
        "UPDATE rules SET enabled = false",
        "UPDATE devices SET tenant = 'other'",
        "SELECT * FROM detector_state",
        "SELECT drop_chunks('readings', now())",
    ),
    "notify": (
        "DELETE FROM readings",
        "SELECT * FROM users",
        "INSERT INTO tickets DEFAULT VALUES",
        "UPDATE tickets SET state = 'closed'",
        "DELETE FROM alarms",
    ),
}
EVERYBODY = (
    "DROP TABLE readings",
    "TRUNCATE tickets",
    "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY",
    "CREATE TABLE mine (a int)",
    "SELECT * FROM pg_authid",
    "COPY tenants TO PROGRAM 'true'",
    "SET ROLE postgres",
)


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_may_not_do_what_is_not_its_work(module_database: Database, role: str) -> None:
    with psycopg.connect(module_database.url(role), autocommit=True) as conn:
        act_for(conn, "demo")
        for statement in FORBIDDEN[role] + EVERYBODY:
            with pytest.raises((errors.InsufficientPrivilege, errors.InvalidParameterValue, errors.UndefinedObject)):
                conn.execute(statement)


@pytest.fixture(scope="module")
def two_tenants(module_database: Database) -> Database:
    """The same things in both tenants, one reading and one reject each."""
    with psycopg.connect(module_database.url("ingest")) as conn:
        for tenant in TENANTS:
            (stream,) = rows.add_streams(conn, [StreamKey(tenant, "pump-1", "flow")])
            rows.append(conn, a_batch(stream.id, range(3)))
            bad = Refusal(Reject("t", b"x", "bad", tenant, "pump-1"), 0, "", START_US, True)
            rejects.add(conn, [bad], START_US, Room())
            hour = {(tenant, "pump-1", START_US): ledger.tally(messages=1, stored=3, rejected=1)}
            ledger.settle(conn, hour, [], [])
    return module_database


SEEN_BY_TENANT = {
    "tenants": "SELECT id FROM tenants",
    "devices": "SELECT tenant FROM devices",
    "streams": "SELECT tenant FROM streams",
    "ledger": "SELECT tenant FROM ledger",
    "rejects": "SELECT tenant FROM tenant_rejects",
    "readings": "SELECT s.tenant FROM tenant_readings r JOIN streams s ON s.id = r.stream_id",
    "minutes": "SELECT s.tenant FROM tenant_readings_1m r JOIN streams s ON s.id = r.stream_id",
    "hours": "SELECT s.tenant FROM tenant_readings_1h r JOIN streams s ON s.id = r.stream_id",
    "latest": "SELECT s.tenant FROM latest_readings('{1,2,3,4,5,6}', '-infinity') l JOIN streams s ON s.id = l.stream",
}


@pytest.mark.parametrize("what", SEEN_BY_TENANT)
def test_the_api_sees_one_tenant_s_rows_and_without_a_tenant_none(two_tenants: Database, what: str) -> None:
    with psycopg.connect(two_tenants.url("api"), autocommit=True) as conn:
        assert conn.execute(SEEN_BY_TENANT[what]).fetchall() == []
        for tenant in TENANTS:
            with conn.transaction():
                act_for(conn, tenant)
                assert set(conn.execute(SEEN_BY_TENANT[what]).fetchall()) == {(tenant,)}
        assert conn.execute(SEEN_BY_TENANT[what]).fetchall() == []


def test_the_api_cannot_write_into_another_tenant(two_tenants: Database) -> None:
    with psycopg.connect(two_tenants.url("api"), autocommit=True) as conn, conn.transaction():
        act_for(conn, "demo")
        assert conn.execute("UPDATE devices SET site = 'X' WHERE tenant = 'other'").rowcount == 0
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"), conn.transaction():
            conn.execute(
                "INSERT INTO rules (tenant, id, version, rule, created_by) VALUES ('other', 'a', 1, '{}', 'me')"
            )


def test_a_view_s_function_cannot_peek_at_other_tenants(two_tenants: Database) -> None:
    """A barrier: a cheap function in the condition is not given the rows that the view would hide."""
    with psycopg.connect(two_tenants.url("api"), autocommit=True) as conn, conn.transaction():
        act_for(conn, "demo")
        conn.execute("SELECT count(*) FROM tenant_rejects WHERE 1 / (CASE WHEN tenant = 'other' THEN 0 ELSE 1 END) = 1")
        conn.execute("SELECT count(*) FROM tenant_readings WHERE value > -1")


def test_every_table_of_a_tenant_s_has_row_level_security(module_database: Database) -> None:
    """Whoever adds a table must say whose rows are whose."""
    with module_database.owner() as conn:
        open_to_api = conn.execute(
            """
            SELECT c.relname FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT c.relrowsecurity
              AND has_table_privilege('bellwether_api', c.oid, 'SELECT')
            """
        ).fetchall()
    assert open_to_api == []


# Schema ---------------------------------------------------------------------------------------------------------------


def test_migrating_twice_does_nothing_the_second_time(empty_database: Database) -> None:
    with empty_database.owner() as conn:
        assert pending(conn) == len(migrations("apache"))
        reports: list[str] = []
        applied = migrate(conn, PASSWORDS, TENANTS, reports.append)
        assert applied == len(reports) == len(migrations(edition(conn)))
        assert pending(conn) == 0
        assert migrate(conn, PASSWORDS, TENANTS) == 0


def test_a_migration_that_was_changed_afterwards_stops_the_start(database: Database) -> None:
    with database.owner() as conn:
        conn.execute("UPDATE schema_migrations SET checksum = 'another' WHERE version = 1")
        with pytest.raises(Misconfigured, match=r"migration 001_\w+ was changed after this database had applied it"):
            migrate(conn, PASSWORDS, TENANTS)


def test_a_migration_that_fails_leaves_no_trace(empty_database: Database) -> None:
    with empty_database.owner() as conn:
        conn.execute("CREATE TABLE outbox (a int)")
        with pytest.raises(errors.DuplicateTable):
            migrate(conn, PASSWORDS, TENANTS)
        assert conn.execute("SELECT to_regclass('tenants')").fetchone() == (None,)
        conn.execute("DROP TABLE outbox")
        migrate(conn, PASSWORDS, TENANTS)
        assert pending(conn) == 0


def test_both_editions_have_a_file_for_each_version() -> None:
    apache, community = (
        [(migration.version, migration.name) for migration in migrations(name)] for name in ("apache", "community")
    )
    assert apache == community


COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name NOT LIKE '%%chunk%%' ORDER BY 1, ordinal_position
"""


def test_both_editions_make_the_same_columns(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, another_database: Callable[[], Database]
) -> None:
    """On a community server its own files and those of the Apache edition, which it can run too."""
    with empty_database.owner() as conn:
        conn.execute("CREATE EXTENSION timescaledb")
        if edition(conn) != "community":
            pytest.skip("this server is of the Apache edition: set TEST_DSN to one of the community edition")
        migrate(conn, PASSWORDS, TENANTS)
        community = conn.execute(COLUMNS).fetchall()
    monkeypatch.setattr("store.migrate.edition", lambda _: "apache")
    with another_database().owner() as conn:
        migrate(conn, PASSWORDS, TENANTS)
        assert conn.execute(COLUMNS).fetchall() == community


def test_rollups_are_of_the_promised_columns_whatever_the_edition(module_database: Database) -> None:
    with module_database.owner() as conn:
        for name in ("readings_1m", "readings_1h"):
            with conn.cursor() as cursor:
                cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(name)))
                assert [column.name for column in cursor.description or ()] == [
                    *("bucket", "stream_id", "n", "min", "max", "mean", "last")
                ]


def test_rollups_are_right(ingest: Session, streams: list[Stream], database: Database) -> None:
    rows.append(ingest, a_batch(streams[0].id, range(90)))
    ingest.commit()
    with database.owner() as conn:
        found = conn.execute("SELECT n, min, max, mean, last FROM readings_1m ORDER BY bucket").fetchall()
    assert found == [(60, 0, 59, 29.5, 59), (30, 60, 89, 74.5, 89)]
