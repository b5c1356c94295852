"""Which addresses a webhook may be sent to: public ones, over TLS.

A server that posts wherever it is told reaches what its own network trusts it with: databases, the metadata of a cloud.
A URL is judged when somebody types it, and each address that its name has is judged again when it is sent to, since a
name may mean another address by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

LONGEST_URL = 2000
# Public by its number, and the metadata service of a cloud all the same.
_METADATA = frozenset({IPv4Address("168.63.129.16")})
# Where a network translates these they end at the IPv4 address in their last 32 bits (RFC 6052, RFC 8215).
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_RELAYS = IPv4Network("192.88.99.0/24")


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


def may_reach(address: IPv4Address | IPv6Address, *, to_loopback: bool = False) -> bool:
    """Whether this address, and each that is wrapped in it, is a public one."""
    return all(_public(one) or (to_loopback and one.is_loopback) for one in _unwrapped(address))


def _public(one: IPv4Address | IPv6Address) -> bool:
    closed = one.is_multicast or one.is_reserved or one.is_unspecified or one in _METADATA
    by_kind = one.is_site_local if isinstance(one, IPv6Address) else one in _RELAYS
    return one.is_global and not closed and not by_kind


def _unwrapped(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif any(address in net for net in _NAT64):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
