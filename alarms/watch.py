"""The watch: every detector over every stream, and the edges that follow by the rules.

A quiet fleet costs one comparison a score. Only subjects above their limit, or on their way back, are looked at one by
one, and of those only the moments at which the score crosses something.

The watch holds the whole memory of detection. `snapshot` and `restore` carry it over a restart; ids of events are made
from what they name, so that readings seen twice after a crash make no second alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alarms.events import AlarmEvent, Kind, Severity, event_id, occurrence_id
from alarms.lessons import NO_PATIENCE, Patience
from alarms.messages import message
from alarms.presence import DETECTOR as SITE
from alarms.presence import Place, Presence, Site
from alarms.rules import Rule, governing
from detectors.in_mode import MODES
from detectors.learnt import Learnt, Unfit, checked
from detectors.scores import Detector, Evidence, Scope, Scores, Snapshot
from detectors.silence import Heard, Silence
from detectors.traits import BY_THE_CLOCK, LEARNERS, OF_SENSORS
from detectors.watchman import Watchman
from telemetry import Batch, Quality, Stream

# Readings of one stream that are scored at once. An alarm's evidence is taken at the end of such a slice: too high, and
# the evidence of a backlog's alarm shows what came long after; too low, and a backlog costs a call for every few rows.
SLICE_READINGS = 32
# A delay ends by the clock, without a further reading, only where the stream lives in the present.
_PRESENT_US = 120_000_000
UNSCORED = Quality.LATE | Quality.FUTURE | Quality.IMPOSSIBLE
_BY_THE_CLOCK = BY_THE_CLOCK | {SITE}  # a lost site is made of silences
_LAYOUT = 2
_NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class Condition:
    """A subject that is above its limit, or was raised and has not returned."""

    rule: Rule
    since_us: int  # the departure's beginning
    seen_us: int  # the latest score's time
    noticed_us: int  # by the clock
    score: float
    peak: float
    below_since_us: int | None = None
    raised: Severity | None = None
    fault: str = ""  # from the raise on
    patience: Patience = NO_PATIENCE


class _Explains(Protocol):
    """Who scores a subject can say why."""

    scope: Scope

    def explain(self, subject: int) -> Evidence: ...


class Watch:
    """Turns readings into alarm events.

    Parameters
    ----------
    detectors
        By the name that rules know them by.
    rules
        By tenant.
    presence
        What is known of the presence of devices, where another watch has gathered it already.
    """

    def __init__(
        self,
        detectors: Mapping[str, Detector],
        rules: Mapping[str, Sequence[Rule]],
        presence: Presence | None = None,
    ) -> None:
        self._detectors = dict(detectors)
        self.presence = presence or Presence()
        self._now_us = 0
        self._rules = rules
        self._streams: dict[int, Stream] = {}
        self._machines: dict[int, list[int]] = {}  # the streams of each
        self._sites: dict[int, Stream] = {}  # what stands for it
        # By detector and subject, of those that were asked for; None: not watched.
        self._governing: dict[str, dict[int, Rule | None]] = {name: {} for name in (*detectors, SITE)}
        self._conditions: dict[str, dict[int, Condition]] = {name: {} for name in (*detectors, SITE)}
        self._patience: Mapping[tuple[str, int], Patience] = {}
        self._last_us = np.empty(0, np.int64)  # by stream id: the latest reading scored
        self._learnt: set[int] = set()

    def watch(self, streams: Sequence[Stream]) -> None:
        """Take streams under watch. Those known already are taken again, as their rules may have changed."""
        for stream in streams:
            if stream.id not in self._streams:
                self._machines.setdefault(stream.machine, []).append(stream.id)
            self._streams[stream.id] = stream
        top = max(self._streams, default=-1) + 1
        if top > len(self._last_us):
            grown = np.full(max(top, 2 * len(self._last_us)), _NEVER, np.int64)
            grown[: len(self._last_us)] = self._last_us
            self._last_us = grown
        for name, detector in self._detectors.items():
            detector.watch(streams)
            self._governing[name].clear()

    def place(self, places: Sequence[Place]) -> None:
        """Where all devices stand, and what they said last. Called after `watch` of the streams known so far."""
        self.presence.place(places)
        silence = self._silence()
        if silence is not None:
            silence.expect({p.machine: p.interval_s for p in places if p.interval_s is not None})
        # What no longer stands for a site ends what it began.
        self._governing[SITE] = dict.fromkeys(self._governing[SITE])
        for site in self.presence.sites:
            stands_for = Stream(-1, site.subject, site.tenant, site.device, "", "unknown", "")
            rule = governing(self._rules.get(site.tenant, ()), SITE, stands_for, machine_wide=True)
            self._sites[site.subject] = stands_for
            self._governing[SITE][site.subject] = rule if rule and rule.enabled else None

    def teach(self, patience: Mapping[tuple[str, int], Patience]) -> None:
        """What verdicts have taught, by detector and subject. Alarms that stand are left to return by themselves."""
        self._patience = patience

    def excuse(self, by_us: int) -> None:
        """Nobody could have been heard for so long, or the clock was set by so much: it counts against nobody."""
        silence = self._silence()
        if silence is not None:
            silence.excuse(by_us)
        self.presence.excuse(by_us)
        self._now_us += by_us
        for name, conditions in self._conditions.items():
            for condition in conditions.values():
                condition.noticed_us += by_us
                if name not in _BY_THE_CLOCK:
                    continue
                if condition.below_since_us is not None:
                    condition.below_since_us += by_us
                if condition.raised is None:
                    condition.since_us += by_us

    @property
    def now_us(self) -> int:
        """The time of the last step, before a restart too; 0 where there was none."""
        return self._now_us

    def open_subjects(self, name: str) -> set[int]:
        """The subjects of a detector that are in alarm."""
        return {subject for subject, condition in self._conditions[name].items() if condition.raised is not None}

    def heard(self) -> Heard | None:
        """How machines stood at the last step; None where nothing listens for silence."""
        silence = self._silence()
        return None if silence is None else silence.heard(self._now_us)

    def late(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Which readings come too late to be scored: at or before the latest of their stream. Shape (N,)."""
        late: npt.NDArray[np.bool_] = batch.time_us <= self._last_us[batch.stream]
        return late

    def last_scored(self) -> dict[int, int]:
        """The time of the latest reading scored, in µs, by stream; streams without one are left out."""
        return {stream: int(self._last_us[stream]) for stream in self._streams if self._last_us[stream] != _NEVER}

    def step(self, batch: Batch, now_us: int) -> list[AlarmEvent]:
        """Score a batch and return the edges in it, in order of time. An empty batch lets time pass.

        Readings that are late, from the future or physically impossible are left out; that they came is not.
        """
        scored = ((batch.quality & UNSCORED) == 0) & ~self.late(batch)
        self._note(batch.stream[~scored], now_us)
        batch = batch.where(scored)
        events: list[AlarmEvent] = []
        self._now_us = now_us
        for part in _slices(batch):
            for name, detector in self._detectors.items():
                scores = detector.score(part, now_us)
                if isinstance(detector, Silence):
                    scores, sites = self._weigh(name, detector, scores, now_us)
                    events += self._edges(SITE, self.presence, sites, now_us)
                events += self._edges(name, detector, scores, now_us)
                if name in LEARNERS:
                    self._learnt.update(np.unique(scores.subject[~np.isnan(scores.score)]).tolist())
            starts = part.starts()
            if len(starts):
                ends = np.append(starts[1:], len(part)) - 1
                self._last_us[part.stream[ends]] = part.time_us[ends]
        return sorted(events, key=lambda event: event.at_us)

    def learnt(self) -> set[int]:
        """The machines whose normal is known, as far as they were heard of since the start."""
        return set(self._learnt)

    def modes(self) -> dict[int, tuple[str, int]]:
        """What each machine that tells it is doing, and since when, in µs."""
        watchman = self._detectors.get(MODES)
        now = watchman.now() if isinstance(watchman, Watchman) else {}
        return {machine: (str(mode), since_us) for machine, (mode, since_us) in now.items() if since_us >= 0}

    def snapshot(self) -> dict[str, Snapshot]:
        """All memory: a snapshot by detector, and the watch's own under `watch`."""
        return {name: snapshot for part in self.snapshots() for name, snapshot in part.items()}

    def snapshots(self) -> Iterator[dict[str, Snapshot]]:
        """The same, a part after the other: all at once are as much again as half of what the detectors hold."""
        for name, detector in self._detectors.items():
            yield {name: detector.snapshot()}
        yield {"watch": self._own_snapshot()}

    def restore(self, snapshots: Mapping[str, Snapshot]) -> list[str]:
        """Take over a memory; called after `watch` of the streams known so far.

        Returns
        -------
        list of str
            Those that could not read theirs and start afresh: detectors, or `watch` itself.
        """
        afresh = []
        for name, detector in self._detectors.items():
            try:
                detector.restore(snapshots[name])
            except (KeyError, ValueError):
                afresh.append(name)
        if "watch" in snapshots and not self._own_restore(snapshots["watch"]):
            afresh.append("watch")
        return afresh

    def adopt(self, machine: int, learnt: Learnt) -> None:
        """Put what was learnt of a machine elsewhere in the place of what its detectors remember of it.

        Alarms that stand are left to return by themselves.

        Raises
        ------
        Unfit
            It is of something else, or cannot be read; nothing has changed then.
        """
        streams = self._points(machine)
        if not streams:
            raise Unfit("the machine has no points")
        memories = checked(streams, learnt)
        for name, detector in self._detectors.items():
            if name in memories:
                detector.restore(memories[name])

    # Edges ----------------------------------------------------------------------------------------------------------

    def _weigh(self, name: str, silence: Silence, scores: Scores, now_us: int) -> tuple[Scores, Scores]:
        return self.presence.weigh(
            scores, silence.heard(now_us), now_us, self.open_subjects(name), self.open_subjects(SITE), self._may_be_lost
        )

    def _note(self, streams: npt.NDArray[np.int32], now_us: int) -> None:
        """Readings that are not scored still say that their device is there."""
        silence = self._silence()
        if silence is not None and len(streams):
            silence.note(np.unique(streams), now_us)

    def _may_be_lost(self, site: Site) -> bool:
        return self._governing[SITE][site.subject] is not None

    def _stands_for(self, name: str, subject: int) -> Stream:
        """A stream that says whose a subject is."""
        if name == SITE:
            return self._sites[subject]
        machine_wide = self._detectors[name].scope is Scope.MACHINE
        return self._streams[self._machines[subject][0] if machine_wide else subject]

    def _points(self, machine: int) -> list[Stream]:
        return [self._streams[number] for number in self._machines.get(machine, [])]

    def _rule(self, name: str, subject: int) -> Rule | None:
        """The rule in force; looked for when first asked, since most subjects never come near their limit."""
        known = self._governing[name]
        if subject not in known:
            stream, machine_wide = self._stands_for(name, subject), self._detectors[name].scope is Scope.MACHINE
            rule = governing(self._rules.get(stream.tenant, ()), name, stream, machine_wide)
            known[subject] = rule if rule and rule.enabled else None
        return known[subject]

    def _knows(self, name: str, subject: int) -> bool:
        if name not in self._detectors:
            return subject in self._governing.get(name, {})
        return subject in (self._machines if self._detectors[name].scope is Scope.MACHINE else self._streams)

    def _silence(self) -> Silence | None:
        return next((detector for detector in self._detectors.values() if isinstance(detector, Silence)), None)

    def _edges(self, name: str, detector: _Explains, scores: Scores, now_us: int) -> Iterator[AlarmEvent]:
        """The edges of one detector's scores, and of the delays that the clock has ended."""
        conditions = self._conditions[name]
        hot = np.unique(scores.subject[scores.score >= 1.0]).tolist()
        for subject in sorted({*hot, *conditions}):
            stream, rule = self._stands_for(name, subject), self._rule(name, subject)
            condition = conditions.get(subject)
            edges: list[_Edge] = []
            if condition is not None and (rule is None or rule.id != condition.rule.id):
                edges += _abandoned(condition)
                condition = None
            if rule is not None:
                patience = self._patience.get((name, subject), NO_PATIENCE)
                rows = slice(*np.searchsorted(scores.subject, [subject, subject + 1]))
                for time_us, score in zip(scores.time_us[rows].tolist(), scores.score[rows].tolist(), strict=True):
                    condition, made = _turn(condition, rule, patience, time_us, score, now_us)
                    edges += made
            if condition is None:
                conditions.pop(subject, None)
            else:
                conditions[subject] = condition
                edges += _by_the_clock(condition, now_us)
            if edges:
                evidence = detector.explain(subject)
                for edge in edges:
                    yield self._event(edge, name, detector.scope, subject, stream, evidence)

    def _event(
        self, edge: _Edge, detector: str, scope: Scope, subject: int, stream: Stream, evidence: Evidence
    ) -> AlarmEvent:
        rule = edge.condition.rule
        point = stream.point if scope is Scope.STREAM else evidence.point
        unit = next((other.unit for other in self._points(stream.machine) if other.point == point), "")
        occurrence = occurrence_id(stream.tenant, rule.id, scope, subject, edge.condition.since_us)
        if edge.kind is Kind.RAISED:
            edge.condition.fault = self._fault(detector, stream.machine, point, rule)
        return AlarmEvent(
            event_id=event_id(occurrence, edge.kind, edge.severity),
            occurrence_id=occurrence,
            kind=edge.kind,
            rule=rule.id,
            detector=detector,
            scope=scope,
            subject=subject,
            machine=stream.machine,
            tenant=stream.tenant,
            device=stream.device,
            point=point,
            unit=unit if evidence.unit is None else evidence.unit,
            fault=edge.condition.fault or rule.fault,
            severity=edge.severity,
            since_us=edge.condition.since_us,
            at_us=edge.at_us,
            score=edge.score,
            peak=edge.condition.peak,
            message=message(detector, point, unit, evidence),
            opens_ticket=rule.opens_ticket,
            evidence=evidence,
        )

    def _fault(self, detector: str, machine: int, point: str, rule: Rule) -> str:
        """A rule's fault, or that of the alarm that stands for the leading sensor: one ticket, and no machine's."""
        if detector in _BY_THE_CLOCK or detector in OF_SENSORS:
            return rule.fault
        stream = next((other.id for other in self._points(machine) if other.point == point), -1)
        of_sensor = (self._conditions.get(name, {}).get(stream) for name in OF_SENSORS)
        return next((c.rule.fault for c in of_sensor if c is not None and c.raised is not None), rule.fault)

    # Memory ---------------------------------------------------------------------------------------------------------

    def _own_snapshot(self) -> Snapshot:
        open_ones = [
            (name, subject, condition)
            for name, conditions in self._conditions.items()
            for subject, condition in conditions.items()
        ]
        last = self.last_scored()
        return {
            "layout": np.array([_LAYOUT]),
            "now_us": np.array([self._now_us], np.int64),
            "last_stream": np.array(list(last), np.int32),
            "last_us": np.array(list(last.values()), np.int64),
            "detector": np.array([name for name, _, _ in open_ones], "U64"),
            "subject": np.array([subject for _, subject, _ in open_ones], np.int32),
            "rule": np.array([c.rule.id for _, _, c in open_ones], "U128"),
            "since_us": np.array([c.since_us for _, _, c in open_ones], np.int64),
            "seen_us": np.array([c.seen_us for _, _, c in open_ones], np.int64),
            "noticed_us": np.array([c.noticed_us for _, _, c in open_ones], np.int64),
            "score": np.array([c.score for _, _, c in open_ones], np.float64),
            "peak": np.array([c.peak for _, _, c in open_ones], np.float64),
            "below_since_us": np.array(
                [_NEVER if c.below_since_us is None else c.below_since_us for _, _, c in open_ones], np.int64
            ),
            "raised": np.array([c.raised or "" for _, _, c in open_ones], "U16"),
            "fault": np.array([c.fault for _, _, c in open_ones], "U128"),
        }

    def _own_restore(self, snapshot: Snapshot) -> bool:
        if int(snapshot["layout"][0]) != _LAYOUT:
            return False
        self._now_us = int(snapshot["now_us"][0]) if "now_us" in snapshot else 0
        known = np.isin(snapshot["last_stream"], list(self._streams))
        self._last_us[snapshot["last_stream"][known]] = snapshot["last_us"][known]
        columns = ("since_us", "seen_us", "noticed_us", "score", "peak", "below_since_us", "raised")
        faults = snapshot["fault"].tolist() if "fault" in snapshot else [""] * len(snapshot["subject"])
        for name, subject, rule_id, since, seen, noticed, score, peak, below, raised, fault in zip(
            *(snapshot[column].tolist() for column in ("detector", "subject", "rule", *columns)), faults, strict=True
        ):
            if not self._knows(name, subject):
                continue
            rule = self._rule(name, subject)
            if rule is None or rule.id != rule_id:
                # No more than its name is known of it, and no more is needed to end what it began.
                rule = Rule(rule_id, name, "", ((1.0, Severity.LOW),))
            self._conditions[name][subject] = Condition(
                rule=rule,
                since_us=since,
                seen_us=seen,
                noticed_us=noticed,
                score=score,
                peak=peak,
                below_since_us=None if below == _NEVER else below,
                raised=Severity(raised) if raised else None,
                fault=fault,
            )
        return True


