"""People are told: what is due goes through their channels, and what nobody takes goes along the chain.

At least once: killed between a service's answer and our tick we send again. A service that is slow or dead holds up
nobody else: of each channel one message is under way, and many channels are sent to at the same time. What cannot be
delivered is seen, and the next of its chain is told at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from dashboard.paper_pdf import pdf_of
from notify.channels import carrier
from notify.channels.apprised import Attached, Outcome, send
from notify.channels.carrier import Carrier
from store import escalations, flood_chains
from store.connection import Session
from store.encryption import Cipher, Undecryptable
from store.messages import channels, deliveries
from store.messages.deliveries import Due
from tickets.documents.form import NAMES_TAKEN_OUT, file_of, from_plain

log = logging.getLogger("bellwether.notify.people")

# Whoever is on call is on call at night; who tries a channel wants to see it work.
_WHATEVER_THE_HOUR = ("on_call.", "channel.")


class Messenger(Carrier[Due, Outcome]):
    """One messenger of one database.

    Parameters
    ----------
    secret
        What addresses are locked with.
    to_private
        Let addresses of the house's own network pass, and this machine's.
    """

    name = "people"
    hears = "bellwether_messages"
    at_once = 8

    def __init__(self, database_url: str, secret: str, *, to_private: bool = False) -> None:
        super().__init__(database_url)
        self._cipher = Cipher(secret, channels.PURPOSE)
        self._to_private = to_private
        self._moved_at = -carrier.ROUND_S

    def look(self, conn: Session) -> None:
        """Along the chain: at once where there is news, and each round."""
        if not self._heard and time.monotonic() - self._moved_at < carrier.ROUND_S:
            return
        self._moved_at = time.monotonic()
        now = datetime.now(UTC)
        flood_chains.notice(conn, now)
        with conn.transaction():
            escalations.end_taken(conn)
            flood_chains.end_taken(conn)
            flood_chains.gather(conn)
            escalations.move(conn, now)

    def claim(self, conn: Session, room: int, flying: Collection[Due]) -> Sequence[Due]:
        busy_channels = [due.channel_id for due in flying if due.channel_id is not None]
        now = datetime.now(UTC)
        with conn.transaction():
            claimed = deliveries.claim(conn, room, [due.id for due in flying], busy_channels)
            return [due for due in claimed if not _held(conn, due, now)]

    def attempt(self, due: Due) -> Outcome:
        locked, name = (due.channel_address, str(due.channel_id)) if due.login else (due.mail_address, "")
        if locked is None:
            why = "its channel was removed or switched off" if due.login else "no mail channel set"
            return Outcome(why, 0, lasting=True)
        try:
            url = self._cipher.decrypt(name or channels.mail_name(due.tenant), locked)
        except Undecryptable:
            return Outcome("the address cannot be opened: has BELLWETHER_SECRET changed?", 0, lasting=True)
        try:
            attached = printed(due)
        except Exception:
            log.exception("a document cannot be printed", extra={"number": due.id})
            return Outcome("its document cannot be printed", 0, lasting=True)
        return send(url, due.subject, words_of(due), to=due.recipient, attached=attached, to_private=self._to_private)

    def tick_off(self, conn: Session, due: Due, outcome: Outcome, jitter: float) -> None:
        with conn.transaction():
            if outcome.is_sent:
                deliveries.sent(conn, due, outcome.took_ms)
                return
            given_up = deliveries.failed(
                conn, due, outcome.error, outcome.took_ms, lasting=outcome.lasting, jitter=jitter
            )
        if given_up:
            # A next step may have its turn now.
            self._moved_at = -carrier.ROUND_S
            log.error("undeliverable", extra={"number": due.id, "reason": outcome.error})
        elif due.attempts == 1:
            log.warning("not delivered yet", extra={"number": due.id, "reason": outcome.error})

    def forget(self, conn: Session) -> None:
        deliveries.forget(conn)


def words_of(due: Due) -> str:
    """What is sent: to staff with the page it is about. What a customer may open is in their words, by its code."""
    if not (due.login and due.address and due.page):
        return due.body
    return f"{due.body.rstrip()}\n\n{due.address}{due.page}"


def printed(due: Due) -> Attached | None:
    """The document that goes with it; None: none does. Takes a tenth of a second of one core, the first a second."""
    if due.content is None or due.number is None or due.version is None or due.issued_at is None:
        return None
    note = "" if due.is_as_issued else NAMES_TAKEN_OUT
    pdf = pdf_of(from_plain(due.content), due.issued_at, note)
    return Attached(file_of(due.number, due.version), "application/pdf", pdf)


def _held(conn: Session, due: Due, now: datetime) -> bool:
    if not due.login or due.kind.startswith(_WHATEVER_THE_HOUR):
        return False
    until = channels.preferences(conn, due.tenant, due.login).quiet_until(now, urgent=due.urgent)
    if until is not None:
        deliveries.hold(conn, due, until)
    return until is not None
