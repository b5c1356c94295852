"""A process of ours that is killed in the middle of something, at a place that the test names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_BEGIN = """
import os, signal, sys
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def dies(script: str, *arguments: str) -> None:
    """Run a script that calls `die` sooner or later, and see it killed."""
    killed = subprocess.run(
        [sys.executable, "-c", _BEGIN + script, *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
