"""Rules: which scores become alarms. Every change is a new version."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field

from alarms.roles import Role
from alarms.rules import rule_from_json, rule_to_json
from api import ROOT
from api.access.auth import Anyone, Caller, Manager
from api.alarms.trials import accepted
from api.errors import BadValue
from api.models import Answered, Asked, Instant, Reason, example
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
    "rationalisation": {
        "cause": "The suction filter is blocked, or a valve is closed",
        "consequence": "The pump runs dry within the hour",
        "action": "Open the bypass, clean the filter",
        "respond_within_s": 1800.0,
    },
    "enabled": True,
}


class RuleOut(Answered):
    """A rule in force. Version 0 is the default of the house, which nobody has changed."""

    model_config = Answered.model_config | example(
        rule=_RULE,
        version=3,
        changed_at="2026-11-21T22:14:03Z",
        changed_by="kim",
        trial="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        untried="",
        override_note="",
    )

    rule: dict[str, Any]
    version: int
    changed_at: Instant | None
    changed_by: str
    trial: UUID | None = Field(description="By which it was accepted")
    untried: str = Field(description="Or why without one")
    override_note: str = Field(
        description="Why it is in force although it is above the alarm budget; empty for owners, to whom it is not said"
    )


class RulesOut(Answered):
    """Rules."""

    items: list[RuleOut]


class RuleChange(Asked):
    """The next version of a rule, whole."""

    model_config = Asked.model_config | example(rule=_RULE, version=2)

    rule: dict[str, Any] = Field(description="Its fields, see `docs/api.md`; `id` as in the path, or left out")
    version: int = Field(
        ge=0, lt=2**31 - 1, description="The version that was read before the change; 0 for a rule that is new"
    )
    override: Reason | None = Field(None, description="Why it is to be in force although it is above the alarm budget")


@router.get("", summary="Rules in force")
def list_rules(caller: Anyone) -> RulesOut:
    """The tenant's rules over the defaults, disabled ones too. The most specific that covers a stream governs it."""
    with caller.transaction() as conn:
        return RulesOut(items=[_shown(kept, caller) for kept in rules.rules(conn)])


@router.get("/{rule_id}", summary="One rule")
def get_rule(caller: Anyone, rule_id: RuleId) -> RuleOut:
    """A rule as it is in force."""
    with caller.transaction() as conn:
        return _shown(rules.rule(conn, rule_id), caller)


@router.get("/{rule_id}/versions", summary="What a rule has been")
def list_versions(caller: Anyone, rule_id: RuleId) -> RulesOut:
    """Every version of a rule, newest first."""
    with caller.transaction() as conn:
        return RulesOut(items=[_shown(kept, caller) for kept in rules.versions(conn, rule_id)])


@router.put("/{rule_id}", summary="Change a rule")
def change_rule(caller: Manager, rule_id: RuleId, asked: RuleChange) -> RuleOut:
    """Add the next version, which is in force from now on. 409 where somebody else has changed it meanwhile.

    An enabled rule says why it is there: what its alarm comes of, what follows, what is to be done, and how soon. It
    was tried as it is, where there is a day of history to try it on, and is within the alarm budget: else 409, with
    the fields of one that would be.
    """
    who = caller.principal
    if asked.rule.get("id", rule_id) != rule_id:
        raise BadValue("body.rule.id", "another rule than the one in the path")
    rule = rule_from_json({**asked.rule, "id": rule_id})
    if rule.enabled and rule.rationalisation is None:
        wanted = "cause, consequence, action and respond_within_s: without them a rule is kept only with enabled false"
        raise BadValue("body.rule.rationalisation", wanted)
    with caller.transaction() as conn:
        by = accepted(conn, who.tenant, rule, asked.override, datetime.now(UTC))
        kept = rules.change_rule(conn, who.tenant, rule, seen_version=asked.version, who=who.name, accepted=by)
        return _shown(kept, caller)


def _shown(kept: KeptRule, caller: Caller) -> RuleOut:
    """Why somebody of the house went past its budget is not for its customers."""
    accepted = asdict(kept.accepted)
    if caller.principal.role is Role.OWNER:
        accepted["override_note"] = ""
    return RuleOut(
        rule=rule_to_json(kept.rule),
        version=kept.version,
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
        **accepted,
    )
