"""Ports on the loopback interface, the only one that the local stack listens on."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from bellwether.stack.errors import PortTaken

LOOPBACK = "127.0.0.1"
# The ports that the kernel gives to connections, and to whoever asks for any: first and last.
_KERNELS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
# From so many below them one is drawn. A port of theirs may be given away before its server listens, which takes a
# database seconds.
_BELOW = 10_000
_FIRST, _TRIES = 10_000, 100


def choose(what: str, wanted: int | None = None, preferred: int | None = None) -> int:
    """Return `wanted` or fail if it is taken; without a wish, `preferred` if it is free, else any that is free."""
    if wanted:
        if not is_free(wanted):
            raise PortTaken(f"Port {wanted} for {what} is in use: stop what listens there, or give another")
        return wanted
    return preferred if preferred and is_free(preferred) and _take(preferred) else _any()


def is_free(port: int) -> bool:
    """Whether nothing listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _any() -> int:
    end = int(_KERNELS_OWN.read_text().split()[0]) if _KERNELS_OWN.exists() else 0
    for _ in range(_TRIES if end - _BELOW >= _FIRST else 0):
        port = end - 1 - secrets.randbelow(_BELOW)
        if is_free(port) and _take(port):
            return port
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if _take(port):
            return port


def _take(port: int) -> bool:
    """Whether a port is ours from now until this process ends: two that start together find the same ones free."""
    lock = Path(tempfile.gettempdir()) / f"bellwether-port-{port}.lock"
    try:
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # another user's
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return False
    if not _is_there(lock, held):
        os.close(held)  # whoever held it has just ended, and taken it away
        return _take(port)
    # Held open until the process ends, and taken away while it still is: nobody else can hold a file of this name.
    atexit.register(_remove, lock)
    return True


def _is_there(lock: Path, held: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(held))
    except FileNotFoundError:
        return False


def _remove(lock: Path) -> None:
    with suppress(OSError):
        lock.unlink()
