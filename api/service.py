"""What lives as long as the process does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from api.access.passwords import Passwords
from api.live import Feed
from api.metrics import Figures
from api.rates import Rate
from api.settings import ApiSettings
from store.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one API process that requests share."""

    settings: ApiSettings
    transactions: Transactions
    passwords: Passwords
    sign_ins: Rate
    trackers: Rate
    feed: Feed
    figures: Figures


def service(request: Request) -> Service:
    """The process that this request is in."""
    return cast(Service, request.app.state.service)
