"""How long a tenant keeps what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Administrator, Staff
from api.errors import BadValue
from api.models import Answered, Asked, Instant, example
from store import retention
from store.retention import CLASSES, LEAST_DAYS, Kept

router = APIRouter(prefix=f"{ROOT}/retention", tags=["intake"])


class KeptOut(Answered):
    """A class that is kept for a time. What none speaks of is kept for good, but a few below."""

    model_config = Answered.model_config | example(
        name="raw", keep_days=365, changed_at="2026-11-21T22:14:03Z", changed_by="kim"
    )

    name: str = Field(
        description=(
            "A quantity, `vibration`, `waveforms`, `rejects`, `assessments`, `audit`, `files`, `webhooks`, `messages`,"
            " `trials`, `papers`; `raw`: any other reading"
        )
    )
    keep_days: int
    changed_at: Instant
    changed_by: str


class RetentionOut(Answered):
    """What is kept for a time, and the classes that may be."""

    items: list[KeptOut]
    classes: list[str]


class RetentionChange(Asked):
    """How long what is kept from now on, whole: a class that is left out is kept as where nothing is said."""

    model_config = Asked.model_config | example(keep_days={"raw": 365, "vibration": 90})

    keep_days: dict[str, Annotated[int, Field(ge=1, le=36_500)]] = Field(
        max_length=len(CLASSES),
        description="Days by class. What is older is removed within hours",
    )


@router.get("", summary="How long what is kept")
def list_retention(caller: Staff) -> RetentionOut:
    """The classes kept for a time. The most specific counts: a quantity, then `vibration`, then `raw`."""
    with caller.transaction() as conn:
        return RetentionOut(items=[_shown(kept) for kept in retention.settings(conn)], classes=list(CLASSES))


@router.put("", summary="Change how long what is kept")
def change_retention(caller: Administrator, asked: RetentionChange) -> RetentionOut:
    """Set all of it. Roll-ups of what is removed stay."""
    unknown = sorted(asked.keep_days.keys() - set(CLASSES))
    if unknown:
        raise BadValue(f"body.keep_days.{unknown[0]}", f"no class: one of {', '.join(CLASSES)}")
    too_short = [name for name, days in LEAST_DAYS.items() if asked.keep_days.get(name, days) < days]
    if too_short:
        raise BadValue(f"body.keep_days.{too_short[0]}", f"at least {LEAST_DAYS[too_short[0]]} days")
    who = caller.principal
    with caller.transaction() as conn:
        retention.keep(conn, who.tenant, asked.keep_days, who.name)
        return RetentionOut(items=[_shown(kept) for kept in retention.settings(conn)], classes=list(CLASSES))


def _shown(kept: Kept) -> KeptOut:
    return KeptOut(name=kept.class_, keep_days=kept.keep_days, changed_at=kept.changed_at, changed_by=kept.changed_by)
