"""What telemetry says of a repair, as its report says it: the points, the judgement, and that there is none yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prognosis.after_repair import Outcome
from tickets.documents.form import Section, Table
from tickets.documents.writing import NONE, moment, plain, rounded, unit

HEADING = "The machine since its repair"
_WORDS: Mapping[Outcome, str] = {
    Outcome.WELL: "Well",
    Outcome.NOT_WELL: "Not well",
    Outcome.CANNOT_SAY: "None when this report was issued",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A check after a repair as it stands.

    Attributes
    ----------
    looked_at
        When it was last; None: it was not.
    ran_h
        Hours of running that were compared.
    points
        The worst first, each as `prognosis.after_repair.Compared.to_json` makes it.
    compared
        How many there are in all.
    """

    outcome: Outcome
    reason: str
    looked_at: datetime | None
    ran_h: float
    points: Sequence[Mapping[str, Any]]
    compared: int


def judged(found: Judged | None, nevertheless: str, zone: ZoneInfo) -> Section:
    """`nevertheless`: why an inspector let it pass."""
    if found is None:
        return Section(HEADING)
    said = found.outcome is not Outcome.CANNOT_SAY
    facts = [("Judgement", f"{_WORDS[found.outcome]}: {found.reason}")]
    if said and found.looked_at is not None:
        facts.append(("Looked at", f"{moment(found.looked_at, zone)}, after {rounded(found.ran_h)} h of running"))
    if found.outcome is Outcome.NOT_WELL and nevertheless:
        facts.append(("Handed over because", nevertheless))
    explained = ["Telemetry since the repair beside the machine's own healthy baseline."]
    rows = [_row(one) for one in found.points if one["now"] is not None] if said else []
    if rows and found.compared > len(found.points):
        explained.append(f"Of {found.compared} points and loads these are the {len(rows)} that are furthest off.")
    head = ("Value", "Before", "Since", "Normal", "Unit", "State")
    return Section(HEADING, explained, facts, Table(head, rows) if rows else None)


def _row(point: Mapping[str, Any]) -> Sequence[str]:
    """What is off by its swing is shown by its swing."""
    name = f"{plain(point['point'])}, {point['mode']}" if point["mode"] else plain(point["point"])
    state = "Not well" if point["why"] else "As in health"
    if point["why"] in {"swing", "still"}:
        before, now, usual = (_known(point[f"swing_{when}"]) for when in ("before", "now", "usual"))
        return f"{name}, swing within ten minutes", before, now, usual, unit(point["unit"]), state
    normal = f"{_known(point['low'])} to {_known(point['high'])}"
    return name, _known(point["before"]), _known(point["now"]), normal, unit(point["unit"]), state


def _known(value: float | None) -> str:
    return NONE if value is None else rounded(value)
