"""The letter that brings a document to the customer."""

from __future__ import annotations

from collections.abc import Mapping

from tickets.documents.form import TITLES, Kind
from tickets.links import progress

_ASKS: Mapping[Kind, str] = {
    Kind.DIAGNOSIS: "It says what was found, and what is to be done.",
    Kind.QUOTE: "The repair begins once you have accepted it, on the page of your ticket.",
    Kind.SERVICE: "It says what was done, what was measured, and what holds from now on.",
}
_ANSWERED = "It says how it was answered."


def letter(
    kind: Kind,
    number: str,
    version: int,
    *,
    customer: str,
    device: str,
    title: str,
    code: str,
    address: str,
    answered: bool,
) -> tuple[str, str]:
    """Subject and words. `address` is where the pages are reached; empty: only the ticket's code is named. `answered`:
    the quote is."""
    name = TITLES[kind]
    which = f"{number}, version {version}" if version > 1 else number
    asks = _ANSWERED if answered and kind is Kind.QUOTE else _ASKS[kind]
    where = progress(address, code) if address else f"where you follow your ticket, with the code {code}"
    return f"{name} {which} for {device}", (
        f"{f'Dear {customer},' if customer else 'Dear customer,'}\n\n"
        f"the {name[:1].lower()}{name[1:]} {which} for {device} ({title}) is attached. {asks}\n\n"
        f"Your ticket, with all its documents: {where}\n"
    )
