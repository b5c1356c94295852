"""Make the secrets that the containers start with: one file each in `deploy/secrets/`, readable by its owner alone.

Run again, it makes only what is missing: a secret that exists is never overwritten, since data are locked with it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "secrets"
NAMES = ("postgres_password", "mqtt_bellwether_password", "mqtt_devices_password", "mqtt_operator_password", "secret")
# 32 bytes: beyond guessing, and as long as the keys that JWTs are signed with must be.
SECRET_BYTES = 32


def main() -> None:
    """Make what is missing, and say so."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    for name in NAMES:
        path = FOLDER / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            sys.stdout.write(f"{path}: kept\n")
            continue
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
        sys.stdout.write(f"{path}: made\n")


if __name__ == "__main__":
    main()
