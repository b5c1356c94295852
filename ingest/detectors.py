"""The rules in force, and the detectors that run live by them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import store.telemetry as rows
from alarms.rules import DEFAULT_RULES, BadRule, Rule, governing, rule_from_json
from detectors import DETECTORS
from detectors.limits import Limit, Limits
from detectors.scores import Detector
from store.connection import Session
from telemetry import Stream

log = logging.getLogger("bellwether.ingest")


def detectors_for(rules: Mapping[str, Sequence[Rule]]) -> dict[str, Detector]:
    """Every detector, each with no memory yet; `limits` asks the rules for the limits of a stream."""

    def limit_of(stream: Stream) -> Limit | None:
        rule = governing(rules.get(stream.tenant, ()), "limits", stream, machine_wide=False)
        return rule.limit if rule else None

    return {name: Limits(limit_of) if detector is Limits else detector() for name, detector in DETECTORS.items()}


def rules_in_force(conn: Session) -> dict[str, list[Rule]]:
    """The rules in force by tenant: the defaults, and what the tenant has put in their place or beside them."""
    stored = rows.rules_in_force(conn)
    rules: dict[str, list[Rule]] = {}
    for tenant in rows.tenants_known(conn):
        by_id = {rule.id: rule for rule in DEFAULT_RULES}
        for fields in stored.get(tenant, []):
            try:
                rule = rule_from_json(fields)
            except BadRule as reason:
                log.error("a stored rule cannot be used", extra={"tenant": tenant, "reason": str(reason)})
                continue
            by_id[rule.id] = rule
        rules[tenant] = list(by_id.values())
    return rules
