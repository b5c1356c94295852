"""What people say of the machine under a device, and who said it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.errors import NotFound
from store.queries import queries
from store.transactions import Transaction

_SQL = queries("machines")


@dataclass(frozen=True, slots=True)
class Said:
    """Who said something of a machine, and when."""

    who: str
    at: datetime


def machine(conn: Transaction, device: str) -> dict[str, Any]:
    """What is known of the machine under a device; empty where nothing was said. NotFound where there is no device."""
    row = conn.execute(_SQL["machine"], {"device": device}).fetchone()
    if row is None:
        raise NotFound(f"there is no device {device}")
    facts: dict[str, Any] = row[0]
    return facts


def said_of_machine(conn: Transaction, device: str) -> Said | None:
    """Who last said what the machine under a device is; None where nobody has, as far as that is known."""
    with conn.cursor(row_factory=class_row(Said)) as cursor:
        return cursor.execute(_SQL["said_of_machine"], {"device": device}).fetchone()


def set_machine(conn: Transaction, device: str, facts: Mapping[str, Any], who: str) -> None:
    """Keep what is known of the machine under a device, instead of what was, and who said it. NotFound: no device."""
    said = {"device": device, "facts": Jsonb(dict(facts)), "who": who}
    if conn.execute(_SQL["set_machine"], said).fetchone() is None:
        raise NotFound(f"there is no device {device}")
