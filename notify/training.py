"""Training as a service: challengers by the week or when asked, each tried beside the champion before it may watch.

On a thread of its own that only waits: the arithmetic is done by a child process of low priority, a machine at a time,
which ends when nothing waits any more. No delivery waits for it, nor does ingest. A machine is one trainer's alone; one
that dies leaves it to the next, and what has killed three is refused. What was promoted is watched over: one that cries
wolf more often than its trial promised is taken back.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from multiprocessing.context import SpawnProcess

import orjson

from alarms.challengers import breaks_promise, promised_per_day, trial_to_json, why_not
from alarms.rehearsal import Stage, tried
from alarms.rules import rule_to_json
from detectors.learnt import Learnt, Unfit, learn
from notify import past as pasts
from notify import spans
from notify.past import Past, TooLittle
from notify.worker import Worker
from store import models, training
from store.connection import Session, connect, unavailable
from store.errors import Conflict, Unavailable
from store.learnt import hash_of, pack
from store.models import Begun, Made
from telemetry import Batch, instant

log = logging.getLogger("bellwether.notify.training")

# Who has asked on a page waits so long for it to begin.
LOOK_EVERY_S = 5.0
# How soon a machine is asked for that is due, and a promise that is broken is seen.
ROUND_EVERY_S = 600.0
# A promise is held for so long; later the machine may have changed, and that is the next challenger's to learn.
WATCHED = timedelta(days=30)
_AT_ONCE = 100
# A child ends after so many machines: what it has taken of memory goes back.
_MACHINES = 50
_MOST_ATTEMPTS = 3
_MOST_POINTS = 200
# What moves over days is not learnt from stretches of minutes: where there is no more, the machine keeps its own.
_OF_WEEKS = ("drift",)
# Of the champion's healthy days so many must be matched to be no less.
_AS_BROAD = 0.9
_NICE = 10
# What arithmetic over odd readings may raise; whatever the server raises ends the child, and the next one tries again.
_OURS = (ArithmeticError, LookupError, TypeError, ValueError)


class Training(Worker):
    """The trainer of one database.

    Parameters
    ----------
    every_days : float
        How often each machine is trained; 0: only when somebody asks.
    prepare
        Called by the child before anything else: where its log goes.
    """

    name = "training"

    def __init__(self, database_url: str, every_days: float, prepare: Callable[[], None] | None = None) -> None:
        super().__init__(database_url)
        self._every = timedelta(days=every_days)
        self._prepare = prepare
        self._round_at = -ROUND_EVERY_S
        self._child: SpawnProcess | None = None

    def run(self) -> None:
        super().run()
        self._end_child()

    def turn(self, conn: Session) -> float:
        if time.monotonic() - self._round_at >= ROUND_EVERY_S:
            self.round(conn)
            self._round_at = time.monotonic()
        if (self._child is None or not self._child.is_alive()) and models.waits(conn):
            self._begin_child()
        return LOOK_EVERY_S

    def round(self, conn: Session) -> None:
        """Ask for what is due, and take back what breaks its promise."""
        if self._every:
            models.schedule(conn, self._every, _AT_ONCE)
        take_back(conn)

    def _begin_child(self) -> None:
        self._end_child()
        context = multiprocessing.get_context("spawn")
        arguments = (self._database_url, self._prepare)
        self._child = context.Process(target=train_in_child, args=arguments, name="training", daemon=True)
        self._child.start()

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.join()
            self._child.close()
            self._child = None


def train_in_child(database_url: str, prepare: Callable[[], None] | None) -> None:
    """Train what waits, as a process that nobody waits for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent to act on
    os.nice(_NICE)
    if prepare is not None:
        prepare()
    try:
        with unavailable(), connect(database_url, "training") as conn:
            conn.autocommit = True
            for _ in range(_MACHINES):
                if not train_next(conn, datetime.now(UTC)):
                    return
    except Unavailable as error:
        log.warning("database away", extra={"reason": str(error)})


def train_next(conn: Session, now: datetime) -> bool:
    """Train the machine that has waited longest; whether there was one. The connection is in autocommit."""
    begun = models.begin(conn, _AT_ONCE)
    if begun is None:
        return False
    try:
        reason = _train(conn, begun, now)
    except _OURS:
        log.exception("a training failed", extra={"machine": begun.device})
        reason = "it could not be made: the log of notify says why"
        models.refuse(conn, begun, Made(), reason)
    finally:
        if not conn.broken:
            models.let_go(conn, begun.device_id)
    fate = {"machine": begun.device, "version": begun.version, "refused": reason}
    log.info("challenger tried", extra=fate)
    return True


