"""Ports of the loopback interface, chosen before anything listens on them."""

from __future__ import annotations

import subprocess
import sys

from bellwether.stack import port

_ANOTHER = """
import sys
from bellwether.stack import port
print(port.choose("a server", preferred=int(sys.argv[1])))
"""


def test_two_that_start_together_choose_different_ports() -> None:
    """Neither listens yet when the other looks."""
    ours = port.choose("a server")
    assert port.is_free(ours)
    done = subprocess.run([sys.executable, "-c", _ANOTHER, str(ours)], capture_output=True, text=True, check=True)
    assert int(done.stdout) != ours


def test_what_was_let_go_can_be_had_again() -> None:
    chosen = [
        subprocess.run([sys.executable, "-c", _ANOTHER, "18443"], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert chosen[0] == chosen[1] == "18443\n" or not port.is_free(18443)
