"""Past episodes beside an alarm and a ticket: what the like of it turned out to be."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from api.models import Answered, Instant, example
from store import episodes
from store.transactions import Transaction
from tickets.states import Verdict


class LikeOut(Answered):
    """A past episode of this machine or of one of its kind, whose points moved as they do now."""

    model_config = Answered.model_config | example(
        ticket_id="7c2f9e14-2f6d-4c0e-8a57-3f0d1c2b9a66",
        device="pump-103",
        title="pump-103: vibration velocity 140 % above normal",
        since="2026-05-12T06:10:00Z",
        closed_at="2026-05-13T15:40:00Z",
        verdict="confirmed",
        done="Seal and drive-end bearing replaced",
        returned_at="2026-05-13T14:55:00Z",
        days_to_return=1.36,
        likeness=0.97,
    )

    ticket_id: UUID
    device: str
    title: str
    since: Instant = Field(description="When the departure began")
    closed_at: Instant
    verdict: Verdict
    done: str = Field(description="The last words of whoever worked on it; empty where nobody said any")
    returned_at: Instant | None = Field(description="When its last alarm returned to normal; null: not yet")
    days_to_return: float | None = Field(description="From the beginning to there")
    likeness: float = Field(description="Cosine of the two signatures, from 0.9; nearer 1 is more alike")


def likes_of(conn: Transaction, ticket_id: UUID | None) -> list[LikeOut]:
    """For the `like` of an answer: the nearest first, often none."""
    return [LikeOut.model_validate(one) for one in episodes.like(conn, ticket_id)]
