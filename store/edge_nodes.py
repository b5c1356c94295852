"""Who speaks Sparkplug, and whether it was online when we last heard: what ingest asks for again after a start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from store.connection import Session
from store.queries import queries


class Member(NamedTuple):
    """An edge node, or a device behind it, by the names that Sparkplug has for it; no `device` is the node itself."""

    tenant: str
    node: str
    device: str
    online: bool


def known(conn: Session) -> list[Member]:
    """Everyone who was ever born, nodes before their devices."""
    return [Member(*row) for row in conn.execute(queries("edge_nodes")["known"])]


def note(conn: Session, members: Sequence[Member]) -> None:
    """Keep who came and who went."""
    columns = [list(column) for column in zip(*sorted(members), strict=True)]
    if columns:
        conn.execute(queries("edge_nodes")["note"], columns)
