"""From an alarm to its ticket, with `notify` or `api` killed at every point between: never none, never two.

Ingest writes an alarm and its parcel in one transaction (`test_ingest.py` kills it there). From then on:

    claimed          notify has taken the parcel and asks; the API has heard nothing
    half asked       half of the request is at the API
    before the row   the API is in its transaction, the ticket is not written
    after the row    the ticket is written, its first event is not, nothing is committed
    committed        all is committed, the answer is lost with the API
    unheard          all is committed, the answer is lost with notify
    not ticked off   notify has heard it, and dies before the parcel is ticked off
    both             the answer is lost with the two of them
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg.types.json import Jsonb
from running import ROOT
from serving import SECRET, Database, Plant, alarm_event
from waiting import until

from bellwether.stack.port import choose

ROLES = ("api", "notify")
Way = Literal["request", "answer"]
# Whether what has just come on its way is passed on.
Fault = Callable[[Way, bytes], bool]
# A role's process begins as a fork of one that has read all modules: a start takes a moment, not seconds.
STARTER = """
import json, os, signal, sys
import api.app, notify.assessment, notify.channels.webhooks, notify.dispatch, notify.loop, notify.plans, notify.sealing
import notify.storage, notify.training, notify.trials, notify.vibration, uvicorn
from bellwether.cli import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who is killed is gone
for line in sys.stdin:
    role = line.strip()
    if not (pid := os.fork()):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.argv = ["bellwether", role]
        main()
    print(pid, flush=True)
