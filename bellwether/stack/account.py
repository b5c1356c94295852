"""Whom the servers run as. PostgreSQL refuses to run as root, rightly; started by anyone else, it runs as that user."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bellwether.stack.errors import Unsupported

# In order of preference; PostgreSQL needs an account that the system knows by name.
UNPRIVILEGED = ("postgres", "nobody")


class Identity(TypedDict, total=False):
    """Arguments of `subprocess` that start a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine that the servers run as and own their files as."""

    name: str
    uid: int
    gid: int

    @property
    def identity(self) -> Identity:
        """What to start a program with, so that it runs as this user: nothing, if that is who we are."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        """Whether this user can walk to `folder` (which a folder closed to others on the way prevents)."""
        return not subprocess.run(["test", "-x", folder], check=False, **self.identity).returncode


def server_account() -> Account:
    """Ourselves, or when that is root, an ordinary user."""
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    for name in UNPRIVILEGED:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, found.pw_uid, found.pw_gid)
    raise Unsupported(f"Started as root, and there is no user {' or '.join(UNPRIVILEGED)} to run PostgreSQL as")
