"""A PostgreSQL with TimescaleDB of the stack's own: created once, then run in the foreground under a supervisor.

Listens on the loopback interface alone, with a generated password. A commit is on disk when it is acknowledged. Killed
at any moment, it recovers by itself at the next start; what a killed one left (its lock file, or itself still running)
is cleared away first. Creation is complete or did not happen.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bellwether.stack.account import Account
from bellwether.stack.errors import StartFailed
from bellwether.stack.packages import Programs
from bellwether.stack.port import LOOPBACK
from bellwether.stack.supervisor import Role

DATABASE = "bellwether"
SUPERUSER = "postgres"
# A checkpoint of everything in memory, on a slow disk. Too low: data are recovered at the next start, which is slower.
STOP_WITHIN_S = 30.0
# A crashed server replays up to max_wal_size before it answers.
READY_WITHIN_S = 300.0
# An alien library path or preload would be linked against another C library than the unpacked one.
OWN_LIBRARIES = {"LD_LIBRARY_PATH": "", "LD_PRELOAD": ""}

SETTINGS = """\
# Written at each start. Your own settings: ALTER SYSTEM SET ..., which wins over these.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = 'off'
# The compiler is not unpacked with the server, and short queries do not gain by it.
jit = off

# Acknowledged is stored. Off would lose the last moments in a crash, and gains little with large batches.
synchronous_commit = on
# Too low: a checkpoint every few seconds under load. Too high: a long recovery, and that much disk.
max_wal_size = '2GB'
checkpoint_timeout = '10min'
wal_compression = 'lz4'

# For a machine of 2 GB that does other things too. Higher serves wide queries over a long history.
shared_buffers = '256MB'
effective_cache_size = '1GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
huge_pages = off

# Three roles with small pools, and people with psql. Each connection costs about 10 MB.
max_connections = 80
max_worker_processes = 12
timescaledb.max_background_workers = 6
# A query over N chunks takes N locks and more: too low ends it with "out of shared memory".
max_locks_per_transaction = 256

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
"""
WHO_MAY_CONNECT = f"host all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server: its programs, the parent of its data folder, the port, the superuser's password, whom it runs as."""

    programs: Programs
    servers: Path
    port: int
    password: str
    account: Account

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder. Named after its major version, whose format it is in."""
        return self.servers / "postgresql-17"

    @property
    def url(self) -> str:
        """How the superuser connects to the stack's database."""
        return f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{DATABASE}"

    def create(self) -> None:
        """Create the server's data and the stack's database in it, unless they are there; about two seconds."""
        if not self.data.exists():
            partial = self.data.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            self._initialise(partial)
            self._run(
                [self.programs.postgres, "--single", "-D", partial, "-c", "log_checkpoints=off", "template1"],
                given=f"CREATE DATABASE {DATABASE};\n",
            )
            partial.rename(self.data)
        self._configure()

    def role(self) -> Role:
        """What to give to the supervisor, after `create`."""
        return Role(
            name="postgres",
            argv=(str(self.programs.postgres), "-D", str(self.data)),
            env=OWN_LIBRARIES,
            ready=self.is_ready,
            ready_within_s=READY_WITHIN_S,
            prepare=self._clear_predecessor,
            account=self.account,
            cwd=self.servers,
            stop_signal=signal.SIGINT,  # "fast": ends sessions and writes everything; SIGTERM would wait for clients
            stop_within_s=STOP_WITHIN_S,
        )

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        asked = subprocess.run(
            [self.programs.pg_isready, "-q", "-t", "1", "-h", LOOPBACK, "-p", str(self.port)],
            check=False,
            env={**os.environ, **OWN_LIBRARIES},
        )
        return asked.returncode == 0

    def _initialise(self, data: Path) -> None:
        password_file = self.servers / "password"
        password_file.touch(mode=0o600)
        self.account.own(password_file)
        try:
            password_file.write_text(self.password)
            self._run(
                [
                    *(self.programs.initdb, "-D", data, "-U", SUPERUSER, "--pwfile", password_file),
                    *("--auth=scram-sha-256", "--data-checksums", "--no-instructions", "--encoding=UTF8"),
                    # The locale that comes with the server: the same order of text on every machine.
                    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                ]
            )
        finally:
            password_file.unlink()
        with (data / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'bellwether.conf'\n")
        (data / "pg_hba.conf").write_text(WHO_MAY_CONNECT)

    def _configure(self) -> None:
        file = self.data / "bellwether.conf"
        file.write_text(SETTINGS.format(host=LOOPBACK, port=self.port))
        self.account.own(file)

    def _run(self, argv: Sequence[str | Path], given: str = "") -> None:
        done = subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.servers,
            env={**os.environ, **OWN_LIBRARIES, "LC_ALL": "C"},
            **self.account.identity,
        )
        if done.returncode or "ERROR" in done.stderr:
            complaint = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise StartFailed(f"Could not create the database in {self.servers}: {''.join(complaint)}")

    def _clear_predecessor(self) -> None:
        """End a server that still runs on our data, orphaned; remove the lock of one that does not.

        PostgreSQL itself takes the lock of a dead server for a live one's when another process got its number since.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        if not _is_running(pid, self.programs.postgres):
            lock.unlink(missing_ok=True)
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_WITHIN_S
        while _is_running(pid, self.programs.postgres):
            if time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL of an earlier start (process {pid}) does not end: kill it")
            time.sleep(0.1)


def _is_running(pid: int, program: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink() == program.resolve()
    except OSError:
        return False
