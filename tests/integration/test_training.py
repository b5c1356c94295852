"""Training against the real server: challengers made, tried, promoted, refused, taken over, rolled back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from ingesting import Device, ingesting
from servers import Database, RunningBroker
from serving import RunningApi, ok, refused
from waiting import until

import store.telemetry as telemetry_rows
from alarms.roles import Role
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from detectors.learnt import fresh
from ingest.watch.detectors import detectors_for
from ingest.watch.models import Models
from notify.training import Training, take_back, train_next
from store import models, occurrences
from store.connection import Session
from store.learnt import pack, unpack
from telemetry import Batch, Stream, StreamKey

# When the machines were heard last: what they say next has happened by now.
NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=6)
HOUR = timedelta(hours=1)
EVERY_S = 120
POINTS = ("current", "level", "pressure", "temperature")
NEW, OLD = (22.0, 9.0, 5.0, 48.0), (20.0, 10.0, 4.0, 40.0)


@pytest.fixture
def notify(database: Database) -> Iterator[Session]:
    """The role that does it, with its rights and no others."""
    with psycopg.connect(database.url("notify"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


def values(levels: tuple[float, ...], count: int, seed: int, noise: float = 1.0) -> np.ndarray[Any, Any]:
    """A machine at its normal: load moves all points together, and each has noise of its own. Shape (count, points)."""
    rng = np.random.default_rng(seed)
    load = np.sin(np.arange(count) / 40.0)[:, None] * np.array([0.4, 0.2, 0.1, 0.3])
    return np.array(levels) + noise * (load + rng.normal(0, 0.1, (count, len(levels))))


def lived(database: Database, device: str, parts: list[np.ndarray[Any, Any]], end: datetime = NOW) -> list[Stream]:
    """Readings of a machine that end at a time, and what ingest has made of them: its detectors' memory as saved."""
    rows = np.concatenate(parts)
    start = int(end.timestamp()) - EVERY_S * len(rows)
    time_us = (start + EVERY_S * np.arange(len(rows))) * 1_000_000
    with psycopg.connect(database.url("ingest")) as conn:
        streams = telemetry_rows.add_streams(conn, [StreamKey("demo", device, point) for point in POINTS])
        ids = {stream.point: stream.id for stream in streams}
        numbers = np.repeat([ids[point] for point in POINTS], len(rows))
        batch = Batch.of(np.tile(time_us, len(POINTS)), numbers, rows.T.ravel())
        telemetry_rows.append(conn, batch)
        telemetry_rows.note_learnt(conn, [streams[0].machine])
        remember(conn, streams, batch)
    with database.owner() as conn:
        conn.execute("UPDATE devices SET first_seen_at = now() - interval '40 days' WHERE device = %s", [device])
    return streams


def remember(conn: Session, streams: list[Stream], batch: Batch) -> None:
    watch = Watch(fresh(), {"demo": DEFAULT_RULES})
    watch.watch(streams)
    watch.restore(occurrences.load_state(conn))
    for first in range(0, 10**9, 1000 * EVERY_S):
        offset = batch.time_us - batch.time_us.min()
        mask = (offset >= first * 1e6) & (offset < (first + 1000 * EVERY_S) * 1e6)
        if not mask.any():
            break
        watch.step(batch.where(mask), 0)
    for part in watch.snapshots():
        occurrences.save_state(conn, part)


def ticket(database: Database, device: str, verdict: str | None, since: datetime, closed_at: datetime | None) -> UUID:
    number = uuid4()
    with database.owner() as conn:
        conn.execute(
            "INSERT INTO tickets (id, tenant, code, device_id, device, fault, source, title, state, verdict, priority,"
            " level, since, closed_at) SELECT %s, tenant, %s, id, device, 'condition', 'alarm', '', %s, %s, 'low',"
            " 'general', %s, %s FROM devices WHERE device = %s",
            [number, str(number), "closed" if closed_at else "new", verdict, since, closed_at, device],
        )
    return number


