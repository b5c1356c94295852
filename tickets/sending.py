"""Goods that were sent in go back: when that may be written down, and when it is too early for it."""

from __future__ import annotations

from datetime import datetime

from tickets.intake import Service
from tickets.states import State

# Handed over, inspected and with its report; or nothing is repaired any more.
_MAY_LEAVE = frozenset({State.HANDED_OVER, State.FOLLOW_UP, State.CLOSED, State.CANCELLED})


def why_not(service: Service, state: State, held_from: State | None, left_at: datetime, now: datetime) -> str:
    """Why it cannot be written down that the goods have left; empty: it can."""
    if service is not Service.SEND_IN:
        return "nothing was sent in for this ticket"
    if (held_from if state is State.ON_HOLD else state) not in _MAY_LEAVE:
        return "goods leave once the ticket is handed over"
    return "that has not happened yet" if left_at > now else ""
