"""The supervisor, with roles that are one line of Python: ready, dying, deaf to signals, and orphaned by force."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bellwether.stack import supervisor as module
from bellwether.stack.errors import StartFailed
from bellwether.stack.supervisor import Role, Supervisor

FOREVER = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-S", "-c", {FOREVER!r}]).pid, flush=True)
time.sleep(600)
"""


class Events:
    """What the supervisor said, and waiting for what it will say."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, name: str, what: str, detail: str) -> None:
        with self._changed:
            self.seen.append((name, what, detail))
            self._changed.notify_all()

    def count(self, name: str, what: str) -> int:
        return sum(1 for seen in self.seen if seen[:2] == (name, what))

    def until(self, name: str, what: str, times: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count(name, what) >= times, 60), self.seen


@pytest.fixture
def events() -> Events:
    return Events()


def python(name: str, code: str, **settings: object) -> Role:
    return Role(name, (sys.executable, "-S", "-c", code), **settings)  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie, which only waits for its parent to look, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_roles_end_in_the_reverse_of_the_order_they_started_in(tmp_path: Path, events: Events) -> None:
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("first", FOREVER))
        supervisor.start(python("second", FOREVER))
        pids = supervisor.pids()
        assert list(pids) == ["first", "second"]
        assert all(is_alive(pid) for pid in pids.values())
    assert [name for name, what, _ in events.seen if what == "stopped"] == ["second", "first"]
    assert not any(is_alive(pid) for pid in pids.values())
    assert supervisor.pids() == {}


def test_waiting_for_the_end_can_be_limited(tmp_path: Path, events: Events) -> None:
    with Supervisor(tmp_path, events) as supervisor:
        assert not supervisor.wait(timeout_s=0.01)
        supervisor.stop()
        assert supervisor.wait(timeout_s=0.01)


def test_a_role_that_dies_is_started_again_after_a_growing_pause(tmp_path: Path, events: Events) -> None:
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("role", FOREVER))
        for deaths in (1, 2):
            before = supervisor.pids()["role"]
            os.kill(before, signal.SIGKILL)
            events.until("role", "died", deaths)
            events.until("role", "ready", deaths + 1)
            assert supervisor.pids()["role"] != before
    deaths_said = [detail for _, what, detail in events.seen if what == "died"]
    assert all(detail.startswith("ended by SIGKILL") for detail in deaths_said)
    first, second = (float(detail.split()[-2]) for detail in deaths_said)
    assert 0.4 <= first <= 0.6
    assert 0.8 <= second <= 1.2


def test_start_waits_until_the_role_says_that_it_is_ready(tmp_path: Path, events: Events) -> None:
    sign = tmp_path / "ready"
    code = f"import time, pathlib; time.sleep(0.3); pathlib.Path({str(sign)!r}).touch(); time.sleep(600)"
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("slow", code, ready=sign.exists))
        assert sign.exists()


def test_a_role_that_never_starts_fails_with_the_end_of_its_log(tmp_path: Path, events: Events) -> None:
    with Supervisor(tmp_path, events) as supervisor:
        with pytest.raises(StartFailed, match=r"broken did not start \(exit code 3\): no such setting"):
            supervisor.start(python("broken", "import sys; print('no such setting'); sys.exit(3)", ready=lambda: False))
        with pytest.raises(StartFailed, match="absent did not start"):
            supervisor.start(Role("absent", ("no-such-program",), ready=lambda: False))
        with pytest.raises(StartFailed, match=r"not ready after \d+ s"):
            supervisor.start(python("hung", FOREVER, ready=lambda: False, ready_within_s=0.3))
        assert supervisor.pids() == {}
    assert events.count("broken", "died") == 0


def test_a_defect_in_one_role_s_probe_leaves_the_others_running(tmp_path: Path, events: Events) -> None:
    def defective() -> bool:
        raise ZeroDivisionError

    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("sound", FOREVER))
        with pytest.raises(StartFailed, match="ZeroDivisionError"):
            supervisor.start(python("defective", FOREVER, ready=defective))
        assert is_alive(supervisor.pids()["sound"])


def test_a_role_deaf_to_its_signal_is_killed_when_its_time_is_over(tmp_path: Path, events: Events) -> None:
    log = tmp_path / "deaf.log"
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("deaf", DEAF, ready=lambda: "deaf" in log.read_text(), stop_within_s=0.3))
        pid = supervisor.pids()["deaf"]
    assert events.count("deaf", "killed") == 1
    assert not is_alive(pid)


def test_what_a_role_started_itself_ends_with_it(tmp_path: Path, events: Events) -> None:
    log = tmp_path / "parent.log"
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("parent", PARENT, ready=lambda: log.read_text().endswith("\n")))
        child = int(log.read_text())
        assert is_alive(child)
    until(lambda: not is_alive(child))


def test_a_log_is_bounded_and_its_writer_goes_on(
    tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 10_000)
    code = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    log, full = tmp_path / "chatty.log", tmp_path / "chatty.log.1"
    with Supervisor(tmp_path, events) as supervisor:
        supervisor.start(python("chatty", code))
        until(full.exists)
        until(lambda: log.stat().st_size > 1_000)
    assert full.stat().st_size >= 10_000
    assert set(log.read_bytes()) <= set(b"x\n")


SUPERVISING = """
import sys
from pathlib import Path
from bellwether.stack.supervisor import Role, Supervisor
sleep = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
with Supervisor(Path(sys.argv[1]), lambda *event: print(*event, flush=True)) as supervisor:
    for name in ("one", "two"):
        supervisor.start(Role(name, sleep))
    print("pids", *supervisor.pids().values(), flush=True)
    supervisor.wait()
"""


def supervising(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISING, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = next(line for line in process.stdout if line.startswith("pids"))
    return process, [int(pid) for pid in line.split()[1:]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_and_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    process, pids = supervising(tmp_path)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.splitlines()[-2:] == ["two stopped ended by SIGTERM", "one stopped ended by SIGTERM"]
    assert not any(is_alive(pid) for pid in pids)


def test_no_role_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    process, pids = supervising(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    until(lambda: not any(is_alive(pid) for pid in pids))
