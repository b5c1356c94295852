"""`bellwether doctor`: one line for each thing that commonly goes wrong, with what to do about it.

What can be tried out is tried out, not read off a configuration: a broker is asked to keep messages for a client that
is away. Nothing is changed, and nothing is left behind.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bellwether.audit import chains_finding
from bellwether.findings import Finding
from bellwether.settings import Settings
from ingest.broker import probe
from ingest.broker.probe import Probed
from ingest.broker.session import SESSION_EXPIRY_S
from store import gate
from store.connection import connect, unavailable
from store.errors import Misconfigured, Unavailable
from store.gate import ENDING_WITHIN, Glance
from store.health import Health
from store.health import examine as examine_database

# Readings from further ahead than this are not scored: a server that is off by as much misjudges a healthy fleet.
_CLOCK_TOLERANCE_S = 2.0
# PostgreSQL stops when its disk is full; a day of a thousand readings a second is about 10 GB before compression.
_DISK_FREE_BYTES = 5 << 30
_HEARTBEAT_S = 30.0
_LAG_S = 60.0
# As it comes, PostgreSQL uses 128 MB, whatever the machine has.
_BUFFERS_BYTES = 256 << 20
# Each query over all time plans over each chunk: at 3 000 that alone takes some 100 ms.
_CHUNKS = 3000
# TimescaleDB 2.29 ended with PostgreSQL 15; earlier ones lack what the migrations use.
_MAJOR_OLDEST, _MAJOR_ENDING = 15, 15
_EXTENSION_OLDEST = (2, 18)
# Releases that lose data of the kind that we store, and what loses it.
_LOSSY = {
    (2, 17, 2): "ON CONFLICT DO NOTHING into a compressed chunk stopped at the first conflict (timescaledb#7672)",
    (2, 26, 0): "direct compression lost rows (timescaledb#9381)",
}


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding too."""
    return [*_secret(settings), *_database(settings), *_broker(settings), _disk("disk", Path.cwd())]


def _secret(settings: Settings) -> Iterator[Finding]:
    try:
        settings.need_secret()
    except Misconfigured as error:
        yield Finding("secret", "failed", str(error))
    else:
        yield Finding("secret", "ok", "set")


# The database ---------------------------------------------------------------------------------------------------------


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with unavailable(), connect(settings.need_database_url(), "doctor") as conn:
            glance = gate.glance(conn)
            health = examine_database(conn)
            chains = chains_finding(conn)
    except Misconfigured as error:
        yield Finding("database", "failed", str(error))
        return
    except Unavailable as error:
        yield Finding("database", "failed", str(error), "is the server up, and is this machine let in?")
        return
    yield from database_findings(health)
    if chains is not None:
        yield chains
    if glance is not None and glance.gate_age_s is not None:
        yield from credential_findings(glance)


def database_findings(health: Health) -> Iterator[Finding]:
    """What there is to say of a database."""
    yield Finding("database", "ok", f"PostgreSQL {health.server}, TimescaleDB {health.extension or 'not installed'}")
    yield from _versions(health)
    yield _licence(health)
    yield _schema(health)
    yield _durability(health)
    yield _memory(health)
    yield _clock(health)
    yield from _clocks(health)
    yield _chunks(health)
    if health.failing_jobs:
        found = f"failed when they last ran: {', '.join(health.failing_jobs)}"
        yield Finding(
            "jobs", "failed", found, "roll-ups or compression stand still: see timescaledb_information.job_errors"
        )
    for role in ("ingest", "notify"):
        yield _sign_of_life(role, health.heartbeats.get(role))
    if health.lag_s is not None:
        behind = health.lag_s > _LAG_S
        remedy = "see the window and the commit time on the dashboard" if behind else ""
        found = f"what ingest gets has waited {health.lag_s:.0f} s with the broker"
        yield Finding("backlog", "warning" if behind else "ok", found, remedy)
    if health.given_up:
        found = f"{health.given_up} messages refused for good"
        yield Finding("outbox", "warning", found, "see the table outbox, last_error")
    if health.webhooks_lost or health.webhooks_failing:
        found = f"{health.webhooks_lost} events undeliverable, {health.webhooks_failing} webhooks fail"
        yield Finding("webhooks", "warning", found, "the page Webhooks says which and why, and sends again")
    if health.messages_lost or health.channels_failing:
        found = f"{health.messages_lost} messages reached nobody, {health.channels_failing} channels fail"
        yield Finding("messages", "warning", found, "the page Messages says whom and why, and sends again")
    if health.data_directory is not None and (folder := Path(health.data_directory)).is_dir():
        yield _disk("database disk", folder, health.database_bytes)