def alarms_in_vain(database: Database, streams: list[Stream], count: int) -> None:
    """Alarms that were raised since the champion watches, and returned before anybody had looked at them."""
    with database.owner() as conn:
        for _ in range(count):
            conn.execute(
                "INSERT INTO alarms (id, tenant, device_id, device, point, rule, detector, fault, severity, state,"
                " active, since, raised_at, returned_at, score, message, evidence) VALUES (%s, 'demo', %s, %s, 'flow',"
                " 'shift', 'shift', 'condition', 'medium', 'normal', false, now(), now(), now(), 2.0, '', '{}')",
                [uuid4(), streams[0].machine, streams[0].device],
            )


def repaired(database: Database, device: str = "pump-1", noise: float = 1.0) -> list[Stream]:
    """A machine that was repaired 30 hours ago, and has another normal since: its detectors still hold the old one."""
    streams = lived(database, device, [values(OLD, 480, 1), values(NEW, 900, 2, noise)])
    ticket(database, device, "confirmed", NOW - 31 * HOUR, NOW - 30 * HOUR)
    return streams


def asked(conn: Session, device: str = "pump-1") -> models.Model:
    with conn.transaction():
        return models.ask(conn, device, "kim")


def all_of(conn: Session, device: str = "pump-1") -> list[models.Model]:
    return models.models(conn, 20, device)


def test_a_new_normal_after_a_repair_is_promoted_and_ingest_watches_by_it(
    database: Database, broker: RunningBroker, notify: Session
) -> None:
    repaired(database)
    with database.owner() as owner:
        asked(owner)
    assert train_next(notify, datetime.now(UTC))
    champion, first = all_of(notify)
    assert (champion.state, champion.reason, champion.version) == ("champion", "", 1)
    assert (first.state, first.version, first.kept) == ("retired", 0, True)
    assert champion.trial is not None
    assert champion.trial["challenger"]["false_alarms"] < champion.trial["champion"]["false_alarms"]
    assert champion.trial["challenger"]["planted_found"] == len(POINTS) - 1, "the current tells the load"
    assert champion.learnt_days == pytest.approx(1.25, abs=0.05)
    assert champion.learnt_from is not None
    assert champion.learnt_from >= NOW - 30 * HOUR
    assert not train_next(notify, datetime.now(UTC)), "it is done once"

    def alarms() -> int:
        with database.owner() as conn:
            row = conn.execute("SELECT count(*) FROM alarms WHERE detector IN ('shift', 'multivariate')").fetchone()
        return int(row[0]) if row else -1

    t0 = int(NOW.timestamp() * 1000)
    with Device(broker) as device:
        with ingesting(database, broker):
            until(lambda: all_of(notify)[0].taken_at is not None, 30)
            taken_at = all_of(notify)[0].taken_at
            send(device, values(NEW, 100, 3), t0)
            until(lambda: stored(database) == 4 * (480 + 900 + 100))
        assert alarms() == 0
        with ingesting(database, broker):  # a restart neither loses it nor takes it over again
            send(device, values(NEW, 20, 4), t0 + 100 * EVERY_S * 1000)
            until(lambda: stored(database) == 4 * (480 + 900 + 120))
            assert alarms() == 0
            send(device, values((22.0, 8.0, 5.0, 48.0), 40, 5), t0 + 120 * EVERY_S * 1000)
            until(lambda: alarms() > 0)
    assert all_of(notify)[0].taken_at == taken_at


def send(device: Device, rows: np.ndarray[Any, Any], t0_ms: int) -> None:
    columns = {point: rows[:, number].tolist() for number, point in enumerate(POINTS)}
    device.send({"t0": t0_ms, "dt": EVERY_S * 1000, "values": columns})


def stored(database: Database) -> int:
    with database.owner() as conn:
        row = conn.execute("SELECT count(*) FROM readings").fetchone()
    return int(row[0]) if row else -1


