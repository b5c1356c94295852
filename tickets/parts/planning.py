"""What to order and what to send, with the reason: by classes, reorder points, and what wear announces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tickets.parts.places import DEPOTS, PlaceKind

# Of the turnover of all parts, the costliest first: A up to here, B up to there, the rest C.
A_SHARE, B_SHARE = 0.80, 0.95
_WEEK_DAYS = 7
# What is ordered lasts so long beyond the reorder point. Too low: an order every other day. Too high: shelves of old
# parts.
_ORDER_WEEKS = 4
_USED_DAYS = 90


class Class(StrEnum):
    A = "A"
    B = "B"
    C = "C"


# How many standard deviations of the demand until an order arrives are kept beside: 98, 95, 90 % of the times there is
# enough. Too low: repairs wait. Too high: money lies on shelves; what costs little is not worth more.
SAFETY: dict[Class, float] = {Class.A: 2.05, Class.B: 1.64, Class.C: 1.28}
HOME: dict[Class, PlaceKind] = {Class.A: PlaceKind.REGIONAL, Class.B: PlaceKind.CITY, Class.C: PlaceKind.CENTRAL}


@dataclass(frozen=True, slots=True)
class Shelf:
    """What of a part is free at a depot, and how many were put in from there within 90 days."""

    depot: str
    kind: PlaceKind
    free: int
    used: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """A part as it will be needed. `predicted`: beside `weekly`, within 30 days, since machines wear."""

    class_: Class
    weekly: float
    variance: float
    predicted: float
    lead_days: int
    low_at: int
    position: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Order so many to a depot, or send so many from one to another."""

    kind: Literal["order", "transfer"]
    quantity: int
    source: str
    target: str
    reason: str


def classes(turnovers: Sequence[float]) -> list[Class]:
    """A, B or C for each part, by its share of the turnover (value of what was used in a year) of all."""
    total, reached = sum(turnovers), 0.0
    found = [Class.C] * len(turnovers)
    for i in sorted(range(len(turnovers)), key=lambda i: -turnovers[i]):
        if turnovers[i] > 0:
            share = reached / total
            found[i] = Class.A if share < A_SHARE else Class.B if share < B_SHARE else Class.C
        reached += turnovers[i]
    return found


def reorder_point(of: Outlook) -> int:
    """Below this, order: what is needed until the order arrives and is noticed, and what is kept for chance."""
    weeks = (of.lead_days + _WEEK_DAYS) / _WEEK_DAYS
    needed = of.weekly * weeks + of.predicted + SAFETY[of.class_] * math.sqrt(weeks * of.variance)
    return max(of.low_at, math.ceil(needed - 1e-9))


def order_up_to(of: Outlook) -> int:
    """So many there are to be once an order is there."""
    point = reorder_point(of)
    return point + max(math.ceil(_ORDER_WEEKS * of.weekly - 1e-9), 1) if point else 0


def proposals(of: Outlook, shelves: Sequence[Shelf]) -> list[Proposal]:
    """What to do for one part; nothing, where there is enough and it lies right."""
    depots = [shelf for shelf in shelves if shelf.kind in DEPOTS]
    found = list[Proposal]()
    point = reorder_point(of)
    if of.position < point and depots:
        home = min(depots, key=lambda shelf: (shelf.kind is not HOME[of.class_], shelf.free, shelf.depot))
        wear = f", {of.predicted:.1f} more by wear within 30 days" if of.predicted >= 0.05 else ""
        why = (
            f"{of.position} free or on their way, fewer than {point}: {of.weekly:.2g} a week{wear},"
            f" {of.lead_days} days until an order arrives; class {of.class_.value}"
        )
        found.append(Proposal("order", order_up_to(of) - of.position, "", home.depot, why))
    spare = {shelf.depot: shelf.free - math.ceil(shelf.used / 3) for shelf in depots}
    for shelf in sorted(depots, key=lambda shelf: (-shelf.used, shelf.depot)):
        wanted = math.ceil(shelf.used / 3)  # a month's
        giver = max((one for one in spare if one != shelf.depot), key=lambda one: spare[one], default=None)
        if shelf.used and shelf.free <= 0 and giver is not None and spare[giver] > 0:
            n = min(wanted, spare[giver])
            spare[giver] -= n
            why = (
                f"{shelf.used} were put in from there within {_USED_DAYS} days and none is free; {giver} can spare {n}"
            )
            found.append(Proposal("transfer", n, giver, shelf.depot, why))
    return found
