"""Procedures: what an engineer does on site, step by step, with what is to be feared and what is to be measured.

The built-in ones are `procedures.toml` beside this; a plant's own stand in its file of failure modes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

BUILT_IN = Path(__file__).with_name("procedures.toml")
REMOTE = "remote."
"""Begins the ids of those that are gone through from afar."""
MOST_STEPS = 50
_TEXTS, _NUMBERS = ("do", "warn", "measure", "unit", "replaces", "picture"), ("low", "high")
_PICTURE = re.compile(r"([0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes
    ----------
    warn
        Read before it.
    measure, unit, low, high
        What is written down there, and within which limits it has to be; None: nothing is said.
    replaces
        The key part that goes in: its serial number is written down, and that of the one that comes out.
    picture
        What it looks like: the SHA-256 of a picture that the tenant keeps, in hex; empty: there is none.
    """

    do: str
    warn: str = ""
    measure: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    replaces: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """What is done, by whom who can it."""

    id: str
    name: str
    skills: Sequence[str]
    steps: Sequence[Step]

    @property
    def fingerprint(self) -> str:
        """What its text comes to: another one for any other word or picture of it."""
        steps = [asdict(step) for step in self.steps]
        for step in steps:
            if not step["picture"]:  # as it was before there were any
                del step["picture"]
        text = json.dumps([self.name, steps], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def procedure_of(entry: Mapping[str, Any]) -> Procedure:
    """A procedure from plain values, every field checked; ValueError names the one that is wrong."""
    if unknown := sorted(set(entry) - {"id", "name", "skills", "steps"}):
        raise ValueError(f"{unknown[0]} is unknown")
    for name in ("id", "name"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise ValueError(f"{name} is a text")
    skills, steps = entry.get("skills", []), entry.get("steps")
    if not isinstance(skills, list) or not all(isinstance(one, str) and one for one in skills):
        raise ValueError("skills is a list of texts")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"steps is a list of 1 to {MOST_STEPS}")
    return Procedure(entry["id"], entry["name"], tuple(skills), tuple(step_of(step) for step in steps))


def step_of(entry: Any) -> Step:
    """A step from plain values, every field checked; ValueError says what is wrong."""
    if isinstance(entry, str):
        entry = {"do": entry}
    if not isinstance(entry, dict) or not entry.get("do") or not set(entry) <= {one.name for one in fields(Step)}:
        raise ValueError(f"a step is a text, or a table of {', '.join((*_TEXTS, *_NUMBERS))}")
    if not all(isinstance(entry.get(name, ""), str) for name in _TEXTS):
        raise ValueError("a step's fields are texts, but for its limits")
    if not _PICTURE.fullmatch(entry.get("picture", "")):
        raise ValueError("a step's picture is the SHA-256 of what it shows, in hex")
    limits = {name: _limit(entry.get(name)) for name in _NUMBERS}
    low, high = limits.values()
    if (entry.get("unit") or low is not None or high is not None) and not entry.get("measure"):
        raise ValueError("a step's unit is that of what it measures, and so are its limits")
    if low is not None and high is not None and low > high:
        raise ValueError("a step's low limit is above its high one")
    return Step(**{**entry, **limits})


def _limit(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a step's limits are numbers")
    return float(value)