def test_what_was_learnt_from_noise_is_refused(database: Database, notify: Session) -> None:
    """Somebody went on working on the machine when it had been repaired; it has been itself again since then."""
    lived(database, "pump-1", [values(OLD, 480, 1), values(OLD, 750, 2, 12.0), values(OLD, 250, 3)])
    ticket(database, "pump-1", "confirmed", NOW - 34 * HOUR, NOW - timedelta(seconds=1000 * EVERY_S))
    with database.owner() as owner:
        asked(owner)
    assert train_next(notify, datetime.now(UTC))
    (model,) = all_of(notify)
    assert model.state == "refused"
    assert "planted" in model.reason
    assert not model.kept


def test_the_faults_that_tickets_confirmed_are_played_to_both(database: Database, notify: Session) -> None:
    fault = values((20.0, 8.5, 4.0, 40.0), 60, 2)
    lived(database, "pump-1", [values(OLD, 600, 1), fault, values(OLD, 1000, 3)])
    began = NOW - timedelta(seconds=1060 * EVERY_S)
    ticket(database, "pump-1", "other_fault", began, NOW - timedelta(seconds=1000 * EVERY_S))
    ticket(database, "pump-1", "sensor_fault", NOW - 2 * HOUR, NOW - HOUR)
    with database.owner() as owner:
        asked(owner)
    assert train_next(notify, datetime.now(UTC))
    (model, _) = all_of(notify)
    assert model.state == "champion"
    assert model.trial is not None
    for trial in model.trial.values():
        (found,) = trial["faults"]
        assert found["told"]
        assert 0 < found["after_s"] < 1800
    assert model.learnt_days == pytest.approx(1000 * EVERY_S / 86_400 - 7 / 24, abs=0.01), "sensors lied for a while"


def test_a_machine_with_an_open_ticket_or_a_short_past_is_let_be(database: Database, notify: Session) -> None:
    repaired(database)
    open_one = ticket(database, "pump-1", None, NOW - HOUR, None)
    lived(database, "pump-2", [values(OLD, 500, 1)])
    with database.owner() as owner:
        for device in ("pump-1", "pump-2"):
            asked(owner, device)
        assert asked(owner, "pump-1").version == 1, "asked for twice, it is one"
    assert [train_next(notify, datetime.now(UTC)) for _ in range(3)] == [True, True, False]
    assert "ticket" in all_of(notify)[0].reason
    assert all_of(notify, "pump-2")[0].reason == "0.7 healthy days since the last repair: it takes 1.0"
    with database.owner() as owner:
        owner.execute(
            "UPDATE tickets SET state = 'closed', verdict = 'no_fault', closed_at = now() WHERE id = %s", [open_one]
        )
        assert asked(owner).version == 2
    train_next(notify, datetime.now(UTC))
    assert all_of(notify)[0].state == "champion", "a verdict of no fault leaves the time in"


def test_what_is_due_is_asked_for_once(database: Database, notify: Session) -> None:
    for device in ("pump-1", "pump-2", "pump-3"):
        lived(database, device, [values(OLD, 10, 1)])
    ticket(database, "pump-2", None, NOW, None)
    with database.owner() as owner:
        owner.execute("UPDATE devices SET learnt_at = NULL WHERE device = 'pump-3'")
    week = timedelta(days=7)
    assert models.schedule(notify, week, 100) == 1
    assert models.schedule(notify, week, 100) == 0
    assert [model.asked_by for model in all_of(notify)] == ["bellwether"]
    train_next(notify, datetime.now(UTC))
    assert models.schedule(notify, week, 100) == 0
    with database.owner() as owner:
        owner.execute("UPDATE models SET asked_at = now() - interval '8 days'")
    assert models.schedule(notify, week, 100) == 1


