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


FREED = """
import numpy as np
from pathlib import Path
from ingest.footprint import keep_little, return_idle

def resident_mb():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS")) // 1024

keep_little()
np.ones(3_000_000)  # from such a block on glibc would raise its own bound
blocks, stay = [], []
for _ in range(20):
    blocks.append(np.ones({numbers}))
    stay.append(np.ones(10_000))
before = resident_mb()
blocks.clear()
{then}
assert before - resident_mb() > 0.9 * 20 * {numbers} * 8 / 2**20, (before, resident_mb())
"""


@pytest.mark.parametrize(("numbers", "then"), [(700_000, ""), (250_000, "return_idle()")])
def test_what_is_freed_is_given_back(numbers: int, then: str) -> None:
    """Blocks with something that stays behind each, so that the heap cannot shrink by itself."""
    subprocess.run([sys.executable, "-c", FREED.format(numbers=numbers, then=then)], cwd=ROOT, check=True)
