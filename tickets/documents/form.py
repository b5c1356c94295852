"""The form of a document: a head of facts, then sections of paragraphs, facts, a table, a signature.

All of it is text as it is printed, times and numbers too: what was issued reads the same for ever, whatever becomes of
the words and figures elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

Facts = Sequence[tuple[str, str]]
Strokes = Sequence[Sequence[int]]


class Kind(StrEnum):
    """What is issued on a ticket's road."""

    DIAGNOSIS = "diagnosis"  # with each diagnosis
    QUOTE = "quote"  # with each quote
    SERVICE = "service"  # as the ticket is handed over, and again once it is signed


TITLES: Mapping[Kind, str] = {
    Kind.DIAGNOSIS: "Diagnosis report",
    Kind.QUOTE: "Quote",
    Kind.SERVICE: "Service report",
}
_PREFIXES: Mapping[Kind, str] = {Kind.DIAGNOSIS: "DR", Kind.QUOTE: "QU", Kind.SERVICE: "SR"}


NAMES_TAKEN_OUT = "A name was taken out of this document after it was issued."


@dataclass(frozen=True, slots=True)
class Table:
    """Each of `rows` is as long as `head`."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document. `strokes`: a signature, see `tickets/documents/signature.py`."""

    heading: str
    paragraphs: Sequence[str] = ()
    facts: Facts = ()
    table: Table | None = None
    strokes: Strokes = ()

    @property
    def is_empty(self) -> bool:
        return not (self.paragraphs or self.facts or (self.table and self.table.rows) or self.strokes)


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document."""

    title: str
    number: str
    facts: Facts
    sections: Sequence[Section]


def number_of(kind: Kind, year: int, place: int) -> str:
    """`SR-2026-000123`."""
    return f"{_PREFIXES[kind]}-{year}-{place:06d}"


def file_of(number: str, version: int) -> str:
    """What its PDF is called."""
    return f"{number}.pdf" if version == 1 else f"{number}-v{version}.pdf"


def to_plain(document: Document) -> dict[str, Any]:
    """As it is frozen."""
    return asdict(document)


def from_plain(content: Mapping[str, Any]) -> Document:
    """As it was frozen."""
    return Document(content["title"], content["number"], content["facts"], [_section(s) for s in content["sections"]])


def _section(content: Mapping[str, Any]) -> Section:
    table = content["table"]
    return Section(
        content["heading"],
        content["paragraphs"],
        content["facts"],
        Table(table["head"], table["rows"]) if table else None,
        content["strokes"],
    )
