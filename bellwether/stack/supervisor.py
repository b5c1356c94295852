"""Keeps the processes of the local stack running, and ends them all when it ends.

A role is started, waited for until it says that it is ready, and started again whenever it dies, after a pause that
doubles and is jittered, so that a role that cannot live does not eat the machine. Every change is one call of `event`.

Promises: no process outlives us. Asked to stop (Ctrl-C, SIGTERM, the end of the `with` block), roles end in the reverse
of the order they were started in, each with its own time to finish, then by SIGKILL; a second Ctrl-C skips the
waiting. Killed with SIGKILL ourselves, the kernel sends each role its own signal to stop. A role's output goes straight
to its log file, so a slow reader never blocks it, and a chatty one keeps at most two files of `LOG_BYTES`.

`event(name, what, detail)` may be called from another thread than the caller's, one call at a time a role.

    with Supervisor(logs, event) as supervisor:
        supervisor.start(Role("database", [...], ready=answers))
        supervisor.start(Role("api", [...]))
        supervisor.wait()
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Literal, Self

from bellwether.stack.account import Account
from bellwether.stack.errors import StartFailed

What = Literal["started", "ready", "died", "stopped", "killed"]
Event = Callable[[str, What, str], None]

# The pause before a role is started again. Too low: a role that cannot start fills its log. Too high: a database that
# was killed once is missing for longer than needed.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A role that was ready this long has recovered: its next pause is the first one again.
RECOVERED_AFTER_S = 30.0
# How often processes are looked at. Too low: a core is spent on looking. Too high: a death is noticed that late.
TICK_S = 0.1
# Too low: the reason of a failure is gone before it is read. Too high: a full disk.
LOG_BYTES = 16 << 20
# How much of a log the message of a failed start quotes.
QUOTED_LINES = 3
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Role:
    """A process to keep running.

    `ready` is asked every tick until it says yes, and must not take longer than about a second. `prepare` runs before
    each start, for what a killed predecessor left behind. `env` is added to our own environment.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ready_within_s: float = 60.0
    prepare: Callable[[], None] = lambda: None
    account: Account | None = None
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0


