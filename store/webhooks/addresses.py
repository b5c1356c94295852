"""Which addresses a webhook may be sent to: public ones, over TLS.

A URL is judged when somebody types it, and each address that its name has is judged again when it is sent to, since a
name may mean another address by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from store.networks import may_reach

LONGEST_URL = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points. `host` is as it is asked for in DNS and in the certificate; `path` is with its query."""

    secure: bool
    host: str
    port: int
    path: str


def target_of(url: str, *, to_loopback: bool = False) -> Target:
    """A URL taken apart.

    Parameters
    ----------
    to_loopback
        Let plain HTTP and this machine's own addresses pass: for trying things out.

    Raises
    ------
    ValueError
        It is none that may be sent to; says why.
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"a URL of at most {LONGEST_URL} printable ASCII characters")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (to_loopback and parts.scheme == "http"):
        raise ValueError("an https URL")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a URL without a user, a password or a fragment")
    host = (parts.hostname or "").rstrip(".")
    port = parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)
    if not host or not port:
        raise ValueError("a URL with a host")
    literal = _literal(host)
    if literal is not None and not may_reach(literal, to_loopback=to_loopback):
        raise ValueError(f"{host} is no public address")
    if literal is None and not to_loopback and (host == "localhost" or "." not in host):
        raise ValueError(f"{host} is no public name")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, path)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