def _train(conn: Session, begun: Begun, now: datetime) -> str:
    """Make a challenger, try it, and promote or refuse it; why it was refused, empty where it was not."""
    own = training.streams(conn, begun.device_id)
    made = Made()
    reason = ""
    if begun.attempts > _MOST_ATTEMPTS:
        reason = f"its training did not end {_MOST_ATTEMPTS} times"
    elif not 0 < len(own) <= _MOST_POINTS:
        reason = f"it has {len(own)} points: it takes one, and {_MOST_POINTS} at most"
    elif models.undecided(conn, begun.device_id):
        reason = "a ticket of a fault is open: close it with a verdict first"
    if not reason:
        try:
            past = pasts.look(conn, own, now)
            champion, champion_us = training.memory_of(conn, own)
            made, former, reason = _tried(conn, past, champion, champion_us, now)
        except (TooLittle, Unfit) as error:
            reason = str(error)
    with conn.transaction():
        if not reason and models.undecided(conn, begun.device_id):
            reason = "a ticket of a fault was opened meanwhile"
        if reason:
            models.refuse(conn, begun, made, reason)
        else:
            models.promote(conn, begun, made, former)
    return reason


def _tried(conn: Session, past: Past, champion: Learnt, champion_us: int, now: datetime) -> tuple[Made, bytes, str]:
    """A challenger and its trial, the champion packed, and why the challenger is refused."""
    taught = Counted(pasts.read(conn, past, [*past.spread, *past.lead]))
    challenger = learn(past.streams, taught)
    on = pasts.stage(conn, past, now)
    ours, after = tried(on, challenger, taught.until_us, goes_on=True)
    theirs, _ = tried(on, champion, champion_us, goes_on=False)
    days = spans.length_us([*past.training, *past.holdout]) / 86_400e6
    broader = days >= _AS_BROAD * models.champion_days(conn, past.streams[0].machine)
    left_out = _OF_WEEKS if pasts.thinned(past) else ()
    made = Made(
        learnt_from=instant(past.from_us),
        learnt_until=instant(past.until_us),
        learnt_days=days,
        readings=taught.readings + len(on.holdout),
        code=code_hash(),
        settings=settings_hash(on),
        arrays=pack({name: each for name, each in after.items() if name not in left_out}),
        trial={"challenger": trial_to_json(ours), "champion": trial_to_json(theirs)},
    )
    return made, pack(champion), why_not(theirs, ours, broader=broader)


def take_back(conn: Session) -> int:
    """Roll back the champions that break their promise; returns how many."""
    ended = 0
    for promise in models.promises(conn, WATCHED):
        per_day = promised_per_day(promise.trial)
        if not breaks_promise(promise.in_vain, promise.days, per_day):
            continue
        said = f"its trial promised {per_day * 30.4:.1f} a month"
        reason = f"{promise.in_vain} false alarms in {promise.days:.1f} days: {said}"
        try:
            with conn.transaction():
                models.roll_back(conn, promise.id, reason, "bellwether")
        except Conflict:
            continue
        log.warning("a model was taken back", extra={"model": str(promise.id), "reason": reason})
        ended += 1
    return ended


class Counted:
    """Batches as they go by: how many readings there were, and the time of the newest, in µs."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.readings = 0
        self.until_us = 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            self.readings += len(batch)
            self.until_us = max(self.until_us, int(batch.time_us.max()))
            yield batch


@cache
def code_hash() -> str:
    """Of the source that makes a model and reads it."""
    sources = sorted(
        (f"{package}/{path.name}", path.read_bytes())
        for package in ("detectors", "alarms")
        for path in files(package).iterdir()
        if path.name.endswith(".py")
    )
    return hash_of(*(part for name, source in sources for part in (name.encode(), source)))


def settings_hash(stage: Stage) -> str:
    """Of the rules by which a trial was decided."""
    rules = sorted((rule_to_json(rule) for rule in stage.rules), key=lambda rule: str(rule["id"]))
    return hash_of(orjson.dumps(rules, option=orjson.OPT_SORT_KEYS))
