"""What an alarm is told to rest on, beside its readings: the content of its rule, by a hash."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from alarms.rules import Rule, rule_to_json

# What every rule says; the rest counts where it is not as it is when nothing is said.
_ALWAYS = frozenset({"id", "detector", "fault", "severities"})


@lru_cache(maxsize=1024)
def rule_hash(rule: Rule) -> str:
    """SHA-256, hexadecimal, of a rule as canonical JSON.

    What is as it is when nothing is said is left out: a field that a later version of the program adds changes no
    rule that was there before.
    """
    unsaid = rule_to_json(Rule(rule.id, rule.detector, rule.fault, rule.severities))
    said = {name: value for name, value in rule_to_json(rule).items() if name in _ALWAYS or value != unsaid[name]}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
