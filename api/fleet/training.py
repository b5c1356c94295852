"""Models: what the detectors have learnt of each machine; trained when asked, rolled back when it was no good."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from alarms.challengers import Trial, trial_from_json
from alarms.roles import Role
from api import ROOT
from api.access.auth import Anyone, Caller, require
from api.models import Answered, Asked, DeviceFilter, DeviceName, Instant, Reason, example
from api.paging import Cursor, Limit, Page, after_time_id, page
from store import models
from store.models import Model

_TRIALS = ("challenger", "champion")
TRAINERS = frozenset({Role.ENGINEER, Role.ADMINISTRATOR})

Trainer = Annotated[Caller, Depends(require(*TRAINERS))]
ModelPath = Annotated[UUID, Path(description="A model", examples=["0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11"])]

router = APIRouter(prefix=f"{ROOT}/models", tags=["models"])


class FoundOut(Answered):
    """What became of one confirmed fault of the past."""

    after_s: float | None = Field(description="How long after its beginning it would have been raised; null: never")
    told: bool = Field(description="false: in alarm before it, which tells nothing of the fault")


class TrialOut(Answered):
    """What a model would have raised over readings that were held back."""

    days: float
    false_alarms: int
    per_month: float
    planted: int = Field(description="Departures put into healthy readings, one a point")
    planted_found: int
    faults: list[FoundOut]


class ModelOut(Answered):
    """One version of what was learnt of a machine. Version 0 is what it had learnt by itself before any training."""

    model_config = Answered.model_config | example(
        id="0b9f3a52-8c1e-4a57-9c3d-6b1f0a4f7c11",
        device="pump-01",
        version=3,
        state="champion",
        asked_at="2026-11-21T22:14:03Z",
        asked_by="kim",
        made_at="2026-11-21T22:14:40Z",
        learnt_from="2026-10-22T22:14:00Z",
        learnt_until="2026-11-21T22:14:00Z",
        learnt_days=28.5,
        readings=341520,
        code="9f86d081884c7d65",
        settings="60303ae22b998861",
        hash="fd61a03af4f77d87",
        challenger={"days": 7.1, "false_alarms": 0, "per_month": 0.0, "planted": 8, "planted_found": 8, "faults": []},
        champion={"days": 7.1, "false_alarms": 2, "per_month": 8.6, "planted": 8, "planted_found": 8, "faults": []},
        reason="",
        promoted_at="2026-11-21T22:14:40Z",
        taken_at="2026-11-21T22:14:43Z",
        ended_at=None,
        ended_by="",
        kept=True,
    )

    id: UUID
    device: str
    version: int
    state: str = Field(description="asked, challenger (being made or tried), champion, refused, retired, rolled_back")
    asked_at: Instant
    asked_by: str = Field(description="`bellwether` where it was due")
    made_at: Instant | None
    learnt_from: Instant | None
    learnt_until: Instant | None
    learnt_days: float | None = Field(description="Healthy time between the two")
    readings: int | None
    code: str = Field(description="SHA-256 of the source that made it")
    settings: str = Field(description="SHA-256 of the rules that its trial went by")
    hash: str = Field(description="SHA-256 of its arrays")
    challenger: TrialOut | None = Field(description="Its trial")
    champion: TrialOut | None = Field(description="That of what watched the machine then, on the same readings")
    reason: str = Field(description="Why it was refused or rolled back")
    promoted_at: Instant | None
    taken_at: Instant | None = Field(description="The machine is watched by it since then")
    ended_at: Instant | None
    ended_by: str
    kept: bool = Field(description="Whether it can be come back to")


class TrainingAsked(Asked):
    """A machine to be trained."""

    model_config = Asked.model_config | example(device="pump-01")

    device: DeviceName


class RollbackAsked(Asked):
    """Why a model is to go."""

    model_config = Asked.model_config | example(reason="It raises each start of the mixer")

    reason: Reason


@router.get("", summary="What was learnt of machines")
def list_models(
    caller: Anyone, device: DeviceFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[ModelOut]:
    """The newest first, with what each would have done to the readings it was tried on."""
    after = after_time_id(cursor)
    with caller.transaction() as conn:
        rows = models.models(conn, limit + 1, device, after)
    return page(rows, limit, shown, lambda row: (row.asked_at, row.id))


@router.get("/{model_id}", summary="One model")
def get_model(caller: Anyone, model_id: ModelPath) -> ModelOut:
    """What a model was learnt from, what its trial said, and what became of it."""
    with caller.transaction() as conn:
        return shown(models.model(conn, model_id))


@router.post("", status_code=202, summary="Train a machine")
def train(caller: Trainer, asked: TrainingAsked) -> ModelOut:
    """Have a challenger made and tried in the background. Asked for again while one waits, it is the same."""
    with caller.transaction() as conn:
        return shown(models.ask(conn, asked.device, caller.principal.name))


@router.post("/{model_id}/rollback", summary="Roll a champion back")
def roll_back(caller: Trainer, model_id: ModelPath, asked: RollbackAsked) -> ModelOut:
    """What was before it watches the machine again, within seconds. 409 where it is no champion, or the first."""
    with caller.transaction() as conn:
        models.roll_back(conn, model_id, asked.reason, caller.principal.name)
        return shown(models.model(conn, model_id))


def shown(model: Model) -> ModelOut:
    """A model as it is shown."""
    trials = {name: _trial(trial_from_json(fields)) for name, fields in (model.trial or {}).items()}
    own = {name: getattr(model, name) for name in ModelOut.model_fields if name not in _TRIALS}
    return ModelOut.model_validate({**dict.fromkeys(_TRIALS), **own, **trials})


def _trial(trial: Trial) -> TrialOut:
    return TrialOut(
        days=trial.days,
        false_alarms=trial.false_alarms,
        per_month=round(trial.per_month, 2),
        planted=trial.planted,
        planted_found=trial.planted_found,
        faults=[FoundOut(after_s=found.after_s, told=found.told) for found in trial.faults],
    )
