"""Which of a machine's configured package sources are the Debian archive, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellwether.stack.debian import Source, configured_sources, parse_uris
from bellwether.stack.packages import SERVERS

DEB822 = """\
Types: deb
# a remark in between
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://packages.example/node
Suites: nodistro
Components: main

Types: deb
URIs: http://tools.example
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/tools.gpg

Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb http://mirror.example/debian stable main non-free # the archive
deb [arch=amd64 signed-by=/usr/share/keyrings/other.gpg] http://packages.example/apt bookworm main
deb [Check-Valid-Until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://old.example/d trixie main
deb http://packages.example/containers bookworm stable
deb-src http://mirror.example/debian bookworm main
"""


@pytest.fixture
def etc_apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822_sources(etc_apt: Path) -> None:
    (etc_apt / "sources.list.d/debian.sources").write_text(DEB822)
    assert configured_sources(etc_apt) == [
        Source("http://mirror.example/debian", "bookworm"),
        Source("http://mirror.example/debian", "bookworm-updates"),
        Source("http://mirror.example/debian-security", "bookworm-security"),
    ]


def test_one_line_sources(etc_apt: Path) -> None:
    (etc_apt / "sources.list").write_text(ONE_LINE)
    (etc_apt / "sources.list.d/again.list").write_text(ONE_LINE)
    assert configured_sources(etc_apt) == [
        Source("http://mirror.example/debian", "stable"),
        Source("http://old.example/d", "trixie", ignores_age=True),
    ]


def test_a_machine_without_sources_has_none(tmp_path: Path) -> None:
    assert configured_sources(tmp_path) == []


def test_a_source_follows_a_release_with_its_part() -> None:
    assert Source("u", "bookworm-security").follow("trixie") == Source("u", "trixie-security")
    assert Source("u", "stable").follow("trixie") == Source("u", "trixie")
    assert Source("u", "trixie").is_release
    assert not Source("u", "trixie-updates").is_release


def test_only_the_keyring_given_is_trusted() -> None:
    stanza = Source("http://mirror.example/debian", "trixie", ignores_age=True).stanza(Path("/keys.gpg"))
    assert "Signed-By: /keys.gpg\n" in stanza
    assert "Check-Valid-Until: no\n" in stanza
    assert "rusted" not in stanza


def test_names_and_sizes_are_read_from_apt() -> None:
    listing = """\
Reading package lists...
'http://mirror.example/pool/m/mosquitto/mosquitto_2.0.21-1_amd64.deb' mosquitto_2.0.21-1_amd64.deb 274344 SHA256:ab
'http://mirror.example/p/libssl3t64_3.5.7-1%7edeb13u2_amd64.deb' libssl3t64_3.5.7-1~deb13u2_amd64.deb 2453872 SHA256:cd
"""
    assert dict(parse_uris(listing)) == {"mosquitto": 274344, "libssl3t64": 2453872}


@pytest.mark.parametrize("package", ["postgresql-17", "mosquitto", "libc6", "libssl3t64", "zlib1g", "libcjson1"])
def test_programs_and_their_libraries_are_wanted(package: str) -> None:
    assert SERVERS.wants(package)


@pytest.mark.parametrize("package", ["libllvm19", "perl-base", "libperl5.40", "adduser", "postgresql-common", "tzdata"])
def test_what_only_installation_needs_is_not(package: str) -> None:
    assert not SERVERS.wants(package)