def test_a_machine_is_one_trainers_alone_and_a_dead_ones_is_the_nexts(database: Database, notify: Session) -> None:
    repaired(database)
    with database.owner() as owner:
        model = asked(owner)
    with psycopg.connect(database.url("notify"), autocommit=True) as other:
        begun = models.begin(other, 10)
        assert begun is not None
        assert (begun.id, begun.attempts) == (model.id, 1)
        assert not train_next(notify, datetime.now(UTC)), "another is at it"
        assert all_of(notify)[0].state == "challenger"
    # It has died: all that is left of it is its row.
    until(lambda: train_next(notify, datetime.now(UTC)))
    assert all_of(notify)[0].state == "champion"
    with database.owner() as owner:
        asked(owner)
        owner.execute("UPDATE models SET attempts = 3 WHERE state = 'asked'")
    assert train_next(notify, datetime.now(UTC))
    assert "did not end" in all_of(notify)[0].reason


def test_the_trainer_works_in_a_process_of_its_own(database: Database, notify: Session) -> None:
    repaired(database)
    with database.owner() as owner:
        asked(owner)
    trainer = Training(database.url("notify"), 7.0)
    thread = threading.Thread(target=trainer.run)
    thread.start()
    try:
        until(lambda: all_of(notify)[0].state == "champion", 240)
    finally:
        trainer.stop()
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def promoted(database: Database, notify: Session) -> tuple[list[Stream], models.Model]:
    """A machine with a champion that ingest has taken over, and its points."""
    streams = repaired(database)
    with database.owner() as owner:
        asked(owner)
        train_next(notify, datetime.now(UTC))
        owner.execute("UPDATE models SET taken_at = now() - interval '3 days' WHERE state = 'champion'")
    return streams, all_of(notify)[0]


def test_what_breaks_its_promise_is_taken_back(
    database: Database, notify: Session, promoted: tuple[list[Stream], models.Model]
) -> None:
    streams, champion = promoted
    assert take_back(notify) == 0
    alarms_in_vain(database, streams, 2)
    with database.owner() as owner:
        kept = owner.execute("SELECT hash FROM models WHERE version = 0").fetchone()
    assert take_back(notify) == 1
    ended, first = all_of(notify)
    assert (ended.id, ended.state, ended.ended_by) == (champion.id, "rolled_back", "bellwether")
    assert ended.reason.startswith("2 false alarms in 3.0 days")
    assert (first.state, first.version, (first.hash,)) == ("champion", 0, kept)
    (due,) = models.untaken(notify, [], 10)
    assert due.id == first.id
    with psycopg.connect(database.url("ingest")) as conn:
        watch = watching(streams)
        taken = Models()
        taken.turn(lambda work: work(conn), watch)
        taken.note(conn)
    assert models.untaken(notify, [], 10) == []
    held, before = watch.snapshot()["shift"], unpack(due.arrays, due.hash)["shift"]
    for column in before:
        np.testing.assert_array_equal(held[column], before[column])
    assert take_back(notify) == 0, "there is nothing before the first"


def watching(streams: list[Stream]) -> Watch:
    rules = {"demo": DEFAULT_RULES}
    watch = Watch(detectors_for(rules), rules)
    watch.watch(streams)
    return watch


def test_a_model_that_is_none_is_refused_and_stops_nothing(
    database: Database, notify: Session, promoted: tuple[list[Stream], models.Model]
) -> None:
    streams, champion = promoted
    with database.owner() as owner:
        stored = owner.execute("SELECT arrays, hash FROM models WHERE id = %s", [champion.id]).fetchone()
    assert stored is not None
    watch = watching(streams)
    before = watch.snapshot()
    for harm in ("bytes", "columns", "layout", "another's"):
        memory = unpack(*stored)
        if harm == "columns":
            memory["shift"]["base"] = memory["shift"]["base"][:1]
        elif harm == "layout":
            memory["multivariate"]["layout"] = np.array("multivariate 0")
        elif harm == "another's":
            memory["about"]["machine"] = memory["about"]["machine"] + 1
        arrays = pack(memory)
        hash_ = "0" * 64 if harm == "bytes" else models.hash_of(arrays)
        with database.owner() as owner:
            owner.execute("UPDATE models SET state = 'retired' WHERE version = 0")
            owner.execute(
                "UPDATE models SET state = 'champion', arrays = %s, hash = %s, taken_at = NULL WHERE id = %s",
                [arrays, hash_, champion.id],
            )
        with psycopg.connect(database.url("ingest")) as conn:
            Models().turn(lambda work: work(conn), watch)
        ended, first = all_of(notify)
        assert (ended.state, ended.ended_by, first.state) == ("refused", "ingest", "champion"), harm
        assert ended.reason
        assert models.untaken(notify, [], 10) == []
    for name, memory in watch.snapshot().items():
        for column in memory:
            np.testing.assert_array_equal(memory[column], before[name][column])


