"""Customers' data: what is held about one, and how it is taken out again.

The table `customer_places` says where what is theirs stands, `personal_places` where somebody may have written of them:
what is listed is what is erased. Machines, and what was done to them, stay.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from store import personal
from store.customers import Customer, customer
from store.errors import Conflict, NotFound
from store.personal import Trace
from store.queries import queries
from store.retention import PAPERS_DAYS
from store.transactions import Transaction

_SQL = queries("personal_customers")
# Enough to begin with; the page of tickets has the rest.
_MOST_NAMED = 3
# What a contact is written with: somebody's name, a number, an address, one after the other.
_BETWEEN = re.compile(r"[,;|\n]|\s/\s")


@dataclass(frozen=True, slots=True)
class File:
    """A file of one of their tickets."""

    id: UUID
    ticket_id: UUID
    name: str
    kind: str
    bytes: int
    sha256: str
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure: what stands in the customer's place now, in how many rows of which table; what is kept till when."""

    pseudonym: str
    rows: Mapping[str, int]
    papers_kept: int
    papers_until: datetime | None


def names_of(of: Customer, also: Iterable[str] = ()) -> list[str]:
    """By which names a customer is found: its own, and of the contact what can only be somebody's.

    A single word of the contact is none (`reception`): whoever knows that it is a name says so in `also`.
    """
    parts = [part.strip() for part in _BETWEEN.split(of.contact)]
    telling = [part for part in parts if len(part) > 3 and re.search(r"[@\d]|\S\s+\S", part)]
    return list(dict.fromkeys([of.name, *telling, *re.findall(r"[^\s<>,;]+@[^\s<>,;]+", of.contact), *also]))


def traces(conn: Transaction, of: Customer, also: Iterable[str] = ()) -> Sequence[Trace]:
    """Every value that is a customer's or speaks of them, each once: of accounts that are theirs too.

    Of who was erased there are at most documents, which had to be kept.
    """
    with conn.cursor(row_factory=class_row(Trace)) as cursor:
        own = cursor.execute(_SQL["traces"], {"id": of.id}).fetchall()
    if of.erased_at is not None:
        return [trace for trace in own if trace.table_name == "documents"]
    logins = [login for (login,) in conn.execute(_SQL["logins"], {"id": of.id})]
    theirs = [trace for login in logins for trace in personal.traces(conn, personal.account(conn, login))]
    found = [*own, *theirs, *personal.mentions(conn, names_of(of, also))]
    return list({(one.table_name, one.column_name, one.key): one for one in reversed(found)}.values())[::-1]


def files(conn: Transaction, customer_id: UUID) -> Sequence[File]:
    """The files of their tickets, whoever added them, the first first."""
    with conn.cursor(row_factory=class_row(File)) as cursor:
        return cursor.execute(_SQL["files"], {"id": customer_id}).fetchall()


def papers_kept(conn: Transaction, customer_id: UUID) -> tuple[int, datetime | None]:
    """Of who was erased: how many documents are kept yet, and until when the last of them is."""
    wanted = {"id": customer_id, "otherwise": PAPERS_DAYS}
    count, until = conn.execute(_SQL["papers_kept"], wanted).fetchall()[0]
    return int(count), until


def erase(conn: Transaction, customer_id: UUID, *, also: Sequence[str], all_files: bool, note: str) -> Erased:
    """Take a customer out of everything, with whoever of them may sign in. It can't be undone.

    Parameters
    ----------
    also
        Other names that they may be found by in what was written of them.
    all_files
        The files that others added to their tickets go too.

    Raises
    ------
    NotFound
        There is no such customer.
    Conflict
        They were erased before, or a ticket of theirs is open.
    """
    row = conn.execute(_SQL["lock"], {"id": customer_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no customer {customer_id}")
    of = customer(conn, customer_id)
    if of.erased_at is not None:
        raise Conflict(f"this customer was erased on {of.erased_at:%Y-%m-%d}")
    still_open = conn.execute(_SQL["open_tickets"], {"id": customer_id, "most": _MOST_NAMED}).fetchall()
    if still_open:
        told = "; ".join(f"{device}: {title}" for device, title in still_open)
        raise Conflict(f"a ticket of theirs is open, close or cancel it first: {told}")
    pseudonym = f"erased-{secrets.token_hex(6)}"
    wanted = {"id": customer_id, "names": names_of(of, also), "pseudonym": pseudonym, "note": note}
    wanted |= {"all_files": all_files, "papers_days": PAPERS_DAYS}
    rows = conn.execute(_SQL["erase"], wanted).fetchall()[0][0]
    return Erased(pseudonym, rows, *papers_kept(conn, customer_id))
