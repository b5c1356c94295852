"""Trials of rules over what is stored, and the gate that a rule goes through to be in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from alarms.rules import Rule, rule_from_json
from alarms.trials import content_of
from alarms.trials_played import TRIED
from api import ROOT
from api.access.auth import Staff
from api.errors import BadValue, NotTried, OverBudget
from api.models import Answered, Asked, DeviceName, Instant, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import rules, trial_runs, trials
from store.rules import Accepted
from store.transactions import Transaction
from store.trials import KeptTrial

LONGEST_DAYS = 90
MOST_DEVICES = 200

TrialPath = Annotated[UUID, Path(description="A trial", examples=["0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11"])]
RuleFilter = Annotated[str | None, Query(pattern=r"^[a-z0-9_.-]{1,64}$", description="Only of this rule")]

router = APIRouter(prefix=f"{ROOT}/trials", tags=["rules"])

_RULE: dict[str, Any] = {
    "id": "limits-pump-01-flow",
    "detector": "limits",
    "fault": "condition",
    "severities": [[1.0, "high"]],
    "on_delay_s": 10.0,
    "device": "pump-01",
    "point": "flow",
    "limit": {"hi": 9.5},
}


class TrialAsked(Asked):
    """A rule as it would be, and over how much of the past."""

    model_config = Asked.model_config | example(rule=_RULE, days=30)

    rule: dict[str, Any] = Field(description="Its fields with its `id`, see `docs/api.md`")
    days: int = Field(30, ge=1, le=LONGEST_DAYS, description="The last so many; a rule is accepted by 7 or more")
    devices: Annotated[list[DeviceName], Field(min_length=1, max_length=MOST_DEVICES)] | None = Field(
        None, description="Only these: quick, but not what a rule is accepted by"
    )


class TrialOut(Answered):
    """A trial; its result once it is `done`, see `docs/backtest.md`."""

    model_config = Answered.model_config | example(
        id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        rule_id="limits-pump-01-flow",
        content="9f86d081884c7d65",
        rule=_RULE,
        days=30,
        devices=None,
        state="done",
        asked_at="2026-11-21T22:14:03Z",
        asked_by="kim",
        done_at="2026-11-21T22:14:04Z",
        fits=True,
        result={"asked": {"alarms": 3, "per_day": 0.1}},
        failure="",
    )

    id: UUID
    rule_id: str
    content: str = Field(description="SHA-256 of what decides when it alarms: another one is another rule")
    rule: dict[str, Any]
    days: int
    devices: list[str] | None
    state: str = Field(description="waiting, done or failed")
    asked_at: Instant
    asked_by: str
    done_at: Instant | None
    fits: bool | None = Field(description="Whether it is within the alarm budget")
    result: dict[str, Any] | None
    failure: str = Field(description="Why it could not be done")


@router.get("", summary="Trials of rules")
def list_trials(caller: Staff, rule: RuleFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Page[TrialOut]:
    """The newest first."""
    after = after_time_id(cursor)
    with caller.transaction() as conn:
        rows = trials.trials(conn, rule_id=rule, limit=limit + 1, after=after)
    return page(rows, limit, shown, lambda row: (row.asked_at, row.id))


@router.get("/{trial_id}", summary="One trial")
def get_trial(caller: Staff, trial_id: TrialPath) -> TrialOut:
    """What was tried, and what it would have done."""
    with caller.transaction() as conn:
        return shown(trials.trial(conn, trial_id))


@router.post("", response_model=TrialOut, status_code=201, summary="Try a rule")
def try_rule(caller: Staff, asked: TrialAsked, once: OnceOnly) -> JSONResponse:
    """Play the past under a rule as it would be. A small trial is done at once; a larger one waits for `notify`."""
    who, now = caller.principal, datetime.now(UTC)
    rule = rule_from_json(asked.rule)
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (201, shown(tried(conn, who.tenant, rule, asked.days, asked.devices, who.name, now))),
        )


def tried(
    conn: Transaction, tenant: str, rule: Rule, days: int, devices: list[str] | None, who: str, now: datetime
) -> KeptTrial:
    """A trial that was asked for, done where it is small.

    Raises
    ------
    BadValue
        It scores something else than readings.
    """
    if rule.detector not in TRIED:
        raise BadValue("body.rule.detector", f"only rules of {', '.join(TRIED)} can be tried over readings")
    kept = trials.ask(conn, tenant, rule, days=days, devices=devices, who=who, now=now)
    asked = trial_runs.Asked.of(kept)
    if trial_runs.is_small(conn, asked, now):
        fits, result = trial_runs.run(conn, asked, now, by_api=True)
        trials.done(conn, kept.id, fits=fits, result=result, now=now)
    return trials.trial(conn, kept.id)


def accepted(conn: Transaction, tenant: str, rule: Rule, override: str | None, now: datetime) -> Accepted:
    """By which trial a rule may be in force from now on, or why without one.

    Raises
    ------
    NotTried, OverBudget
        It may not.
    """
    if not rule.enabled:
        return Accepted(untried="it is not in force")
    before = next((kept.rule for kept in rules.rules(conn) if kept.rule.id == rule.id), None)
    if before is not None and before.enabled and content_of(before) == content_of(rule):
        return Accepted(untried="it alarms as it did")
    untried = trial_runs.untried(conn, tenant, rule, now)
    if untried:
        return Accepted(untried=untried)
    kept = trials.latest_of(conn, tenant, rule, now)
    if kept is None:
        raise NotTried(
            f"try it first: POST {ROOT}/trials with this very rule, over {trials.LEAST_DAYS} days or more and all that"
            f" it covers; a trial is good for {trials.WORTH.days} days"
        )
    if not kept.fits and not override:
        raise _over_budget(kept)
    return Accepted(trial=kept.id, override_note="" if kept.fits else override or "")


def _over_budget(kept: KeptTrial) -> OverBudget:
    result = kept.result or {}
    proposal = result.get("proposal")
    said = f"{'; '.join(result.get('why_not', []))} (trial {kept.id})."
    if proposal is None:
        return OverBudget(f"{said} Nothing gentler fits without missing faults that it tells.", {})
    figures = proposal["figures"]
    return OverBudget(
        f"{said} This would fit: {figures['per_day']:.2f} alarms a day instead of {result['asked']['per_day']:.2f},"
        f" {figures['false_per_month']:.2f} false ones a machine-month.",
        proposal["changes"],
    )


def shown(kept: KeptTrial) -> TrialOut:
    """A trial as it is shown."""
    return TrialOut.model_validate({name: getattr(kept, name) for name in TrialOut.model_fields})
