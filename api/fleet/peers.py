"""A machine beside others of its model."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from api import ROOT
from api.access.auth import Anyone
from api.models import Answered, DevicePath, Instant, example
from store import peers
from store.peers import WIDTH, PointBeside

router = APIRouter(prefix=ROOT, tags=["assessment"])


class PointBesideOut(Answered):
    """One point beside the same point of other machines of this model, over six hours of running."""

    model_config = Answered.model_config | example(
        point="bearing_temperature",
        unit="degC",
        until="2026-11-21T18:00:00Z",
        level=61.2,
        expected=55.4,
        peers=11,
        moved=5.8,
        allowed=2.1,
        stands_out=True,
    )

    point: str
    unit: str
    until: Instant = Field(description="The end of those six hours")
    level: float = Field(description="Its mean")
    expected: float | None = Field(description="Where it would be if it did as the others do")
    peers: int = Field(description="How many others")
    moved: float | None = Field(description="How far it has gone from there, by the median of three such means")
    allowed: float | None = Field(description="How far it may; null, as above: not known before a week")
    stands_out: bool

    @classmethod
    def of(cls, beside: PointBeside) -> PointBesideOut:
        return cls(
            point=beside.point,
            unit=beside.unit,
            until=beside.at + WIDTH,
            level=beside.level,
            expected=beside.expected,
            peers=beside.peers,
            moved=beside.moved,
            allowed=beside.allowed,
            stands_out=beside.stands_out,
        )


@router.get("/devices/{device}/peers", summary="A machine beside others of its model")
def machine_peers(caller: Anyone, device: DevicePath) -> list[PointBesideOut]:
    """The point that has gone farthest first. Empty while fewer than five machines of the model are running."""
    with caller.transaction() as conn:
        return [PointBesideOut.of(beside) for beside in peers.of_machine(conn, device)]
