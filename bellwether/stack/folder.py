"""The folder that one local stack lives in: its lock, its secrets, its logs, its servers' data, and `stack.json`.

    DIR/lock           held while a stack runs on DIR, by the process that runs it; never outlives it
    DIR/secrets.json   passwords and keys, each generated when first asked for and kept; readable by the owner alone
    DIR/stack.json     how to reach the running stack; there only while it is ready; readable by the owner alone
    DIR/logs/          one file a process
    DIR/servers/       data of PostgreSQL and Mosquitto, owned by the user that they run as

Under pressure: files are replaced whole, never half written. A second start on the same folder is refused in one line.
What a killed stack left behind (`stack.json`, the lock file) misleads nobody: the next start clears it.

Started as root on a folder that the servers' user cannot walk to (a checkout in root's home), `servers` becomes a link
to a folder of the system that it can.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bellwether.stack.account import Account
from bellwether.stack.errors import Busy

# 32 bytes: beyond guessing, and as long as the keys that JWTs are signed with must be.
SECRET_BYTES = 32
# Where the servers' data go when their user cannot walk to the stack's own folder.
SYSTEM_FOLDER = Path("/var/lib/bellwether")


def default_path() -> Path:
    """Where `bellwether up` keeps its stack unless told otherwise."""
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(share).expanduser() / "bellwether"


@contextmanager
def opened(path: Path) -> Iterator[StackFolder]:
    """Hold the stack's folder: ours until the block ends, with `stack.json` removed before and after."""
    path = path.expanduser().absolute()
    path.mkdir(parents=True, exist_ok=True)
    # Others may walk through, to the servers' data: they may not look around.
    path.chmod(0o711)
    with (path / "lock").open("a+") as lock:
        _take(lock, path)
        folder = StackFolder(path)
        folder.withdraw()
        try:
            yield folder
        finally:
            folder.withdraw()


def _take(lock: IO[str], path: Path) -> None:
    lock.seek(0)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock.read().strip() or "unknown"
        raise Busy(f"A stack runs on {path} already (process {holder}): stop it, or give another --data") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


class StackFolder:
    """A folder that we hold. Made by `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.logs.mkdir(exist_ok=True, mode=0o700)

    def secret(self, name: str) -> str:
        """The secret `name`: generated when first asked for, the same ever after."""
        file = self.path / "secrets.json"
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(SECRET_BYTES)
            _replace(file, known)
        return known[name]

    def publish(self, stack: Mapping[str, object]) -> None:
        """Write `stack.json`: the stack is ready, and this is how to reach it."""
        _replace(self.path / "stack.json", stack)

    def withdraw(self) -> None:
        """Remove `stack.json`: the stack is not ready, or no more."""
        (self.path / "stack.json").unlink(missing_ok=True)

    def servers(self, account: Account) -> Path:
        """The folder for the data of servers that run as `account`."""
        path = self.path / "servers"
        if not path.exists() and not account.reaches(self.path):
            elsewhere = SYSTEM_FOLDER / hashlib.sha256(bytes(self.path)).hexdigest()[:12]
            elsewhere.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(elsewhere)
        path.mkdir(exist_ok=True)
        account.own(path)
        path.chmod(0o700)
        return path.resolve()


def _replace(file: Path, content: Mapping[str, object]) -> None:
    """Write `file` whole, on disk before it is seen, and for its owner alone."""
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(content, out, indent=2)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
