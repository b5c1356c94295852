"""A Mosquitto of the stack's own: loopback alone, passwords generated, rights by the plugin, run under a supervisor.

Queues are sized for an outage of its subscriber, not for the broker's defaults, which drop acknowledged messages after
the first thousand: see `mosquitto.conf` beside this file, which the containers use too. Configuration and the services'
passwords are written anew at each start; sessions, waiting messages and the credentials of devices, which the gate has
told the plugin of, stay.
"""

from __future__ import annotations

import json
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
from ingest.access.rights import SERVICES, first_state

COMMON = Path(__file__).with_name("mosquitto.conf")

USERS = tuple(SERVICES)
# The only return code of a CONNACK that welcomes.
ACCEPTED = b"\x20\x02\x00\x00"
PROBE_TIMEOUT_S = 1.0
# Of each listener with TLS. Who connects has the session of its username, whatever client id it gives: nobody takes
# over another's session, and what waits in it, by calling itself the same.
ENCRYPTION = "tls_version tlsv1.2\nuse_username_as_clientid true\n"
# Of the listener for certificates: the certificate says who it is, and its password is not asked.
CERTIFICATES = "require_certificate true\nuse_identity_as_username true\n"
# It writes its whole state when it ends.
STOP_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Encrypted:
    """TLS beside the plain port: one port for passwords, one for certificates, and the files of `bellwether.certs`."""

    password_port: int
    certificate_port: int
    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """One broker: its programs, the parent of its folder, the port, a password for each of `USERS`, whom it runs as."""

    programs: Programs
    servers: Path
    port: int
    passwords: Mapping[str, str]
    account: Account
    encrypted: Encrypted | None = None

    @property
    def data(self) -> Path:
        """The broker's own folder."""
        return self.servers / "mosquitto"

    @property
    def url(self) -> str:
        """Where it listens; user and password go beside it."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    def create(self) -> None:
        """Write its configuration and passwords, and what its plugin begins with where that is not there yet."""
        self.data.mkdir(exist_ok=True, mode=0o700)
        self.account.own(self.data)
        if not (self.data / "dynamic-security.json").exists():
            self._write("dynamic-security.json", json.dumps(first_state(), indent=1))
        if self.encrypted is not None:
            # Copies of its own: the originals belong to whoever makes certificates.
            self._write("ca.crt", self.encrypted.authority.read_text())
            self._write("server.crt", self.encrypted.certificate.read_text())
            self._write("server.key", self.encrypted.key.read_text())
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
        settings = (
            f"persistence_location {self.data}/\n"
            f"password_file {self.data}/passwords\n"
            f"plugin {self.programs.dynamic_security_plugin}\n"
            f"plugin_opt_config_file {self.data}/dynamic-security.json\n"
            "log_dest stdout\n"
            "log_timestamp_format %Y-%m-%dT%H:%M:%S\n"
            f"listener {self.port} {LOOPBACK}\n"
        )
        if self.encrypted is not None:
            tls = f"certfile {self.data}/server.crt\nkeyfile {self.data}/server.key\n{ENCRYPTION}"
            settings += f"listener {self.encrypted.password_port} {LOOPBACK}\n{tls}"
            settings += f"listener {self.encrypted.certificate_port} {LOOPBACK}\n{tls}"
            settings += f"cafile {self.data}/ca.crt\n{CERTIFICATES}"
        return settings

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
