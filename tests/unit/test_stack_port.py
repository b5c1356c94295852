"""Ports: a wish is granted or refused in one line, a preference gives way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bellwether.stack import port
from bellwether.stack.errors import PortTaken


def test_a_wish_for_a_taken_port_is_refused_and_a_preference_gives_way() -> None:
    with socket.socket() as other:
        taken = next(number for number in range(20_000, 30_000) if port.is_free(number))  # none of the kernel's own
        other.bind((port.LOOPBACK, taken))
        other.listen()
        with pytest.raises(PortTaken, match=f"Port {taken} for Mosquitto is in use"):
            port.choose("Mosquitto", wanted=taken)
        assert port.choose("Mosquitto", preferred=taken) != taken
    assert port.choose("Mosquitto", preferred=taken) == taken
    assert port.choose("Mosquitto", wanted=taken) == taken


TAKES = """
import sys
from bellwether.stack import port
print(port.choose("Mosquitto"), flush=True)
sys.stdin.read()
"""


def test_what_holds_a_port_is_gone_with_its_process(tmp_path: Path) -> None:
    taking = subprocess.Popen(
        [sys.executable, "-c", TAKES],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert taking.stdout is not None
    number = int(taking.stdout.readline())
    assert [path.name for path in tmp_path.iterdir()] == [f"bellwether-port-{number}.lock"]
    taking.communicate()
    assert not list(tmp_path.iterdir())


def test_a_lock_that_was_taken_away_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening a lock and holding it, its owner ends: what is held then has no name any more."""
    free = next(number for number in range(20_100, 30_000) if port.is_free(number))
    lock, opened = tmp_path / f"bellwether-port-{free}.lock", os.open
    lost: list[int] = []

    def open_and_lose(path: Path, *how: int) -> int:
        held = opened(path, *how)
        if path == lock and not lost:
            lost.append(lock.stat().st_ino)
            lock.unlink()
        return held

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "open", open_and_lose)
    assert port.choose("Mosquitto", preferred=free) == free
    assert lost
    assert lock.exists()


def test_any_port_is_none_that_a_connection_may_be_given_before_its_server_listens() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first < 20_000:
        pytest.skip("this kernel gives nearly all ports to connections")
    chosen = [port.choose("a server") for _ in range(20)]
    assert len(set(chosen)) == 20
    assert max(chosen) < first