def test_people_ask_see_and_roll_back(own_api: RunningApi) -> None:
    database = own_api.database
    repaired(database)  # type: ignore[arg-type]
    engineer, owner = own_api.client(Role.ENGINEER), own_api.client(Role.OWNER)
    refused(owner.post("/api/v1/models", json={"device": "pump-1"}), 403)
    refused(engineer.post("/api/v1/models", json={"device": "nobody"}), 404)
    model = ok(engineer.post("/api/v1/models", json={"device": "pump-1"}), 202)
    assert (model["state"], model["version"], model["asked_by"]) == ("asked", 1, "a-engineer")
    assert ok(engineer.post("/api/v1/models", json={"device": "pump-1"}), 202)["id"] == model["id"]
    path = f"/api/v1/models/{model['id']}/rollback"
    refused(engineer.post(path, json={"reason": "no good"}), 409)
    refused(own_api.client(Role.ENGINEER, "other").post("/api/v1/models", json={"device": "pump-1"}), 404)
    with psycopg.connect(database.url("notify"), autocommit=True) as conn:
        assert train_next(conn, datetime.now(UTC))
    shown = ok(owner.get(f"/api/v1/models/{model['id']}"))
    assert shown["state"] == "champion"
    assert shown["challenger"]["false_alarms"] < shown["champion"]["false_alarms"]
    refused(own_api.client(Role.ADMINISTRATOR, "other").post(path, json={"reason": "no good"}), 404)
    refused(owner.post(path, json={"reason": "no good"}), 403)
    gone = ok(engineer.post(path, json={"reason": "no good"}))
    assert (gone["state"], gone["reason"], gone["ended_by"]) == ("rolled_back", "no good", "a-engineer")
    assert [each["state"] for each in ok(owner.get("/api/v1/models?device=pump-1"))["items"]] == [
        "rolled_back",
        "champion",
    ]
    first = ok(owner.get("/api/v1/models?device=pump-1"))["items"][1]
    refused(engineer.post(f"/api/v1/models/{first['id']}/rollback", json={"reason": "no good"}), 409)
    refused(own_api.client(None).get("/api/v1/models"), 401)


def test_a_machines_page_says_what_watches_it(own_api: RunningApi) -> None:
    database = own_api.database
    repaired(database)  # type: ignore[arg-type]
    page = {"HX-Request": "true"}
    engineer, owner = own_api.client(Role.ENGINEER), own_api.client(Role.OWNER)
    assert "what it learns by itself" in engineer.get("/machines/pump-1").text
    assert "Retrain" not in owner.get("/machines/pump-1/model", headers=page).text
    assert owner.post("/machines/pump-1/model/train", headers=page).status_code == 403
    assert "waits to be trained" in engineer.post("/machines/pump-1/model/train", headers=page).text
    with psycopg.connect(database.url("notify"), autocommit=True) as conn:
        assert train_next(conn, datetime.now(UTC))
    shown = engineer.get("/machines/pump-1/model", headers=page).text
    assert "3 of 3 planted departures found" in shown
    (model,) = [m for m in ok(engineer.get("/api/v1/models"))["items"] if m["state"] == "champion"]
    rolled = engineer.post(f"/machines/pump-1/model/{model['id']}/rollback", data={"reason": "no good"}, headers=page)
    assert "version 1 was rolled back" in rolled.text
    assert "no good" in rolled.text
