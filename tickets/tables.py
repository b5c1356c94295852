"""Tables as people send them: CSV with a head, separated by commas or semicolons.

A table is taken whole or not at all: every mistake of it is told, with its line and column.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

MOST_LINES = 10_000
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_LONGEST = 200
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong where. The head is line 1."""

    line: int
    column: str
    what: str


class BadTable(Exception):
    """A table with mistakes."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(f"nothing was taken: the table has {len(mistakes)} mistakes")
        self.mistakes = mistakes


class Cells:
    """One line, read cell by cell; a cell that cannot be read is noted, and is `otherwise`."""

    def __init__(self, cells: Mapping[str, str], line: int) -> None:
        self._cells = cells
        self.line = line
        self.mistakes: list[Mistake] = []

    def take(self, column: str, read: Callable[[str], Row], otherwise: Row) -> Row:
        try:
            return read((self._cells.get(column) or "").strip())
        except ValueError as error:
            self.mistakes.append(Mistake(self.line, column, str(error)))
            return otherwise


def rows_of(
    text: str,
    needed: tuple[str, ...],
    known: Mapping[str, object],
    read: Callable[[Cells], Row],
    key: Callable[[Row], tuple[object, ...]],
) -> list[Row]:
    """The lines of a table, of the columns that are `known` and with those that are `needed`; no `key` twice.

    Raises
    ------
    BadTable
    """
    rows = list[Row]()
    mistakes = list[Mistake]()
    seen = set[tuple[object, ...]]()
    for cells in _lines(text, needed, known):
        row = read(cells)
        if not cells.mistakes and key(row) in seen:
            cells.mistakes.append(Mistake(cells.line, needed[0], "this stands in the table twice"))
        seen.add(key(row))
        mistakes += cells.mistakes
        rows.append(row)
    if mistakes:
        raise BadTable(mistakes)
    return rows


def _lines(text: str, needed: tuple[str, ...], known: Mapping[str, object]) -> Iterator[Cells]:
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if head.count(";") > head.count(",") else ",")
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    wrong = [Mistake(1, name, "there is no such column") for name in columns if name not in known]
    wrong += [Mistake(1, name, "this column is missing") for name in needed if name not in columns]
    if wrong:
        raise BadTable(wrong)
    try:
        for count, cells in enumerate(reader, 1):
            if count > MOST_LINES:
                raise BadTable([Mistake(reader.line_num, "", f"a table may have {MOST_LINES} lines")])
            if None in cells:
                raise BadTable([Mistake(reader.line_num, "", "there are more cells than columns")])
            yield Cells(cells, reader.line_num)
    except csv.Error as error:
        raise BadTable([Mistake(reader.line_num, "", "this is no line of CSV")]) from error


def a_name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("1 to 64 of letters, digits, _ . -")
    return text


def a_line(text: str) -> str:
    if not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise ValueError(f"1 to {_LONGEST} characters that can be printed")
    return text


def a_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("a day, as 2027-03-31") from error


def yes_or_no(text: str) -> bool:
    if text.lower() not in _YES:
        raise ValueError("yes or no")
    return _YES[text.lower()]