"""


class Wire:
    """A relay between notify and the API; `fault` sees whatever comes, before the other side does."""

    def __init__(self, to_port: int) -> None:
        self._to = ("127.0.0.1", to_port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.fault: Fault | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(self._to)
                except OSError:
                    near.close()
                    continue
                for source, sink, way in ((near, far, "request"), (far, near, "answer")):
                    threading.Thread(target=self._carry, args=(source, sink, way), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.fault is not None and not self.fault(way, data):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass
class Line:
    """The two processes and the wire between; whoever has died is started again by `mend`."""

    database: Database
    api_port: int
    wire: Wire
    starters: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def mend(self) -> None:
        self.wire.fault = None
        for role in ROLES:
            if role not in self.starters:
                self.starters[role] = self._starter(role)
        for role in ROLES:
            if role not in self.pids:
                self.pids[role] = self._start(self.starters[role], role)
        until(self._answers)

    def kill(self, *roles: str) -> None:
        pids = [self.pids.pop(role) for role in roles]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            until(lambda pid=pid: not Path(f"/proc/{pid}").exists())

    def close(self) -> None:
        self.kill(*self.pids)
        for starter in self.starters.values():
            starter.communicate()
        self.wire.close()

    def waits(self, role: str) -> bool:
        """Whether a session of this role waits for a lock that the test holds."""
        with self.database.owner() as conn:
            found = conn.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                " AND application_name LIKE %s",
                [f"bellwether {role}%"],
            ).fetchall()
        return bool(found)

    def _starter(self, role: str) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "BELLWETHER_DATABASE_URL": self.database.url(role),
            "BELLWETHER_SECRET": SECRET,
            "BELLWETHER_API_URL": f"http://127.0.0.1:{self.wire.port}",
            "BELLWETHER_HTTP_HOST": "127.0.0.1",
            "BELLWETHER_HTTP_PORT": str(self.api_port),
        }
        command, pipe = [sys.executable, "-c", STARTER], subprocess.PIPE
        return subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )

    def _start(self, starter: subprocess.Popen[str], role: str) -> int:
        assert starter.stdin is not None
        assert starter.stdout is not None
        starter.stdin.write(f"{role}\n")
        starter.stdin.flush()
        return int(starter.stdout.readline())

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def line(module_database: Database) -> Iterator[Line]:
    api_port = choose("the API")
    running = Line(module_database, api_port, Wire(api_port))
    try:
        yield running
    finally:
        running.close()


def raised(line: Line, device: str) -> str:
    """An alarm as ingest leaves it: its row and its parcel."""
    plant = Plant(line.database)
    told = alarm_event(plant.device(name=device), occurrence_id=str(plant.alarm(device)))
    event = str(told["alarm"]["event_id"])
    with line.database.owner() as conn:
        conn.execute(
            "INSERT INTO outbox (event_id, tenant, destination, payload) VALUES (%s, 'demo', 'tickets', %s)",
            [event, Jsonb(told)],
        )
    return event


@contextmanager
def held(line: Line, query: str, values: dict[str, str]) -> Iterator[None]:
    """While the test holds a lock."""
    with psycopg.connect(line.database.owner_url) as conn:
        conn.execute(query, values)  # type: ignore[arg-type]
        yield
        conn.rollback()


def at_a_lock(line: Line, device: str, way: Way, query: str, victim: str) -> None:
    """Kill who waits for a lock, taken when something has come this way and before it is passed on."""
    arrived, go_on = threading.Event(), threading.Event()

    def fault(came: Way, _: bytes) -> bool:
        if came == way:
            arrived.set()
            go_on.wait(60)
        return True

    line.wire.fault = fault
    event = raised(line, device)
    assert arrived.wait(60)
    with held(line, query, {"event": event}):
        go_on.set()
        until(lambda: line.waits(victim))
        line.kill(victim)


def at_the_wire(line: Line, device: str, way: Way, pass_on: int, *victims: str) -> None:
    """Kill when something comes this way; so many bytes of it are passed on before."""
    done = threading.Event()

    def fault(came: Way, data: bytes) -> bool:
        if came != way or done.is_set():
            return not done.is_set()
        if pass_on:
            with socket.create_connection(("127.0.0.1", line.api_port)) as api:
                api.sendall(data[:pass_on])
                line.kill(*victims)
        else:
            line.kill(*victims)
        done.set()
        return False

    line.wire.fault = fault
    raised(line, device)
    assert done.wait(60)


LOCK_TICKETS = "LOCK TABLE tickets IN EXCLUSIVE MODE"
LOCK_EVENTS = "LOCK TABLE ticket_events IN EXCLUSIVE MODE"
LOCK_PARCEL = "SELECT FROM outbox WHERE event_id = %(event)s FOR UPDATE"
POINTS: dict[str, Callable[[Line, str], None]] = {
    "claimed": lambda line, device: at_the_wire(line, device, "request", 0, "notify"),
    "half asked": lambda line, device: at_the_wire(line, device, "request", 200, "api"),
    "before the row": lambda line, device: at_a_lock(line, device, "request", LOCK_TICKETS, "api"),
    "after the row": lambda line, device: at_a_lock(line, device, "request", LOCK_EVENTS, "api"),
    "committed": lambda line, device: at_the_wire(line, device, "answer", 0, "api"),
    "unheard": lambda line, device: at_the_wire(line, device, "answer", 0, "notify"),
    "not ticked off": lambda line, device: at_a_lock(line, device, "answer", LOCK_PARCEL, "notify"),
    "both": lambda line, device: at_the_wire(line, device, "answer", 0, "api", "notify"),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_an_alarm_has_its_one_ticket(line: Line, point: str) -> None:
    device = f"pump-{point.replace(' ', '-')}"
    line.mend()
    POINTS[point](line, device)
    with line.database.owner() as conn:
        (written,) = conn.execute("SELECT count(*) FROM tickets WHERE device = %s", [device]).fetchall()
        (ticked,) = conn.execute(
            "SELECT count(*) FROM outbox WHERE payload ->> 'device' = %s AND delivered_at IS NOT NULL", [device]
        ).fetchall()
    committed = point in {"committed", "unheard", "not ticked off", "both"}
    assert (written, ticked) == ((int(committed),), (0,)), "it was not killed where it should have been"

    line.mend()
    with line.database.owner() as conn:
        conn.execute("UPDATE outbox SET next_attempt_at = now() WHERE delivered_at IS NULL")  # the lease is over
        until(lambda: not conn.execute("SELECT FROM outbox WHERE delivered_at IS NULL").fetchall())
        tickets = conn.execute(
            "SELECT t.state, (SELECT count(*) FROM ticket_alarms a WHERE a.ticket_id = t.id),"
            " (SELECT count(*) FROM ticket_events e WHERE e.ticket_id = t.id AND e.kind = 'opened')"
            " FROM tickets t WHERE device = %s",
            [device],
        ).fetchall()
    assert tickets == [("new", 1, 1)]
