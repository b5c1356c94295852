"""Where parts are: on a shelf of ours, on their way, in a machine, or beyond us."""

from __future__ import annotations

from enum import StrEnum


class PlaceKind(StrEnum):
    CENTRAL = "central"
    REGIONAL = "regional"
    CITY = "city"
    VAN = "van"  # an engineer's
    TRANSIT = "transit"  # one a transfer
    REPAIR = "repair"  # one a ticket
    SCRAP = "scrap"
    RECYCLING = "recycling"
    SUPPLIER = "supplier"
    CUSTOMER = "customer"  # a machine, before anything of ours went into it
    DIFFERENCE = "difference"  # between what the ledger said and what was counted


# From the nearest to the farthest.
DEPOTS = (PlaceKind.CITY, PlaceKind.REGIONAL, PlaceKind.CENTRAL)
SHELVES = frozenset({*DEPOTS, PlaceKind.VAN})
