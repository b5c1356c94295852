"""Customers and machines from tables, as `tickets.tables` reads them: an empty cell leaves what there was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from tickets.priority import Criticality, Tier
from tickets.tables import Cells, a_day, a_line, a_name, rows_of, yes_or_no

_LONGEST_NOTES = 2000

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer by its number in the tenant's own books. None: as it was."""

    number: str
    name: str
    contact: str | None = None
    tier: Tier | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device and its file. `customer` is a number. None: as it was."""

    device: str
    kind: str | None = None
    model: str | None = None
    site: str | None = None
    serial: str | None = None
    customer: str | None = None
    purchased_on: date | None = None
    warranty_until: date | None = None
    criticality: Criticality | None = None
    safety_equipment: bool | None = None


def customers_of(text: str) -> list[CustomerRow]:
    """Customers: columns `number` and `name`, and as wanted `contact`, `tier`, `notes`.

    Raises
    ------
    tickets.tables.BadTable
    """
    return rows_of(text, ("number", "name"), CustomerRow.__dataclass_fields__, _customer, lambda row: (row.number,))


def devices_of(text: str) -> list[DeviceRow]:
    """Devices: the column `device`, and as wanted the others of `DeviceRow`.

    Raises
    ------
    tickets.tables.BadTable
    """
    return rows_of(text, ("device",), DeviceRow.__dataclass_fields__, _device, lambda row: (row.device,))


def _customer(cells: Cells) -> CustomerRow:
    return CustomerRow(
        number=cells.take("number", a_name, ""),
        name=cells.take("name", a_line, ""),
        contact=cells.take("contact", _if_any(a_line), None),
        tier=cells.take("tier", _if_any(_one_of(Tier, str.lower)), None),
        notes=cells.take("notes", _if_any(_notes), None),
    )


def _device(cells: Cells) -> DeviceRow:
    line, day = _if_any(a_line), _if_any(a_day)
    return DeviceRow(
        device=cells.take("device", a_name, ""),
        kind=cells.take("kind", line, None),
        model=cells.take("model", line, None),
        site=cells.take("site", line, None),
        serial=cells.take("serial", line, None),
        customer=cells.take("customer", _if_any(a_name), None),
        purchased_on=cells.take("purchased_on", day, None),
        warranty_until=cells.take("warranty_until", day, None),
        criticality=cells.take("criticality", _if_any(_one_of(Criticality, str.upper)), None),
        safety_equipment=cells.take("safety_equipment", _if_any(yes_or_no), None),
    )


def _if_any(read: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: read(text) if text else None


def _one_of(choices: type[Choice], fold: Callable[[str], str]) -> Callable[[str], Choice]:
    def read(text: str) -> Choice:
        try:
            return choices(fold(text))
        except ValueError as error:
            raise ValueError(f"one of {', '.join(choices)}") from error

    return read


def _notes(text: str) -> str:
    if len(text) > _LONGEST_NOTES:
        raise ValueError(f"at most {_LONGEST_NOTES} characters")
    return text
