"""Gentler rules than one that alarms too often, in the order in which they are proposed.

Four rounds, each stronger than the one before; in a round first the limit, then the deadband, the delay, so many of so
many scores, and at last all four together. The first that fits and loses no fault is the proposal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alarms.rules import Rule
from detectors.limits import Limit

# By how much the limit moves, in units of the score: the way from HI to HIHI, or what `detectors.limits` takes for it.
_MOVES = (0.05, 0.1, 0.2, 0.5)
_DEADBANDS = (0.2, 0.3, 0.5, 0.7)
_DELAYS_S = (60.0, 300.0, 900.0, 3600.0)
_OF_LAST = ((2, 3), (3, 5), (5, 8), (8, 12))
CHANGEABLE = ("limit", "deadband", "on_delay_s", "at_least", "of_last")


def gentler(rule: Rule) -> Iterator[Rule]:
    """Rules that alarm later or less often than this one, the gentlest change first. No rule twice."""
    seen = {rule}
    for move, deadband, delay_s, (at_least, of_last) in zip(_MOVES, _DEADBANDS, _DELAYS_S, _OF_LAST, strict=True):
        moved = rule if rule.limit is None else replace(rule, limit=_moved(rule.limit, move))
        wider = replace(rule, deadband=max(rule.deadband, deadband))
        later = replace(rule, on_delay_s=max(rule.on_delay_s, delay_s))
        of_more = replace(rule, at_least=at_least, of_last=of_last) if at_least > rule.at_least else rule
        together = replace(
            moved,
            deadband=wider.deadband,
            on_delay_s=later.on_delay_s,
            at_least=of_more.at_least,
            of_last=of_more.of_last,
        )
        for found in (moved, wider, later, of_more, together):
            if found not in seen:
                seen.add(found)
                yield found


def changes(before: Rule, after: Rule) -> dict[str, object]:
    """What is another in the second, as fields of a rule."""
    found: dict[str, object] = {}
    for name in CHANGEABLE:
        value = getattr(after, name)
        if value != getattr(before, name):
            found[name] = limit_to_json(value) if isinstance(value, Limit) else value
    return found


def limit_to_json(limit: Limit) -> dict[str, float]:
    """The bounds that are set."""
    bounds = ((name, getattr(limit, name)) for name in Limit.__dataclass_fields__)
    return {name: bound for name, bound in bounds if bound is not None}


def _moved(limit: Limit, by: float) -> Limit:
    """Each alarm limit farther out by so many units of score; HIHI and LOLO stay, unless they would be passed."""
    hi, lo = _outwards(limit.hi, limit.hihi, limit.lo, by), _outwards(limit.lo, limit.lolo, limit.hi, by)
    return Limit(
        hihi=limit.hihi if limit.hihi is None or hi is None else max(limit.hihi, hi),
        hi=hi,
        lo=lo,
        lolo=limit.lolo if limit.lolo is None or lo is None else min(limit.lolo, lo),
        rate_per_min=None if limit.rate_per_min is None else limit.rate_per_min * (1 + by),
    )


def _outwards(bound: float | None, beyond: float | None, opposite: float | None, by: float) -> float | None:
    if bound is None:
        return None
    if beyond is not None and beyond != bound:
        return float(f"{bound + by * (beyond - bound):.6g}")
    upper = opposite is None or bound > opposite
    unit = abs(bound - opposite) / 2 if opposite is not None else abs(bound) or 1.0
    return float(f"{bound + (by if upper else -by) * unit:.6g}")
