"""A backup, made and restored as docs/operations.md says: nothing is missing, and the roles can go on."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import psycopg
from servers import Database

from bellwether.stack.packages import Programs
from bellwether.stack.postgres import OWN_LIBRARIES
from store.migrate import pending

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()
GOLDEN = """
    SELECT (SELECT (count(*), sum(value), min(time), max(time)) FROM readings),
           (SELECT count(*) FROM readings_1h),
           (SELECT array_agg((device, point, unit) ORDER BY id) FROM streams),
           (SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'readings')
"""
FILL = """
    INSERT INTO devices (tenant, device) VALUES ('demo', 'pump-1'), ('other', 'pump-1');
    INSERT INTO streams (device_id, tenant, device, point, quantity, unit)
    SELECT id, tenant, device, 'temperature', 'temperature', 'degC' FROM devices;
    INSERT INTO readings
    SELECT '2026-01-01'::timestamptz + n * interval '1 hour', s.id, n * s.id
    FROM generate_series(1, 200) n, streams s;
"""


def run(program: Path, *arguments: str) -> None:
    done = subprocess.run(
        [program, *arguments], env={**os.environ, **OWN_LIBRARIES}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_is_whole(
    programs: Programs, database: Database, empty_database: Database, tmp_path: Path
) -> None:
    before = re.search(r"-c '(CREATE EXTENSION[^']*)' -c '(SELECT timescaledb_pre_restore\(\))'", OPERATIONS)
    after = re.search(r"-c '(SELECT timescaledb_post_restore\(\))'", OPERATIONS)
    assert before is not None
    assert after is not None
    with database.owner() as conn:
        conn.execute(FILL)
        wanted = conn.execute(GOLDEN).fetchall()

    dump = tmp_path / "bellwether.dump"
    run(programs.pg_dump, f"--dbname={database.owner_url}", "--format=custom", f"--file={dump}")
    for statement in before.groups():
        with empty_database.owner() as conn:
            conn.execute(statement)
    run(programs.pg_restore, f"--dbname={empty_database.owner_url}", "--exit-on-error", str(dump))
    with empty_database.owner() as conn:
        conn.execute(after[1])

    with empty_database.owner() as conn:
        assert conn.execute(GOLDEN).fetchall() == wanted
        assert pending(conn) == 0
    with psycopg.connect(empty_database.url("api")) as conn:
        conn.execute("SELECT set_config('bellwether.tenant', 'demo', true)")
        assert conn.execute("SELECT count(*), count(DISTINCT stream_id) FROM tenant_readings").fetchone() == (200, 1)
    with psycopg.connect(empty_database.url("ingest")) as conn:
        conn.execute("INSERT INTO readings (time, stream_id, value) SELECT now(), id, 1 FROM streams")