def credential_findings(glance: Glance) -> Iterator[Finding]:
    """What there is to say of devices' credentials, where the broker is told of them."""
    age_s = glance.gate_age_s or 0.0
    late = age_s > _HEARTBEAT_S
    remedy = "credentials made or revoked meanwhile wait: see the log of ingest" if late else ""
    yield Finding("gate", "warning" if late else "ok", f"last seen {age_s:.0f} s ago", remedy)
    if glance.lost:
        found = f"the broker does not know {glance.lost} credentials"
        yield Finding("credentials", "warning", found, "make others: GET /api/v1/credentials says whose")
    if glance.ending:
        found = f"{glance.ending} end within {ENDING_WITHIN.days} days"
        yield Finding("credentials", "warning", found, "make their successors, and give them to the devices")


def _versions(health: Health) -> Iterator[Finding]:
    if health.major < _MAJOR_OLDEST:
        yield Finding("versions", "failed", f"PostgreSQL {health.major}", "upgrade to 17: dump and restore")
    elif health.major == _MAJOR_ENDING:
        yield Finding(
            *("versions", "warning", f"PostgreSQL {health.major}: TimescaleDB has ended its support with 2.29"),
            "upgrade to 17: dump and restore",
        )
    version = tuple(int(part) for part in health.extension.split("-")[0].split(".") if part.isdecimal())
    if not version:
        yield Finding("versions", "failed", "TimescaleDB is not installed", "install it, then `bellwether migrate`")
    elif version in _LOSSY:
        yield Finding(
            "versions", "failed", f"TimescaleDB {health.extension}: {_LOSSY[version]}", "update the extension"
        )
    elif version < _EXTENSION_OLDEST:
        oldest = ".".join(map(str, _EXTENSION_OLDEST))
        yield Finding("versions", "warning", f"TimescaleDB {health.extension} is older than {oldest}", "update it")


def _licence(health: Health) -> Finding:
    if health.edition == "community":
        return Finding("licence", "ok", "community: roll-ups are kept, history is compressed")
    return Finding(
        *("licence", "warning", "apache: roll-ups are computed at each look, nothing is compressed"),
        "charts of years are slow and a reading takes some 115 bytes for good: the community edition takes 10",
    )


def _schema(health: Health) -> Finding:
    if health.pending is None:
        return Finding("schema", "warning", "this role may not look", "run doctor as the database's owner")
    if health.pending:
        return Finding("schema", "failed", f"{health.pending} migrations behind", "run `bellwether migrate`")
    return Finding("schema", "ok", "up to date")


def _durability(health: Health) -> Finding:
    if health.synchronous_commit == "off":
        remedy = "turn it on: a crash loses what was acknowledged"
        return Finding("durability", "failed", "synchronous_commit is off", remedy)
    if not health.written_safely:
        remedy = "turn both on: a power cut can cost the whole database"
        return Finding("durability", "failed", "fsync or full_page_writes is off", remedy)
    return Finding("durability", "ok", "what is committed is on disk")


def _memory(health: Health) -> Finding:
    found = f"shared_buffers is {health.shared_buffers >> 20} MB"
    if health.shared_buffers < _BUFFERS_BYTES:
        remedy = "a quarter of the machine's memory is usual: timescaledb-tune sets it"
        return Finding("memory", "warning", found, remedy)
    return Finding("memory", "ok", found)


def _clock(health: Health, clock: Callable[[], float] = time.time) -> Finding:
    skew_s = health.now.timestamp() - clock()
    if abs(skew_s) > _CLOCK_TOLERANCE_S:
        return Finding("clock", "failed", f"the database's clock is {skew_s:+.1f} s off ours", "run NTP on both")
    return Finding("clock", "ok", f"{abs(skew_s):.1f} s apart from the database's")


def _clocks(health: Health) -> Iterator[Finding]:
    """The server's as ingest judges it, and those of devices."""
    if health.doubted_s:
        found = f"ingest doubts the server's clock, which leapt by {health.doubted_s:+.0f} s"
        yield Finding("clock", "failed", found, "set it right; if it is right, devices will soon have said so")
    if health.wrong_clocks:
        name, off_s = health.worst_clock
        found = f"{health.wrong_clocks} wrong, {health.mended_clocks} of them mended; {name} by {off_s:+.0f} s"
        mended = health.mended_clocks == health.wrong_clocks
        remedy = "" if mended else "set them, or have their stamps mended: see docs/presence.md"
        yield Finding("device clocks", "ok" if mended else "warning", found, remedy)


