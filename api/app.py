"""The API put together: `create_app(settings)` is what a server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

import store.health
from api import (
    ROOT,
    after_repair,
    alarm_kpis,
    alarm_policy,
    alarms,
    appointments,
    assessment,
    attachments,
    audit,
    baselines,
    changepoints,
    channels,
    corrective_actions,
    credentials,
    customers,
    depots,
    devices,
    dispatch,
    documents,
    engineers,
    events,
    floods,
    health,
    keys,
    kpi_goals,
    kpis,
    learning,
    ledger,
    lessons,
    machines,
    maintenance,
    messages,
    metrics,
    on_call,
    pages,
    parts,
    parts_moves,
    parts_plans,
    parts_tickets,
    parts_transfers,
    peers,
    personal,
    plans,
    presence,
    prognosis,
    quality,
    readings,
    rejects,
    reports,
    retention,
    reviews,
    rules,
    second_handlings,
    sessions,
    site_people,
    sops,
    surveys,
    terms,
    ticket_quality,
    ticket_steps,
    tickets,
    training,
    trials,
    users,
    waveforms,
    webhooks,
)
from api.bodies import BodyLimit
from api.headers import SafeHeaders
from api.live import Feed
from api.metrics import Figures, Measured
from api.openapi import describe
from api.passwords import Passwords
from api.problems import answer_with_problems
from api.rates import Rate
from api.service import Service
from api.settings import ApiSettings
from api.uploads import larger_bodies
from store.transactions import Transactions

__all__ = ["ROUTERS", "ApiSettings", "create_app"]

_RESOURCES = (
    *(sessions, users, personal, keys, audit, devices, credentials, readings, changepoints, waveforms, baselines),
    *(alarm_kpis, kpis, kpi_goals),
    *(alarms, alarm_policy, floods, maintenance, tickets, terms, customers, rules, trials, rejects, ledger),
    *(dispatch, engineers, site_people, appointments),
    *(reports, attachments, documents, ticket_quality, after_repair, ticket_steps, sops),
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
