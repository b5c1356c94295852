"""Where an MQTT broker is: the one place that reads an MQTT URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_DEFAULT_PORT = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Trust:
    """Files of TLS: whose certificates are believed (None: whom this machine believes), and our own with its key."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker and the credentials for it."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: Trust = Trust()

    @classmethod
    def parse(
        cls, url: str, username: str | None = None, password: str | None = None, trust: Trust | None = None
    ) -> Broker:
        """Read `mqtt://[user[:password]@]host[:port]`, or `mqtts://` for TLS. What is given apart wins over the URL.

        Raises
        ------
        ValueError
            If it is no such URL; the text never holds the password.
        """
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORT or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("an MQTT URL looks like mqtt://host:1883 or mqtts://user:password@host:8883")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("the port of an MQTT URL is a number from 1 to 65535") from None
        return cls(
            parts.hostname,
            port or _DEFAULT_PORT[parts.scheme],
            parts.scheme == "mqtts",
            username or (unquote(parts.username) if parts.username else None),
            password or (unquote(parts.password) if parts.password else None),
            trust or Trust(),
        )

    def encryption(self) -> ssl.SSLContext:
        """What a client of a broker with TLS needs: at least 1.2, its certificate and its name checked.

        Raises
        ------
        OSError
            A file of `trust` cannot be read or holds no such thing.
        """
        context = ssl.create_default_context(cafile=self.trust.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.trust.certificate is not None:
            context.load_cert_chain(self.trust.certificate, self.trust.key)
        return context

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"
