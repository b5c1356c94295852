"""What is announced: scores of a detector become events, by the rules that govern its subjects.

A quiet fleet costs one comparison a score. Only subjects above their limit, or on their way back, are looked at one by
one, and of those only the moments at which the score crosses something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from alarms.chatter import Chatter
from alarms.conditions import Condition, Edge, abandoned, by_the_clock, excuse, packed, turn, unpacked
from alarms.events import AlarmEvent, Kind, event_id, occurrence_id
from alarms.lessons import NO_PATIENCE, Patience
from alarms.messages import message
from alarms.policy import DEFAULT_POLICY, Policy
from alarms.provenance import rule_hash
from alarms.roster import Roster
from alarms.rules import Rule
from alarms.sites import DETECTOR as SITE
from detectors.scores import Evidence, Scope, Scores, Snapshot
from detectors.traits import BY_THE_CLOCK, OF_SENSORS
from telemetry import Stream

_BY_THE_CLOCK = BY_THE_CLOCK | {SITE}  # a lost site is made of silences


class Explains(Protocol):
    """Who scores a subject can say why."""

    scope: Scope

    def explain(self, subject: int) -> Evidence: ...


class Annunciator:
    """The conditions of all subjects, by detector."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._conditions: dict[str, dict[int, Condition]] = {name: {} for name in roster.scopes}
        self._patience: Mapping[tuple[str, int], Patience] = {}
        self._policies: Mapping[str, Policy] = {}
        self._chatter = Chatter()

    def teach(self, patience: Mapping[tuple[str, int], Patience]) -> None:
        """What verdicts have taught, by detector and subject. Alarms that stand are left to return by themselves."""
        self._patience = patience

    def govern(self, policies: Mapping[str, Policy]) -> None:
        """What tenants say about their alarms as a whole."""
        self._policies = policies

    def excuse(self, by_us: int) -> None:
        """So much time counts against nobody."""
        for name, conditions in self._conditions.items():
            for condition in conditions.values():
                excuse(condition, by_us, by_the_clock=name in _BY_THE_CLOCK)

    def open_subjects(self, name: str) -> set[int]:
        """The subjects of a detector that are in alarm."""
        return {subject for subject, condition in self._conditions[name].items() if condition.raised is not None}

    def tell(self, name: str, detector: Explains, scores: Scores, now_us: int) -> Iterator[AlarmEvent]:
        """The edges of one detector's scores, and of the delays that the clock has ended."""
        conditions = self._conditions[name]
        hot = np.unique(scores.subject[scores.score >= 1.0]).tolist()
        for subject in sorted({*hot, *conditions}):
            stream, rule = self._roster.stands_for(name, subject), self._roster.rule(name, subject)
            condition = conditions.get(subject)
            edges: list[Edge] = []
            if condition is not None and (rule is None or rule.id != condition.rule.id):
                edges += abandoned(condition)
                condition = None
            if rule is not None:
                patience = self._patience.get((name, subject), NO_PATIENCE)
                rows = slice(*np.searchsorted(scores.subject, [subject, subject + 1]))
                for time_us, score in zip(scores.time_us[rows].tolist(), scores.score[rows].tolist(), strict=True):
                    condition, made = turn(condition, rule, patience, time_us, score, now_us)
                    edges += self._calmed(name, subject, stream.tenant, made)
            if condition is None:
                conditions.pop(subject, None)
            else:
                conditions[subject] = condition
                edges += self._calmed(name, subject, stream.tenant, by_the_clock(condition, now_us))
            if edges:
                evidence = detector.explain(subject)
                for edge in edges:
                    yield self._event(edge, name, detector.scope, subject, stream, evidence)

    def _calmed(self, name: str, subject: int, tenant: str, edges: Sequence[Edge]) -> list[Edge]:
        """Edges, and that of a raise at which the alarm is found to chatter; it is held from then on."""
        found: list[Edge] = []
        for edge in edges:
            found.append(edge)
            if edge.kind is Kind.RAISED:
                policy = self._policies.get(tenant, DEFAULT_POLICY)
                edge.condition.hold_s = self._chatter.raised(name, subject, edge.at_us, policy)
                if edge.condition.hold_s:
                    found.append(replace(edge, kind=Kind.CHATTERING))
            elif edge.kind is Kind.RETURNED and edge.condition.hold_s:
                self._chatter.calm(name, subject, edge.at_us)
        return found

    def _event(
        self, edge: Edge, detector: str, scope: Scope, subject: int, stream: Stream, evidence: Evidence
    ) -> AlarmEvent:
        rule = edge.condition.rule
        point = stream.point if scope is Scope.STREAM else evidence.point
        of_point = self._roster.point(stream.machine, point)
        unit = of_point.unit if of_point else ""
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
            latch=rule.latch,
            quiet_with_parent=rule.quiet_with_parent,
            rises=edge.rises,
            hold_s=edge.condition.hold_s,
            scored_us=edge.scored_us,
            rule_hash=rule_hash(rule) if edge.kind is Kind.RAISED else "",
        )

    def _fault(self, detector: str, machine: int, point: str, rule: Rule) -> str:
        """A rule's fault, or that of the alarm that stands for the leading sensor: one ticket, and no machine's."""
        if detector in _BY_THE_CLOCK or detector in OF_SENSORS:
            return rule.fault
        stream = self._roster.point(machine, point)
        of_sensor = (self._conditions.get(name, {}).get(stream.id if stream else -1) for name in OF_SENSORS)
        return next((c.rule.fault for c in of_sensor if c is not None and c.raised is not None), rule.fault)

    def snapshot(self) -> Snapshot:
        """All conditions, and what chatters, as columns."""
        return {**packed(self._conditions), **self._chatter.snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over conditions of those subjects that there are."""
        self._chatter.restore(snapshot)
        for name, subject, condition in unpacked(snapshot):
            if not self._roster.knows(name, subject):
                continue
            rule = self._roster.rule(name, subject)
            if rule is not None and rule.id == condition.rule.id:
                condition.rule = rule
            self._conditions[name][subject] = condition
