"""What whoever has a ticket's code may do: they act for its customer, of that ticket, and in this alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from fastapi import Request

from api.access.auth import network_of, place_of, route_of
from api.service import service
from api.tickets.papers import CustomersAnswerIn
from store import tickets
from store.connection import Actor
from store.transactions import Transaction
from tickets.customers_word import CUSTOMER, Way


@contextmanager
def by_code(request: Request, code: str) -> Iterator[tuple[Transaction, str, UUID]]:
    """A transaction of the ticket's tenant, done by its customer, and the ticket: nothing else is for them to see.

    NotFound; TooMany from a place that has asked too often.
    """
    parts = service(request)
    parts.trackers.take(place_of(request))
    with parts.transactions.of_nobody() as conn:
        tenant, ticket_id = tickets.holder_of(conn, code)
    by = Actor(CUSTOMER, "", network_of(place_of(request)), route_of(request))
    with parts.transactions.of(tenant, by) as conn:
        yield conn, tenant, ticket_id


def answer_by_code(request: Request, code: str, asked: CustomersAnswerIn) -> None:
    """Accept or decline the quote of a ticket, once. NotFound; Conflict where none waits for an answer, or another."""
    read = None if asked.quoted is None else tickets.Price(asked.quoted.amount, asked.quoted.currency)
    with by_code(request, code) as (conn, tenant, ticket_id):
        body = {**asked.model_dump(mode="json", exclude={"quoted"}), "way": Way.PAGE.value}
        tickets.answer_quote(conn, tenant, ticket_id, body, read=read, who=CUSTOMER, now=datetime.now(UTC))
