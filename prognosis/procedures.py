"""Procedures: what an engineer does on site, step by step, with what is to be feared and what is to be measured.

The built-in ones are `procedures.toml` beside this; a plant's own stand in its file of failure modes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILT_IN = Path(__file__).with_name("procedures.toml")
_MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `warn` is read before it; `measure`, in `unit`, is written down there. Both may be empty."""

    do: str
    warn: str = ""
    measure: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """What is done, by whom who can it."""

    id: str
    name: str
    skills: Sequence[str]
    steps: Sequence[Step]


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
    if not isinstance(steps, list) or not 1 <= len(steps) <= _MOST_STEPS:
        raise ValueError(f"steps is a list of 1 to {_MOST_STEPS}")
    return Procedure(entry["id"], entry["name"], tuple(skills), tuple(_step(step) for step in steps))


def _step(entry: Any) -> Step:
    if isinstance(entry, str):
        entry = {"do": entry}
    fields = {"do", "warn", "measure", "unit"}
    if not isinstance(entry, dict) or not entry.get("do") or not set(entry) <= fields:
        raise ValueError("a step is a text, or a table of do, warn, measure and unit")
    if not all(isinstance(value, str) for value in entry.values()):
        raise ValueError("a step's fields are texts")
    if "unit" in entry and not entry.get("measure"):
        raise ValueError("a step's unit is that of what it measures")
    return Step(**entry)
