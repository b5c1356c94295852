"""`bellwether rejects`: what could not be stored, of all tenants and of nobody we know, for the database's owner."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from bellwether.settings import Settings
from bellwether.stack.folder import default_path
from store import replays
from store.connection import Session, connect, unavailable
from store.errors import Misconfigured
from store.rejects import KeptReject, Which


def address_of(settings: Settings) -> str:
    """The database of the settings, else of a stack that runs here."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    stack = default_path() / "stack.json"
    if not url and stack.exists():
        url = str(orjson.loads(stack.read_bytes())["database_url"])
    return url or settings.need_database_url()


@contextmanager
def opened(settings: Settings) -> Iterator[Session]:
    """That database, in one transaction."""
    with unavailable(), connect(address_of(settings), "rejects") as conn:
        yield conn


def which(
    ids: list[int] | None = None,
    tenant: str | None = None,
    device: str | None = None,
    reason: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Which:
    """Which rejects, from options.

    Raises
    ------
    Misconfigured
        A time is none.
    """
    return Which(
        ids=ids or (),
        tenant=tenant,
        device=device,
        reason=reason,
        start=_moment("--since", since),
        end=_moment("--until", until),
    )


def shown(one: KeptReject) -> dict[str, Any]:
    """A reject for a program."""
    return {
        "id": one.id,
        "at": one.at,
        "tenant": one.tenant,
        "device": one.device,
        "topic": one.topic,
        "reason": one.reason,
        "bytes": one.bytes,
        "content_type": one.content_type,
        "playable": one.whole,
        "played_at": one.played_at,
        "outcome": one.outcome,
        "payload": one.payload.decode("utf-8", "backslashreplace"),
    }


def line(one: KeptReject) -> str:
    """A reject for a person."""
    whose = f"{one.tenant or '-'}/{one.device or '-'}"
    outcome = f" [{one.outcome.split(':')[0]}]" if one.outcome else "" if one.whole else " [not kept whole]"
    return f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}  {whose}  {one.topic}: {one.reason}{outcome}"


def play(settings: Settings, wanted: Which, limit: int, wait: bool, say: Callable[[str], None]) -> int:
    """Ask for messages to be played; wait until `ingest` has done it, if wanted. How many there were."""
    with opened(settings) as conn:
        asked = replays.ask_of_all(conn, wanted, limit=limit, who=getpass.getuser())
        conn.commit()
        say(f"{asked} messages will be played")
        left = -1
        while wait and (waiting := replays.waiting(conn)):
            conn.commit()
            if waiting != left:
                say(f"{waiting} wait for ingest")
                left = waiting
            time.sleep(0.5)
    return asked


def _moment(option: str, text: str | None) -> datetime | None:
    """RFC 3339, or so long ago: `90m`, `36h`, `7d`."""
    if text is None:
        return None
    unit = {"m": "minutes", "h": "hours", "d": "days"}.get(text[-1:])
    try:
        if unit and text[:-1].isdecimal():
            return datetime.now(UTC) - timedelta(**{unit: int(text[:-1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Misconfigured(f"{option}: 2026-11-22T08:00:00Z, or so long ago: 90m, 36h, 7d") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
