"""What may move from where to where, as a table. A move that is not in it does not happen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tickets.parts.places import SHELVES, PlaceKind


class MoveKind(StrEnum):
    RECEIPT = "receipt"
    SENT = "sent"
    ARRIVED = "arrived"
    LOST = "lost"  # counted, and not there
    FOUND = "found"  # counted, and more than there was
    ISSUE = "issue"
    UNUSED = "unused"  # issued, and brought back
    REPAIRED = "repaired"  # taken out of a machine, and as good as new
    RECYCLED = "recycled"
    SCRAPPED = "scrapped"
    SENT_BACK = "sent_back"


@dataclass(frozen=True, slots=True)
class Road:
    """From which kinds of places to which. `says_why`: only with a note."""

    takes: frozenset[PlaceKind]
    gives: frozenset[PlaceKind]
    says_why: bool = False


class BadMove(Exception):
    """What is asked for is no move; says why."""


def _only(kind: PlaceKind) -> frozenset[PlaceKind]:
    return frozenset({kind})


_MACHINES = frozenset({PlaceKind.REPAIR, PlaceKind.CUSTOMER})

ROADS: dict[MoveKind, Road] = {
    MoveKind.RECEIPT: Road(_only(PlaceKind.SUPPLIER), SHELVES),
    MoveKind.SENT: Road(SHELVES, _only(PlaceKind.TRANSIT)),
    MoveKind.ARRIVED: Road(_only(PlaceKind.TRANSIT), SHELVES),
    MoveKind.LOST: Road(SHELVES | {PlaceKind.TRANSIT}, _only(PlaceKind.DIFFERENCE), says_why=True),
    MoveKind.FOUND: Road(_only(PlaceKind.DIFFERENCE), SHELVES, says_why=True),
    MoveKind.ISSUE: Road(SHELVES, _only(PlaceKind.REPAIR)),
    MoveKind.UNUSED: Road(_only(PlaceKind.REPAIR), SHELVES),
    MoveKind.REPAIRED: Road(_MACHINES, SHELVES, says_why=True),
    MoveKind.RECYCLED: Road(SHELVES | _MACHINES, _only(PlaceKind.RECYCLING), says_why=True),
    MoveKind.SCRAPPED: Road(SHELVES | _MACHINES, _only(PlaceKind.SCRAP), says_why=True),
    MoveKind.SENT_BACK: Road(SHELVES, _only(PlaceKind.SUPPLIER), says_why=True),
}


def check(kind: MoveKind, source: PlaceKind, target: PlaceKind, note: str) -> None:
    """Let a move pass that the table has. BadMove where it has not, or where nobody says why."""
    road = ROADS[kind]
    if source not in road.takes or target not in road.gives:
        raise BadMove(f"nothing is {kind.value.replace('_', ' ')} from {source.value} to {target.value}")
    if road.says_why and not note.strip():
        raise BadMove(f"what is {kind.value.replace('_', ' ')} needs a note that says why")
