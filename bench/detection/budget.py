"""The false-alarm budget, verified on fresh healthy data: tickets a month of machines that stay well.

Forty-eight simulated machines for thirty days, a reading a minute, through all detectors as they run live: pumps, gear
motors and compressors, a quarter of them at constant duty, the others with nights, idle hours or both. Alarms count
from the second week on; those of the first stand beside. Nothing was ever tuned on these machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.detection.modes import DAYS_OF, START_S, made, watched
from bench.detection.table import Row
from firmware_sim.machine import MODELS

_DAYS, _INTERVAL_S, _MACHINES = 30, 60, 4
_FIRST_DAYS = 7
# Two hours at once: what is scored does not depend on it.
_STEP_ROWS = 120
_MONTH_DAYS = 30.4


def rows(data: Path) -> list[Row]:
    """`data` is not needed: the recordings are made here."""
    raised = {(kind, day): _raised(kind, day) for kind in MODELS for day in ("", *DAYS_OF)}
    return [
        _row("constant duty", raised, [""]),
        _row("with idle hours, nights, load steps", raised, list(DAYS_OF)),
    ]


def _raised(kind: str, day: str) -> tuple[int, int]:
    """Tickets of healthy machines in their first week, and after it."""
    fleet = made(kind, day, [""] * _MACHINES, _DAYS, _INTERVAL_S, named="fresh-")
    events, _ = watched(fleet, step_rows=_STEP_ROWS)
    first = sum(event.at_us < (START_S + _FIRST_DAYS * 86_400) * 1e6 for event in events)
    return first, len(events) - first


def _row(name: str, raised: dict[tuple[str, str], tuple[int, int]], days: Sequence[str]) -> Row:
    months = _MACHINES * len(days) * (_DAYS - _FIRST_DAYS) / _MONTH_DAYS
    by_kind = {kind: sum(raised[kind, day][1] for day in days) / months for kind in MODELS}
    first = sum(raised[kind, day][0] for kind in MODELS for day in days)
    weeks = _MACHINES * len(days) * len(MODELS) * _FIRST_DAYS / _MONTH_DAYS
    return Row(
        "budget",
        f"false alarms a machine-month after the first week, {name}",
        sum(by_kind.values()) / len(MODELS),
        1.0,
        1.0 / 12.0,
        upwards=False,
        beside={**{kind: round(each, 2) for kind, each in by_kind.items()}, "first week": round(first / weeks, 2)},
    )
