"""The section of a machine's page that says what watches it: when that was learnt, and what became of the last try."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from api.access.auth import Caller, Person
from api.fleet.training import TRAINERS, Trainer
from api.page_frame import PageRoute, answer
from store import models
from store.models import Model
from store.transactions import Transaction

# Of a machine's models so many are looked through; one of them is the champion, and one waits at most.
_LATEST = 20

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/machines/{device}/model")
def section(request: Request, caller: Person, device: str) -> Response:
    return _section(request, caller, device)


@router.post("/machines/{device}/model/train")
def train(request: Request, caller: Trainer, device: str) -> Response:
    with caller.transaction() as conn:
        models.ask(conn, device, caller.principal.name)
    return _section(request, caller, device)


@router.post("/machines/{device}/model/{model_id}/rollback")
def roll_back(
    request: Request,
    caller: Trainer,
    device: str,
    model_id: UUID,
    reason: Annotated[str, Form(min_length=1, max_length=400)],
) -> Response:
    with caller.transaction() as conn:
        models.roll_back(conn, model_id, reason, caller.principal.name)
    return _section(request, caller, device)


def model_values(conn: Transaction, caller: Caller, device: str) -> dict[str, Any]:
    """What the section shows."""
    found = models.models(conn, _LATEST, device)
    champion = _first(found, "champion")
    return {
        "model": champion,
        "model_waiting": _first(found, "asked", "challenger"),
        "model_refused": next((m for m in found if m.state in ("refused", "rolled_back")), None),
        "may_train": caller.principal.role in TRAINERS,
        "may_roll_back": champion is not None and champion.version > 0,
        "model_path": f"/machines/{quote(device)}/model",
    }


def _section(request: Request, caller: Caller, device: str) -> Response:
    with caller.transaction() as conn:
        return answer(request, "machine_model.html", model_values(conn, caller, device))


def _first(found: list[Model], *states: str) -> Model | None:
    return next((model for model in found if model.state in states), None)
