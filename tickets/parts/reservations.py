"""Who is given what there is: parts that tickets have asked for, and where they are kept back for them.

What is held stays held, as long as it is there. Who waits is served by priority, then by age, from the nearest shelf
that has all of it free: the engineer's own van, a depot of the machine's region, a city's before a regional and the
central one. An urgent ticket that finds nothing free goes through the green channel: it takes what was held for tickets
that are not urgent, as few of them as will do, the least and the latest first; they wait again, or are served from
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tickets.parts.places import DEPOTS, PlaceKind
from tickets.priority import Priority


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is at one place and has not expired, held back or not."""

    place: int
    kind: PlaceKind
    region: str
    usable: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a ticket has asked for of one part.

    Attributes
    ----------
    place
        Where it is held; None: it waits.
    wanted
        The one place that it is to come from; None: any.
    van
        That of the ticket's engineer; None: none.
    region
        Where the machine is.
    """

    id: UUID
    ticket: UUID
    priority: Priority
    made_at: datetime
    quantity: int
    place: int | None = None
    wanted: int | None = None
    van: int | None = None
    region: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Where something is held from now on, None: it waits. `taken_by`: the ticket that it went to instead."""

    need: Need
    place: int | None
    taken_by: UUID | None = None


def plan(shelves: Sequence[Shelf], needs: Sequence[Need]) -> list[Change]:
    """What must change so that everyone has what they can have. Nothing, where it has been done before."""
    room = _Room(shelves)
    where: dict[UUID, int | None] = {}
    taken_by: dict[UUID, UUID] = {}
    waiting = list[Need]()
    for need in sorted(needs, key=_order):
        if need.place is not None and room.has(need.place, need.quantity):
            where[need.id] = room.hold(need, need.place)
        else:
            waiting.append(need)
    while waiting:
        need = waiting.pop(0)
        near = _nearest_first(shelves, need)
        place = next((place for place in near if room.has(place, need.quantity)), None)
        if place is None and need.priority is Priority.URGENT:
            place, losers = room.clear(need, near)
            taken_by |= {loser.id: need.ticket for loser in losers}
            waiting = sorted([*waiting, *losers], key=_order)
        where[need.id] = None if place is None else room.hold(need, place)
    return [
        Change(need, where[need.id], taken_by.get(need.id))
        for need in sorted(needs, key=_order)
        if where[need.id] != need.place
    ]


class _Room:
    """What is still free on each shelf, and what is held there for whom."""

    def __init__(self, shelves: Iterable[Shelf]) -> None:
        self._free = {shelf.place: shelf.usable for shelf in shelves}
        self._held: dict[int, list[Need]] = {place: [] for place in self._free}

    def has(self, place: int, quantity: int) -> bool:
        return self._free.get(place, 0) >= quantity

    def hold(self, need: Need, place: int) -> int:
        self._free[place] -= need.quantity
        self._held[place].append(need)
        return place

    def clear(self, need: Need, near: Iterable[int]) -> tuple[int | None, list[Need]]:
        """Take from those who are not urgent, at the nearest place where that is enough; None where it is nowhere."""
        for place in near:
            rivals = [one for one in self._held[place] if one.priority is not Priority.URGENT]
            short = need.quantity - self._free[place]
            if sum(one.quantity for one in rivals) < short:
                continue
            losers = list[Need]()
            for one in sorted(rivals, key=_order, reverse=True):
                if short > 0:
                    losers.append(one)
                    short -= one.quantity
            for one in sorted(losers, key=_order):  # the last that was taken may have made an earlier one needless
                if one.quantity <= -short:
                    losers.remove(one)
                    short += one.quantity
            for one in losers:
                self._held[place].remove(one)
                self._free[place] += one.quantity
            return place, losers
        return None, []


def _order(need: Need) -> tuple[int, datetime, UUID]:
    return -need.priority.rank, need.made_at, need.id


def _nearest_first(shelves: Iterable[Shelf], need: Need) -> list[int]:
    """Where this may come from. Another engineer's van comes to nobody by itself."""
    if need.wanted is not None:
        return [shelf.place for shelf in shelves if shelf.place == need.wanted]
    there = [shelf for shelf in shelves if shelf.kind in DEPOTS or shelf.place == need.van]
    return [shelf.place for shelf in sorted(there, key=lambda shelf: _distance(shelf, need))]


def _distance(shelf: Shelf, need: Need) -> tuple[bool, bool, int, int]:
    own = shelf.place == need.van
    rank = DEPOTS.index(shelf.kind) if shelf.kind in DEPOTS else 0
    return not own, shelf.region != need.region, rank, shelf.place