@dataclass(frozen=True, slots=True)
class _Edge:
    kind: Kind
    at_us: int
    severity: Severity
    score: float
    condition: Condition


def _turn(
    condition: Condition | None, rule: Rule, patience: Patience, time_us: int, score: float, now_us: int
) -> tuple[Condition | None, list[_Edge]]:
    """One score of one subject: the condition after it, and the edges it makes. NaN changes nothing."""
    if math.isnan(score) or (condition is None and score < 1.0):
        return condition, []
    if condition is None:
        condition = Condition(rule, since_us=time_us, seen_us=time_us, noticed_us=now_us, score=score, peak=score)
    condition.rule = rule
    condition.patience = patience
    condition.seen_us = time_us
    condition.score = score
    condition.peak = max(condition.peak, score)
    if score >= 1.0:
        condition.below_since_us = None
        return condition, _worse(condition, time_us) if time_us >= condition.since_us + _delay_us(condition) else []
    if score < 1.0 - rule.deadband:
        if condition.raised is None:
            return None, []
        if condition.below_since_us is None:
            condition.below_since_us = time_us
    if condition.below_since_us is not None and time_us >= condition.below_since_us + _us(rule.off_delay_s):
        return None, [_Edge(Kind.RETURNED, time_us, condition.raised or Severity.LOW, score, condition)]
    return condition, []


