"""A ticket moved at random by all who may: whatever the order, its clocks and pauses are as its state has them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from serving import RunningApi

from alarms.roles import Role
from store import tickets
from store.connection import Session, act_for
from store.errors import Conflict
from tickets.clocks import ClockName
from tickets.needs import Need, Paper
from tickets.states import (
    ENDED,
    MOVES,
    WAITING,
    Missing,
    NotAllowed,
    NotForRole,
    State,
    Unasked,
    Verdict,
    moves_from,
)

SEED, STEPS = 14, 300
PEOPLE = {
    "kim": Role.ENGINEER,
    "eva": Role.EXPERT,
    "ines": Role.INSPECTOR,
    "ian": Role.INSPECTOR,
    "dana": Role.DISPATCHER,
    "mia": Role.MANAGER,
}
PAPERS: Mapping[Paper, Mapping[str, Any]] = {
    Paper.DIAGNOSIS: {"located": "Seal", "plan": "Replace it", "alternative": "", "hours": 1.0},
    Paper.QUOTE: {"amount": "10.00", "currency": "EUR", "covers": "A seal"},
    Paper.APPOINTMENT: {"begins_at": "2026-11-24T08:00:00Z", "ends_at": "2026-11-24T10:00:00Z"},
    Paper.TEST: {"passed": True, "note": "", "values": []},
    Paper.INSPECTION: {"passed": True, "note": "", "root_cause": "", "nevertheless": ""},
    Paper.SIGNATURE: {"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z"},
}


def step(conn: Session, ticket: tickets.Ticket, draw: random.Random, now: datetime) -> None:
    if draw.random() < 0.1:
        answer = {"accepted": draw.random() < 0.9, "name": "A. Dairy", "note": ""}
        tickets.answer_quote(conn, "demo", ticket.id, answer, who="customer", now=now)
        return
    state, held_from = State(ticket.state), State(ticket.held_from) if ticket.held_from else None
    may = [(who, to) for who, role in PEOPLE.items() for to in moves_from(state, held_from, role)]
    who, to = draw.choice([one for one in may if one[1] is not State.CANCELLED])
    if to is State.ON_HOLD and draw.random() < 0.7:
        return
    made = MOVES[state][to]
    tickets.move(
        conn,
        "demo",
        ticket.id,
        to,
        role=PEOPLE[who],
        who=who,
        now=now,
        note="why",
        assignee="a-engineer" if Need.ASSIGNEE in made.needs else "",
        verdict=Verdict.CONFIRMED,
        papers={paper: PAPERS[paper] for paper in made.papers if paper in PAPERS},
    )


def assert_whole(conn: Session, ticket_id: UUID) -> None:
    now = tickets.ticket(conn, ticket_id)
    clocks = tickets.clocks_of(conn, [ticket_id])[ticket_id]
    waits = [pause for pause in tickets.pauses(conn, ticket_id) if pause.resumed_at is None]
    assert len(waits) <= (now.state in WAITING)
    assert waits or not any(clock.paused_at and not clock.stopped_at for clock in clocks.values())
    assert (now.held_from is not None) == (now.state == State.ON_HOLD)
    assert (now.closed_at is not None) == (now.state in ENDED)
    assert now.verdict or now.state != State.CLOSED
    is_done = {State.HANDED_OVER, State.FOLLOW_UP, *ENDED} & {now.state, now.held_from}
    assert bool(clocks[ClockName.RESOLUTION].stopped_at) == bool(is_done), "somebody is held to it until it is done"


def test_whatever_the_order_a_ticket_is_as_its_state_has_it(api: RunningApi) -> None:
    draw, now, states = random.Random(SEED), datetime(2026, 11, 22, 12, tzinfo=UTC), set[str]()
    with psycopg.connect(api.database.url("api")) as conn:
        act_for(conn, "demo")
        opened = tickets.open_by_person(
            conn, "demo", device=api.plant.device(), title="It leaks", description="", who="jo", now=now
        )
        for _ in range(STEPS):
            now += timedelta(minutes=draw.choice([1, 60, 600]))
            try:
                with conn.transaction():
                    step(conn, tickets.ticket(conn, opened.id), draw, now)
            except (Conflict, Missing, NotAllowed, NotForRole, Unasked):
                continue
            assert_whole(conn, opened.id)
            states.add(tickets.ticket(conn, opened.id).state)
    assert len(states) > 12, f"it came not far: {sorted(states)}"
