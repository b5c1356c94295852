"""Rules: which scores become alarms. Every change is a new version."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from alarms.rules import rule_from_json, rule_to_json
from api import ROOT
from api.auth import Anyone, Manager
from api.errors import BadValue
from api.models import Answered, Asked, Instant, example
from store import rules
from store.rules import KeptRule

RuleId = Annotated[str, Path(pattern=r"^[a-z0-9_.-]{1,64}$", examples=["shift"])]

router = APIRouter(prefix=f"{ROOT}/rules", tags=["rules"])

_RULE: dict[str, Any] = {
    "id": "limits-pump-01-flow",
    "detector": "limits",
    "fault": "condition",
    "severities": [[1.0, "high"], [2.0, "critical"]],
    "deadband": 0.1,
    "on_delay_s": 10.0,
    "off_delay_s": 30.0,
    "opens_ticket": True,
    "device": "pump-01",
    "point": "flow",
    "enabled": True,
}


class RuleOut(Answered):
    """A rule in force. Version 0 is the default of the house, which nobody has changed."""

    model_config = Answered.model_config | example(
        rule=_RULE, version=3, changed_at="2026-11-21T22:14:03Z", changed_by="kim"
    )

    rule: dict[str, Any]
    version: int
    changed_at: Instant | None
    changed_by: str


class RulesOut(Answered):
    """Rules."""

    items: list[RuleOut]


class RuleChange(Asked):
    """The next version of a rule, whole."""

    model_config = Asked.model_config | example(rule=_RULE, version=2)

    rule: dict[str, Any] = Field(description="Its fields, see `docs/api.md`; `id` as in the path, or left out")
    version: int = Field(ge=0, description="The version that was read before the change; 0 for a rule that is new")


@router.get("", summary="Rules in force")
def list_rules(caller: Anyone) -> RulesOut:
    """The tenant's rules over the defaults, disabled ones too. The most specific that covers a stream governs it."""
    with caller.transaction() as conn:
        return RulesOut(items=[_shown(kept) for kept in rules.rules(conn)])


@router.get("/{rule_id}", summary="One rule")
def get_rule(caller: Anyone, rule_id: RuleId) -> RuleOut:
    """A rule as it is in force."""
    with caller.transaction() as conn:
        return _shown(rules.rule(conn, rule_id))


@router.get("/{rule_id}/versions", summary="What a rule has been")
def list_versions(caller: Anyone, rule_id: RuleId) -> RulesOut:
    """Every version of a rule, newest first."""
    with caller.transaction() as conn:
        return RulesOut(items=[_shown(kept) for kept in rules.versions(conn, rule_id)])


@router.put("/{rule_id}", summary="Change a rule")
def change_rule(caller: Manager, rule_id: RuleId, asked: RuleChange) -> RuleOut:
    """Add the next version, which is in force from now on. 409 where somebody else has changed it meanwhile."""
    who = caller.principal
    if asked.rule.get("id", rule_id) != rule_id:
        raise BadValue("body.rule.id", "another rule than the one in the path")
    rule = rule_from_json({**asked.rule, "id": rule_id})
    with caller.transaction() as conn:
        return _shown(rules.change_rule(conn, who.tenant, rule, seen_version=asked.version, who=who.name))


def _shown(kept: KeptRule) -> RuleOut:
    return RuleOut(
        rule=rule_to_json(kept.rule),
        version=kept.version,
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
    )
