"""`bellwether backtest`: a rule tried over what a database holds, which stays as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alarms.rules import BadRule, Rule, rule_from_json
from alarms.trials_played import TRIED
from bellwether.rejects import address_of
from bellwether.settings import Settings
from store import trial_runs, trials
from store.connection import connect, look_only, unavailable
from store.errors import Misconfigured
from store.rules import rules_of_all


def tried(
    settings: Settings, file: Path | None, rule_id: str | None, tenant: str | None, days: int, devices: list[str] | None
) -> tuple[bool, dict[str, Any]]:
    """Whether a rule fits, and what is to be said of it.

    Raises
    ------
    Misconfigured
        There is no such rule or tenant, or it cannot be tried.
    """
    with unavailable(), connect(address_of(settings), "backtest") as conn:
        look_only(conn)
        by_tenant = rules_of_all(conn)
        whose = tenant or (next(iter(by_tenant)) if len(by_tenant) == 1 else None)
        if whose not in by_tenant:
            raise Misconfigured(f"--tenant: one of {', '.join(sorted(by_tenant))}")
        try:
            fields = tomllib.loads(file.read_text(encoding="utf-8")) if file else None
            wanted = rule_from_json(fields) if fields is not None else _named(by_tenant[whose], rule_id)
        except (BadRule, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{file}: {error}") from error
        if wanted.detector not in TRIED:
            raise Misconfigured(f"{wanted.detector} scores more than readings: it cannot be tried over them")
        asked = trial_runs.Asked(whose, wanted, days, devices, *trials.people_of(conn, whose))
        fits, found = trial_runs.run(conn, asked, datetime.now(UTC))
    if not found["machines"]:
        raise Misconfigured(f"{wanted.id} decides over nothing that there is: another rule may stand above it")
    return fits, found


def _named(rules: Sequence[Rule], rule_id: str | None) -> Rule:
    for one in rules:
        if one.id == rule_id:
            return one
    raise Misconfigured(f"--rule: there is no rule {rule_id}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """A trial for people."""
    return [
        f"{found['machines']} machines, {found['machine_days']:.0f} machine-days, {found['readings']:,} readings",
        _line("it would", found["asked"]),
        _line("in force", found["in_force"]),
        *(
            f"fault of {fault['device']} at {fault['since']}: {_told(fault['after_s'])};"
            f" in force {_told(fault['in_force_after_s'])}"
            for fault in found["faults"]
        ),
        *(f"above the alarm budget: {why}" for why in found["why_not"]),
        *_proposed(found),
    ]


def _proposed(found: Mapping[str, Any]) -> list[str]:
    proposal = found["proposal"]
    if found["fits"]:
        return ["it fits the alarm budget"]
    if proposal is None:
        return ["nothing gentler fits without missing faults that it tells"]
    changes = ", ".join(f"{name} = {value}" for name, value in proposal["changes"].items())
    return [f"this would fit: {changes}", _line("it would", proposal["figures"])]


def _line(what: str, one: Mapping[str, Any]) -> str:
    return (
        f"{what}: {one['alarms']} alarms, {one['per_day']:.2f} a day, {one['worst_ten_min']} in the worst ten minutes,"
        f" {one['tickets']} tickets, {one['false_per_month']:.2f} false a machine-month, {one['woken']} out of hours"
    )


def _told(after_s: float | None) -> str:
    return "not told" if after_s is None else f"told after {after_s / 60:.0f} min"
