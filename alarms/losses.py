"""Messages that were lost on their way: sequence numbers that never came, as an alarm of their device.

One alarm while a device goes on losing; it returns when nothing more was lost for as long as the rule says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alarms.events import AlarmEvent, Kind, Severity, event_id, occurrence_id
from alarms.rules import Rule, governing
from detectors.scores import Evidence, Scope
from telemetry import Stream

DETECTOR = "sequence"


@dataclass(slots=True)
class Losing:
    """A device that has lost messages and has not been quiet for long enough."""

    tenant: str
    device: str
    rule: str
    since_us: int
    last_us: int
    missing: int
    severity: Severity


class Losses:
    """Turns sequence numbers that were given up into alarm events."""

    def __init__(self, losing: Mapping[int, Losing]) -> None:
        self._losing = dict(losing)

    def lost(
        self, rules: Sequence[Rule], machine: int, tenant: str, device: str, missing: int, at_us: int
    ) -> list[AlarmEvent]:
        """A device has lost so many messages more."""
        rule = _rule(rules, machine, tenant, device)
        if rule is None:
            return []
        losing = self._losing.get(machine)
        if losing is None:
            losing = Losing(tenant, device, rule.id, at_us, at_us, missing, rule.severity(float(missing)))
            self._losing[machine] = losing
            return [_event(losing, machine, Kind.RAISED, rule, at_us)]
        losing.last_us = at_us
        losing.missing += missing
        severity = rule.severity(float(losing.missing))
        if severity.rank <= losing.severity.rank:
            return []
        losing.severity = severity
        return [_event(losing, machine, Kind.ESCALATED, rule, at_us)]

    def quiet(self, rules: Mapping[str, Sequence[Rule]], now_us: int) -> list[AlarmEvent]:
        """The ends of those that have lost nothing for long enough."""
        events = []
        for machine, losing in list(self._losing.items()):
            rule = _rule(rules.get(losing.tenant, ()), machine, losing.tenant, losing.device)
            if rule is None or now_us - losing.last_us >= rule.off_delay_s * 1e6:
                del self._losing[machine]
                events.append(_event(losing, machine, Kind.RETURNED, rule, now_us))
        return events


def _rule(rules: Sequence[Rule], machine: int, tenant: str, device: str) -> Rule | None:
    rule = governing(rules, DETECTOR, Stream(0, machine, tenant, device, "", "unknown", ""), machine_wide=True)
    return rule if rule and rule.enabled else None


def _event(losing: Losing, machine: int, kind: Kind, rule: Rule | None, at_us: int) -> AlarmEvent:
    occurrence = occurrence_id(losing.tenant, losing.rule, Scope.MACHINE, machine, losing.since_us)
    score = float(losing.missing)
    return AlarmEvent(
        event_id=event_id(occurrence, kind, losing.severity),
        occurrence_id=occurrence,
        kind=kind,
        rule=losing.rule,
        detector=DETECTOR,
        scope=Scope.MACHINE,
        subject=machine,
        machine=machine,
        tenant=losing.tenant,
        device=losing.device,
        point="",
        unit="",
        fault=rule.fault if rule else "communication",
        severity=losing.severity,
        since_us=losing.since_us,
        at_us=at_us,
        score=0.0 if kind is Kind.RETURNED else score,
        peak=score,
        message=f"{losing.missing} messages lost: their sequence numbers never came",
        opens_ticket=bool(rule and rule.opens_ticket),
        evidence=Evidence("", score, 0.0, math.nan, math.nan, losing.since_us, {}),
        latch=bool(rule and rule.latch),
        quiet_with_parent=bool(rule and rule.quiet_with_parent),
    )
