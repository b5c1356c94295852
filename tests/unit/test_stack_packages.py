"""Where programs are unpacked, and the one line said where they cannot be."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bellwether.stack import debian, packages
from bellwether.stack.errors import Unsupported

REMEDY = "docker compose up.*--database-url"


def test_the_cache_is_outside_any_checkout_and_movable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_CACHE", str(tmp_path))
    assert packages.cache_folder() == tmp_path
    monkeypatch.delenv("BELLWETHER_CACHE")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert packages.cache_folder() == tmp_path / "bellwether"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert packages.cache_folder() == tmp_path / ".cache/bellwether"


def test_another_processor_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(Unsupported, match=f"riscv64.*{REMEDY}") as refusal:
        packages.ensure(print)
    assert "\n" not in str(refusal.value)


def test_a_machine_without_apt_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "_require_open_to_all", lambda folder: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=f"Not a Debian system: no apt-get and no dpkg-deb.*{REMEDY}"):
        packages.ensure(print)


def test_a_machine_without_a_debian_mirror_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "_require_open_to_all", lambda folder: None)
    monkeypatch.setattr(debian, "configured_sources", list)
    with pytest.raises(Unsupported, match=f"No mirror.*{REMEDY}"):
        packages.ensure(print)


def test_an_unreachable_mirror_is_one_line_and_leaves_no_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BELLWETHER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "_require_open_to_all", lambda folder: None)
    # Port 9, "discard": nothing listens there.
    monkeypatch.setattr(debian, "configured_sources", lambda: [debian.Source("http://127.0.0.1:9/debian", "bookworm")])
    with pytest.raises(Unsupported, match=f"does not serve trixie.*{REMEDY}") as refusal:
        packages.ensure(print)
    assert "\n" not in str(refusal.value)
    assert not list((tmp_path / "cache").glob("servers-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_a_cache_that_postgresql_s_user_cannot_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("BELLWETHER_CACHE", str(closed / "cache"))
    with pytest.raises(Unsupported, match="closed to other users"):
        packages.ensure(print)


def test_it_runs_before_any_dependency_is_installed() -> None:
    """Isolated from site-packages, only the standard library is left."""
    root = Path(packages.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import bellwether.stack.packages as p; sys.exit(p.main(['x']))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "packages: x is not one of servers, browser\n"
