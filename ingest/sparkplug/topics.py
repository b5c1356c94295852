"""Sparkplug's topics, `spBv1.0/{group}/{kind}/{edge node}[/{device}]`, and the names that we give to who speaks there.

The group is the tenant. An edge node is a device of its own, and each device behind it another: `{node}` and
`{node}.{device}`. What has other characters than `A-Za-z0-9_-`, or is too long, is cleaned and gets the digest of its
real name: two dots are in no plain name, and the same real name makes the same name of ours after every start.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

ROOT = "spBv1.0"
FILTER = f"{ROOT}/#"
MAX_NAME = 64

OF_NODE = frozenset({"NBIRTH", "NDEATH", "NDATA", "NCMD"})
OF_DEVICE = frozenset({"DBIRTH", "DDEATH", "DDATA", "DCMD"})
COMMANDS = frozenset({"NCMD", "DCMD"})
BIRTHS = frozenset({"NBIRTH", "DBIRTH"})

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
_UNCLEAN = re.compile(r"[^A-Za-z0-9_-]+")
# Of a digest, hexadecimal: enough that a site's worth of odd names never meets, short enough to leave the name room.
_DIGEST = 12


class Address(NamedTuple):
    """Whom a message is about, in Sparkplug's names and in ours.

    Attributes
    ----------
    device
        Empty where the edge node itself speaks.
    tenant, node_name, name
        Ours: the tenant, the edge node, and the one that the message is about.
    """

    group: str
    kind: str
    node: str
    device: str
    tenant: str
    node_name: str
    name: str

    @property
    def command_topic(self) -> str:
        return f"{ROOT}/{self.group}/NCMD/{self.node}"


def is_sparkplug(topic: str) -> bool:
    return topic.startswith(ROOT + "/")


# An edge node says the same topics again and again. Bounded, since topics come from outside.
@lru_cache(maxsize=1 << 16)
def address_of(topic: str) -> Address | None:
    """The parts of a topic; None where it is none of Sparkplug's, or a host's STATE."""
    parts = topic.split("/")
    if len(parts) not in {4, 5} or parts[0] != ROOT or not all(parts):
        return None
    _, group, kind, node = parts[:4]
    device = parts[4] if len(parts) == 5 else ""
    if kind not in (OF_DEVICE if device else OF_NODE):
        return None
    return Address(group, kind, node, device, group, name_of(node), name_of(node, device))


def name_of(node: str, device: str = "") -> str:
    """Our name for an edge node, or for a device behind one: never the same for two of a group."""
    parts = [node, device] if device else [node]
    plain = ".".join(parts)
    if len(plain) <= MAX_NAME and all(_PLAIN.match(part) for part in parts):
        return plain
    digest = sha256("/".join(parts).encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    cleaned = ".".join(_UNCLEAN.sub("_", part) for part in parts)
    return f"{cleaned[: MAX_NAME - _DIGEST - 2]}..{digest}"
