"""The pages of rules: what watches, why, what its last trial said, and the form in which a change is tried and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from alarms.roles import Role
from alarms.rules import BadRule, Rule, rule_from_json, rule_to_json
from alarms.trials import content_of
from alarms.trials_gentler import limit_to_json
from alarms.trials_played import TRIED
from api.access.auth import Caller, Manager, Person, Staff
from api.alarms.rules import RuleId
from api.alarms.trials import accepted, tried
from api.errors import BadValue, NotTried, OverBudget
from api.page_frame import PageRoute, answer, head_of
from dashboard.figures import exact
from store import rules as rule_store
from store import trials
from store.errors import Conflict
from store.rules import KeptRule
from store.transactions import Transaction
from store.trials import KeptTrial

DAYS = 30
_BOUNDS = ("lolo", "lo", "hi", "hihi", "rate_per_min")
_NUMBERS = ("deadband", "on_delay_s", "off_delay_s", "weak_below", "weak_delay_s")
_WHOLE = ("at_least", "of_last")
_CALLED = dict(zip(_BOUNDS, ("low, severe", "low", "high", "high, severe", "change a minute"), strict=True))

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form(max_fields=50)
    return {name: str(value).strip()[:2000] for name, value in form.items()}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/rules")
def rules_page(request: Request, caller: Person) -> Response:
    with caller.transaction() as conn:
        shell = head_of(conn, caller, "alarms")
        latest = trials.latest_of_rules(conn) if shell["may_act"] else {}
        values = {**shell, "rules": rule_store.rules(conn), "latest": latest}
    return answer(request, "rules.html", values)


@router.get("/rules/{rule_id}")
def rule_page(request: Request, caller: Person, rule_id: RuleId) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller, rule_store.rule(conn, rule_id))


@router.post("/rules/{rule_id}/trial")
def try_change(request: Request, caller: Staff, rule_id: RuleId, typed: Typed) -> Response:
    """Try what was typed; it is shown again with what came of it."""
    who = caller.principal
    with caller.transaction() as conn:
        kept = rule_store.rule(conn, rule_id)
        try:
            tried(conn, who.tenant, read(kept.rule, typed), DAYS, None, who.name, datetime.now(UTC))
        except (BadRule, BadValue) as error:
            return _page(request, conn, caller, kept, typed, str(error))
        return _page(request, conn, caller, kept, typed)


@router.post("/rules/{rule_id}")
def keep_change(request: Request, caller: Manager, rule_id: RuleId, typed: Typed) -> Response:
    """Put what was typed in force, or show it again with why not."""
    who = caller.principal
    with caller.transaction() as conn:
        kept = rule_store.rule(conn, rule_id)
        try:
            rule = read(kept.rule, typed)
            if rule.enabled and rule.rationalisation is None:
                raise BadRule("nobody has said why it is there: PUT it with its rationalisation")
            by = accepted(conn, who.tenant, rule, typed.get("override"), datetime.now(UTC))
            seen = typed.get("version", "")
            version = int(seen) if seen.isdecimal() and len(seen) < 9 else -1
            kept = rule_store.change_rule(conn, who.tenant, rule, seen_version=version, who=who.name, accepted=by)
        except NotTried:
            why = "it was not tried as it is here, over thirty days and in the last fourteen: try it first"
            return _page(request, conn, caller, kept, typed, why)
        except (BadRule, OverBudget, Conflict) as error:
            return _page(request, conn, caller, kept, typed, str(error))
        return _page(request, conn, caller, kept, is_kept=True)


def write(rule: Rule) -> dict[str, str]:
    """A rule as the form shows it: text by the name of its field. The deadband is in per cent of the limit."""
    bounds = limit_to_json(rule.limit) if rule.limit is not None else {}
    found = {name: exact(bounds[name]) if name in bounds else "" for name in _BOUNDS}
    found |= {name: exact(getattr(rule, name)) for name in _NUMBERS}
    found |= {name: str(getattr(rule, name)) for name in _WHOLE}
    return {**found, "deadband": exact(100 * rule.deadband), "enabled": "on" if rule.enabled else ""}


def read(rule: Rule, typed: Mapping[str, str]) -> Rule:
    """The rule with what was typed in the place of its own; what is no field of the form stays.

    Raises
    ------
    BadRule
        It cannot be.
    """
    fields = rule_to_json(rule)
    if rule.detector == "limits":
        bounds = {name: _number(name, typed[name]) for name in _BOUNDS if typed.get(name)}
        fields["limit"] = bounds or None
    fields |= {name: _number(name, typed.get(name, "")) for name in _NUMBERS}
    fields["deadband"] /= 100
    fields |= {name: int(_number(name, typed.get(name, ""))) for name in _WHOLE}
    return replace(rule_from_json(fields), enabled=bool(typed.get("enabled")))


def _number(name: str, text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise BadRule(f"{name}: a number") from error


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    kept: KeptRule,
    typed: Mapping[str, str] | None = None,
    wrong: str = "",
    *,
    is_kept: bool = False,
) -> Response:
    shell = head_of(conn, caller, "alarms")
    found = trials.trials(conn, rule_id=kept.rule.id, limit=10) if shell["may_act"] else []
    values = {
        **shell,
        "kept": kept,
        "rule": kept.rule,
        "form": {**write(kept.rule), "override": "", **(typed or {})},
        "trials": found,
        "last": _shown(kept.rule, found[0]) if found else None,
        "tried": kept.rule.detector in TRIED,
        "wrong": wrong,
        "is_kept": is_kept,
        "told_why": caller.principal.role is not Role.OWNER,
        "may_change": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
    }
    return answer(request, "rule.html", values, 422 if wrong else 200)


def _shown(rule: Rule, kept: KeptTrial) -> dict[str, Any]:
    """The last trial, and whether it was of the rule as it is."""
    result = kept.result or {}
    rows = [("As it would be", result.get("asked")), ("Now in force", result.get("in_force"))]
    proposal = result.get("proposal")
    if proposal:
        rows.append(("This would fit", proposal["figures"]))
    return {
        "kept": kept,
        "result": result,
        "rows": [(name, figures) for name, figures in rows if figures],
        "changes": _in_words(proposal) if proposal else [],
        "is_current": kept.content == content_of(rule),
    }


def _in_words(proposal: Mapping[str, Any]) -> list[str]:
    """What a proposal changes, as the form calls it."""
    changes, rule = proposal["changes"], rule_from_json(proposal["rule"])
    found = [f"{_CALLED[name]} {number:g}" for name, number in changes.get("limit", {}).items()]
    if "deadband" in changes:
        found.append(f"a deadband of {100 * rule.deadband:g} %")
    if "on_delay_s" in changes:
        found.append(f"raised after {rule.on_delay_s:g} s")
    if "at_least" in changes or "of_last" in changes:
        found.append(f"{rule.at_least} of the last {rule.of_last} scores")
    return found
