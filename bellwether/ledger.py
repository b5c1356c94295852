"""`bellwether ledger`: what became of every message, and whether the ledger and the tables agree."""

from __future__ import annotations

from bellwether.settings import Settings
from store import ledger
from store.connection import connect, unavailable


def verify(settings: Settings) -> tuple[int, list[ledger.Discrepancy]]:
    """Recompute the ledger from the tables: how many devices, and where the two differ.

    Raises
    ------
    Misconfigured, Unavailable
        The database's address is missing or wrong; the database is away.
    """
    with unavailable(), connect(settings.need_database_url(), "ledger") as conn:
        return ledger.verify(conn)