def _chunks(health: Health) -> Finding:
    if health.chunk_hours is None:
        return Finding("chunks", "warning", "this role may not look", "run doctor as the database's owner")
    found = f"{health.chunks} of readings, the next {health.chunk_hours} h wide"
    if health.chunks > _CHUNKS:
        return Finding("chunks", "warning", found, "keep readings for less long, or give the server more memory")
    if health.right_chunk_hours not in {None, health.chunk_hours}:
        remedy = f"{health.right_chunk_hours} h fit the rate: `notify` sets it within the hour"
        return Finding("chunks", "warning", found, remedy)
    return Finding("chunks", "ok", found)


def _sign_of_life(role: str, age_s: float | None) -> Finding:
    alive = age_s is not None and age_s < _HEARTBEAT_S
    found = "never seen" if age_s is None else f"seen {age_s:.0f} s ago"
    return Finding(role, "ok" if alive else "warning", found, "" if alive else f"is `bellwether {role}` up?")


# The broker -----------------------------------------------------------------------------------------------------------


def _broker(settings: Settings) -> Iterator[Finding]:
    try:
        broker = settings.need_broker()
    except Misconfigured as error:
        yield Finding("broker", "failed", str(error))
        return
    yield from broker_findings(str(broker), probe.probe(broker))


def broker_findings(broker: str, probed: Probed) -> Iterator[Finding]:
    """What there is to say of a broker."""
    if probed.refusal:
        yield Finding("broker", "failed", f"{broker}: {probed.refusal}", "is it up, and are name and password right?")
        return
    known = f" ({probed.version})" if probed.version else ""
    yield Finding("broker", "ok", f"{broker} lets us in with MQTT 5{known}")
    if probed.obstacle:
        remedy = "let ingest's user publish and subscribe to bellwether/probe/#"
        yield Finding("broker limits", "warning", f"not tried: {probed.obstacle}", remedy)
        return
    if not probed.kept_session:
        remedy = "an ingest that restarts loses what came meanwhile: allow sessions to last"
        yield Finding("session", "failed", "it forgot our session in a moment", remedy)
    elif probed.expiry_s < SESSION_EXPIRY_S:
        found = f"it keeps a session for {probed.expiry_s / 3600:.1f} h"
        yield Finding("session", "warning", found, "a longer outage of ingest loses messages: allow 7 days")
    else:
        yield Finding("session", "ok", f"kept for {probed.expiry_s / 86400:.0f} days")
    if probed.kept < probe.MESSAGES:
        found = f"of {probe.MESSAGES} messages for a client that is away it kept {probed.kept}, and acknowledged all"
        yield Finding("queue", "failed", found, "raise max_queued_messages and max_queued_bytes")
    else:
        yield Finding("queue", "ok", f"{probe.MESSAGES} messages for a client that is away are kept")
    if probed.window < min(probed.kept, probe.MESSAGES):
        remedy = "ingest is held to that: allow Receive Maximum, or raise max_inflight_messages"
        yield Finding("window", "warning", f"it sends {probed.window} messages before an acknowledgement", remedy)
    else:
        yield Finding("window", "ok", f"it sends {probed.window} messages before an acknowledgement")
    yield _acknowledgement(probed)
    if probed.dropped:
        found = f"it has dropped {probed.dropped} messages since its start"
        yield Finding("dropped", "warning", found, "a queue was full: the ledger says of whom messages are missing")


def _acknowledgement(probed: Probed) -> Finding:
    remedy = "an acknowledgement must reach the broker, and be ours: see what stands between it and us"
    if probed.repeated < probed.window:
        lost = probed.window - probed.repeated
        found = f"it forgot {lost} of {probed.window} messages that it had sent and nobody had acknowledged"
        return Finding("acknowledgement", "failed", found, f"an ingest that dies loses those it holds: {remedy}")
    if probed.undead:
        found = f"it sent {probed.undead} messages again that were acknowledged"
        return Finding("acknowledgement", "failed", found, f"its queue only grows: {remedy}")
    return Finding("acknowledgement", "ok", "what has it is gone, what has it not comes again")


# The disk -------------------------------------------------------------------------------------------------------------


def _disk(check: str, folder: Path, used: int = 0) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free >> 30} GiB free" + (f", the database takes {used / (1 << 30):.1f}" if used else " here")
    if free < max(_DISK_FREE_BYTES, used // 10):
        remedy = "a full disk stops the database: keep readings for less long, see docs/storage.md"
        return Finding(check, "warning", found, remedy)
    return Finding(check, "ok", found)
