"""Who looks at a repair before it is handed over: the engineer, an inspector, and of some the head office.

Which of them the head office sees is drawn by a seed of the tenant's month. The seed's hash is told before the month
begins, the seed when it is over: nobody who does not have it can foresee a draw, and whoever has it later can repeat
every one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import date
from enum import StrEnum
from uuid import UUID

from tickets.priority import Criticality

SEED_BYTES = 32  # as the hash that commits to it: nobody finds it by trying
_WHOLE = 2**64


class Look(StrEnum):
    """The three levels."""

    OWN = "own"  # the engineer's function test
    SITE = "site"  # an inspector, of machines that matter so much
    SAMPLE = "sample"  # the head office, of those that are drawn


def new_seed() -> bytes:
    return secrets.token_bytes(SEED_BYTES)


def commitment(seed: bytes) -> str:
    """What is told of a seed before it is used: its SHA-256, in hex."""
    return hashlib.sha256(seed).hexdigest()


def drawn(seed: bytes, ticket: UUID, turn: int, share: float) -> bool:
    """Whether the head office looks at a ticket's repair; `turn` counts how often it was reopened.

    The first 64 bits of HMAC-SHA256(seed, "<ticket>/<turn>") as a share of all that there are.
    """
    mark = hmac.digest(seed, f"{ticket}/{turn}".encode(), "sha256")
    return int.from_bytes(mark[:8]) < share * _WHOLE


def looks(is_drawn: bool, criticality: Criticality, inspected: frozenset[Criticality]) -> list[Look]:
    """What a repair is looked at by, in order."""
    found = [Look.OWN]
    if criticality in inspected:
        found.append(Look.SITE)
    return [*found, Look.SAMPLE] if is_drawn else found


def month_of(day: date) -> date:
    return day.replace(day=1)


def month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
