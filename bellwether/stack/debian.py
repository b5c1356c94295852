"""A private apt: one release of the Debian archive, read from the machine's own mirror and never mixed with its system.

Works as any user, next to a running apt, and leaves nothing behind outside its folder. Verification is never weakened:
whatever the machine's configuration trusts, here only Debian's own keys vouch for a list, and apt checks every archive
against the signed list. When those keys are older than the release, newer ones are fetched, vouched for by the old.

Under pressure: a mirror that does not answer is given up after three tries of `MIRROR_TIMEOUT_S`; every failure is one
`Unsupported` whose line says what to do instead.

Standard library only, like all that runs before the Python dependencies are installed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bellwether.stack.errors import Unsupported

Progress = Callable[[str], None]

# Names under which a machine may follow Debian: only these are taken for the Debian archive among configured sources.
SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable")
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# Too low: a busy mirror counts as unreachable. Too high: a machine without network waits that long for its one line.
MIRROR_TIMEOUT_S = 20


class Architecture(NamedTuple):
    """dpkg's name of a processor, the folder of its libraries, the file name of its program loader."""

    name: str
    triplet: str
    loader: str


ARCHITECTURES = {
    "x86_64": Architecture("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "aarch64": Architecture("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


def architecture() -> Architecture:
    """This machine's, if packages are made for it."""
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        raise Unsupported(f"No packages for a {platform.machine()} processor, only x86-64 and arm64") from None


@dataclass(frozen=True, slots=True)
class Source:
    """One suite at one mirror of the Debian archive, as configured on a machine."""

    uri: str
    suite: str
    ignores_age: bool = False

    @property
    def is_release(self) -> bool:
        """Whether it is a release itself, not its updates."""
        return "-" not in self.suite

    def follow(self, release: str) -> Source:
        """The same part of `release`: `bookworm-updates` becomes `trixie-updates`."""
        _, dash, part = self.suite.partition("-")
        return Source(self.uri, f"{release}{dash}{part}", self.ignores_age)

    def stanza(self, keyring: Path) -> str:
        """In the deb822 format, trusting `keyring` alone."""
        age = "Check-Valid-Until: no\n" if self.ignores_age else ""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: main\nSigned-By: {keyring}\n{age}"


def configured_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """The machine's sources that are the Debian archive's; third parties', backports and CD-ROMs are left out."""
    found: list[Source] = []
    for path in (etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            found += _parse_one_line(path.read_text(errors="replace"))
    for path in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        found += _parse_deb822(path.read_text(errors="replace"))
    return list(dict.fromkeys(source for source in found if _is_debian(source)))


def _is_debian(source: Source) -> bool:
    base, _, part = source.suite.partition("-")
    return base in SUITES and part in ("", "updates", "security") and not source.uri.startswith("cdrom:")


def _parse_one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if not match or "main" not in match[4].split():
            continue
        options = dict(word.partition("=")[::2] for word in (match[1] or "").lower().split())
        if _may_be_debians(options.get("signed-by", "")):
            yield Source(match[2], match[3], options.get("check-valid-until") == "no")


def _parse_deb822(text: str) -> Iterator[Source]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", without_comments):
        pairs = re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {key.lower(): value.strip() for key, value in pairs}
        if (
            "deb" in fields.get("types", "").split()
            and "main" in fields.get("components", "").split()
            and fields.get("enabled", "yes").lower() != "no"
            and _may_be_debians(fields.get("signed-by", ""))
        ):
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield Source(uri, suite, fields.get("check-valid-until", "").lower() == "no")


def _may_be_debians(signed_by: str) -> bool:
    """A source with a third party's key file is that party's; any other is tried, and Debian's keys decide."""
    return not signed_by or "debian-archive" in signed_by or "BEGIN PGP" in signed_by


class Archive:
    """One release of the Debian archive, opened in the folder `work`, which the caller removes."""

    def __init__(self, work: Path, progress: Progress) -> None:
        self._work = work
        self._progress = progress

    def open(self, release: str, sources: list[Source], keyring: Path) -> None:
        """Read the lists of `release`: with its updates where the mirror has them, else the release alone."""
        wanted = [source.follow(release) for source in sources]
        complaint = self._update(wanted, keyring)
        if "NO_PUBKEY" in complaint:
            keyring = self._newer_keyring(sources, keyring)
            complaint = self._update(wanted, keyring)
        alone = [source for source in wanted if source.is_release]
        if complaint and alone != wanted:
            complaint = self._update(alone, keyring)
        if complaint:
            raise Unsupported(f"The Debian mirror does not serve {release}: {complaint}")

    def closure(self, roots: tuple[str, ...]) -> dict[str, int]:
        """Names and sizes in bytes of `roots` and all that they depend on."""
        return dict(parse_uris(self._run("install", "--no-install-recommends", "--yes", "--print-uris", *roots)))

    def unpack(self, packages: list[str], root: Path) -> None:
        """Fetch `packages`, each verified by apt against the signed list, and unpack them into `root`."""
        folder = self._work / "archives"
        folder.mkdir(parents=True, exist_ok=True)
        self._run("download", *packages, cwd=folder, downloads=len(packages))
        self._progress(f"unpacking {len(packages)} packages")
        root.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(lambda archive: _unpack(archive, root), folder.glob("*.deb")))
        shutil.rmtree(folder)

    def _newer_keyring(self, sources: list[Source], keyring: Path) -> Path:
        self._progress("the Debian keys of this machine are older than the release: fetching the current ones")
        if complaint := self._update(sources, keyring):
            raise Unsupported(f"The Debian mirror does not serve this machine's own release: {complaint}")
        root = self._work / "keyring"
        self.unpack(["debian-archive-keyring"], root)
        return next(path for path in (root / ring.relative_to("/") for ring in KEYRINGS) if path.exists())

    def _update(self, sources: list[Source], keyring: Path) -> str:
        """Read the lists of `sources`; return apt's complaint, empty when all went well."""
        self._configure(sources, keyring)
        done = subprocess.run(
            self._command("update"), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=_env()
        )
        complaints: list[str] = re.findall(r"^[EW]: *(.*)", done.stderr, re.MULTILINE)
        unknown_keys = [line for line in complaints if "NO_PUBKEY" in line]
        if done.returncode or unknown_keys:
            return [*unknown_keys, *complaints, f"apt-get update exits with {done.returncode}"][0]
        return ""

    def _configure(self, sources: list[Source], keyring: Path) -> None:
        shutil.rmtree(self._work / "state", ignore_errors=True)
        for folder in ("state/lists/partial", "cache/archives/partial", "sources"):
            (self._work / folder).mkdir(parents=True, exist_ok=True)
        (self._work / "sources/debian.sources").write_text("\n".join(source.stanza(keyring) for source in sources))
        # The system's hooks (cleaning its cache, telling its software centre) are not for a private list.
        (self._work / "apt.conf").write_text(f"""
            #clear APT::Update::Pre-Invoke;
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear APT::Architectures;
            #clear APT::Default-Release;
            APT::Architecture "{architecture().name}";
            APT::Architectures {{ "{architecture().name}"; }};
            APT::Sandbox::User "";
            APT::Update::Error-Mode "any";
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

    def _run(self, *arguments: str, cwd: Path | None = None, downloads: int = 0) -> str:
        """Run apt-get and return what it printed; of many `downloads` say at every quarter how far it is."""
        lines: list[str] = []
        fetched = 0
        with subprocess.Popen(
            self._command(*arguments),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_env(),
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                fetched += line.startswith("Get:")
                if downloads > 4 and line.startswith("Get:") and fetched % (downloads // 4) == 0:
                    self._progress(f"downloaded {fetched} of {downloads}")
        if process.returncode:
            complaint = next((line for line in lines if line.startswith("E:")), "".join(lines[-1:]))
            raise Unsupported(f"apt-get {arguments[0]} failed: {complaint.removeprefix('E:').strip()}")
        return "".join(lines)


def parse_uris(listing: str) -> Iterator[tuple[str, int]]:
    """Names and sizes from `apt-get --print-uris`: lines of `'uri' file size checksum`."""
    for match in re.finditer(r"^'[^']*' ([^_\s]+)_\S+\.deb (\d+) ", listing, re.MULTILINE):
        yield match[1], int(match[2])


def _env() -> dict[str, str]:
    """Messages are read, so they are asked for in English."""
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _unpack(archive: Path, root: Path) -> None:
    done = subprocess.run(["dpkg-deb", "-x", archive, root], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unsupported(f"Could not unpack {archive.name}: {done.stderr.strip()}")
    archive.unlink()
