"""The whole stack as a user runs it: `bellwether up` in a process of its own, reached by what `stack.json` says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
from waiting import until

from store.connection import Session
from telemetry import Broker

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "bellwether")
# The programs are unpacked already; on a busy machine the rest takes this long at most.
READY_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that is ready. `says` is what `stack.json` says, `log` what the command printed."""

    folder: Path
    process: subprocess.Popen[bytes]
    says: dict[str, Any]
    log: Path

    def owner(self) -> Session:
        """A superuser's connection, in autocommit."""
        return psycopg.connect(self.says["database_url"], autocommit=True, options="-c timezone=UTC")

    @property
    def broker(self) -> Broker:
        return Broker.parse(self.says["mqtt_url"], self.says["mqtt_username"], self.says["mqtt_password"])

    def api(self) -> httpx.Client:
        """A client with the administrator's token."""
        headers = {"Authorization": f"Bearer {self.says['admin_token']}"}
        return httpx.Client(base_url=self.says["api_url"], headers=headers, timeout=30, trust_env=False)

    def pid(self, role: str) -> int:
        """The process of a role right now: another one once the supervisor has started it again."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for pid in " ".join(_read(file) for file in children).split():
            if _read(Path(f"/proc/{pid}/cmdline")).split("\0")[-2:-1] == [role]:
                return int(pid)
        return 0

    def begin_replay(
        self, file: Path, device: str, ignore: Sequence[str] = (), speed: float | str = "max"
    ) -> subprocess.Popen[bytes]:
        """`bellwether replay` of a recording with its own times."""
        return subprocess.Popen(
            [
                *(*COMMAND, "replay", file, "--device", device, "--time", "datetime", "--json"),
                *("--speed", str(speed), "--as-of", "original", "--ignore", ",".join(ignore)),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            env=os.environ
            | {
                "BELLWETHER_MQTT_URL": str(self.broker),
                "BELLWETHER_MQTT_USERNAME": self.broker.username or "",
                "BELLWETHER_MQTT_PASSWORD": self.broker.password or "",
            },
        )

    def replay(self, file: Path, device: str, ignore: Sequence[str] = ()) -> None:
        """The same, until the broker has all of it."""
        assert self.begin_replay(file, device, ignore).wait(120) == 0

    def until_settled(self, readings: Mapping[str, int], within_s: float = 150.0) -> None:
        """Wait until so many readings of each device are stored, all is scored, and all that follows is delivered."""
        with self.owner() as conn:

            def first(query: LiteralString, *values: Any) -> Any:
                row = conn.execute(query, values).fetchone()
                return row[0] if row else None

            def stored() -> dict[str, int]:
                return dict(
                    conn.execute(
                        "SELECT s.device, count(*) FROM readings r JOIN streams s ON s.id = r.stream_id"
                        " WHERE s.device = ANY(%s) GROUP BY s.device",
                        [list(readings)],
                    ).fetchall()
                )

            until(lambda: sum(stored().values()) >= sum(readings.values()), within_s, every_s=0.1)
            assert stored() == readings
            # Ingest scores what it has stored before it gives a sign of life.
            now = first("SELECT now()")
            until(lambda: first("SELECT at > %s FROM heartbeats WHERE role = 'ingest'", now), within_s, every_s=0.1)
            undelivered: LiteralString = (
                "SELECT count(*) FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL"
            )
            until(lambda: first(undelivered) == 0, within_s, every_s=0.1)
            assert first("SELECT count(*) FROM outbox WHERE given_up_at IS NOT NULL") == 0

    def tickets(self, device: str) -> list[dict[str, Any]]:
        """Every ticket of a machine, as the API tells it."""
        with self.api() as client:
            answer = client.get("/api/v1/tickets", params={"device": device, "limit": 200})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert body["next"] is None
            return list(body["items"])


def _read(about: Path) -> str:
    """What the kernel says of a thread or a process; nothing where it has ended since it was found."""
    try:
        return about.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def running_stack(folder: Path | None = None, ending: signal.Signals = signal.SIGINT) -> Iterator[RunningStack]:
    """`bellwether up` on ports that are free, on a folder of its own unless one is given; ended as by Ctrl-C."""
    own = Path(tempfile.mkdtemp(prefix="bellwether-stack-")) if folder is None else None
    where = own or folder
    assert where
    log = where / "up.log"
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*COMMAND, "up", "--data", where], cwd=ROOT, stdout=output, stderr=output, start_new_session=True
            )
        published = where / "stack.json"
        until(lambda: published.exists() or process.poll() is not None, READY_WITHIN_S)
        assert process.poll() is None, log.read_text()
        yield RunningStack(where, process, json.loads(published.read_text()), log)
    finally:
        if process.poll() is None:
            process.send_signal(ending)
        code = process.wait(120)
        if own:
            servers = own / "servers"
            elsewhere = servers.resolve() if servers.is_symlink() else None
            for gone in filter(None, (elsewhere, own)):
                shutil.rmtree(gone)
    assert code == 0, f"exit code {code}"
