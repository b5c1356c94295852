"""Entries of `[[mapping]]`, and what they mean: checked once, so that a wrong one is named in one line at the start."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ingest.mapping.levels import BadPattern
from ingest.mapping.paths import Path
from ingest.mapping.texts import Text
from ingest.mapping.topics import TopicPattern, overlap
from store.errors import Misconfigured
from telemetry import is_name

NUMBER = re.compile(r"\s*[+-]?(\d{1,32}(\.\d{0,32})?|\.\d{1,32})([eE][+-]?\d{1,3})?\s*\Z")
"""A text that holds a number, of bounded length: `float` itself takes `1_0`, `nan` and a megabyte of digits."""

# Read by what we know without a mapping; an entry over them would bring each message twice.
_OURS = ("bellwether/v1/+/+/+", "spBv1.0/STATE/+", "spBv1.0/+/+/+", "spBv1.0/+/+/+/+")

_Table = dict[Annotated[str, StringConstraints(max_length=64)], float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PointEntry(_Part):
    """Where values are, and what they are."""

    at: str = ""
    point: str | None = None
    unit: str = ""
    scale: float = 1.0
    values: _Table = Field(default_factory=dict)
    every_ms: float | None = Field(default=None, gt=0, le=86_400_000)


class OnlineEntry(_Part):
    """Where a device says whether it is there."""

    at: str = ""
    values: _Table = Field(default_factory=dict)


class Entry(_Part):
    """One `[[mapping]]`."""

    topic: str
    drop: bool = False
    payload: Literal["json", "value"] = "json"
    tenant: str = "{tenant}"
    device: str = "{device}"
    each: str = ""
    time: str | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    time_zone: str = "UTC"
    seq: str | None = None
    ignore: tuple[str, ...] = ()
    points: tuple[PointEntry, ...] | None = None
    online: OnlineEntry | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Entry:
        if self.drop and self.model_fields_set - {"topic", "drop"}:
            raise ValueError("with drop, nothing but the topic is said")
        if self.online is not None and self.points is not None:
            raise ValueError("online and points: make two entries of them")
        return self


# What is made of them -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """An entry of `points`, understood."""

    path: Path
    name: Text | None
    unit: Text
    times: float
    over: float
    values: Mapping[str, float]
    every_us: float | None

    def number(self, value: Any) -> Any:
        """A value as a number; None where it is a text of which the entry says nothing, and what it is otherwise."""
        if isinstance(value, str):
            if value in self.values:
                return self.values[value]
            # A text that somebody names may hold a number; taken with all the rest it may as well be a version.
            if self.path.is_everything or not NUMBER.match(value):
                return None
            value = float(value)
        return self.scaled(value)

    def scaled(self, value: Any) -> Any:
        """A number times the scale; anything else as it is."""
        if isinstance(value, bool) or not isinstance(value, int | float) or self.times == self.over:
            return value
        try:
            return float(value) * self.times / self.over
        except OverflowError:
            return math.inf


@dataclass(frozen=True, slots=True)
class Understood:
    """An entry, understood."""

    label: str
    pattern: TopicPattern
    entry: Entry
    tenant: Text
    device: Text
    each: Path | None
    time: Path | None
    zone: ZoneInfo
    seq: Path | None
    ignore: tuple[Path, ...]
    points: tuple[PlacedPoint, ...]
    online: tuple[Path, Mapping[str, float]] | None


def understood(number: int, fields: Mapping[str, Any]) -> Understood:
    """An entry of the settings, the `number`-th.

    Raises
    ------
    Misconfigured
        It is wrong: the message names it.
    """
    label = f"mapping {number}"
    if isinstance(topic := fields.get("topic") if isinstance(fields, Mapping) else None, str):
        label += f" ({topic[:80]})"
    try:
        return _mapping(label, Entry.model_validate(fields))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"{label}: {where}{': ' if where else ''}{said[:1].lower()}{said[1:]}") from error
    except BadPattern as reason:
        raise Misconfigured(f"{label}: {reason}") from reason


def _mapping(label: str, entry: Entry) -> Understood:
    pattern = _named("topic", TopicPattern.parse, entry.topic)
    if pattern.filter.startswith("$"):
        raise BadPattern("topic: what begins with $ is the broker's own")
    for ours in _OURS:
        if overlap(pattern.filter, ours):
            raise BadPattern(f"topic: it takes in {ours}, which is read without a mapping")
    try:
        zone = ZoneInfo(entry.time_zone)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise BadPattern(f"time_zone: {entry.time_zone} is none that this machine knows") from error
    each = _named("each", Path.parse, entry.each) if entry.each else None
    known = pattern.names | (each.names if each else frozenset())
    given = entry.points if entry.points is not None else (PointEntry(at="" if entry.payload == "value" else "**"),)
    mapping = Understood(
        label=label,
        pattern=pattern,
        entry=entry,
        tenant=_text("tenant", entry.tenant, known, entry.drop),
        device=_text("device", entry.device, known, entry.drop),
        each=each,
        time=_place("time", entry.time),
        zone=zone,
        seq=_place("seq", entry.seq),
        ignore=tuple(_named("ignore", Path.parse, path) for path in entry.ignore),
        points=()
        if entry.drop or entry.online
        else tuple(_point(number, point, known) for number, point in enumerate(given, 1)),
        online=(_named("online.at", Path.parse, entry.online.at), dict(entry.online.values)) if entry.online else None,
    )
    if "/" not in entry.tenant and "{" not in entry.tenant and not is_name(entry.tenant):
        raise BadPattern(f"tenant: {entry.tenant} is no name of 1 to 64 of A-Z a-z 0-9 _ . -")
    return mapping


def _point(number: int, entry: PointEntry, known: frozenset[str]) -> PlacedPoint:
    label = f"points {number}"
    path = _named(f"{label}: at", Path.parse, entry.at)
    known = known | path.names
    if not entry.at.strip("/") and entry.point is None:
        raise BadPattern(f"{label}: point: the message itself has no name to take")
    if entry.scale == 0:
        raise BadPattern(f"{label}: scale: 0 would make every value 0")
    if entry.every_ms is not None and path.is_everything:
        raise BadPattern(f"{label}: every_ms: name the list, ** would take its values one by one")
    scale = Fraction(str(entry.scale))
    return PlacedPoint(
        path=path,
        name=_text(f"{label}: point", entry.point, known) if entry.point is not None else None,
        unit=_text(f"{label}: unit", entry.unit, known),
        times=float(scale.numerator),
        over=float(scale.denominator),
        values=dict(entry.values),
        every_us=entry.every_ms * 1000 if entry.every_ms is not None else None,
    )


def _named(label: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except BadPattern as reason:
        raise BadPattern(f"{label}: {reason}") from reason


def _place(label: str, text: str | None) -> Path | None:
    if text is None:
        return None
    path: Path = _named(label, Path.parse, text)
    if path.varies:
        raise BadPattern(f"{label}: one place, without * and names")
    return path


def _text(label: str, text: str, known: frozenset[str], needless: bool = False) -> Text:
    parsed: Text = _named(label, Text.parse, text)
    missing = sorted(parsed.names - known)
    if missing and not needless:
        raise BadPattern(f"{label}: nothing is called {{{missing[0]}}} in the topic or the path")
    return parsed
