"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.models import Answered, example
from api.service import service
from store import fleet
from store.errors import Unavailable
from store.migrate import pending

router = APIRouter(tags=["operation"])


class Alive(Answered):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Answered):
    """Whether requests can be served, and how the other roles fare. Their absence does not make this one unready."""

    model_config = Answered.model_config | example(
        status="ready", database="reachable", pending_migrations=0, heartbeat_age_s={"ingest": 0.8, "notify": 1.1}
    )

    status: Literal["ready", "not ready"]
    database: Literal["reachable", "away"]
    pending_migrations: int | None = Field(description="null: nobody can tell now")
    heartbeat_age_s: dict[str, float] = Field(description="Since each role was last seen")


@router.get("/healthz", summary="Does the process live?")
def get_health() -> Alive:
    """Yes; nothing else is asked."""
    return Alive(status="alive")


@router.get(
    "/readyz",
    summary="Can the process serve?",
    responses={503: {"model": Readiness, "description": "Not now: the database is away, or its schema is not ours"}},
)
def get_readiness(request: Request, response: Response) -> Readiness:
    """Whether the database is there with the schema of this release."""
    try:
        with service(request).transactions.of_nobody() as conn:
            waiting = pending(conn)
            ages = fleet.heartbeats(conn) if waiting == 0 else {}
    except Unavailable:
        response.status_code = 503
        return Readiness(status="not ready", database="away", pending_migrations=None, heartbeat_age_s={})
    if waiting:
        response.status_code = 503
    return Readiness(
        status="not ready" if waiting else "ready",
        database="reachable",
        pending_migrations=waiting,
        heartbeat_age_s={role: round(age_s, 3) for role, age_s in ages.items()},
    )
