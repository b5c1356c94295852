"""A Mosquitto of the stack's own: loopback alone, passwords generated, an access list, run under a supervisor.

Queues are sized for an outage of its subscriber, not for the broker's defaults, which drop acknowledged messages after
the first thousand: see `mosquitto.conf` beside this file, which the containers use too. Configuration, passwords and
access list are written anew at each start; sessions and waiting messages stay.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bellwether.stack.account import Account
from bellwether.stack.errors import StartFailed
from bellwether.stack.packages import Programs
from bellwether.stack.port import LOOPBACK
from bellwether.stack.postgres import OWN_LIBRARIES
from bellwether.stack.supervisor import Role

COMMON = Path(__file__).with_name("mosquitto.conf")

# Who may do what. `bellwether` is ingest; `devices` a simulated fleet or recorded files; `operator` a person's scripts.
ACCESS = """\
user bellwether
topic read bellwether/v1/#
topic write bellwether/v1/+/+/ack
topic write bellwether/v1/+/+/config
topic readwrite bellwether/probe/#
topic readwrite spBv1.0/#
topic read $SYS/#

user devices
topic write bellwether/v1/+/+/telemetry
topic write bellwether/v1/+/+/waveform
topic write bellwether/v1/+/+/status
topic read bellwether/v1/+/+/ack
topic read bellwether/v1/+/+/config
topic readwrite spBv1.0/#

user operator
topic readwrite bellwether/#
topic readwrite spBv1.0/#
topic read $SYS/#
"""
USERS = ("bellwether", "devices", "operator")
# The only return code of a CONNACK that welcomes.
ACCEPTED = b"\x20\x02\x00\x00"
PROBE_TIMEOUT_S = 1.0
# It writes its whole state when it ends.
STOP_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """One broker: its programs, the parent of its folder, the port, a password for each of `USERS`, whom it runs as."""

    programs: Programs
    servers: Path
    port: int
    passwords: Mapping[str, str]
    account: Account

    @property
    def data(self) -> Path:
        """The broker's own folder."""
        return self.servers / "mosquitto"

    @property
    def url(self) -> str:
        """Where it listens; user and password go beside it."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    def create(self) -> None:
        """Write its configuration, passwords and access list."""
        self.data.mkdir(exist_ok=True, mode=0o700)
        self.account.own(self.data)
        self._write("access", ACCESS)
        self._write_passwords()
        self._write("mosquitto.conf", f"{COMMON.read_text()}\n{self._own_settings()}")

    def role(self) -> Role:
        """What to give to the supervisor, after `create`."""
        return Role(
            name="mosquitto",
            argv=(str(self.programs.mosquitto), "-c", str(self.data / "mosquitto.conf")),
            env=OWN_LIBRARIES,
            ready=self.is_ready,
            account=self.account,
            cwd=self.data,
            stop_signal=signal.SIGTERM,
            stop_within_s=STOP_WITHIN_S,
        )

    def is_ready(self) -> bool:
        """Whether it lets `bellwether` in."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_S) as connection:
                connection.settimeout(PROBE_TIMEOUT_S)
                connection.sendall(connect_packet("bellwether", self.passwords["bellwether"]))
                return connection.recv(len(ACCEPTED)) == ACCEPTED
        except OSError:
            return False

    def _own_settings(self) -> str:
        return (
            f"listener {self.port} {LOOPBACK}\n"
            f"persistence_location {self.data}/\n"
            f"password_file {self.data}/passwords\n"
            f"acl_file {self.data}/access\n"
            "log_dest stdout\n"
            "log_timestamp_format %Y-%m-%dT%H:%M:%S\n"
        )

    def _write_passwords(self) -> None:
        """As hashes only; made from a file rather than an argument, which other users of the machine could read."""
        path = self._write("passwords.new", "".join(f"{user}:{self.passwords[user]}\n" for user in USERS))
        done = subprocess.run(
            [self.programs.mosquitto_passwd, "-U", path],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **OWN_LIBRARIES},
            **self.account.identity,
        )
        if done.returncode:
            path.unlink(missing_ok=True)
            raise StartFailed(f"Could not write the broker's passwords: {done.stderr.strip()}")
        path.replace(self.data / "passwords")

    def _write(self, name: str, text: str) -> Path:
        path = self.data / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        self.account.own(path)
        path.write_text(text)
        return path


def connect_packet(user: str, password: str) -> bytes:
    """An MQTT 3.1.1 CONNECT with a clean session and no client id: a few lines, so that no client library is needed."""

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(2, "big") + value.encode()

    # Flags: user name, password, clean session. Keep alive: 10 s.
    body = text("MQTT") + bytes([4, 0b1100_0010, 0, 10]) + text("") + text(user) + text(password)
    if len(body) > 127:
        raise ValueError("the probe's packet must fit the one-byte length")
    return bytes([0x10, len(body)]) + body
