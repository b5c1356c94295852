"""Parts and opening stock from tables, as `tickets.tables` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from tickets.tables import Cells, a_day, a_line, a_name, rows_of, yes_or_no

MOST_QUANTITY = 10**9


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part as a table has it; see docs/parts.md."""

    number: str
    name: str
    unit: str
    value: Decimal
    currency: str
    fits: tuple[str, ...]
    shelf_days: int | None
    serialised: bool
    low_at: int
    lead_days: int = 14
    cures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StockRow:
    """So many of a part at a depot, or one of it by its serial number."""

    depot: str
    part: str
    quantity: int
    lot: str
    expires_on: date | None
    serial: str


def parts_of(text: str) -> list[PartRow]:
    """Parts: columns `number` and `name`, and as wanted the others of `PartRow`, `fits` separated by `|`.

    Raises
    ------
    tickets.tables.BadTable
    """
    return rows_of(text, ("number", "name"), PartRow.__dataclass_fields__, _part, lambda row: (row.number,))


def stock_of(text: str) -> list[StockRow]:
    """Opening stock: columns `depot`, `part`, `quantity`, and as wanted `lot`, `expires_on`, `serial`.

    Raises
    ------
    tickets.tables.BadTable
    """
    return rows_of(
        text, ("depot", "part"), StockRow.__dataclass_fields__, _stock, lambda row: (row.part, row.serial or object())
    )


def _part(cells: Cells) -> PartRow:
    return PartRow(
        number=cells.take("number", a_name, ""),
        name=cells.take("name", a_line, ""),
        unit=cells.take("unit", lambda text: a_line(text or "piece"), ""),
        value=cells.take("value", _money, Decimal()),
        currency=cells.take("currency", _currency, ""),
        fits=cells.take("fits", _several, ()),
        shelf_days=cells.take("shelf_days", lambda text: _whole(text, 1, 36_500) if text else None, None),
        serialised=cells.take("serialised", yes_or_no, False),
        low_at=cells.take("low_at", lambda text: _whole(text or "0", 0, MOST_QUANTITY), 0),
        lead_days=cells.take("lead_days", lambda text: _whole(text or "14", 1, 730), 14),
        cures=cells.take("cures", _several, ()),
    )


def _stock(cells: Cells) -> StockRow:
    return StockRow(
        depot=cells.take("depot", a_name, ""),
        part=cells.take("part", a_name, ""),
        quantity=cells.take("quantity", lambda text: _whole(text or "1", 1, MOST_QUANTITY), 1),
        lot=cells.take("lot", lambda text: a_line(text) if text else "", ""),
        expires_on=cells.take("expires_on", lambda text: a_day(text) if text else None, None),
        serial=cells.take("serial", lambda text: a_line(text) if text else "", ""),
    )


def _several(text: str) -> tuple[str, ...]:
    return tuple(a_line(one.strip()) for one in text.split("|") if one.strip())


def _money(text: str) -> Decimal:
    try:
        value = Decimal(text.replace(",", ".") or "0")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value < 10**12 or value != round(value, 2):
        raise ValueError("an amount with at most two decimals")
    return value


def _currency(text: str) -> str:
    if not re.match(r"([A-Z]{3})?\Z", text):
        raise ValueError("three capitals, as EUR")
    return text or "EUR"


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)
