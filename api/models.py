"""What the models of requests and answers are made of.

A request's model takes nothing that it does not name, no number that is none, and no text that a database or a page
could choke on. An answer's model names every field that leaves the house.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    field_validator,
)

DEVICE = r"^[A-Za-z0-9_.-]{1,64}$"
# What is reckoned from a time, a year's step before or after it, has to be a time too.
_YEARS = range(1900, 9999)
_UNKEPT = re.compile("[\0\ud800-\udfff]")


def in_utc(time: datetime) -> datetime:
    """An aware time in UTC. ValueError where nothing can be reckoned from it."""
    try:
        found = time.astimezone(UTC)
    except OverflowError:
        raise ValueError("between the years 1900 and 9998") from None
    if found.year not in _YEARS:
        raise ValueError("between the years 1900 and 9998")
    return found


def is_text(value: object) -> bool:
    """Whether each text in what was sent is one that a database keeps: no zero bytes, no halves of characters."""
    left = [value]
    while left:
        match left.pop():
            case str() as text if _UNKEPT.search(text):
                return False
            case dict() as fields:
                left += [*fields.keys(), *fields.values()]
            case list() | tuple() | set() | frozenset() as items:
                left += items
    return True


def _no_controls(text: str) -> str:
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in text):
        raise ValueError("control characters are not text")
    return text


def _one_line(text: str) -> str:
    if re.search(r"[\n\t]", text):
        raise ValueError("one line")
    return _no_controls(text)


Instant = Annotated[
    AwareDatetime,
    AfterValidator(in_utc),
    PlainSerializer(lambda time: time.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str),
]
"""An aware time; leaves the house as RFC 3339 in UTC."""

DeviceName = Annotated[str, StringConstraints(pattern=DEVICE)]
PointName = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_one_line)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_one_line)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)]
Message = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_one_line)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=8000), AfterValidator(_no_controls)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_no_controls)
]

DevicePath = Annotated[str, Path(pattern=DEVICE, description="A device", examples=["pump-01"])]
From = Annotated[Instant | None, Query(alias="from", description="Then or later")]
To = Annotated[Instant | None, Query(alias="to", description="Before then")]
DeviceFilter = Annotated[DeviceName | None, Query(description="Only this device")]


class Asked(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: object) -> object:
        if not is_text(value):
            raise ValueError("control characters are not text")
        return value


class Answered(BaseModel):
    """An answer's body, made from a row of the store's."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")


def example(body: Mapping[str, Any] | None = None, /, **fields: Any) -> ConfigDict:
    """The configuration of a model with an example in the documentation."""
    return ConfigDict(json_schema_extra={"example": {**(body or {}), **fields}})
