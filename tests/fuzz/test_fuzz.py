"""No decoder falls, hangs or grows, whatever comes: for a moment in the suite, for a minute each under `make soak`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from targets import TARGETS

CAMPAIGN = Path(__file__).with_name("campaign.py")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
# What replaying all that was found may add: an allocator's leftovers, not a list that grows with each message.
MAY_GROW_BYTES = 8 << 20
_INTERESTING = (b"\x00", b"\xff", b"\x7f", b"\x80", b"[", b"{", b'"', b"1e999", b"null", b"\xbf", b"\x9f", b"\xd8\x55")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Something near: bytes changed, put in, left out, said twice."""
    body = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(5):
            case 0 if body:
                body[at - 1] = rng.randrange(256)
            case 1:
                body[at:at] = rng.choice(_INTERESTING)
            case 2:
                del body[at : at + rng.randint(1, 8)]
            case 3:
                body[at:at] = body[at : at + rng.randint(1, 16)]
            case _:
                del body[at:]
    return bytes(body)


@pytest.mark.parametrize("name", TARGETS)
def test_near_what_is_known_nothing_breaks(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        target.fuzz(seed)
    rng = random.Random(name)  # the same each time: a campaign draws others, and does not hold up a release
    until = time.monotonic() + 1
    while time.monotonic() < until:
        data = mutated(rng.choice(seeds), rng)
        try:
            target.fuzz(data)
        except BaseException as error:
            error.add_note(f"on {data!r}")
            raise


def campaign(name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CAMPAIGN, name, folder, *options],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def seeded(name: str, folder: Path) -> Path:
    folder.mkdir()
    for number, seed in enumerate(TARGETS[name].seeds()):
        (folder / f"seed-{number:03d}").write_bytes(seed)
    return folder


needs_atheris = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not made for this Python yet")


@needs_atheris
def test_a_broken_promise_is_found(tmp_path: Path) -> None:
    """The campaign itself: it runs, and it fails where a decoder does."""
    folder = seeded("status", tmp_path / "corpus")
    assert "Done 200 runs" in campaign("status", folder, "-runs=200").stderr
    assert campaign("no such target", folder, "-runs=1").returncode != 0


@needs_atheris
@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 120)
@pytest.mark.parametrize("name", TARGETS)
def test_a_minute_of_everything(name: str, tmp_path: Path) -> None:
    folder = seeded(name, tmp_path / "corpus")
    limits = (
        f"-max_total_time={SECONDS}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=8192",
        "-print_final_stats=1",
    )
    ran = campaign(name, folder, *limits)
    assert ran.returncode == 0, ran.stderr[-4000:]
    replayed = campaign(name, folder, "replay")
    assert replayed.returncode == 0, replayed.stderr
    assert int(replayed.stdout) < MAY_GROW_BYTES
