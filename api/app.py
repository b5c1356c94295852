"""The API put together: `create_app(settings)` is what a server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

import store.health
from api import ROOT, events, health, metrics, pages
from api.access import audit, keys, personal, sessions, users
from api.access.passwords import Passwords
from api.alarms import alarms, floods, maintenance, rules, trials
from api.alarms import kpis as alarm_kpis
from api.alarms import policy as alarm_policy
from api.bodies import BodyLimit
from api.fleet import (
    assessment,
    baselines,
    changepoints,
    credentials,
    devices,
    learning,
    lessons,
    machines,
    peers,
    presence,
    prognosis,
    quality,
    readings,
    training,
    waveforms,
)
from api.follow_up import corrective_actions, reviews, second_handlings, surveys
from api.headers import SafeHeaders
from api.intake import ledger, rejects, retention
from api.kpis import goals as kpi_goals
from api.kpis import kpis
from api.live import Feed
from api.messages import channels, messages, on_call, webhooks
from api.metrics import Figures, Measured
from api.openapi import describe
from api.parts import depots, parts
from api.parts import moves as parts_moves
from api.parts import plans as parts_plans
from api.parts import tickets as parts_tickets
from api.parts import transfers as parts_transfers
from api.plans import plans
from api.problems import answer_with_problems
from api.rates import Rate
from api.service import Service
from api.settings import ApiSettings
from api.staffing import dispatch, engineers, site_people
from api.tickets import (
    after_repair,
    appointments,
    attachments,
    customers,
    customers_personal,
    documents,
    pictures,
    reports,
    sending,
    sops,
    terms,
    tickets,
)
from api.tickets import quality as ticket_quality
from api.tickets import steps as ticket_steps
from api.tickets.uploads import larger_bodies
from store.transactions import Transactions

__all__ = ["ROUTERS", "ApiSettings", "create_app"]

_RESOURCES = (
    *(sessions, users, personal, keys, audit, devices, credentials, readings, changepoints, waveforms, baselines),
    *(alarm_kpis, kpis, kpi_goals),
    *(alarms, alarm_policy, floods, maintenance, tickets, terms, rules, trials, rejects, ledger),
    *(customers, customers_personal),
    *(dispatch, engineers, site_people, appointments),
    *(reports, attachments, documents, sending, ticket_quality, after_repair, ticket_steps, sops, pictures),
    *(surveys, second_handlings, corrective_actions, reviews),
    *(webhooks, messages, channels, on_call),
    # Paths that are words come before those that are a part's number.
    *(depots, parts_transfers, parts_moves, parts_plans, parts, parts_tickets),
    *(plans, retention, presence, quality, peers, learning, lessons, assessment, prognosis, machines, training, events),
)
ROUTERS = tuple(part.router for part in (*_RESOURCES, health, metrics))
"""Every route but those of the pages."""

# A person tries a few passwords, a script thousands.
_SIGN_INS_PER_MINUTE = 30
_TRACKS_PER_MINUTE = 30


def create_app(settings: ApiSettings) -> FastAPI:
    """The application. It touches neither database nor network before a server starts it."""
    transactions = Transactions(settings.database_url, settings.pool_size)
    feed = Feed(settings.database_url, transactions)

    def known() -> list[tuple[str, str, float]]:
        with transactions.of_nobody() as conn:
            return store.health.figures(conn)

    service = Service(
        settings=settings,
        transactions=transactions,
        passwords=Passwords(),
        sign_ins=Rate(_SIGN_INS_PER_MINUTE),
        trackers=Rate(_TRACKS_PER_MINUTE),
        feed=feed,
        figures=Figures(transactions.stats, lambda: len(feed), known),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        transactions.open()
        feed.start()
        try:
            yield
        finally:
            feed.stop()
            transactions.close()

    docs_path = f"{ROOT}/docs"
    app = FastAPI(
        title="Bellwether",
        summary="From a sensor's reading to a scheduled repair",
        description="Times are RFC 3339 in UTC; errors are problems (RFC 9457); pages go on with `next`.",
        version=_version(),
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=docs_path if settings.docs else None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    pages.serve_pages(app)
    answer_with_problems(app)
    app.add_middleware(BodyLimit, larger=larger_bodies(settings))
    app.add_middleware(SafeHeaders, secure=settings.cookie_secure, unrestricted_path=docs_path if settings.docs else "")
    app.add_middleware(Measured, figures=service.figures)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def _version() -> str:
    try:
        return version("bellwether")
    except PackageNotFoundError:
        return "0"
