"""A repair that was handed over: its customer is asked how it was."""

from __future__ import annotations

from datetime import datetime

from store.messages.queue import queue_customer_message
from store.queries import queries
from store.tickets.rows import Ticket
from store.transactions import Transaction
from tickets import links
from tickets.priority import Level, Tier
from tickets.surveys import link_hash, new_link
from tickets.terms import Terms

_SQL = queries("surveys")


def ask(conn: Transaction, tenant: str, of: Ticket, terms: Terms, now: datetime) -> None:
    """Make the survey of this turn, once, and write to whom can be written to. The others, and who is VIP, are to be
    called."""
    name, tier, contact = conn.execute(_SQL["whose"], {"id": of.id}).fetchall()[0]
    rules, link = terms.follow_up, new_link()
    may_write = bool(rules.page_address) and "@" in contact
    made = conn.execute(
        _SQL["make"],
        {
            "tenant": tenant,
            "ticket": of.id,
            "turn": of.turn,
            "terms": terms.version,
            "now": now,
            "due_at": terms.calendar_of(Level.GENERAL).add(now, rules.survey),
            "expires_at": now + rules.answer,
            "hash": link_hash(link),
            "sent_at": now if may_write else None,
            "to_call": "vip" if tier == Tier.VIP else "" if may_write else "no_address",
        },
    ).fetchone()
    if made is None or not may_write:
        return
    minutes = f"{len(rules.questions)} questions, a minute or two: {links.survey(rules.page_address, link)}"
    until = f"The link is yours alone, and open until {now + rules.answer:%d %B %Y}."
    queue_customer_message(
        conn,
        tenant,
        kind="survey.invitation",
        contact=contact,
        subject=f"How was it? {of.title}",
        body=f"{f'Dear {name},' if name else 'Dear customer,'}\n\nthe work on {of.device} is done. How was it?\n\n"
        f"{minutes}\n\n{until}\n\nWhat was done: {links.progress(rules.page_address, of.code)}\n",
        once=f"survey:{of.id}:{of.turn}",
        ticket_id=of.id,
    )
