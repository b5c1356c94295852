"""The gate: tells the broker which devices may come in, and throws out those that may no longer.

What the database says of credentials is carried to Mosquitto's dynamic-security plugin: a new one within a second, one
that was revoked or is over likewise, open connections included. After each reconnect both sides are compared: clients
of ours that the database does not know go, and credentials that the broker has forgotten are noted as lost.

It lives in a thread of its own beside the loop, with its own connections, and whatever befalls it stops nothing else:
while database or broker are away it tries again, and devices go on with what the broker knows. Every step may be done
twice: what is there already is found done.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import store.gate as rows
from ingest.access import rights
from ingest.access.dynamic_security import ANSWER_S, DONE, Control
from store.connection import Session, heard, listen, unavailable
from store.credentials import Kind
from store.errors import Misconfigured, Unavailable
from store.gate import Waiting
from store.sealed import Recipient, Unsealable
from telemetry import Broker

log = logging.getLogger("bellwether.ingest.gate")

# A change wakes us; what is over by time alone is noticed this late. Low: the database is asked that often.
POLL_S = 2.0
# The plugin writes its whole file at each change, and the broker does nothing else meanwhile (measured: 0.02 s a
# credential while there are 1 000, 0.2 s while there are 10 000). Too low: more ways to and fro. Too high: so long does
# nobody else get an answer.
AT_ONCE = 5
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 10.0


class Gate:
    """One gate: a broker, as its administrator, and a database. `start` it once, `close` it once."""

    def __init__(self, broker: Broker, database_url: str) -> None:
        self._broker = broker
        self._database_url = database_url
        self._recipient = Recipient(broker.password or "")
        self._closed = threading.Event()
        self._failures = 0  # since it was open last
        self._thread = threading.Thread(target=self._live, name="gate", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End within seconds; what was not carried over is carried over by the next."""
        self._closed.set()
        self._thread.join(ANSWER_S + POLL_S)

    def _live(self) -> None:
        said = ""
        while not self._closed.is_set():
            try:
                with Control(self._broker) as control, unavailable():
                    conn = listen(self._database_url, "gate", "bellwether_gate")
                    try:
                        self._keep(conn, control)
                    finally:
                        conn.close()
            except (Unavailable, Misconfigured) as error:
                if str(error) != said or not self._failures:
                    said = str(error)
                    log.warning("gate waits", extra={"reason": said})
            except Exception:
                log.exception("gate failed; it begins anew")
            pause_s = min(_LAST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
            self._closed.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            self._failures += 1

    def _keep(self, conn: Session, control: Control) -> None:
        """Until we are closed, or one of the two is lost."""
        while not rows.hold_gate(conn):
            if self._closed.wait(POLL_S):
                return
        prefix = rows.open_gate(conn, self._recipient.public_key)
        connection = 0
        while not self._closed.is_set():
            if control.connection != connection:
                connection = control.connection
                _renew_services(control)
                self._compare(conn, control, prefix)
                self._failures = 0
                log.info("gate open", extra={"broker": str(self._broker)})
            # Who must go first: that is what somebody waits for.
            if not (self._remove(conn, control) or self._apply(conn, control)):
                if control.is_listening:
                    rows.gate_lives(conn)
                heard(conn, POLL_S)

    def _apply(self, conn: Session, control: Control) -> bool:
        """Let in who waits to be let in; whether there may be more."""
        with conn.transaction():
            waiting = rows.to_apply(conn, AT_ONCE)
            welcomes: dict[str, list[dict[str, Any]]] = {}
            failed: list[str] = []
            for credential in waiting:
                try:
                    welcomes[credential.username] = self._welcome(credential)
                except Unsealable:
                    log.error("a password cannot be read", extra={"username": credential.username})
                    failed.append(credential.username)
            answers = iter(control.ask([command for commands in welcomes.values() for command in commands]))
            for username, commands in welcomes.items():
                errors = [error for _ in commands if (error := next(answers).get("error", "")) not in DONE]
                if errors:  # one that the plugin will never take must not hold up the others
                    log.error("the broker's plugin refuses", extra={"username": username, "reason": errors[0]})
                    failed.append(username)
            control.tell(_farewell(failed))
            rows.note_missing(conn, failed)
            rows.note_applied(conn, [credential.id for credential in waiting if credential.username not in failed])
        if waiting:
            log.info("credentials let in", extra={"count": len(waiting) - len(failed)})
        return bool(waiting)

    def _welcome(self, credential: Waiting) -> list[dict[str, Any]]:
        """What lets it in. Unsealable where its password cannot be read."""
        name = credential.username
        if credential.device is None:
            grants = rights.of_gateway(credential.tenant, credential.publishes, credential.subscribes)
        else:
            grants = rights.of_device(credential.tenant, credential.device, credential.publishes, credential.subscribes)
        client: dict[str, Any] = {"command": "createClient", "username": name, "roles": [{"rolename": name}]}
        if credential.kind == Kind.PASSWORD:
            client["password"] = self._recipient.open(credential.sealed or b"", name)
        return [{"command": "createRole", "rolename": name, "acls": grants}, client]

    def _remove(self, conn: Session, control: Control) -> bool:
        """Throw out whose time is over; whether there may be more."""
        with conn.transaction():
            over = rows.to_remove(conn, AT_ONCE)
            control.tell(_farewell([username for _, username in over]))
            rows.note_removed(conn, [credential_id for credential_id, _ in over])
        if over:
            log.info("credentials thrown out", extra={"count": len(over)})
        return bool(over)

    def _compare(self, conn: Session, control: Control, prefix: str) -> None:
        """After a reconnect: throw out clients of ours that the database does not know; note those that are gone."""
        with conn.transaction():
            standing = rows.standing(conn)
            clients = {name for name in control.names("clients") if name.startswith(prefix)}
            roles = {name for name in control.names("roles") if name.startswith(prefix)}
            # Applied, and not yet noted as such: to be applied again, which changes nothing.
            expected = standing | {credential.username for credential in rows.to_apply(conn, 1_000_000)}
            strangers = sorted((clients | roles) - expected)
            forgotten = sorted(standing - (clients & roles))
            for names in _pages(strangers, AT_ONCE):
                control.tell(_farewell(names))
            rows.note_missing(conn, forgotten)
            rows.note_found(conn, sorted(standing & clients & roles))
        if strangers:
            log.warning("credentials that nobody made were thrown out", extra={"count": len(strangers)})
        if forgotten:
            log.error("the broker has forgotten credentials: they must be made anew", extra={"count": len(forgotten)})


def _farewell(names: Sequence[str]) -> list[dict[str, Any]]:
    """The client first: without it no connection has the role any more, and the plugin closes those that are open."""
    return [
        command
        for name in names
        for command in ({"command": "deleteClient", "username": name}, {"command": "deleteRole", "rolename": name})
    ]


def _renew_services(control: Control) -> None:
    """Bring the rights of our services up to date with this release; those that the broker does not know stay away."""
    for name, grants in rights.SERVICES.items():
        answer = control.ask([{"command": "getRole", "rolename": name}])[0]
        if "error" in answer:
            continue
        found = answer["data"]["role"].get("acls", [])
        if _comparable(found) != _comparable(grants):
            log.warning("rights of a service renewed", extra={"service": name})
            control.tell([{"command": "modifyRole", "rolename": name, "acls": grants}])


def _comparable(grants: list[dict[str, Any]]) -> set[tuple[str, str, bool]]:
    return {(grant["acltype"], grant["topic"], grant["allow"]) for grant in grants}


def _pages(names: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while page := list(islice(rest, size)):
        yield page
