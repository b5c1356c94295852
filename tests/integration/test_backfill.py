"""Months into history: every reading once, whoever is killed, into compressed chunks, and ingest comes first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ingesting import ROOT
from servers import Database
from waiting import until

from bellwether.backfill import Backfill
from store import ledger, retention
from store.connection import Session, act_for
from store.errors import Misconfigured
from store.migrate import edition

START = (datetime.now(UTC) - timedelta(days=100)).replace(hour=0, minute=0, second=0, microsecond=0)


def recorded(path: Path, minutes: int = 3 * 1440, start: datetime = START) -> Path:
    """A CSV of two points, a row a minute; each tenth cell of one is empty, one row comes twice."""
    lines = ["time,flow,pressure"]
    for minute in range(minutes):
        at = (start + timedelta(minutes=minute)).isoformat()
        lines.append(f"{at},{minute % 97},{'' if minute % 10 == 0 else minute % 89}")
    lines.append(lines[-1])
    path.write_text("\n".join(lines) + "\n")
    return path


def put_in(database: Database, *files: Path, **options: object) -> Backfill:
    return Backfill(database.owner_url, files, "demo", "pump-1", **options)  # type: ignore[arg-type]


def readings(conn: Session) -> int:
    ((count,),) = conn.execute("SELECT count(*) FROM readings").fetchall()
    return int(count)


def compress(conn: Session) -> bool:
    if edition(conn) != "community":
        return False
    conn.execute("SELECT compress_chunk(c, true) FROM show_chunks('readings') c")
    return True


def test_every_reading_is_in_once_and_the_counts_add_up(database: Database, tmp_path: Path) -> None:
    file = recorded(tmp_path / "pump.csv", 1440)
    report = put_in(database, file).run()
    assert (report.rows, report.unreadable) == (1441, 0)
    assert report.readings == report.stored + report.duplicates == 1441 * 2 - 144
    assert (report.stored, report.duplicates) == (1440 * 2 - 144, 2)
    assert report.rolled_up
    assert report.finished
    with database.owner() as conn:
        assert readings(conn) == report.stored
        assert conn.execute("SELECT DISTINCT quality & 1 FROM readings").fetchall() == [(1,)], "late: not scored"
        assert ledger.verify(conn)[1] == [], "the ledger knows of it"
        ((hours,),) = conn.execute("SELECT sum(n)::bigint FROM readings_1h").fetchall()
        assert hours == report.stored


def test_the_same_file_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    file = recorded(tmp_path / "pump.csv", 500)
    first = put_in(database, file).run()
    moved = file.rename(tmp_path / "elsewhere.csv")
    again = put_in(database, moved).run()
    assert (again.stored, again.duplicates) == (first.stored, first.duplicates)
    with database.owner() as conn:
        assert readings(conn) == first.stored
        assert ledger.verify(conn)[1] == []


def test_what_overlaps_is_a_duplicate(database: Database, tmp_path: Path) -> None:
    put_in(database, recorded(tmp_path / "a.csv", 600)).run()
    with database.owner() as conn:
        compress(conn)
    report = put_in(database, recorded(tmp_path / "b.csv", 900)).run()
    assert (report.stored, report.duplicates) == (300 * 2 - 30, 600 * 2 - 60 + 2)
    with database.owner() as conn:
        assert readings(conn) == 900 * 2 - 90
        assert ledger.verify(conn)[1] == []


def test_into_compressed_history_beside_what_is_there(database: Database, tmp_path: Path) -> None:
    """Months of another device are there, compressed: more than a statement may unpack by default."""
    with database.owner() as conn:
        conn.execute("INSERT INTO devices (tenant, device) VALUES ('demo', 'pump-2')")
        conn.execute(
            "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
            " SELECT id, tenant, device, 'flow', 'flow', 'm3/h' FROM devices"
        )
        conn.execute(
            "INSERT INTO readings SELECT t, 1, 1.0, 0 FROM generate_series(%s::timestamptz, %s, '1 second') t",
            [START, START + timedelta(days=2)],
        )
        before = readings(conn)
        compressed = compress(conn)
        report = put_in(database, recorded(tmp_path / "pump.csv")).run()
        assert report.chunks == 3
        assert report.compressed_chunks == (3 if compressed else 0)
        assert readings(conn) == before + report.stored
        assert report.rolled_up
        if compressed:
            compress(conn)
            assert readings(conn) == before + report.stored, "compressed again, all of it is there"


def test_another_value_at_the_same_time_is_kept_beside(database: Database, tmp_path: Path) -> None:
    put_in(database, recorded(tmp_path / "a.csv", 100)).run()
    other = tmp_path / "b.csv"
    other.write_text((tmp_path / "a.csv").read_text().replace(",50,", ",51,"))
    report = put_in(database, other).run()
    assert report.stored == 0
    with database.owner() as conn:
        assert conn.execute("SELECT value FROM contested").fetchall() == [(51,)]
        assert ledger.verify(conn)[1] == []


def test_killed_again_and_again_it_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    file = recorded(tmp_path / "pump.csv", 5 * 1440)
    environment = {**os.environ, "BELLWETHER_DATABASE_URL": database.owner_url}
    command = ["backfill", str(file), "--device", "pump-1", "--rate", "6000", "--json"]
    program = (
        "import sys, bellwether.backfill as b; b._SLICE = 1000; from bellwether.cli import main;"
        f"sys.argv[1:] = {command}; main()"
    )
    with database.owner() as conn:
        for _ in range(2):
            process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment)
            had = readings(conn)
            until(lambda had=had: readings(conn) > had, within_s=60)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        report = json.loads(done.stdout)
        assert report["stored"] == readings(conn) == 5 * 1440 * 2 - 5 * 144
        assert report["readings"] == report["stored"] + report["duplicates"] == (5 * 1440 + 1) * 2 - 5 * 144
        assert ledger.verify(conn)[1] == []


def test_it_holds_to_its_rate_and_waits_while_ingest_is_behind(database: Database, tmp_path: Path) -> None:
    file = recorded(tmp_path / "pump.csv", 1440)
    quick = put_in(database, file).run()
    assert quick.waited_s == 0
    with database.owner() as conn:
        conn.execute("INSERT INTO heartbeats VALUES ('ingest', now(), jsonb_build_object('lag_s', 60))")
        slow = put_in(database, recorded(tmp_path / "b.csv", 1000, START - timedelta(days=9)), most_per_s=2000.0)
        thread = threading.Thread(target=slow.run)
        thread.start()
        until(lambda: slow._report.waited_s > 0)
        assert readings(conn) == quick.stored, "ingest comes first"
        conn.execute("UPDATE heartbeats SET detail = jsonb_build_object('lag_s', 0)")
        thread.join(60)
        assert readings(conn) == quick.stored + 1000 * 2 - 100
        assert slow._report.seconds > 1900 / 2000


def test_what_is_over_is_not_brought_back(database: Database, tmp_path: Path) -> None:
    with database.owner() as conn:
        act_for(conn, "demo")
        retention.keep(conn, "demo", {"flow": 50}, "kim")
        report = put_in(database, recorded(tmp_path / "pump.csv", 1000)).run()
        assert (report.expired, report.stored) == (1001, 900)
        assert ledger.verify(conn)[1] == []


def test_a_plan_changes_nothing_and_what_is_wrong_is_said_first(database: Database, tmp_path: Path) -> None:
    file = recorded(tmp_path / "pump.csv", 100)
    plan = put_in(database, file).plan()
    assert (plan.rows, plan.chunks) == (101, 0)
    with database.owner() as conn:
        assert readings(conn) == 0
        assert conn.execute("SELECT count(*) FROM devices").fetchall() == [(0,)]
    with pytest.raises(Misconfigured, match="tenant"):
        Backfill(database.owner_url, [file], "nobody", "pump-1").run()
    with pytest.raises(Misconfigured, match="1 to 64"):
        Backfill(database.owner_url, [file], "demo", "pump 1")


def test_the_role_of_ingest_has_the_rights_for_it(database: Database, tmp_path: Path) -> None:
    report = Backfill(database.url("ingest"), [recorded(tmp_path / "pump.csv", 200)], "demo", "pump-1").run()
    assert report.stored == 380
