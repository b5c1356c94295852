"""What a tenant says about its alarms as a whole."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import Field

from alarms.policy import DEFAULT_POLICY, Policy
from api import ROOT
from api.access.auth import Anyone, Manager
from api.models import Answered, Asked, Instant, example
from store import alarm_policy
from store.alarm_policy import KeptPolicy

router = APIRouter(prefix=f"{ROOT}/alarm-policy", tags=["alarms"])

_DEFAULTS = asdict(DEFAULT_POLICY)


class PolicyIn(Asked):
    """The figures, whole: one that is left out is the house's again."""

    model_config = Asked.model_config | example(_DEFAULTS)

    longest_shelf_h: int = Field(
        DEFAULT_POLICY.longest_shelf_h, ge=1, le=8760, description="For how long an alarm may be shelved, at most"
    )
    chatter_raises: int = Field(
        DEFAULT_POLICY.chatter_raises, ge=2, le=20, description="So many raises within `chatter_s`, and it chatters"
    )
    chatter_s: int = Field(DEFAULT_POLICY.chatter_s, ge=1, le=3600)
    flood_alarms: int = Field(
        DEFAULT_POLICY.flood_alarms, ge=2, le=1000, description="More at one site within `flood_s` are a flood"
    )
    flood_s: int = Field(DEFAULT_POLICY.flood_s, ge=60, le=86_400)
    stale_h: int = Field(DEFAULT_POLICY.stale_h, ge=1, le=8760, description="What stands unchanged so long is stale")
    alarms_per_10min: float = Field(
        DEFAULT_POLICY.alarms_per_10min,
        gt=0,
        le=100,
        description="The budget of a rule for each person, on its worst day",
    )
    false_per_month: float = Field(
        DEFAULT_POLICY.false_per_month, ge=0, le=1000, description="The budget of false alarms for each machine"
    )


class PolicyOut(Answered):
    """The figures in force; changed by nobody where they are the house's."""

    model_config = Answered.model_config | example(_DEFAULTS, changed_at="2026-11-21T22:14:03Z", changed_by="kim")

    longest_shelf_h: int
    chatter_raises: int
    chatter_s: int
    flood_alarms: int
    flood_s: int
    stale_h: int
    alarms_per_10min: float
    false_per_month: float
    changed_at: Instant | None
    changed_by: str


@router.get("", summary="What holds for all alarms")
def get_policy(caller: Anyone) -> PolicyOut:
    """The tenant's figures."""
    with caller.transaction() as conn:
        return _shown(alarm_policy.policy(conn))


@router.put("", summary="Change what holds for all alarms")
def change_policy(caller: Manager, asked: PolicyIn) -> PolicyOut:
    """In force within seconds."""
    who = caller.principal
    with caller.transaction() as conn:
        changed = Policy(**asked.model_dump())
        return _shown(alarm_policy.change(conn, who.tenant, changed, who=who.name, now=datetime.now(UTC)))


def _shown(kept: KeptPolicy) -> PolicyOut:
    return PolicyOut(**asdict(kept.policy), changed_at=kept.changed_at, changed_by=kept.changed_by)
