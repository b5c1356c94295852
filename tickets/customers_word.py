"""By which way a customer's word came: by their own hand, or as somebody was told it and wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CUSTOMER = "customer"
"""Who answers by a ticket's code."""


class Way(StrEnum):
    """How it reached us."""

    PAGE = "page"  # never said: it is what came by the ticket's code
    TELEPHONE = "telephone"
    EMAIL = "email"
    LETTER = "letter"
    IN_PERSON = "in_person"
    TOLD = "told"  # nobody has written down how


WAYS: Mapping[Way, str] = {
    Way.PAGE: "on the page of the ticket, with its code",
    Way.TELEPHONE: "by telephone",
    Way.EMAIL: "by e-mail",
    Way.LETTER: "by letter",
    Way.IN_PERSON: "in person",
    Way.TOLD: "told to the service desk",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a customer has said to somebody: who said it, when, by which way, and the login of whom they told."""

    name: str
    at: datetime
    way: Way
    by: str
