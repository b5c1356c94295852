"""Live events: in order, without a hole, whatever the order of commits and however often a stream breaks."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psycopg
from psycopg.types.json import Jsonb
from serving import RunningApi, alarm_event, ok, refused
from waiting import until

from alarms.roles import Role
from store import outbox
from store.connection import Session


@dataclass
class Stream:
    """An open stream of live events, read on a thread of its own. Events are (id, kind, data)."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    ended: bool = False

    @property
    def numbers(self) -> list[str]:
        return [data for _, kind, data in self.events if kind == "test"]

    def read(self, answer: httpx.Response) -> None:
        current: dict[str, str] = {}
        try:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    current[name] = value
                elif "event" in current:
                    self.events.append((current.get("id", ""), current["event"], current.get("data", "")))
                    current = {}
        except httpx.HTTPError:
            pass
        self.ended = True


@contextmanager
def streaming(
    api: RunningApi, tenant: str = "demo", last_event_id: str | None = None, after: str = ""
) -> Iterator[Stream]:
    """A stream that is ready. Its connection is broken at the end."""
    address = f"/api/v1/events?after={after}" if after else "/api/v1/events"
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    stream = Stream()
    with api.client(Role.ENGINEER, tenant).stream("GET", address, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        thread = threading.Thread(target=stream.read, args=[answer])
        thread.start()
        try:
            until(lambda: stream.events)
            yield stream
        finally:
            # Closing alone does not wake the thread that reads.
            answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            thread.join()


def tell(conn: Session, number: int, tenant: str = "demo") -> None:
    conn.execute("INSERT INTO live_events (tenant, kind, body) VALUES (%s, 'test', %s)", [tenant, Jsonb(number)])
    conn.execute("SELECT pg_notify('bellwether_live', %s)", [tenant])


def test_what_happens_to_alarms_and_tickets_is_told_at_once(api: RunningApi) -> None:
    device = api.plant.device()
    with streaming(api) as stream:
        ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
        alarm = api.plant.alarm(device)
        ok(api.client().post(f"/api/v1/alarms/{alarm}/acknowledge", json={}))
        until(lambda: len(stream.events) >= 3)
    assert [kind for _, kind, _ in stream.events] == ["ready", "ticket.opened", "alarm.acknowledged"]
    assert ticket["id"] in stream.events[1][2]


def test_a_tenant_hears_nothing_of_another(api: RunningApi) -> None:
    with streaming(api, "other") as stream, api.database.owner() as conn:
        tell(conn, 1, "demo")
        tell(conn, 2, "other")
        until(lambda: stream.numbers)
    assert stream.numbers == ["2"]


def test_an_event_that_commits_late_is_neither_lost_nor_out_of_order(api: RunningApi) -> None:
    """The first id is given out first and commits last: who goes by ids alone steps over it."""
    with streaming(api) as stream, psycopg.connect(api.database.owner_url) as slow:
        tell(slow, 1)
        with api.database.owner() as quick:
            tell(quick, 2)
        with streaming(api) as second:
            assert second.events[0][1] == "ready"
            slow.commit()
            until(lambda: len(stream.numbers) == 2)
            assert stream.numbers == ["1", "2"]
            place = next(event_id for event_id, _, data in stream.events if data == "1")
        with streaming(api, last_event_id=place) as resumed:
            until(lambda: resumed.numbers)
            assert resumed.numbers == ["2"]


def test_resuming_over_and_over_while_many_write_loses_and_repeats_nothing(api: RunningApi) -> None:
    """Eight writers commit out of order; the reader's connection breaks twenty times at any moment."""
    writers, each = 8, 40
    seed = 20_261_122
    written = threading.Event()

    def write(writer: int) -> None:
        rng = random.Random(seed + writer)
        with psycopg.connect(api.database.owner_url) as conn:
            for n in range(each):
                tell(conn, writer * each + n)
                conn.execute("SELECT pg_sleep(%s)", [rng.random() * 0.05])
                conn.commit()

    with streaming(api) as stream:
        place = stream.events[0][0]
    threads = [threading.Thread(target=write, args=[writer]) for writer in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    rng = random.Random(seed)
    wanted = {str(n) for n in range(writers * each)}
    for _ in range(200):
        with streaming(api, last_event_id=place) as stream:
            assert stream.events[0][1] == "ready"
            written.wait(rng.random() * 0.3)
        seen += stream.numbers
        place = stream.events[-1][0]
        if len(seen) >= len(wanted):
            break
    for thread in threads:
        thread.join()
    assert len(seen) == len(wanted), f"seed {seed}"
    assert set(seen) == wanted, f"seed {seed}"


def test_a_stream_that_nobody_reads_ends_and_its_client_goes_on_where_it_was(api: RunningApi) -> None:
    """Far more events than a queue holds, told while the reader's place is kept: all of them come, once."""
    many = 5000
    with streaming(api) as stream, api.database.owner() as conn:
        conn.execute(
            "INSERT INTO live_events (tenant, kind, body)"
            " SELECT 'demo', 'test', to_jsonb(n) FROM generate_series(1, %s) n",
            [many],
        )
        conn.execute("SELECT pg_notify('bellwether_live', 'demo')")
        until(lambda: stream.ended or len(stream.numbers) == many)
    seen, place = stream.numbers, stream.events[-1][0]
    while len(seen) < many:
        with streaming(api, last_event_id=place) as resumed:
            until(lambda: resumed.ended or len(seen) + len(resumed.numbers) >= many)  # noqa: B023
        assert resumed.numbers
        seen, place = seen + resumed.numbers, resumed.events[-1][0]
    assert seen == [str(n) for n in range(1, many + 1)]


def test_a_place_that_is_no_longer_kept_is_said_to_be(own_api: RunningApi) -> None:
    with streaming(own_api) as stream, own_api.database.owner() as conn:
        for n in (1, 2):
            tell(conn, n)
        until(lambda: len(stream.numbers) == 2)
        first = stream.events[1][0]
        conn.execute("UPDATE live_events SET at = at - interval '8 days'")
    with psycopg.connect(own_api.database.url("notify")) as conn:
        outbox.forget(conn)
    for place in (first, f"{2**62}-1"):
        with streaming(own_api, last_event_id=place) as stream:
            assert stream.events[0][1] == "reset"


def test_a_first_request_may_name_its_place_in_the_address(api: RunningApi) -> None:
    """A browser cannot send `Last-Event-ID` before it has heard something; when it has, that counts."""
    with api.database.owner() as conn:
        with streaming(api) as before:  # a place is known to be kept where something is that was told before it
            tell(conn, 0)
            until(lambda: before.numbers)
        with streaming(api) as stream:
            tell(conn, 1)
            until(lambda: stream.numbers)
        place = stream.events[0][0]
        tell(conn, 2)
    with streaming(api, after=place) as first:
        until(lambda: len(first.numbers) == 2)
    with streaming(api, last_event_id=first.events[1][0], after=place) as again:
        until(lambda: again.numbers)
    assert (first.numbers, again.numbers) == (["1", "2"], ["2"])


def test_a_place_that_is_none_is_refused(api: RunningApi) -> None:
    for place in ("1", "a-b", "-", "1-2-3", "9" * 30 + "-1", "٣-٣"):
        headers = {"Last-Event-ID": place.encode()}
        refused(api.client().get("/api/v1/events", headers=headers), 422)
        refused(api.client().get("/api/v1/events", params={"after": place}), 422)
    refused(api.client(None).get("/api/v1/events"), 401)


def test_streams_go_on_after_the_database_was_away(own_api: RunningApi) -> None:
    with streaming(own_api) as stream, own_api.database.owner() as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'bellwether_api' AND datname = current_database()"
        )
        tell(conn, 7)
        until(lambda: stream.numbers == ["7"])