def _abandoned(condition: Condition) -> list[_Edge]:
    """The end of an occurrence whose rule governs no more: it was disabled, or a more specific one stands above it."""
    if condition.raised is None:
        return []
    return [_Edge(Kind.RETURNED, condition.seen_us, condition.raised, condition.score, condition)]


def _worse(condition: Condition, at_us: int) -> list[_Edge]:
    """The edge to a severity that the condition has not had yet, if its score is that bad."""
    severity = condition.rule.severity(condition.score)
    if condition.raised is not None and severity.rank <= condition.raised.rank:
        return []
    kind = Kind.RAISED if condition.raised is None else Kind.ESCALATED
    condition.raised = severity
    return [_Edge(kind, at_us, severity, condition.score, condition)]


def _by_the_clock(condition: Condition, now_us: int) -> list[_Edge]:
    """The raise that is due though no further reading has come, where the stream lives in the present."""
    delay_us = _delay_us(condition)
    present = abs(condition.noticed_us - condition.since_us) < _PRESENT_US
    if condition.raised is None and present and condition.score >= 1.0 and now_us - condition.noticed_us >= delay_us:
        return _worse(condition, condition.since_us + delay_us)
    return []


def _delay_us(condition: Condition) -> int:
    """How long a condition must have lasted to be raised, or to get worse."""
    if condition.raised is not None:
        return _us(condition.rule.on_delay_s)
    taught_s = condition.patience.lasting_s if condition.score < condition.patience.level else 0.0
    return _us(max(condition.rule.delay_s(condition.score), taught_s))


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


def _slices(batch: Batch) -> Iterator[Batch]:
    """A batch cut by time into parts of about `SLICE_READINGS` a stream; the empty batch is one part."""
    streams = max(len(batch.starts()), 1)
    parts = -(-len(batch) // (streams * SLICE_READINGS))
    if parts <= 1:
        yield batch
        return
    ordered = np.sort(batch.time_us)
    cuts = np.unique(ordered[np.arange(1, parts) * len(ordered) // parts])
    part_of = np.searchsorted(cuts, batch.time_us, side="right")
    for part in range(len(cuts) + 1):
        yield batch.where(part_of == part)
