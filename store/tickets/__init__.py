"""Tickets: opened once a fault, moved by the table, every step kept."""

from __future__ import annotations

from store.tickets.alarm_events import Opening, Outcome, open_or_join
from store.tickets.documents import Heading, Issued, document, documents, documents_of_device
from store.tickets.history import ring
from store.tickets.moves import assign, comment, move
from store.tickets.openings import open_by_person
from store.tickets.papers import Papers, Written, facts_now, papers
from store.tickets.quality import Draw, Month, draws, months
from store.tickets.rows import (
    JoinedAlarm,
    Pause,
    Ticket,
    TicketEvent,
    Tracked,
    alarms_of,
    clocks,
    clocks_of,
    events,
    pauses,
    plain_code,
    ticket,
    tickets,
    track,
)
from store.tickets.waiting import Price, answer_quote, holder_of, take_up

__all__ = [
    "Draw",
    "Heading",
    "Issued",
    "JoinedAlarm",
    "Month",
    "Opening",
    "Outcome",
    "Papers",
    "Pause",
    "Price",
    "Ticket",
    "TicketEvent",
    "Tracked",
    "Written",
    "alarms_of",
    "answer_quote",
    "assign",
    "clocks",
    "clocks_of",
    "comment",
    "document",
    "documents",
    "documents_of_device",
    "draws",
    "events",
    "facts_now",
    "holder_of",
    "months",
    "move",
    "open_by_person",
    "open_or_join",
    "papers",
    "pauses",
    "plain_code",
    "ring",
    "take_up",
    "ticket",
    "tickets",
    "track",
]
