"""One machine's past under several sets of rules: its readings are scored once, and each set makes its edges of that.

Detectors that learn begin anew, before the trial's own span: what they make of those days is not counted, and where
there were none they are silent for a while. What live detectors know of older years they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from alarms.lessons import NO_PATIENCE, Patience
from alarms.policy import Policy
from alarms.rules import Rule, governing
from alarms.trials_edges import Edges, edges
from detectors import DETECTORS
from detectors.in_mode import in_mode
from detectors.limits import Limit, Limits
from detectors.scores import Scope, Scores
from telemetry import Batch, Stream

# What scores readings, and nothing but readings. Silence, lost sites and lost messages go by the clock, vibration by
# recordings, peers by other machines.
TRIED = ("limits", "flatline", "sensors", "shift", "drift", "novelty", "multivariate")
_LEAD_DAYS = {"limits": 0.05, "drift": 14.0, "novelty": 28.0}
_USUAL_LEAD_DAYS = 7.0
# Readings scored at once: live they come in small parts, and what is scored does not depend on it.
_AT_ONCE = 50_000


def lead_days(detector: str) -> float:
    """How much of the past before the trial a detector hears first."""
    return _LEAD_DAYS.get(detector, _USUAL_LEAD_DAYS)


def subjects(rule: Rule, rules: Sequence[Rule], streams: Sequence[Stream]) -> list[Stream]:
    """The streams whose scores a rule decides over; for a detector of machines one of each machine."""
    found = [s for s in streams if governing(rules, rule.detector, s, machine_wide(rule)) is rule]
    return list({s.machine: s for s in reversed(found)}.values()) if machine_wide(rule) else found


class Machine:
    """One machine's scores by a detector, made when they are first asked for."""

    def __init__(self, detector: str, streams: Sequence[Stream], batch: Batch) -> None:
        self._detector, self._streams, self._batch = detector, streams, batch
        self._known: dict[tuple[Limit | None, ...], Scores] = {}

    def told(
        self,
        about: Sequence[Stream],
        rules: Sequence[Rule],
        patience: Mapping[tuple[str, int], Patience],
        policy: Policy,
    ) -> list[tuple[Rule, Edges]]:
        """What a set of rules makes of some of its subjects; those that no enabled rule governs say nothing."""
        machine_wide = DETECTORS[self._detector].scope is Scope.MACHINE  # type: ignore[attr-defined]
        by_subject: dict[int, Rule] = {}
        for stream in about:
            rule = governing(rules, self._detector, stream, machine_wide)
            if rule is not None and rule.enabled:
                by_subject[stream.machine if machine_wide else stream.id] = rule
        scores = self._scores(by_subject)
        found = []
        for subject, rule in by_subject.items():
            rows = slice(*np.searchsorted(scores.subject, [subject, subject + 1]))
            waits = patience.get((self._detector, subject), NO_PATIENCE)
            found.append((rule, edges(scores.time_us[rows], scores.score[rows], rule, waits, policy)))
        return found

    def _scores(self, by_subject: Mapping[int, Rule]) -> Scores:
        limits = self._detector == "limits"
        own = tuple(by_subject[s.id].limit if limits and s.id in by_subject else None for s in self._streams)
        if own not in self._known:
            self._known[own] = self._scored(dict(zip((s.id for s in self._streams), own, strict=True)))
        return self._known[own]

    def _scored(self, limit_of: Mapping[int, Limit | None]) -> Scores:
        if self._detector == "limits":
            limits = Limits(lambda stream: limit_of[stream.id])
            limits.watch(self._streams)
            limited = [number for number, limit in limit_of.items() if limit is not None]
            every = len(limited) == len(self._streams)
            return limits.score(self._batch if every else self._batch.where(np.isin(self._batch.stream, limited)), 0)
        detectors = in_mode({self._detector: DETECTORS[self._detector]()})
        for detector in detectors.values():
            detector.watch(self._streams)
        made = []
        for part in _parts(self._batch):
            scores = {name: detector.score(part, 0) for name, detector in detectors.items()}
            made.append(scores[self._detector])
        return _joined(made)


def machine_wide(rule: Rule) -> bool:
    """Whether its detector scores machines, not single points."""
    return bool(DETECTORS[rule.detector].scope is Scope.MACHINE)  # type: ignore[attr-defined]


def _parts(batch: Batch) -> list[Batch]:
    return list(batch.cut(np.sort(batch.time_us)[_AT_ONCE::_AT_ONCE])) if len(batch) else []


def _joined(parts: Sequence[Scores]) -> Scores:
    if not parts:
        return Scores(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float64))
    time_us, subject = np.concatenate([p.time_us for p in parts]), np.concatenate([p.subject for p in parts])
    order = np.lexsort((time_us, subject))
    return Scores(time_us[order], subject[order], np.concatenate([p.score for p in parts])[order])
