"""What happens to a fleet: faults, lost connections, wrong clocks and duties, read from a TOML or JSON file.

    [[faults]]
    device = "pump-01"
    kind = "bearing_wear"
    onset_s = 30
    growth_s = 600
    severity = 0.8

    [[outages]]
    device = "pump-02"
    onset_s = 60
    lasts_s = 120

    [[clocks]]
    device = "gearmotor-01"
    offset_s = -3.5
    drift_ppm = 40

    [[duties]]
    device = "pump-03"
    from_h = 22
    kind = "off"

The whole file is checked before anything runs; a mistake names its entry and field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import orjson

from firmware_sim.duty import Day, Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class Outage:
    """A device without network, from `onset_s` on, for `lasts_s`: cut, not logged off. It measures on meanwhile."""

    device: str
    onset_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """A device's clock against the true time: `offset_s` ahead, and `drift_ppm` microseconds a second further ahead."""

    device: str
    offset_s: float = 0.0
    drift_ppm: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that happens. Times are seconds from the start of the simulation; a duty's are hours of the day.

    Raises
    ------
    ValueError
        If the duties of a device make no day.
    """

    faults: tuple[Fault, ...] = ()
    outages: tuple[Outage, ...] = ()
    clocks: tuple[Clock, ...] = ()
    duties: tuple[Duty, ...] = ()

    def __post_init__(self) -> None:
        for device in dict.fromkeys(duty.device for duty in self.duties):
            Day(self.duties_of(device), 0)

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """Read a file, TOML unless it is called `.json`.

        Raises
        ------
        ValueError
            If it cannot be read as a scenario, naming the entry.
        """
        try:
            text = path.read_text(encoding="utf-8")
            body = orjson.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, UnicodeDecodeError, orjson.JSONDecodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"{path}: {error}") from error
        return cls.of(body)

    @classmethod
    def of(cls, body: Any) -> Scenario:
        """A scenario from plain values: an object of lists, or a list of faults alone."""
        tables = {"faults": body} if isinstance(body, list) else body
        if not isinstance(tables, dict) or set(tables) - {"faults", "outages", "clocks", "duties"}:
            raise ValueError("a scenario holds faults, outages, clocks and duties, each a list")
        return cls(
            _entries(tables, "faults", _fault),
            _entries(tables, "outages", lambda entry: _plain(Outage, entry)),
            _entries(tables, "clocks", lambda entry: _plain(Clock, entry)),
            _entries(tables, "duties", _duty),
        )

    def duties_of(self, device: str) -> tuple[Duty, ...]:
        return tuple(duty for duty in self.duties if duty.device == device)

    def devices(self) -> set[str]:
        """Every device that anything happens to."""
        entries: tuple[Fault | Outage | Clock | Duty, ...] = (
            *self.faults, *self.outages, *self.clocks, *self.duties
        )  # fmt: skip
        return {entry.device for entry in entries}


_Entry = TypeVar("_Entry", Fault, Outage, Clock, Duty)


def _entries(tables: Mapping[str, Any], name: str, read: Callable[[dict[str, Any]], _Entry]) -> tuple[_Entry, ...]:
    found = tables.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{name}: a list")
    entries = []
    for number, entry in enumerate(found, start=1):
        if not isinstance(entry, dict):
            raise ValueError(f"{name}, entry {number}: an object")
        try:
            entries.append(read(entry))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}, entry {number}: {error}") from error
    return tuple(entries)


def _fault(entry: dict[str, Any]) -> Fault:
    kinds = [kind.value for kind in FaultKind]
    if entry.get("kind") not in kinds:
        raise ValueError(f"kind is one of {', '.join(kinds)}")
    return _plain(Fault, entry | {"kind": FaultKind(entry["kind"])})


def _duty(entry: dict[str, Any]) -> Duty:
    kinds = [kind.value for kind in DutyKind]
    if entry.get("kind") not in kinds:
        raise ValueError(f"kind is one of {', '.join(kinds)}")
    return _plain(Duty, entry | {"kind": DutyKind(entry["kind"])})


def _plain(shape: type[_Entry], entry: dict[str, Any]) -> _Entry:
    """An entry as its dataclass; names and numbers checked, since a file's author sees only this message."""
    known = {field.name for field in fields(shape)}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown; known are {', '.join(sorted(known))}")
    for name, value in entry.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in ("device", "point", "kind"):
            if not isinstance(value, str):
                raise ValueError(f"{name} is a text")
        elif not is_number:
            raise ValueError(f"{name} is a number")
    return shape(**entry)
