"""What is given back to the system."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.footprint import drop_read

ROOT = Path(__file__).parents[2]
PAGES = 2048

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")


def resident(path: Path) -> int:
    """How many kB of a file are in our memory."""
    mine, held = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0] and len(line.split()) > 4:
            mine = line.endswith(str(path))
        elif mine and line.startswith("Rss:"):
            held += int(line.split()[1])
    return held


def test_what_was_read_is_let_go_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "library"
    path.write_bytes(bytes(range(256)) * 16 * PAGES)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == path.read_bytes()
        assert resident(path) >= 4 * PAGES
        drop_read()
        assert resident(path) == 0
        assert mapped[:] == path.read_bytes()


def test_what_was_written_to_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "library"
    path.write_bytes(bytes(4096 * PAGES))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[5000] = 7
        drop_read()
        assert mapped[5000] == 7


def test_elsewhere_nothing_happens(tmp_path: Path) -> None:
    drop_read(tmp_path / "smaps")


def test_a_freed_array_is_given_back() -> None:
    """Freed blocks of some MB, with something that stays behind each: the heap cannot shrink by itself."""
    code = """
import numpy as np
from pathlib import Path
from ingest.footprint import return_freed

def resident_mb():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS")) // 1024

return_freed()
np.ones(3_000_000)  # from such a block on glibc would raise its own bound
blocks, stay = [], []
for _ in range(40):
    blocks.append(np.ones(250_000))
    stay.append(np.ones(10_000))
before = resident_mb()
blocks.clear()
assert before - resident_mb() > 70, (before, resident_mb())
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
