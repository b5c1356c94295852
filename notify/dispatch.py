"""Dispatch by the clock: who should go where is planned again whenever something has changed, for each tenant that has
engineers; where the tenant wants it, whoever sets off soon is sent.

On a thread and a connection of its own. A tenant whose tickets, engineers, vans and rules are as they were costs four
queries a look. Sending goes through the API, as a person's does: what fails is sent in the next look, if it still
stands, and nobody is sent twice, since a ticket that somebody has waits for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx

from notify.destinations import REQUEST_TIMEOUT_S
from notify.worker import Worker
from prognosis.faults import FailureMode
from store import dispatch, dispatch_inputs
from store.connection import Session
from tickets.calendar import Calendar
from tickets.dispatch.batch import Engineer
from tickets.dispatch.optimise import first_come, plan
from tickets.dispatch.reasons import proposals

log = logging.getLogger("bellwether.notify.dispatch")

# Too low: work for nothing. Too high: a ticket waits so long for its proposal.
LOOK_EVERY_S = 30.0
# Time passes though nothing else changes: shifts begin, promises come near.
AGAIN_AFTER = timedelta(minutes=10)
# What arithmetic over odd inputs may raise; whatever the server raises is the whole round's.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)

Send = Callable[[str, UUID, str], None]
"""Tenant, ticket, engineer's login: send them, if that still stands. Never raises."""


class DispatchApi:
    """`POST /api/v1/dispatch/proposals/{id}/assign` with a short-lived token of the role `service`."""

    def __init__(self, api_url: str, token_for: Callable[[str], str]) -> None:
        self._api_url = api_url
        self._token_for = token_for

    def __call__(self, tenant: str, ticket: UUID, engineer: str) -> None:
        headers = {"Authorization": f"Bearer {self._token_for(tenant)}"}
        path = f"/api/v1/dispatch/proposals/{ticket}/assign"
        try:
            with httpx.Client(base_url=self._api_url, timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
                answer = client.post(path, json={"engineer": engineer}, headers=headers)
        except httpx.HTTPError as error:
            log.warning("not sent yet", extra={"ticket": str(ticket), "reason": type(error).__name__})
            return
        if not answer.is_success and answer.status_code != httpx.codes.CONFLICT:
            log.warning("not sent yet", extra={"ticket": str(ticket), "reason": str(answer.status_code)})


class Dispatch(Worker):
    """One planner of one database, by a library of failure modes."""

    name = "dispatch"

    def __init__(self, database_url: str, modes: Sequence[FailureMode], send: Send) -> None:
        super().__init__(database_url)
        self._skills = {mode.id: mode.procedure.skills for mode in modes if mode.procedure is not None}
        self._send = send

    def turn(self, conn: Session) -> float:
        self.look(conn, datetime.now(UTC))
        return LOOK_EVERY_S

    def look(self, conn: Session, now: datetime) -> int:
        """Plan where there is reason to, and send where it is time; how many tenants were planned. In autocommit."""
        planned = 0
        for tenant in dispatch.tenants(conn):
            if self._stopping.is_set():
                break
            try:
                planned += self._plan(conn, tenant, now)
            except _OURS:
                log.exception("no plan", extra={"tenant": tenant})
                continue
            for ticket, engineer in dispatch.due_by_rule(conn, tenant, now):
                self._send(tenant, ticket, engineer)
        return planned

    def _plan(self, conn: Session, tenant: str, now: datetime) -> bool:
        with conn.transaction():
            inputs = dispatch_inputs.read(conn, tenant, now)
        digest, last = inputs.digest, dispatch.planned(conn, tenant)
        if last is not None and last[1] == digest and timedelta() <= now - last[0] < AGAIN_AFTER:
            return False
        batch = dispatch_inputs.batch_of(inputs, self._skills, now)
        made = plan(batch)
        found = proposals(batch, made, _wall_clock(dispatch_inputs.calendars(inputs), now))
        with conn.transaction():
            dispatch.keep(
                conn,
                tenant,
                made,
                first_come(batch).cost,
                found,
                inputs=digest,
                left_out=inputs.left_out,
                now=now,
            )
        return True


def _wall_clock(calendars: Mapping[str, Calendar], now: datetime) -> Callable[[Engineer, float], str]:
    """What the clock on an engineer's wall shows so many minutes from now, with the day where it is not today."""

    def shown(engineer: Engineer, minutes: float) -> str:
        zone = calendars[engineer.login].zone
        local, today = (now + timedelta(minutes=minutes)).astimezone(zone), now.astimezone(zone).date()
        if local.date() == today:
            return f"{local:%H:%M}"
        return f"{local:%a %H:%M}" if abs((local.date() - today).days) < 7 else f"{local.day} {local:%b %H:%M}"

    return shown
