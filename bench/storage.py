"""What a stored reading takes on disk, plain and compressed, and what backfill and retention do a second.

`TEST_DSN=… python -m bench.storage` against any TimescaleDB, as a superuser; compression needs a community edition.
Readings are those of the simulated fleet, at one a second.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import PASSWORDS, TENANTS, Database, fresh_database

import bellwether.backfill
import store.telemetry as rows
from firmware_sim.machine import MODELS, Machine, MachineSpec
from store import retention
from store.connection import Session, act_for
from store.migrate import edition, migrate
from telemetry import Batch, StreamKey

MACHINES = 12
HOURS = 12
START = (datetime.now(UTC) - timedelta(days=90)).replace(hour=0, minute=0, second=0, microsecond=0)


def main() -> None:
    with fresh_database(os.environ["TEST_DSN"]) as database, database.owner() as conn:
        migrate(conn, PASSWORDS, TENANTS)
        count = fill(conn)
        before = size_of(conn)
        print(f"{count} readings of {MACHINES} machines, edition {edition(conn)}")
        print(f"plain: {before / count:.1f} bytes a reading, index included")
        if edition(conn) == "community":
            began_s = time.monotonic()
            conn.execute("SELECT compress_chunk(c, true) FROM show_chunks('readings') c")
            took_s = time.monotonic() - began_s
            print(f"compressed: {size_of(conn) / count:.1f} bytes a reading, {count / took_s:.0f} readings/s")
        backfill(database, "into what is there", START)
        backfill(database, "into new chunks", START - timedelta(days=40))
        retain(database, conn)


def fill(conn: Session) -> int:
    """A day of the fleet, machine by machine."""
    count = 0
    start_ms = int(START.timestamp() * 1000)
    for number in range(MACHINES):
        kind = sorted(MODELS)[number % len(MODELS)]
        machine = Machine(MachineSpec(f"{kind}-{number:02d}", kind, "model", "site"), seed=number)
        points = [sensor.point for sensor in machine.spec.sensors]
        streams = {
            s.point: s.id for s in rows.add_streams(conn, [StreamKey("demo", machine.spec.device, p) for p in points])
        }
        for hour in range(HOURS):
            times = start_ms + 1000 * np.arange(3600 * hour, 3600 * (hour + 1), dtype=np.int64)
            for point, values in machine.run(times).items():
                with conn.transaction():
                    rows.append(conn, Batch.of(times * 1000, np.full(len(times), streams[point]), values))
                count += len(times)
    return count


def size_of(conn: Session) -> int:
    ((size,),) = conn.execute("SELECT hypertable_size('readings')").fetchall()
    return int(size)


def backfill(database: Database, where: str, start: datetime) -> None:
    """Another device's day, from a CSV."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pump.csv"
        spec = MachineSpec("recorded", "pump", "model", "site")
        times = int(start.timestamp() * 1000) + 1000 * np.arange(40_000, dtype=np.int64)
        read = Machine(spec).run(times)
        lines = [f"time,{','.join(read)}"]
        lines += [
            ",".join(map(repr, row)) for row in zip(times.tolist(), *(v.tolist() for v in read.values()), strict=True)
        ]
        file.write_text("\n".join(lines) + "\n")
        for again in ("", ", again: all there"):
            if again:
                with database.owner() as conn:
                    conn.execute("DELETE FROM backfills")
            report = bellwether.backfill.Backfill(database.owner_url, [file], "demo", "recorded").run()
            print(
                f"backfill {where}{again}: {report.readings / report.seconds:.0f} readings/s, {report.stored} stored,"
                f" {report.compressed_chunks} of {report.chunks} chunks compressed, roll-ups {report.rollup_s:.1f} s"
            )


def retain(database: Database, conn: Session) -> None:
    """Half of the points, then everything."""
    for days, what in (({"vibration": 10}, "one class"), ({"raw": 10}, "all that is left")):
        act_for(conn, "demo")
        retention.keep(conn, "demo", days, "bench")
        removed, steps = 0, 0
        began_s = time.monotonic()
        while (step := retention.expire_some(conn, 10)) is not None:
            removed, steps = removed + step.readings, steps + 1
        took_s = time.monotonic() - began_s
        print(f"retention, {what}: {removed} readings in {steps} steps, {removed / took_s:.0f}/s with their roll-ups")


if __name__ == "__main__":
    main()
