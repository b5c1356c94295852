"""Make the secrets that the containers start with: `deploy/secrets/compose.env`, readable by its owner alone.

Run again, it adds only what is missing: a secret that exists is never changed, since data are locked with it. `.env`,
where Compose looks by itself, becomes a link to the file unless something of yours is there already.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMES = (
    "POSTGRES_PASSWORD",
    "MQTT_BELLWETHER_PASSWORD",
    "MQTT_DEVICES_PASSWORD",
    "MQTT_OPERATOR_PASSWORD",
    "MQTT_GATE_PASSWORD",
    "BELLWETHER_INGEST_PASSWORD",
    "BELLWETHER_API_PASSWORD",
    "BELLWETHER_NOTIFY_PASSWORD",
    "BELLWETHER_ADMIN_PASSWORD",
    "BELLWETHER_SECRET",
    "GRAFANA_PASSWORD",
)
# 32 bytes: beyond guessing, and as long as the keys that JWTs are signed with must be.
SECRET_BYTES = 32


def main(root: Path = ROOT) -> None:
    """Make what is missing, and say so."""
    file = root / "deploy" / "secrets" / "compose.env"
    made = _complete(file)
    _say(f"{file.relative_to(root)}: {made} made, {len(NAMES) - made} kept")
    link, target = root / ".env", file.relative_to(root)
    if not link.exists() and not link.is_symlink():
        link.symlink_to(target)
    elif link.resolve() != file.resolve():
        _say(f".env is your own and stays: docker compose --env-file .env --env-file {target} ...")


def _complete(file: Path) -> int:
    """Add what the file lacks, whole or not at all; how many that was."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = file.read_text() if file.exists() else ""
    known = {line.partition("=")[0] for line in kept.splitlines()}
    missing = [name for name in NAMES if name not in known]
    if missing:
        if kept and not kept.endswith("\n"):
            kept += "\n"
        _replace(file, kept + "".join(f"{name}={secrets.token_urlsafe(SECRET_BYTES)}\n" for name in missing))
    file.chmod(0o600)
    return len(missing)


def _replace(file: Path, text: str) -> None:
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
