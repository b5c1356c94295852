"""The device of the manual: what a reader copies from docs/firmware.md, killed and started again, loses nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ingesting import count_of, ingesting
from servers import Database, RunningBroker
from waiting import until

MANUAL = Path(__file__).parents[2] / "docs/firmware.md"


def code() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    return str(block)


@contextmanager
def device(broker: RunningBroker, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The manual's device in a process of its own, killed at the end of the block."""
    program = folder / "device.py"
    program.write_text(code())
    to = broker.of("devices")
    environment = {
        **os.environ,
        "MQTT_HOST": to.host,
        "MQTT_PORT": str(to.port),
        "MQTT_USER": to.username or "",
        "MQTT_PASSWORD": to.password or "",
        "TENANT_AND_DEVICE": "demo/pump-1",
        "BUFFER": str(folder / "buffer.jsonl"),
        "EVERY_S": "0.05",
    }
    with subprocess.Popen([sys.executable, "-W", "error::DeprecationWarning", program], env=environment) as process:
        try:
            yield process
        finally:
            assert process.poll() in (None, -9), "it has ended by itself"
            process.kill()


def held(folder: Path) -> list[dict[str, int]]:
    """The messages in the buffer of a device that is not alive, the last cut off perhaps."""
    lines = (folder / "buffer.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_it_is_sixty_lines() -> None:
    assert len(code().splitlines()) == 60


def test_killed_and_started_again_it_loses_nothing(database: Database, broker: RunningBroker, tmp_path: Path) -> None:
    buffer = tmp_path / "buffer.jsonl"
    with device(broker, tmp_path):  # nobody stores yet: nothing is acknowledged
        until(lambda: buffer.exists() and len(buffer.read_text().splitlines()) > 20)
    first = held(tmp_path)
    with device(broker, tmp_path) as running, ingesting(database, broker):
        until(lambda: count_of(database) >= 2 * len(first) + 40, within_s=60)
        os.kill(broker.pid, 9)  # the supervisor starts it again; what it had not saved is sent again
        before = count_of(database)
        until(lambda: count_of(database) >= before + 40, within_s=60)
        running.kill()
        running.wait()
        measured = {(each["boot"], each["seq"]): each["ts"] for each in [*first, *held(tmp_path)]}
        with device(broker, tmp_path), database.owner() as conn:
            until(lambda: _missing(conn, measured) == 0, within_s=60)
    assert {boot for boot, _ in measured} == {1, 2}
    for boot in (1, 2):
        seqs = sorted(seq for each, seq in measured if each == boot)
        assert seqs == list(range(len(seqs))), "each number is given once, and none is left out"
    with database.owner() as conn:
        lost = conn.execute("SELECT sum(missing) FROM ledger").fetchone()
    assert lost in {(0,), (None,)}


def _missing(conn: object, measured: dict[tuple[int, int], int]) -> int:
    """How many of the moments that were measured are not stored."""
    rows = conn.execute("SELECT DISTINCT (extract(epoch FROM time) * 1000)::bigint FROM readings")  # type: ignore[attr-defined]
    return len({*measured.values()} - {moment for (moment,) in rows})


@pytest.mark.parametrize("word", ["boot", "seq", "ack", "status", "dropped", "unconfirmed", "content type"])
def test_the_manual_speaks_of(word: str) -> None:
    assert word in MANUAL.read_text()
