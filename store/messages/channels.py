"""Where people are reached, what they wish to hear of, and the account that customers are written to from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.rows import class_row

from store.connection import Session
from store.encryption import Cipher
from store.errors import Conflict, NotFound
from store.messages.addresses import MAIL, address_of
from store.queries import queries
from store.transactions import Transaction
from tickets.local_time import Hours, zone_named
from tickets.preferences import DEFAULT_PREFERENCES, Preferences

# Too low: a phone, a mailbox and a chat do not fit. Too high: one alarm is a hundred messages to one person.
MOST = 10
PURPOSE = "channels"
"""What addresses are encrypted for: see `store.encryption.Cipher`."""

_SQL = queries("channels")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, with as much of its address as is shown."""

    id: UUID
    name: str
    scheme: str
    host: str
    enabled: bool
    made_at: datetime
    worked_at: datetime | None
    failing_since: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Mail:
    """The account that customers are written to from, as far as it is shown."""

    scheme: str
    host: str
    changed_at: datetime
    changed_by: str


def channels(conn: Transaction, login: str) -> list[Channel]:
    """Somebody's, the oldest first."""
    return _of(conn, login, None)


def channel(conn: Transaction, login: str, channel_id: UUID) -> Channel:
    """One of somebody's, or NotFound."""
    found = _of(conn, login, channel_id)
    if not found:
        raise NotFound(f"there is no channel {channel_id} of yours")
    return found[0]


def add(conn: Transaction, tenant: str, login: str, cipher: Cipher, *, name: str, url: str) -> Channel:
    """Another one. BadAddress where it is none that may be sent to; Conflict where there are too many."""
    address = address_of(url)
    if len(channels(conn, login)) >= MOST:
        raise Conflict(f"there are {MOST} channels already")
    channel_id = uuid4()
    fields = {"tenant": tenant, "login": login, "name": name, "scheme": address.scheme, "host": address.host}
    conn.execute(_SQL["create"], {"id": channel_id, "address": cipher.encrypt(str(channel_id), url), **fields})
    return channel(conn, login, channel_id)


def change(conn: Transaction, login: str, channel_id: UUID, *, name: str, enabled: bool) -> Channel:
    """Its name, and whether it is used. NotFound."""
    fields = {"id": channel_id, "login": login, "name": name, "enabled": enabled}
    if conn.execute(_SQL["change"], fields).fetchone() is None:
        raise NotFound(f"there is no channel {channel_id} of yours")
    return channel(conn, login, channel_id)


def remove(conn: Transaction, login: str, channel_id: UUID) -> None:
    """Take it away. NotFound."""
    if conn.execute(_SQL["remove"], {"id": channel_id, "login": login}).fetchone() is None:
        raise NotFound(f"there is no channel {channel_id} of yours")


def works(conn: Session, channel_id: UUID) -> None:
    """A message went through."""
    conn.execute(_SQL["works"], {"id": channel_id})


def fails(conn: Session, channel_id: UUID, error: str) -> None:
    """A message did not go through."""
    conn.execute(_SQL["fails"], {"id": channel_id, "error": error})


def preferences(conn: Session, tenant: str, login: str) -> Preferences:
    """What somebody wishes, or what holds where they have said nothing."""
    row = conn.execute(_SQL["preferences"], {"tenant": tenant, "login": login}).fetchone()
    if row is None:
        return DEFAULT_PREFERENCES
    alarms_from, tickets_from, zone, quiet_from, quiet_to, urgent_passes = row
    quiet = None if quiet_from is None else Hours(quiet_from, quiet_to)
    return Preferences(alarms_from, tickets_from, zone_named(zone), quiet, urgent_passes)


def keep_preferences(conn: Transaction, tenant: str, login: str, wished: Preferences) -> None:
    """From now on."""
    fields = {
        "tenant": tenant,
        "login": login,
        "alarms_from": wished.alarms_from,
        "tickets_from": wished.tickets_from,
        "zone": wished.zone.key if wished.zone else "UTC",
        "quiet_from": wished.quiet.from_min if wished.quiet else None,
        "quiet_to": wished.quiet.to_min if wished.quiet else None,
        "urgent_passes": wished.urgent_passes,
    }
    conn.execute(_SQL["keep_preferences"], fields)


def mail(conn: Transaction, tenant: str) -> Mail | None:
    """The account, where there is one."""
    with conn.cursor(row_factory=class_row(Mail)) as cursor:
        return cursor.execute(_SQL["mail"], {"tenant": tenant}).fetchone()


def keep_mail(conn: Transaction, tenant: str, cipher: Cipher, *, url: str, who: str) -> None:
    """Another account. BadAddress where it is none of e-mail."""
    address = address_of(url, only=MAIL)
    fields = {"tenant": tenant, "scheme": address.scheme, "host": address.host, "who": who}
    conn.execute(_SQL["keep_mail"], {"address": cipher.encrypt(mail_name(tenant), url), **fields})


def remove_mail(conn: Transaction, tenant: str) -> None:
    """Customers are written to no more, and what waits is undeliverable when its turn comes."""
    conn.execute(_SQL["remove_mail"], {"tenant": tenant})


def mail_name(tenant: str) -> str:
    """Under what a tenant's account is locked."""
    return f"mail of {tenant}"


def _of(conn: Transaction, login: str, channel_id: UUID | None) -> list[Channel]:
    with conn.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute(_SQL["of_person"], {"login": login, "id": channel_id}).fetchall()
