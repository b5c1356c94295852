"""Past episodes that are like a ticket's: what they were, what was done, how soon the machine was well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from prognosis.episodes import Signature, nearest
from store.assessment import Undiagnosed
from store.connection import Session
from store.queries import queries
from store.transactions import Transaction

# A look reads so many of a kind's latest episodes. Lower, and a rare fault of some years ago is forgotten; higher, and
# a page waits.
LOOKED_AT = 1000
SHOWN = 3

_SQL = queries("episodes")


@dataclass(frozen=True, slots=True)
class Like:
    """A past episode that is alike.

    Attributes
    ----------
    likeness : float
        `prognosis.episodes.ALIKE` to 1.
    done
        The last words of whoever worked on it; empty where nobody said any.
    returned_at
        When the last of its alarms returned to normal; None where one stands yet, or there is none.
    """

    ticket_id: UUID
    device: str
    title: str
    since: datetime
    closed_at: datetime
    verdict: str
    done: str
    returned_at: datetime | None
    likeness: float

    @property
    def days_to_return(self) -> float | None:
        """From the beginning of the departure until the machine was normal again."""
        return None if self.returned_at is None else (self.returned_at - self.since).total_seconds() / 86_400


def keep(conn: Session, ticket: Undiagnosed, signature: Signature) -> None:
    """The signature of a ticket's fault, in place of an earlier one. An empty one is like nothing."""
    conn.execute(
        _SQL["keep"],
        {
            "ticket": ticket.id,
            "tenant": ticket.tenant,
            "machine": ticket.device_id,
            "kind": ticket.kind,
            "since": ticket.since,
            "signature": Jsonb({role: round(move, 4) for role, move in signature.items()}),
        },
    )


def like(conn: Transaction, ticket_id: UUID | None) -> list[Like]:
    """The past episodes that are most like a ticket's, of its machine and of its like; often none."""
    found = conn.execute(_SQL["signature"], {"ticket": ticket_id}).fetchone()
    if found is None:
        return []
    tenant, machine, kind, since, signature = found
    asked = {"tenant": tenant, "machine": machine, "kind": kind, "before": since, "most": LOOKED_AT}
    past = conn.execute(_SQL["past"], asked).fetchall()
    alike = {past[number][0]: near for number, near in nearest(signature, [row[1] for row in past], SHOWN)}
    if not alike:
        return []
    with conn.cursor(row_factory=dict_row) as cursor:
        told = cursor.execute(_SQL["told"], {"tickets": list(alike)}).fetchall()
    likes = [Like(**row, likeness=alike[row["ticket_id"]]) for row in told]
    return sorted(likes, key=lambda one: -one.likeness)
