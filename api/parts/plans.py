"""What parts will be needed, and what to order and send for it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from api import ROOT
from api.models import Answered, Instant, example
from api.paging import Cursor, Limit, Page, after_text, page
from api.parts.depots import Looker
from store.parts import plans

router = APIRouter(prefix=f"{ROOT}/parts/plans", tags=["parts"])


class ProposalOut(Answered):
    """An order to a depot, or a transfer between two."""

    kind: Literal["order", "transfer"]
    quantity: int
    source: str = Field(description="Empty for an order")
    target: str
    reason: str


class PlanOut(Answered):
    """A part as it will be needed, as of `made_at`: once a day."""

    model_config = Answered.model_config | example(
        part="seal-40",
        made_at="2026-11-22T03:00:12Z",
        class_="A",
        method="tsb",
        weekly=0.8,
        predicted=0.6,
        position=2,
        reorder_at=5,
        up_to=9,
        proposals=[
            {
                "kind": "order",
                "quantity": 7,
                "source": "",
                "target": "north-regional",
                "reason": "2 free or on their way, fewer than 5: 0.8 a week, 14 days until an order arrives; class A",
            }
        ],
    )

    part: str
    made_at: Instant
    class_: Literal["A", "B", "C"] = Field(description="By its share of the turnover")
    method: Literal["mean", "croston", "sba", "tsb"]
    weekly: float = Field(description="How many a week are expected")
    predicted: float = Field(description="How many beside that within 30 days, since machines wear")
    position: int = Field(description="Free or on their way, less what is waited for")
    reorder_at: int
    up_to: int
    proposals: list[ProposalOut]


@router.get("", summary="What parts will be needed")
def list_plans(
    caller: Looker,
    limit: Limit = 50,
    cursor: Cursor = None,
    to_do: Annotated[bool, Query(description="Only those that propose something")] = False,
) -> Page[PlanOut]:
    """Plans by part; a part of today has one tomorrow."""
    with caller.transaction() as conn:
        rows = plans.plans(conn, limit=limit + 1, after=after_text(cursor), to_do=to_do)
    return page(rows, limit, _shown, lambda row: (row.part,))


def _shown(row: plans.Plan) -> PlanOut:
    return PlanOut(
        **{name: getattr(row, name) for name in PlanOut.model_fields if name != "proposals"},
        proposals=[ProposalOut(**one) for one in row.proposals],
    )
