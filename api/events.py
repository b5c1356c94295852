"""Live events (server-sent), resumable without a hole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from alarms.roles import Role
from api import ROOT
from api.access.auth import Anyone, Caller
from api.errors import BadValue, NotSignedIn
from api.live import Feed, Subscription
from api.service import service
from store import live
from store.errors import Unavailable
from store.live import LiveEvent, Place

# Proxies close what is silent for a minute.
HEARTBEAT_S = 15
# A stream ends and its client comes back by itself: whoever may not see it any more is out by then.
LONGEST_STREAM_S = 300
# A client that takes nothing for so long is gone.
SEND_TIMEOUT_S = 30
_RETRY_MS = 1000
_PAGE = 500

router = APIRouter(prefix=ROOT, tags=["events"])


@router.get(
    "/events",
    response_class=EventSourceResponse,
    summary="Live events",
    responses={
        200: {
            "description": "A stream of `alarm.*` and `ticket.*` events",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'id: 90412-118\nevent: ticket.opened\ndata: {"ticket_id": "0b9f3a52-…"}\n\n',
                }
            },
        }
    },
)
async def stream_events(
    request: Request,
    caller: Anyone,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", max_length=64, description="Go on after this event")
    ] = None,
    after: Annotated[
        str | None,
        Query(max_length=64, description="The same, for who cannot send that header yet: a browser's first request"),
    ] = None,
) -> EventSourceResponse:
    """What happens from now on, or after `Last-Event-ID`, or where there is none after `after`.

    The first event is `ready`, or `reset` where what was missed is no longer kept: read anew what you show. A stream
    ends after five minutes at most; come back with the id of the last event that you have seen.
    """
    place = None
    for field, given in (("header.Last-Event-ID", last_event_id), ("query.after", after)):
        if given and place is None:
            place = Place.parse(given)
            if place is None:
                raise BadValue(field, "this id is none of ours")
    feed = service(request).feed
    subscription = Subscription(caller.principal.tenant)
    await run_in_threadpool(_begin, caller, feed, subscription)
    return EventSourceResponse(
        _events(caller, feed, subscription, place), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S, sep="\n"
    )


def _begin(caller: Caller, feed: Feed, subscription: Subscription) -> None:
    with caller.transaction():  # whoever has been disabled is told so here
        pass
    feed.subscribe(subscription)


async def _events(
    caller: Caller, feed: Feed, subscription: Subscription, place: Place | None
) -> AsyncIterator[ServerSentEvent]:
    ends_at = _ends_at(caller)
    try:
        kept = place is None or await run_in_threadpool(_is_kept, caller, place)
        at = place if place is not None and kept else subscription.start
        yield ServerSentEvent(id=str(at), event="ready" if kept else "reset", data="{}", retry=_RETRY_MS)
        while at < subscription.start:
            missed = await run_in_threadpool(_missed, caller, at)
            for event in missed:
                at = event.place
                yield _shown(event)
            if len(missed) < _PAGE:
                break
        while (left_s := (ends_at - datetime.now(UTC)).total_seconds()) > 0:
            event_or_none = await subscription.next(left_s)
            if event_or_none is not None and event_or_none.place > at:
                at = event_or_none.place
                if caller.principal.role is not Role.OWNER or await run_in_threadpool(_is_shown, caller, at):
                    yield _shown(event_or_none)
    except (EOFError, NotSignedIn, Unavailable):
        return  # the client comes back with its place
    finally:
        feed.unsubscribe(subscription)


def _ends_at(caller: Caller) -> datetime:
    longest = datetime.fromtimestamp(datetime.now(UTC).timestamp() + LONGEST_STREAM_S, UTC)
    return min(longest, caller.expires_at) if caller.expires_at else longest


def _is_kept(caller: Caller, place: Place) -> bool:
    with caller.transaction() as conn:
        return live.is_kept(conn, caller.principal.tenant, place)


def _missed(caller: Caller, place: Place) -> list[LiveEvent]:
    with caller.transaction() as conn:
        return live.after(conn, caller.principal.tenant, place, _PAGE)


def _is_shown(caller: Caller, place: Place) -> bool:
    """The feed reads once for all of a tenant: what an owner may see of it, the database says."""
    with caller.transaction() as conn:
        return live.is_shown(conn, caller.principal.tenant, place)


def _shown(event: LiveEvent) -> ServerSentEvent:
    return ServerSentEvent(id=str(event.place), event=event.kind, data=json.dumps(event.body))