class AskedToStop(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP arrived. Ends the supervisor's `with` block, which does not let it out: no failure."""


class Supervisor:
    """Starts roles, restarts those that die, stops all; see the module."""

    def __init__(self, logs: Path, event: Event) -> None:
        self._logs = logs
        self._event = event
        self._children: list[_Child] = []
        # The one thread that starts processes: the kernel ends a process when the *thread* that started it ends.
        self._keeper = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._closing = threading.Event()
        self._emptied = threading.Event()
        self._hurry = threading.Event()
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # A hang-up that our starter chose to ignore (nohup) stays ignored.
            heeded = [number for number in ENDING_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, _interrupt) for number in {*heeded, signal.SIGINT}}
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        for number in self._handlers:
            signal.signal(number, lambda *_: self._hurry.set())
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
        return isinstance(error, AskedToStop)

    def start(self, *roles: Role) -> None:
        """Start roles side by side and return when all are ready; raise `StartFailed` if one never is."""
        children = [_Child(role, self._logs / f"{role.name}.log", self._event) for role in roles]
        self._children += children
        for child in children:
            child.settled.wait()
            if child.failure:
                self._children.remove(child)
                raise StartFailed(child.failure)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until asked to stop, and return True; after `timeout_s`, return False."""
        try:
            return self._closing.wait(timeout_s)
        except AskedToStop:
            return True

    def pids(self) -> dict[str, int]:
        """The processes that run now, by role."""
        return {child.role.name: pid for child in list(self._children) if (pid := child.pid)}

    def stop(self) -> None:
        """End every role, the last started first. Returns when none is left; a second call does nothing."""
        self._closing.set()
        for child in reversed(self._children):
            child.end(self._hurry)
        self._emptied.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._closing.wait(TICK_S):
            for child in list(self._children):
                child.tend()
        self._emptied.wait()


class _Child:
    """One role and, most of the time, its process."""

    def __init__(self, role: Role, log: Path, event: Event) -> None:
        self.role = role
        self.settled = threading.Event()
        self.failure = ""
        self._log = log
        self._event = event
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = False
        self._ready = False
        self._since = 0.0
        self._next_start = 0.0
        self._pause_s = FIRST_PAUSE_S

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.returncode is None else None

    def tend(self) -> None:
        """Do what is due: start, notice readiness or death, bound the log. Called every tick by the one keeper."""
        with self._lock:
            if self._ending or self.failure:
                return
            try:
                self._do_what_is_due()
            except Exception as reason:  # one role's defect must not end the thread that all others hang on
                self._abandon(repr(reason))

    def _do_what_is_due(self) -> None:
        if not self._process:
            if time.monotonic() >= self._next_start:
                self._start()
            return
        if self._process.poll() is not None:
            self._abandon(_ending(self._process.returncode))
            return
        if not self._ready:
            self._look_whether_ready(self._process)
        _bound(self._log)

    def end(self, hurry: threading.Event) -> None:
        """Ask the process to stop, wait for it, then leave nothing of its session alive."""
        with self._lock:
            self._ending = True
            process = self._process
        self.settled.set()
        if not process or process.poll() is not None:
            return
        process.send_signal(self.role.stop_signal)
        deadline = time.monotonic() + self.role.stop_within_s
        while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
            time.sleep(TICK_S / 4)
        was_killed = process.poll() is None
        _kill_session(process.pid)
        process.wait()
        self._event(self.role.name, "killed" if was_killed else "stopped", _ending(process.returncode))

    def _start(self) -> None:
        self._ready, self._since = False, time.monotonic()
        self.role.prepare()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                tied_to_us(self.role.argv, self.role.stop_signal),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.role.cwd,
                env={**os.environ, **self.role.env},
                start_new_session=True,
                **(self.role.account.identity if self.role.account else {}),
            )
        self._event(self.role.name, "started", f"process {self._process.pid}")

    def _look_whether_ready(self, process: subprocess.Popen[bytes]) -> None:
        took_s = time.monotonic() - self._since
        if self.role.ready():
            self._ready = True
            self._event(self.role.name, "ready", f"after {took_s:.1f} s")
            self.settled.set()
        elif took_s > self.role.ready_within_s:
            _kill_session(process.pid)
            process.wait()
            self._abandon(f"not ready after {took_s:.0f} s")

    def _abandon(self, reason: str) -> None:
        """The process is dead, or does not deserve to live: clear it away and decide what comes next."""
        if self._process:
            _kill_session(self._process.pid)
            self._process.wait()
            self._process = None
        if self._ready and time.monotonic() - self._since > RECOVERED_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        self._fail_or_retry(reason)

    def _fail_or_retry(self, reason: str) -> None:
        if not self.settled.is_set():
            said = " | ".join(_last_lines(self._log)) or "nothing in its log"
            self.failure = f"{self.role.name} did not start ({reason}): {said} (see {self._log})"
            self.settled.set()
            return
        pause_s = self._pause_s * random.uniform(0.8, 1.2)  # noqa: S311  (jitter, not a secret)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._next_start = time.monotonic() + pause_s
        self._event(self.role.name, "died", f"{reason}; starting again in {pause_s:.1f} s")


def tied_to_us(argv: Iterable[str], death_signal: signal.Signals) -> list[str]:
    """`argv`, such that the kernel sends it `death_signal` when we die, by whatever cause.

    `setpriv` of util-linux, which every Debian has, does it before it becomes the program. Elsewhere the program starts
    just so, and only our own SIGKILL can orphan it.
    """
    setpriv = shutil.which("setpriv")
    tie = [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG"), "--"] if setpriv else []
    return [*tie, *argv]


def _interrupt(number: int, _: FrameType | None) -> None:
    raise AskedToStop(signal.Signals(number).name)


def _kill_session(pid: int) -> None:
    """End what is left of the session that `pid` leads or led."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    return f"exit code {returncode}"


def _bound(log: Path) -> None:
    """Start `log` anew when it is full, keeping the full one beside it. Its writer appends, and never notices."""
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def _last_lines(log: Path) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()][-QUOTED_LINES:]
