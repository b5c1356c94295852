"""What a plan hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import Any

HEALTH = ""
"""The point that is none: the machine's health, 0 to 100."""


class Every(StrEnum):
    """What a recurrence counts."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


class Of(StrEnum):
    """What of a machine wears it."""

    HOURS = "hours"
    CYCLES = "cycles"


class Side(StrEnum):
    """Where beyond a limit is."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Every `number` days, weeks or months from a day on, at a time of the wall clock of the tenant's calendar."""

    number: int
    every: Every
    begins_on: date
    at: time


@dataclass(frozen=True, slots=True)
class Use:
    """Every so many hours or cycles. `point` counts them, to `rolls_over_at` where it does; else the modes tell."""

    of: Of
    amount: float
    point: str = ""
    rolls_over_at: float | None = None


@dataclass(frozen=True, slots=True)
class Beyond:
    """A point, or the health where `point` is `HEALTH`, beyond a limit for so many hours that are known."""

    point: str
    side: Side
    limit: float
    for_h: int


@dataclass(frozen=True, slots=True)
class Risk:
    """A probability of failure within 30 days of `limit` or more."""

    limit: float


Trigger = Recurrence | Use | Beyond | Risk


def trigger_of(fields: Mapping[str, Any]) -> Trigger:
    """A trigger from plain values, as a plan keeps it; what they may be is checked where they come in."""
    own = {name: value for name, value in fields.items() if name != "kind"}
    match fields["kind"]:
        case "calendar":
            at, begins_on = time.fromisoformat(own["at"]), date.fromisoformat(own["begins_on"])
            return Recurrence(own["number"], Every(own["every"]), begins_on, at)
        case "hours" | "cycles" as of:
            return Use(Of(of), **own)
        case "condition":
            return Beyond(own["point"], Side(own["side"]), own["limit"], own["for_h"])
        case "risk":
            return Risk(**own)
    raise ValueError(f"there is no trigger {fields['kind']}")


def said(trigger: Trigger) -> str:
    """A trigger in words."""
    match trigger:
        case Recurrence():
            return (
                f"every {trigger.every.value.removesuffix('s')}"
                if trigger.number == 1
                else (f"every {trigger.number} {trigger.every}")
            )
        case Use():
            of = "hours of running" if trigger.of is Of.HOURS else "cycles"
            return f"every {trigger.amount:g} {of}" + (f", counted by {trigger.point}" if trigger.point else "")
        case Beyond():
            return f"{trigger.point or 'health'} {trigger.side} {trigger.limit:g} for {trigger.for_h} h"
        case Risk():
            return f"failure within 30 days with {trigger.limit:.0%} or more"
