"""The rota, its overrides and the chain, as a tenant keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.connection import Session
from store.errors import Conflict, NotFound
from store.queries import queries
from store.transactions import Transaction
from tickets.chain import DEFAULT_CHAIN, Chain, Step, Whom
from tickets.local_time import Hours, zone_named
from tickets.rota import Layer, Override, Rota

# Too low: a holiday season is not written down. Too high: each look at the rota works through them.
MOST_OVERRIDES = 500
_REMEMBERED = timedelta(days=31)

_SQL = queries("on_call")


@dataclass(frozen=True, slots=True)
class KeptOverride:
    """Somebody takes this time, and who has said so."""

    id: UUID
    login: str
    begins_at: datetime
    ends_at: datetime
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Who has said what is in force, and when; nobody, where it is the house's."""

    changed_at: datetime | None = None
    changed_by: str = ""


def rota(conn: Session, tenant: str, now: datetime) -> tuple[Rota, Kept]:
    """A tenant's rota with the overrides that are not long over; without layers where nobody has said anything."""
    row = conn.execute(_SQL["rota"], {"tenant": tenant}).fetchone()
    zone, layers, changed_at, changed_by = row or ("UTC", [], None, "")
    taken = [Override(one.login, one.begins_at, one.ends_at) for one in overrides(conn, tenant, now)]
    return Rota(zone_named(zone), [_layer_of(layer) for layer in layers], taken), Kept(changed_at, changed_by)


def keep_rota(conn: Transaction, tenant: str, changed: Rota, who: str) -> None:
    """Other layers, from now on; overrides stay. NotFound where a member is nobody."""
    _need_people(conn, tenant, (login for layer in changed.layers for login in layer.members))
    layers = Jsonb([_json_of(layer) for layer in changed.layers])
    conn.execute(_SQL["keep_rota"], {"tenant": tenant, "zone": changed.zone.key, "layers": layers, "who": who})


def overrides(conn: Session, tenant: str, now: datetime) -> list[KeptOverride]:
    """Those of the last month and all to come, the oldest first."""
    with conn.cursor(row_factory=class_row(KeptOverride)) as cursor:
        return cursor.execute(_SQL["overrides"], {"tenant": tenant, "since": now - _REMEMBERED}).fetchall()


def add_override(conn: Transaction, tenant: str, taken: Override, who: str, now: datetime) -> KeptOverride:
    """Somebody takes this time; what was long over is forgotten. NotFound: they are nobody. Conflict: too many."""
    _need_people(conn, tenant, [taken.login])
    conn.execute(_SQL["forget_overrides"], {"tenant": tenant, "since": now - _REMEMBERED})
    if len(overrides(conn, tenant, now)) >= MOST_OVERRIDES:
        raise Conflict(f"there are {MOST_OVERRIDES} overrides already")
    fields = {"login": taken.login, "begins_at": taken.begins_at, "ends_at": taken.ends_at}
    made = conn.execute(_SQL["add_override"], {"tenant": tenant, "who": who, **fields}).fetchall()[0][0]
    return KeptOverride(made, taken.login, taken.begins_at, taken.ends_at, now.astimezone(UTC), who)


def remove_override(conn: Transaction, override_id: UUID) -> None:
    """It is as the layers say again. NotFound."""
    if conn.execute(_SQL["remove_override"], {"id": override_id}).fetchone() is None:
        raise NotFound(f"there is no override {override_id}")


def chain(conn: Session, tenant: str) -> tuple[Chain, Kept]:
    """A tenant's chain, or the house's."""
    row = conn.execute(_SQL["chain"], {"tenant": tenant}).fetchone()
    if row is None:
        return DEFAULT_CHAIN, Kept()
    alarms_from, tickets_from, steps, rounds, changed_at, changed_by = row
    kept = [Step(Whom(step["whom"]), step["wait_min"], step["who"]) for step in steps]
    return Chain(alarms_from, tickets_from, kept, rounds), Kept(changed_at, changed_by)


def keep_chain(conn: Transaction, tenant: str, changed: Chain, who: str) -> None:
    """Another chain, from now on. NotFound where a step names nobody."""
    _need_people(conn, tenant, (step.who for step in changed.steps if step.whom is Whom.PERSON))
    steps = Jsonb([{"whom": step.whom.value, "who": step.who, "wait_min": step.wait_min} for step in changed.steps])
    fields = {"alarms_from": changed.alarms_from, "tickets_from": changed.tickets_from, "rounds": changed.rounds}
    conn.execute(_SQL["keep_chain"], {"tenant": tenant, "steps": steps, "who": who, **fields})


def _need_people(conn: Transaction, tenant: str, logins: Iterable[str]) -> None:
    asked = sorted(set(logins))
    known = {login for (login,) in conn.execute(_SQL["known"], {"tenant": tenant, "logins": asked})}
    for login in asked:
        if login not in known:
            raise NotFound(f"nobody signs in as {login}")


def _layer_of(kept: dict[str, Any]) -> Layer:
    hours = kept["hours"]
    return Layer(
        kept["name"],
        tuple(kept["members"]),
        date.fromisoformat(kept["starts_on"]),
        kept["hand_over_min"],
        kept["shift_days"],
        Hours(hours["from_min"], hours["to_min"], frozenset(hours["days"])) if hours else None,
    )


def _json_of(layer: Layer) -> dict[str, Any]:
    hours = layer.hours
    return {
        "name": layer.name,
        "members": list(layer.members),
        "starts_on": layer.starts_on.isoformat(),
        "hand_over_min": layer.hand_over_min,
        "shift_days": layer.shift_days,
        "hours": {"from_min": hours.from_min, "to_min": hours.to_min, "days": sorted(hours.days)} if hours else None,
    }
