"""What others can be told of, in words: what pages hear live, and the events that a webhook is asked for by name."""

from __future__ import annotations

from dashboard.words import TICKET_EVENTS

EVENTS: dict[str, str] = {
    "alarm.raised": "Alarm raised",
    "alarm.escalated": "Alarm more severe",
    "alarm.acknowledged": "Alarm acknowledged",
    "alarm.returned": "Alarm returned to normal",
    "alarm.reset": "Alarm reset",
    "alarm.followed": "Alarm followed another",
    "alarm.shelved": "Alarm shelved",
    "alarm.unshelved": "Alarm back from the shelf",
    "alarm.suppressed": "Alarm suppressed",
    "alarm.unsuppressed": "Alarm no longer suppressed",
    "alarm.taken_out_of_service": "Alarm out of service",
    "alarm.returned_to_service": "Alarm back in service",
    **{f"ticket.{kind}": f"Ticket: {words[:1].lower()}{words[1:]}" for kind, words in TICKET_EVENTS.items()},
    "ticket.diagnosed": "Ticket: diagnosed",
    "ticket.step": "Ticket: step ticked off",
    "action.written": "Corrective action written down",
    "action.changed": "Corrective action changed",
    "flood.began": "Flood of alarms began",
    "flood.ended": "Flood of alarms ended",
    "message.undeliverable": "Message that reached nobody",
    "model.challenger": "Model tried",
    "model.champion": "Model in use",
    "model.refused": "Model refused",
    "model.retired": "Model retired",
    "model.rolled_back": "Model rolled back",
}
EVENT_GROUPS: dict[str, str] = {
    "alarm.*": "All of alarms",
    "ticket.*": "All of tickets",
    "action.*": "All of corrective actions",
    "flood.*": "All of floods",
    "message.*": "All of messages",
    "model.*": "All of models",
    "*": "Everything",
}
