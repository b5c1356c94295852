"""Tickets: opened once a fault, moved by the table, every step kept."""

from __future__ import annotations

from store.tickets.moves import assign, comment, move
from store.tickets.openings import Opening, Outcome, open_by_person, open_or_join
from store.tickets.rows import (
    JoinedAlarm,
    Ticket,
    TicketEvent,
    Tracked,
    alarms_of,
    clocks,
    clocks_of,
    events,
    ticket,
    tickets,
    track,
)

__all__ = [
    "JoinedAlarm",
    "Opening",
    "Outcome",
    "Ticket",
    "TicketEvent",
    "Tracked",
    "alarms_of",
    "assign",
    "clocks",
    "clocks_of",
    "comment",
    "events",
    "move",
    "open_by_person",
    "open_or_join",
    "ticket",
    "tickets",
    "track",
]
