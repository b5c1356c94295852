"""Where parcels go. Each says what became of a parcel; who waits decides when to try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import httpx

from store.outbox import Parcel

# A ticket is opened in milliseconds; an API that needs longer is in trouble and is left alone for a while.
REQUEST_TIMEOUT_S = 10.0
PLANS_PATH = "/api/v1/plans/occurrences"
AFTER_REPAIR_PATH = "/api/v1/tickets/after-repair"
# 409: the same event was told of another fault before.
_MISUNDERSTOOD = frozenset({400, 404, 405, 409, 410, 413, 422})


class Fate(StrEnum):
    """What became of a parcel."""

    DELIVERED = "delivered"
    AGAIN = "again"  # it heals by itself
    REFUSED = "refused"  # it will not be taken like this, however often


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fate and its reason, which is logged, counted and stored."""

    fate: Fate
    reason: str = ""


class Destination(Protocol):
    """Takes parcels. The same parcel may come twice: its `event_id` is the key to know it by. Never raises."""

    def deliver(self, parcel: Parcel) -> Outcome: ...

    def close(self) -> None: ...


class TicketsApi:
    """`POST /api/v1/tickets`: an alarm opens a preventive ticket, or joins the one that is open.

    Parameters
    ----------
    token_for
        A short-lived token of the role `service` for a tenant.
    path
        Where else tickets are opened: what falls due by a plan goes to `PLANS_PATH`,
        a repair that did not hold to `AFTER_REPAIR_PATH`.
    """

    def __init__(self, api_url: str, token_for: Callable[[str], str], path: str = "/api/v1/tickets") -> None:
        self._client = httpx.Client(
            base_url=api_url, timeout=REQUEST_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self._token_for = token_for
        self._path = path

    def deliver(self, parcel: Parcel) -> Outcome:
        headers = {
            "Authorization": f"Bearer {self._token_for(parcel.tenant)}",
            "Idempotency-Key": str(parcel.event_id),
        }
        try:
            answer = self._client.post(self._path, json=parcel.payload, headers=headers)
        except httpx.HTTPError as error:
            return Outcome(Fate.AGAIN, f"{type(error).__name__}: {error}"[:500])
        if answer.is_success:
            return Outcome(Fate.DELIVERED)
        reason = f"{answer.status_code} {answer.text[:400]}"
        return Outcome(Fate.REFUSED if answer.status_code in _MISUNDERSTOOD else Fate.AGAIN, reason)

    def close(self) -> None:
        self._client.close()
