"""Rules as their tenant keeps them: every change a new version, over the defaults of the house."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from alarms.rationalisation import Rationalisation
from alarms.rules import DEFAULT_RULES, BadRule, Rule, rule_from_json, rule_to_json
from store import telemetry
from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction

log = logging.getLogger("bellwether.store")

_SQL = queries("rules")


@dataclass(frozen=True, slots=True)
class Accepted:
    """By which trial a version was accepted, or why without one; and why although it is above the alarm budget."""

    trial: UUID | None = None
    untried: str = ""
    override_note: str = ""


UNTRIED = Accepted()


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule and where it comes from. Version 0 is the default of the house, which nobody has changed."""

    rule: Rule
    version: int
    changed_at: datetime | None
    changed_by: str
    accepted: Accepted = UNTRIED


def rules(conn: Transaction) -> list[KeptRule]:
    """The rules in force, by id: the tenant's own over the defaults. A disabled rule is there too."""
    found = {rule.id: KeptRule(rule, 0, None, "") for rule in DEFAULT_RULES}
    with conn.cursor(row_factory=dict_row) as cursor:
        found |= {row["id"]: _kept(row) for row in cursor.execute(_SQL["rules"])}
    return [found[name] for name in sorted(found)]


def stored_in_force(conn: Session) -> dict[str, list[dict[str, object]]]:
    """The newest version of each rule that a tenant has written, as plain values, by tenant."""
    found: dict[str, list[dict[str, object]]] = {}
    for tenant, rule in conn.execute(_SQL["stored_in_force"]):
        found.setdefault(tenant, []).append(rule)
    return found


def rules_of_all(conn: Session) -> dict[str, list[Rule]]:
    """The rules in force by tenant: the defaults, and what the tenant has put in their place or beside them."""
    stored = stored_in_force(conn)
    found: dict[str, list[Rule]] = {}
    for tenant in telemetry.tenants_known(conn):
        by_id = {rule.id: rule for rule in DEFAULT_RULES}
        for fields in stored.get(tenant, []):
            try:
                rule = rule_from_json(fields)
            except BadRule as reason:
                log.error("a stored rule cannot be used", extra={"tenant": tenant, "reason": str(reason)})
                continue
            by_id[rule.id] = rule
        found[tenant] = list(by_id.values())
    return found


def rule(conn: Transaction, rule_id: str) -> KeptRule:
    """One rule in force, or NotFound."""
    for kept in rules(conn):
        if kept.rule.id == rule_id:
            return kept
    raise NotFound(f"there is no rule {rule_id}")


def rationalisation(conn: Transaction, rule_id: str) -> Rationalisation | None:
    """Why a rule is there, as its tenant says now; None where nobody has said, or the rule is gone."""
    return next((kept.rule.rationalisation for kept in rules(conn) if kept.rule.id == rule_id), None)


def versions(conn: Transaction, rule_id: str) -> list[KeptRule]:
    """What one rule has been, newest first, the default last. NotFound where it never was."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = [_kept(row) for row in cursor.execute(_SQL["versions"], {"id": rule_id})]
    found += [KeptRule(rule, 0, None, "") for rule in DEFAULT_RULES if rule.id == rule_id]
    if not found:
        raise NotFound(f"there is no rule {rule_id}")
    return found


def change_rule(
    conn: Transaction, tenant: str, rule: Rule, *, seen_version: int, who: str, accepted: Accepted = UNTRIED
) -> KeptRule:
    """Add the next version of a rule, or its first.

    Raises
    ------
    Conflict
        The latest version is not the one that the author has seen.
    """
    fields = {
        "tenant": tenant,
        "id": rule.id,
        "seen": seen_version,
        "rule": Jsonb(rule_to_json(rule)),
        "enabled": rule.enabled,
        "who": who,
        **asdict(accepted),
    }
    if conn.execute(_SQL["add_version"], fields).fetchone() is None:
        raise Conflict(f"rule {rule.id} is not at version {seen_version} any more: read it again")
    return versions(conn, rule.id)[0]


def _kept(row: Mapping[str, Any]) -> KeptRule:
    rule = replace(rule_from_json(row["rule"]), enabled=row["enabled"])
    accepted = Accepted(row["trial"], row["untried"], row["override_note"])
    return KeptRule(rule, row["version"], row["created_at"], row["created_by"], accepted)
