"""Putting a message on its way. It is sent when the transaction that queues it has committed, and not otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from alarms.roles import Role
from store.connection import Session
from store.queries import queries

# Too low: what is said is cut. Too high: a customer's mailbox is filled by a program's mistake.
LONGEST_SUBJECT, LONGEST_BODY = 200, 10_000
# Whoever has a role with a hundred people in it hears of it from the first fifty.
MOST_TOLD = 50
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")

_SQL = queries("messages")
# Of no chain.
_PLAIN: Mapping[str, Any] = {
    "channel_id": None,
    "channel": "",
    "urgent": False,
    "alarm_id": None,
    "ticket_id": None,
    "escalation": None,
    "round": None,
    "step": None,
    "once": None,
    "held_until": None,
    "error": "",
}


def queue_customer_message(
    conn: Session,
    tenant: str,
    *,
    kind: str,
    contact: str,
    subject: str,
    body: str,
    once: str,
    ticket_id: UUID | None = None,
    document_id: UUID | None = None,
) -> bool:
    """Write to a customer by e-mail, from the tenant's own account; whether it was queued now and not before.

    To be called in the transaction of what it tells of, by the API within its tenant or by `notify`. What cannot be
    sent (no address in the contact, no mail account of the tenant's, refused, given up) is undeliverable on the page of
    messages: nothing is raised for it here.

    Parameters
    ----------
    kind
        What it is: `appointment.reminder`, `survey.invitation`, `document.quote`.
    contact
        As it stands on the ticket's report or at the customer: the first e-mail address in it is written to.
    subject, body
        Plain text, in whole; cut to 200 and 10 000 characters.
    once
        A key of the caller's: another message of this tenant with the same is not queued, so that a round that is
        repeated tells nobody twice. For example `survey:{ticket_id}:{turn}`.
    ticket_id
        Whose customer it is.
    document_id
        The version of a document of the ticket that goes with it, as PDF.
    """
    found = _ADDRESS.search(contact)
    asked = {
        "tenant": tenant,
        "kind": kind,
        "recipient": found[0] if found else "",
        "subject": " ".join(subject.split())[:LONGEST_SUBJECT],
        "body": body[:LONGEST_BODY],
        "once": once[:LONGEST_SUBJECT],
        "ticket": ticket_id,
        "document": document_id,
    }
    return conn.execute(_SQL["queue_for_customer"], asked).rowcount == 1


def queue_staff_message(
    conn: Session,
    tenant: str,
    *,
    kind: str,
    subject: str,
    body: str,
    page: str = "",
    login: str = "",
    role: Role | None = None,
) -> int:
    """Write to one of ours, or to all of a role, through each of their channels, outside of their quiet hours; how many
    messages were queued.

    To be called in the transaction of what it tells of, by `notify`. Where nobody of them can be reached one message is
    undeliverable at once, and seen.

    Parameters
    ----------
    page
        Path of the page that it is about.
    """
    named = {"login": login, "role": "" if role is None else role.value}
    people = conn.execute(_SQL["people"], {"tenant": tenant, "limit": MOST_TOLD, **named}).fetchall()
    said = {**_PLAIN, "tenant": tenant, "kind": kind, "subject": " ".join(subject.split())[:LONGEST_SUBJECT]}
    said |= {"body": body[:LONGEST_BODY], "page": page}
    reached = [person for person in people if person[1] is not None]
    for whom, channel_id, channel in reached:
        conn.execute(_SQL["queue_for_person"], {**said, "login": whom, "channel_id": channel_id, "channel": channel})
    if not reached:
        who = login or named["role"]
        error = f"{who} has no channel that is switched on" if people else f"there is no {who} who may sign in"
        conn.execute(_SQL["queue_for_person"], {**said, "login": login if people else "", "error": error})
    return max(len(reached), 1)
