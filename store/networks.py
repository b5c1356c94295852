"""Which addresses of the internet are public: what is sent on somebody's word goes to no other.

A server that sends wherever it is told reaches what its own network trusts it with: databases, the metadata of a cloud.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# Public by its number, and the metadata service of a cloud all the same.
_METADATA = frozenset({IPv4Address("168.63.129.16")})
# Where a network translates these they end at the IPv4 address in their last 32 bits (RFC 6052, RFC 8215).
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_RELAYS = IPv4Network("192.88.99.0/24")


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
