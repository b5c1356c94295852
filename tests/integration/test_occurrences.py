"""Alarm events into the database: once, whatever is repeated, and never a second alarm for one condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from servers import Database

import store.telemetry as rows
from alarms.events import AlarmEvent, Kind, Severity, event_id, occurrence_id
from alarms.states import NotAllowed
from detectors.scores import Evidence, Scope
from store import alarm_moves, occurrences
from store import alarms as store
from store.connection import Session, act_for
from telemetry import Stream, StreamKey

START_US = 1_782_907_200_000_000


@pytest.fixture
def ingest(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.url("ingest"), autocommit=True, options="-c timezone=UTC") as conn:
        yield conn


@pytest.fixture
def stream(ingest: Session) -> Stream:
    return rows.add_streams(ingest, [StreamKey("demo", "pump-1", "flow")])[0]


def an_event(
    stream: Stream,
    kind: Kind = Kind.RAISED,
    severity: Severity = Severity.MEDIUM,
    at_s: float = 20,
    since_s: float = 0,
    **changes: Any,
) -> AlarmEvent:
    since_us, at_us = START_US + int(since_s * 1e6), START_US + int(at_s * 1e6)
    occurrence = occurrence_id("demo", "shift", Scope.STREAM, stream.id, since_us)
    return replace(
        AlarmEvent(
            event_id=event_id(occurrence, kind, severity),
            occurrence_id=occurrence,
            kind=kind,
            rule="shift",
            detector="shift",
            scope=Scope.STREAM,
            subject=stream.id,
            machine=stream.machine,
            tenant="demo",
            device="pump-1",
            point="flow",
            unit="m3/h",
            fault="condition",
            severity=severity,
            since_us=since_us,
            at_us=at_us,
            score=1.5,
            peak=2.0,
            message="flow 3.9 m3/h, normal 9 to 11 m3/h",
            opens_ticket=True,
            evidence=Evidence("flow", 3.9, 10.0, 9.0, np.inf, since_us, {"flow": 0.75, "current": 0.25}),
        ),
        **changes,
    )


def alarms(conn: Session) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT id, state, active, severity, score FROM alarms ORDER BY since, id").fetchall()


def history(conn: Session, occurrence: UUID) -> list[tuple[str, str, str]]:
    return conn.execute(
        "SELECT kind, state, severity FROM alarm_events WHERE occurrence_id = %s ORDER BY recorded_at, kind DESC",
        [occurrence],
    ).fetchall()


def outbox(conn: Session) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT event_id, destination, payload FROM outbox ORDER BY id").fetchall()


def move(database: Database, state: str) -> None:
    with database.owner() as conn:
        conn.execute("UPDATE alarms SET state = %s", [state])


def test_the_life_of_an_occurrence(ingest: Session, stream: Stream) -> None:
    raised = an_event(stream)
    escalated = an_event(stream, Kind.ESCALATED, Severity.HIGH, at_s=40, score=4.0)
    returned = an_event(stream, Kind.RETURNED, Severity.HIGH, at_s=90, score=0.1)
    assert occurrences.apply(ingest, [raised, escalated]) == 2
    assert alarms(ingest) == [(raised.occurrence_id, "unacknowledged", True, "high", 4.0)]
    assert occurrences.apply(ingest, [returned]) == 1
    assert alarms(ingest) == [(raised.occurrence_id, "returned_unacknowledged", False, "high", 4.0)]
    assert history(ingest, raised.occurrence_id) == [
        ("raised", "unacknowledged", "medium"),
        ("escalated", "unacknowledged", "high"),
        ("returned", "returned_unacknowledged", "high"),
    ]
    assert [row[0] for row in outbox(ingest)] == [raised.event_id, escalated.event_id], "a return opens no ticket"


def test_applying_anything_again_changes_nothing(ingest: Session, stream: Stream) -> None:
    events = [
        an_event(stream),
        an_event(stream, Kind.ESCALATED, Severity.HIGH, at_s=40),
        an_event(stream, Kind.RETURNED, Severity.HIGH, at_s=90),
        an_event(stream, since_s=200, at_s=220),
    ]
    assert occurrences.apply(ingest, events) == 4
    before = alarms(ingest), outbox(ingest), history(ingest, events[0].occurrence_id)
    for again in (events, events[:1], events[1:2], events[2:], events):
        assert occurrences.apply(ingest, again) == 0
        assert (alarms(ingest), outbox(ingest), history(ingest, events[0].occurrence_id)) == before


def test_what_the_world_is_told(ingest: Session, stream: Stream) -> None:
    event = an_event(stream)
    occurrences.apply(ingest, [event])
    ((_, destination, payload),) = outbox(ingest)
    assert destination == "tickets"
    assert (payload["source"], payload["device"], payload["fault"]) == ("alarm", "pump-1", "condition")
    assert payload["alarm"]["event_id"] == str(event.event_id)
    assert (payload["alarm"]["since"], payload["alarm"]["at"]) == (
        "2026-07-01T12:00:00.000Z",
        "2026-07-01T12:00:20.000Z",
    )
    assert payload["alarm"]["evidence"] == {
        "point": "flow",
        "unit": "m3/h",
        "observed": 3.9,
        "expected": 10.0,
        "low": 9.0,
        "high": None,
        "since": "2026-07-01T12:00:00.000Z",
        "contributions": {"flow": 0.75, "current": 0.25},
        "window": {"from": "2026-07-01T11:58:00.000Z", "to": "2026-07-01T12:02:20.000Z"},
    }


def test_an_alarm_that_only_shows_tells_nobody(ingest: Session, stream: Stream) -> None:
    occurrences.apply(ingest, [an_event(stream, opens_ticket=False)])
    assert outbox(ingest) == []
    assert len(alarms(ingest)) == 1


def test_an_occurrence_that_was_forgotten_ends_where_the_next_begins(ingest: Session, stream: Stream) -> None:
    """The memory of the watch was lost: it cannot tell of the return, and must not leave two alarms standing."""
    first, second = an_event(stream), an_event(stream, since_s=500, at_s=520)
    occurrences.apply(ingest, [first])
    assert occurrences.apply(ingest, [second]) == 1
    assert [(row[1], row[2]) for row in alarms(ingest)] == [("normal", False), ("unacknowledged", True)]
    assert occurrences.apply(ingest, [first, second]) == 0
    assert sum(row[2] for row in alarms(ingest)) == 1


def test_an_escalation_asks_for_attention_again(ingest: Session, stream: Stream, database: Database) -> None:
    occurrences.apply(ingest, [an_event(stream)])
    move(database, "acknowledged")
    occurrences.apply(ingest, [an_event(stream, Kind.ESCALATED, Severity.HIGH, at_s=40)])
    assert alarms(ingest)[0][1] == "unacknowledged"


@pytest.mark.parametrize("quiet", ["shelved", "suppressed", "out_of_service"])
def test_a_quiet_alarm_stays_quiet_and_remembers_its_condition(
    ingest: Session, stream: Stream, database: Database, quiet: str
) -> None:
    occurrences.apply(ingest, [an_event(stream)])
    move(database, quiet)
    occurrences.apply(ingest, [an_event(stream, Kind.ESCALATED, Severity.HIGH, at_s=40)])
    assert alarms(ingest)[0][1:4] == (quiet, True, "high")
    occurrences.apply(ingest, [an_event(stream, Kind.RETURNED, Severity.HIGH, at_s=90)])
    assert alarms(ingest)[0][1:4] == (quiet, False, "high")


def test_an_acknowledged_alarm_that_returns_is_normal(ingest: Session, stream: Stream, database: Database) -> None:
    occurrences.apply(ingest, [an_event(stream)])
    move(database, "acknowledged")
    occurrences.apply(ingest, [an_event(stream, Kind.RETURNED, at_s=90)])
    assert alarms(ingest)[0][1:3] == ("normal", False)


def test_a_latch_holds_until_somebody_resets_it(ingest: Session, stream: Stream, database: Database) -> None:
    raised = an_event(stream, latch=True)
    occurrences.apply(ingest, [raised, an_event(stream, Kind.RETURNED, at_s=90)])
    assert alarms(ingest)[0][1:3] == ("latched_unacknowledged", False)
    now = datetime.now(UTC)
    with psycopg.connect(database.url("notify")) as conn:
        with pytest.raises(NotAllowed):
            store.reset(conn, raised.occurrence_id, who="kim", note="", now=now)
        assert store.acknowledge(conn, raised.occurrence_id, who="kim", note="", now=now).state == "latched"
        assert store.reset(conn, raised.occurrence_id, who="kim", note="", now=now).state == "normal"


def test_a_chattering_alarm_is_held_and_counted(ingest: Session, stream: Stream) -> None:
    def how() -> list[tuple[Any, ...]]:
        return ingest.execute("SELECT state, rises, chatters, held_s FROM alarms").fetchall()

    occurrences.apply(ingest, [an_event(stream), an_event(stream, Kind.CHATTERING, hold_s=60.0)])
    assert how() == [("unacknowledged", 1, 1, 60.0)]
    occurrences.apply(ingest, [an_event(stream, Kind.CHATTERING, hold_s=60.0)])
    occurrences.apply(ingest, [an_event(stream, Kind.RETURNED, at_s=90, rises=28)])
    assert how() == [("returned_unacknowledged", 28, 1, None)]
    assert len(outbox(ingest)) == 1, "that it chatters opens no other ticket"


def test_an_acknowledged_latch_is_latched(ingest: Session, stream: Stream, database: Database) -> None:
    occurrences.apply(ingest, [an_event(stream, latch=True)])
    move(database, "acknowledged")
    occurrences.apply(ingest, [an_event(stream, Kind.RETURNED, at_s=90)])
    assert alarms(ingest)[0][1] == "latched"


@pytest.mark.parametrize("before", ["returned_unacknowledged", "latched_unacknowledged", "latched"])
def test_an_alarm_that_is_raised_again_is_one_line(
    ingest: Session, stream: Stream, database: Database, before: str
) -> None:
    first, second = an_event(stream, latch=True), an_event(stream, since_s=500, at_s=520, latch=True)
    occurrences.apply(ingest, [first, an_event(stream, Kind.RETURNED, at_s=90)])
    move(database, before)
    occurrences.apply(ingest, [second])
    assert [row[1:3] for row in alarms(ingest)] == [("normal", False), ("unacknowledged", True)]
    assert ("followed", "normal", "medium") in history(ingest, first.occurrence_id)
    assert occurrences.apply(ingest, [first, second]) == 0


def test_what_is_on_the_shelf_stays_there_though_it_is_raised_again(
    ingest: Session, stream: Stream, database: Database
) -> None:
    first, second = an_event(stream), an_event(stream, since_s=500, at_s=520)
    occurrences.apply(ingest, [first])
    until = datetime.now(UTC) + timedelta(hours=1)
    with psycopg.connect(database.url("api")) as conn:
        act_for(conn, "demo")
        store.shelve(conn, first.occurrence_id, who="kim", reason="cleaning", until=until, now=datetime.now(UTC))
    occurrences.apply(ingest, [an_event(stream, Kind.RETURNED, at_s=90), second])
    assert [row[1:3] for row in alarms(ingest)] == [("normal", False), ("shelved", True)]
    assert [row[0] for row in outbox(ingest)] == [first.event_id], "it bothers nobody"
    with psycopg.connect(database.url("notify")) as conn:
        assert alarm_moves.unshelve_due(conn, until - timedelta(seconds=1)) == 0
        assert alarm_moves.unshelve_due(conn, until) == 1
    assert alarms(ingest)[1][1] == "unacknowledged"
    ((_, _, payload),) = outbox(ingest)[1:]
    assert payload["alarm"]["occurrence_id"] == str(second.occurrence_id)
    assert payload["alarm"]["evidence"]["observed"] == 3.9


def test_a_change_of_an_occurrence_nobody_knows_is_no_news(ingest: Session, stream: Stream) -> None:
    assert occurrences.apply(ingest, [an_event(stream, Kind.RETURNED), an_event(stream, Kind.ESCALATED)]) == 0
    assert (alarms(ingest), outbox(ingest)) == ([], [])


def test_numbers_that_are_none_are_null(ingest: Session, stream: Stream) -> None:
    evidence = Evidence("flow", np.nan, np.nan, -np.inf, np.inf, START_US, {})
    occurrences.apply(ingest, [an_event(stream, score=np.inf, evidence=evidence)])
    payload = outbox(ingest)[0][2]["alarm"]
    assert payload["score"] is None
    assert [payload["evidence"][name] for name in ("observed", "expected", "low", "high")] == [None] * 4


def test_memory_comes_back_as_it_was(ingest: Session, database: Database) -> None:
    memory = {"mean": np.array([1.5, np.nan]), "names": np.array(["ä", "b"]), "none": np.empty((0, 3))}
    occurrences.save_state(ingest, {"shift": memory})
    occurrences.save_state(ingest, {"shift": memory, "limits": {"layout": np.array("limits 1")}})
    loaded = occurrences.load_state(ingest)
    assert set(loaded) == {"shift", "limits"}
    for name, column in memory.items():
        np.testing.assert_array_equal(loaded["shift"][name], column)
    with database.owner() as conn:
        conn.execute("UPDATE detector_state SET state = 'rubbish' WHERE name = 'shift'")
    assert set(occurrences.load_state(ingest)) == {"limits"}


def test_a_memory_with_code_in_it_is_not_run(ingest: Session) -> None:
    """Arrays of objects are pickles: whoever can write the table could run anything in ingest."""
    with pytest.raises(ValueError, match="allow_pickle"):
        occurrences.save_state(ingest, {"shift": {"evil": np.array([object()])}})
