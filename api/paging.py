"""Keyset pages: each begins after the last row of the one before, so that rows that come meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import Field

from api.errors import BadValue
from api.models import Answered

MOST_ROWS = 200

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows on a page")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next` of the page before; none for the first page")]

Row = TypeVar("Row")
Shown = TypeVar("Shown")


class Page(Answered, Generic[Shown]):
    """A page of rows."""

    items: list[Shown]
    next: str | None = Field(description="The cursor of the next page; null on the last")


def page(
    rows: Sequence[Row], limit: int, show: Callable[[Row], Shown], place: Callable[[Row], Sequence[Any]]
) -> Page[Shown]:
    """A page out of `limit` + 1 rows: the one more tells whether there is a next page."""
    return Page(items=[show(row) for row in rows[:limit]], next=beyond(rows, limit, place))


def beyond(rows: Sequence[Row], limit: int, place: Callable[[Row], Sequence[Any]]) -> str | None:
    """The cursor after the first `limit` rows; None where there are no more."""
    return _cursor(place(rows[limit - 1])) if len(rows) > limit else None


def after_text(cursor: str | None) -> str | None:
    """The place of a page in the order of one name."""
    parts = _parts(cursor, str)
    return None if parts is None else parts[0]


def after_number(cursor: str | None) -> int | None:
    """The place of a page in the order of one number."""
    parts = _parts(cursor, _bigint)
    return None if parts is None else int(parts[0])


def after_texts(cursor: str | None) -> tuple[str, str] | None:
    """The place of a page in the order of two names."""
    parts = _parts(cursor, str, str)
    return None if parts is None else (parts[0], parts[1])


def after_time_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The place of a page in the order of (time, id)."""
    parts = _parts(cursor, _time, UUID)
    return None if parts is None else (parts[0], parts[1])


def after_time_text(cursor: str | None) -> tuple[datetime, str] | None:
    """The place of a page in the order of (time, name)."""
    parts = _parts(cursor, _time, str)
    return None if parts is None else (parts[0], parts[1])


def after_time_number(cursor: str | None) -> tuple[datetime, int] | None:
    """The place of a page in the order of (time, number)."""
    parts = _parts(cursor, _time, _bigint)
    return None if parts is None else (parts[0], parts[1])


def _cursor(place: Sequence[Any]) -> str:
    plain = [part.isoformat() if isinstance(part, datetime) else str(part) for part in place]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def _parts(cursor: str | None, *read: Callable[[str], Any]) -> list[Any] | None:
    if cursor is None:
        return None
    try:
        plain = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(plain, list) or not all(isinstance(part, str) and "\0" not in part for part in plain):
            raise ValueError
        return [one(part) for one, part in zip(read, plain, strict=True)]
    except (ValueError, binascii.Error, OverflowError, RecursionError) as error:
        raise BadValue("query.cursor", "this cursor is none of ours: begin with the first page") from error


def _bigint(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time
