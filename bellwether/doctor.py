"""`bellwether doctor`: one line for each thing that commonly goes wrong, with what to do about it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from bellwether.settings import Settings
from ingest.mqtt import answer_of
from store.connection import connect, unavailable
from store.errors import Misconfigured, Unavailable
from store.health import examine as examine_database

Verdict = Literal["ok", "warning", "failed"]

# Readings from further ahead than this are not scored: a server that is off by as much misjudges a healthy fleet.
_CLOCK_TOLERANCE_S = 2.0
# PostgreSQL stops when its disk is full; a day of a thousand readings a second is about 5 GB before compression.
_DISK_FREE_BYTES = 5 << 30
_HEARTBEAT_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `remedy` is empty where nothing needs doing."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        return f"{self.check}: {self.found}" + (f" - {self.remedy}" if self.remedy else "")

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding too."""
    return [*_secret(settings), *_database(settings), *_broker(settings), *_disk()]


def _secret(settings: Settings) -> list[Finding]:
    try:
        settings.need_secret()
    except Misconfigured as error:
        return [Finding("secret", "failed", str(error))]
    return [Finding("secret", "ok", "set")]


def _database(settings: Settings) -> list[Finding]:
    try:
        with unavailable(), connect(settings.need_database_url(), "doctor") as conn:
            health = examine_database(conn)
    except Misconfigured as error:
        return [Finding("database", "failed", str(error))]
    except Unavailable as error:
        return [Finding("database", "failed", str(error), "is the server up, and is this machine let in?")]
    findings = [Finding("database", "ok", f"PostgreSQL {health.server}, TimescaleDB {health.extension}")]
    if health.edition == "community":
        findings.append(Finding("licence", "ok", "community: roll-ups are kept, history is compressed"))
    else:
        findings.append(
            Finding("licence", "warning", "apache: roll-ups are computed at each look", "charts of years are slow")
        )
    if health.pending is None:
        findings.append(Finding("schema", "warning", "this role may not look", "run doctor as the database's owner"))
    elif health.pending:
        findings.append(Finding("schema", "failed", f"{health.pending} migrations behind", "run `bellwether migrate`"))
    else:
        findings.append(Finding("schema", "ok", "up to date"))
    if health.synchronous_commit == "off":
        findings.append(
            Finding(
                "durability", "failed", "synchronous_commit is off", "turn it on: a crash loses what was acknowledged"
            )
        )
    findings.append(_clock(health.now))
    for role in ("ingest", "notify"):
        age_s = health.heartbeats.get(role)
        alive = age_s is not None and age_s < _HEARTBEAT_S
        found = "never seen" if age_s is None else f"seen {age_s:.0f} s ago"
        findings.append(
            Finding(role, "ok" if alive else "warning", found, "" if alive else f"is `bellwether {role}` up?")
        )
    if health.given_up:
        findings.append(
            Finding(
                "outbox", "warning", f"{health.given_up} messages refused for good", "see the table outbox, last_error"
            )
        )
    return findings


def _clock(server_now: datetime, clock: Callable[[], float] = time.time) -> Finding:
    skew_s = server_now.timestamp() - clock()
    if abs(skew_s) > _CLOCK_TOLERANCE_S:
        return Finding("clock", "failed", f"the database's clock is {skew_s:+.1f} s off ours", "run NTP on both")
    return Finding("clock", "ok", f"{abs(skew_s):.1f} s apart")


def _broker(settings: Settings) -> list[Finding]:
    try:
        broker = settings.need_broker()
    except Misconfigured as error:
        return [Finding("broker", "failed", str(error))]
    reason = answer_of(broker)
    if reason:
        return [Finding("broker", "failed", f"{broker}: {reason}", "is it up, and are name and password right?")]
    return [Finding("broker", "ok", f"{broker} lets us in with MQTT 5")]


def _disk() -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    if free < _DISK_FREE_BYTES:
        return [Finding("disk", "warning", f"{free >> 30} GiB free here", "a full disk stops the database")]
    return [Finding("disk", "ok", f"{free >> 30} GiB free here")]
