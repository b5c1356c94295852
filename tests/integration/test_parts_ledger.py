"""The ledger of parts: nothing appears, nothing vanishes, nothing is below zero, whatever comes at once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from serving import Database, Plant

from alarms.roles import Role
from store.connection import Session, act_for, connect
from store.errors import Conflict
from store.parts import catalogue, ledger, repairs, reservations, shelves, transfers
from store.parts.ledger import Act
from store.parts.transfers import Load
from store.tickets import move as move_ticket
from store.tickets import open_by_person
from tickets.parts.moves import BadMove, MoveKind
from tickets.parts.places import PlaceKind
from tickets.parts.tables import PartRow
from tickets.priority import Priority
from tickets.states import State, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOW.date()
COUNT = itertools.count(1)
OUTSIDE = {"supplier", "customer", "difference"}


def act(note: str = "why", now: datetime = NOW) -> Act:
    return Act("demo", "kim", now, note)


@contextmanager
def api(database: Database) -> Iterator[Session]:
    """A transaction of the API's, for the tenant `demo`."""
    with psycopg.connect(database.url("api")) as conn:
        act_for(conn, "demo")
        yield conn


def a_part(conn: Session, **said: Any) -> str:
    number = f"part-{next(COUNT)}"
    row = {
        "unit": "piece",
        "value": 10,
        "currency": "EUR",
        "fits": (),
        "shelf_days": None,
        "serialised": False,
        "low_at": 0,
    }
    catalogue.create_part(conn, "demo", PartRow(number=number, name=number, **{**row, **said}), "kim")
    return number


def a_depot(conn: Session, kind: PlaceKind = PlaceKind.CITY, **said: str) -> str:
    name = f"depot-{next(COUNT)}"
    return catalogue.open_depot(conn, "demo", name, kind=kind, **said).name


def a_ticket(conn: Session, database: Database, priority: Priority = Priority.MEDIUM) -> UUID:
    device = Plant(database).device(name=f"machine-{next(COUNT)}")
    return open_by_person(
        conn, "demo", device=device, title="It leaks", description="", priority=priority, who="kim", now=NOW
    ).id


def balances(conn: Session, number: str) -> dict[tuple[str, str], int]:
    """What the ledger adds up to: by kind and name of place, over all lots."""
    rows = conn.execute(
        "SELECT p.kind, p.name, sum(CASE WHEN m.to_id = p.id THEN m.quantity ELSE -m.quantity END)"
        " FROM part_moves m JOIN part_places p ON p.id IN (m.from_id, m.to_id) JOIN parts x ON x.id = m.part_id"
        " WHERE x.number = %s GROUP BY p.kind, p.name",
        [number],
    )
    return {(kind, name): int(total) for kind, name, total in rows if total}


def kept(conn: Session, number: str) -> dict[tuple[str, str], int]:
    """What is said to be where."""
    rows = conn.execute(
        "SELECT p.kind, p.name, sum(s.quantity) FROM part_stock s JOIN part_places p ON p.id = s.place_id"
        " JOIN parts x ON x.id = s.part_id WHERE x.number = %s GROUP BY p.kind, p.name",
        [number],
    )
    return {(kind, name): int(total) for kind, name, total in rows if total}


class Depots(RuleBasedStateMachine):
    """Any acts in any order on one part in lots, beside a model that is a Counter and no more."""

    database: Database

    @initialize()
    def begin(self) -> None:
        self.conn = psycopg.connect(self.database.url("api"), autocommit=True)
        self.there: Counter[str] = Counter()
        with self._transaction():
            self.part = a_part(self.conn)
            self.depots = [a_depot(self.conn) for _ in range(2)]
            self.tickets = [a_ticket(self.conn, self.database, p) for p in (Priority.LOW, Priority.URGENT)]
        self.issued = Counter[UUID]()
        self.on_way: list[tuple[UUID, str, int]] = []
        self.now = NOW

    def teardown(self) -> None:
        if hasattr(self, "conn"):
            self.conn.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.conn.transaction():
            act_for(self.conn, "demo")
            yield

    def _try(self, do: Callable[[], Any]) -> bool:
        """Whether it was done; what is refused leaves nothing behind."""
        with self._transaction():
            before = balances(self.conn, self.part)
        try:
            with self._transaction():
                do()
        except Conflict:
            with self._transaction():
                assert balances(self.conn, self.part) == before
            return False
        return True

    def _act(self) -> Act:
        return act(now=self.now)

    @rule(depot=st.integers(0, 1), quantity=st.integers(1, 5), days=st.none() | st.integers(0, 3))
    def receives(self, depot: int, quantity: int, days: int | None) -> None:
        expires_on = None if days is None else self.now.date() + timedelta(days)
        name = self.depots[depot]
        assert self._try(
            lambda: shelves.receive(self.conn, self._act(), self.part, name, quantity=quantity, expires_on=expires_on)
        )
        self.there[name] += quantity

    @rule(source=st.integers(0, 1), quantity=st.integers(1, 4))
    def sends(self, source: int, quantity: int) -> None:
        here, there = self.depots[source], self.depots[1 - source]
        sent = list[UUID]()
        if self._try(
            lambda: sent.append(transfers.send(self.conn, self._act(), here, there, [Load(self.part, quantity)]))
        ):
            self.there[here] -= quantity
            self.on_way.append((sent[0], there, quantity))

    @precondition(lambda self: self.on_way)
    @rule(missing=st.integers(0, 3))
    def arrives(self, missing: int) -> None:
        transfer, there, quantity = self.on_way[0]
        lost = [Load(self.part, missing)] if missing else []
        done = self._try(lambda: transfers.receive(self.conn, self._act(), transfer, lost))
        assert done == (missing <= quantity)
        if done:
            self.on_way.pop(0)
            self.there[there] += quantity - missing

    @rule(depot=st.integers(0, 1), counted=st.integers(0, 6))
    def counts(self, depot: int, counted: int) -> None:
        name = self.depots[depot]
        with self._transaction():
            of = catalogue.part(self.conn, self.part, TODAY)
            place = catalogue.depot(self.conn, name).id
            (lot, was) = next(((one.lot, one.quantity) for one in ledger.lots_at(self.conn, of.id, place)), ("", 0))
        assert self._try(lambda: shelves.count(self.conn, self._act(), self.part, name, quantity=counted, lot=lot))
        self.there[name] += counted - was

    @rule(depot=st.integers(0, 1), quantity=st.integers(1, 4))
    def scraps(self, depot: int, quantity: int) -> None:
        name = self.depots[depot]
        done = self._try(
            lambda: shelves.discard(self.conn, self._act(), MoveKind.SCRAPPED, self.part, name, quantity=quantity)
        )
        assert done == (self.there[name] >= quantity), "what is there can be thrown away, expired or held"
        self.there[name] -= quantity if done else 0

    @rule(ticket=st.integers(0, 1), quantity=st.integers(1, 3))
    def reserves(self, ticket: int, quantity: int) -> None:
        assert self._try(
            lambda: reservations.reserve(
                self.conn, "demo", self.tickets[ticket], self.part, quantity, who="kim", now=self.now
            )
        )

    @rule(ticket=st.integers(0, 1))
    def issues(self, ticket: int) -> None:
        for one in self._standing(self.tickets[ticket]):
            if one.state == "held":
                on_shelf = one.place in self.depots
                done = self._try(
                    lambda one=one: repairs.issue(self.conn, self._act(), self.tickets[ticket], one.id)  # type: ignore[misc]
                )
                assert done == on_shelf, "what is held can be taken"
                if done:
                    self.there[one.place or ""] -= one.quantity
                    self.issued[self.tickets[ticket]] += one.quantity
                return

    @rule(ticket=st.integers(0, 1), depot=st.integers(0, 1), quantity=st.integers(1, 2))
    def brings_back(self, ticket: int, depot: int, quantity: int) -> None:
        whose, name = self.tickets[ticket], self.depots[depot]
        done = self._try(lambda: repairs.bring_back(self.conn, self._act(), whose, self.part, name, quantity=quantity))
        assert done == (self.issued[whose] >= quantity)
        if done:
            self.issued[whose] -= quantity
            self.there[name] += quantity

    @rule()
    def a_day_passes(self) -> None:
        self.now += timedelta(days=1)
        with closing(connect(self.database.url("notify"), "notify")) as conn:
            reservations.sweep(conn, self.now)

    def _standing(self, ticket: UUID) -> list[reservations.Reservation]:
        with self._transaction():
            return [one for one in reservations.reservations(self.conn, ticket) if one.ended_at is None]

    @invariant()
    def nothing_appears_and_nothing_vanishes(self) -> None:
        if not hasattr(self, "part"):
            return
        with self._transaction():
            ledgers, stock = balances(self.conn, self.part), kept(self.conn, self.part)
        assert stock == ledgers
        assert sum(stock.values()) == 0
        assert all(n >= 0 for (kind, _), n in stock.items() if kind not in OUTSIDE)
        assert {name: stock.get(("city", name), 0) for name in self.depots} == {
            name: self.there[name] for name in self.depots
        }
        assert sum(n for (kind, _), n in stock.items() if kind == "transit") == sum(n for _, _, n in self.on_way)

    @invariant()
    def no_more_is_held_than_can_be_used(self) -> None:
        if not hasattr(self, "part"):
            return
        with self._transaction():
            rows = self.conn.execute(
                "SELECT sum(r.quantity), (SELECT coalesce(sum(s.quantity), 0) FROM part_stock s"
                " JOIN part_lots l ON l.id = s.lot_id WHERE s.place_id = r.place_id AND s.part_id = r.part_id"
                " AND (l.expires_on IS NULL OR l.expires_on >= %s))"
                " FROM part_reservations r JOIN parts p ON p.id = r.part_id"
                " WHERE p.number = %s AND r.state = 'held' GROUP BY r.place_id, r.part_id",
                [self.now.date(), self.part],
            ).fetchall()
        assert all(held <= usable for held, usable in rows)


def test_any_acts_in_any_order(module_database: Database) -> None:
    Depots.database = module_database
    try:
        run_state_machine_as_test(Depots, settings=settings(max_examples=8, stateful_step_count=20))
    finally:
        del Depots.database


# At once --------------------------------------------------------------------------------------------------------------


def at_once(n: int, do: Callable[[int], Any]) -> list[Any]:
    """What each of them said: an error is an answer."""

    def one(i: int) -> Any:
        try:
            return do(i)
        except (Conflict, psycopg.Error) as error:
            return error

    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(one, range(n)))


def test_twelve_who_take_the_last_five(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot, quantity=5)

    def take(_: int) -> int:
        with api(module_database) as conn:
            return len(shelves.discard(conn, act(), MoveKind.SCRAPPED, number, depot))

    answers = at_once(12, take)
    assert sorted(str(type(answer).__name__) for answer in answers) == ["Conflict"] * 7 + ["int"] * 5
    with api(module_database) as conn:
        assert balances(conn, number) == {("supplier", ""): -5, ("scrap", ""): 5} == kept(conn, number)


def test_the_database_itself_lets_nothing_fall_below_zero(module_database: Database) -> None:
    """Without a look beforehand, and without our lock: twenty rows at once into the ledger."""
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot, quantity=5)
        scrap = catalogue.place(conn, "demo", PlaceKind.SCRAP)

    def take(_: int) -> int:
        with api(module_database) as conn:
            return conn.execute(
                "INSERT INTO part_moves (tenant, at, kind, part_id, lot_id, from_id, to_id, quantity, who)"
                " SELECT tenant, now(), 'scrapped', part_id, lot_id, place_id, %s, 1, 'x' FROM part_stock"
                " WHERE place_id = (SELECT id FROM part_places WHERE name = %s)",
                [scrap, depot],
            ).rowcount

    answers = at_once(12, take)
    assert sum(answer for answer in answers if isinstance(answer, int)) == 5
    refused = [answer for answer in answers if not isinstance(answer, int)]
    assert all(isinstance(answer, psycopg.errors.CheckViolation) for answer in refused)
    assert {answer.diag.constraint_name for answer in refused} == {"part_stock_not_below_zero"}


def test_to_and_fro_between_two_depots_none_waits_for_ever(module_database: Database) -> None:
    with api(module_database) as conn:
        numbers, depots = [a_part(conn) for _ in range(3)], [a_depot(conn) for _ in range(2)]
        for number in numbers:
            for depot in depots:
                shelves.receive(conn, act(), number, depot, quantity=20)

    def carry(i: int) -> None:
        for turn in range(5):
            here, there = depots[(i + turn) % 2], depots[(i + turn + 1) % 2]
            loads = [Load(number) for number in (numbers if i % 3 else reversed(numbers))]
            with api(module_database) as conn:
                transfer = transfers.send(conn, act(), here, there, loads)
            with api(module_database) as conn:
                transfers.receive(conn, act(), transfer)

    assert at_once(8, carry) == [None] * 8
    with api(module_database) as conn:
        for number in numbers:
            stock = kept(conn, number)
            assert sum(stock[("city", depot)] for depot in depots) == 40
            assert stock == balances(conn, number)


def test_one_serial_number_goes_to_one_of_twelve(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn, serialised=True), a_depot(conn)
        tickets = [a_ticket(conn, module_database) for _ in range(12)]
        shelves.receive(conn, act(), number, depot, serials=["S1", "S2"])

    def take(i: int) -> int:
        with api(module_database) as conn:
            return len(repairs.reserve_and_issue(conn, act(), tickets[i], number, depot, serials={"S1": f"old-{i}"}))

    answers = at_once(12, take)
    assert [answer for answer in answers if isinstance(answer, int)] == [1]
    assert all(isinstance(answer, Conflict) for answer in answers if not isinstance(answer, int))
    with api(module_database) as conn:
        rows = conn.execute("SELECT replaces FROM part_moves WHERE serial = 'S1' AND kind = 'issue'").fetchall()
        assert rows == [(f"old-{answers.index(1)}",)]


# What never happens ---------------------------------------------------------------------------------------------------


def test_what_was_moved_stays_moved_even_for_the_owner(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        (row,) = shelves.receive(conn, act(), number, depot, quantity=2)
    for statement in (
        "UPDATE part_moves SET quantity = 9 WHERE id = %s",
        "DELETE FROM part_moves WHERE id = %s",
        "UPDATE part_moves SET at = now() WHERE id = %s",
    ):
        with module_database.owner() as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(statement.encode(), [row])
    with module_database.owner() as owner:
        owner.execute("UPDATE part_moves SET who = 'somebody' WHERE id = %s", [row])
    for statement in (
        "UPDATE part_stock SET quantity = 9",
        "INSERT INTO part_items SELECT * FROM part_items",
        "DELETE FROM part_moves",
        "UPDATE part_moves SET who = 'me'",
    ):
        for role in ("api", "notify"):
            with (
                psycopg.connect(module_database.url(role)) as conn,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                conn.execute(statement.encode())


def test_a_move_never_names_a_place_of_another_tenant(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot)
    with psycopg.connect(module_database.url("api")) as conn:
        act_for(conn, "other")
        theirs = catalogue.open_depot(conn, "other", "theirs", kind=PlaceKind.CITY).id
    with api(module_database) as conn, pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute(
            "INSERT INTO part_moves (tenant, at, kind, part_id, lot_id, from_id, to_id, quantity, who)"
            " SELECT tenant, now(), 'sent', part_id, lot_id, place_id, %s, 1, 'x' FROM part_stock s"
            " WHERE quantity > 0 LIMIT 1",
            [theirs],
        )


def test_what_has_expired_enters_no_repair_and_is_not_taken_in(module_database: Database) -> None:
    yesterday, tomorrow = TODAY - timedelta(1), TODAY + timedelta(1)
    with api(module_database) as conn:
        number, depot = a_part(conn, shelf_days=10), a_depot(conn)
        ticket = a_ticket(conn, module_database)
        with pytest.raises(Conflict, match="expired on"):
            shelves.receive(conn, act(), number, depot, expires_on=yesterday)
        shelves.receive(conn, act(), number, depot, quantity=2, lot="A", expires_on=TODAY)
        shelves.receive(conn, act(), number, depot, quantity=1, lot="B", expires_on=tomorrow)
        held = reservations.reserve(conn, "demo", ticket, number, 2, who="kim", now=NOW)
    later = NOW + timedelta(days=1)
    with api(module_database) as conn:
        with pytest.raises(Conflict, match="2 that expired"):
            repairs.issue(conn, act(now=later), ticket, held)
        conn.rollback()
    with closing(connect(module_database.url("notify"), "notify")) as conn:
        reservations.sweep(conn, later)
    with api(module_database) as conn:
        (one,) = reservations.reservations(conn, ticket)
        assert (one.state, one.place) == ("waiting", None)
        repairs.reserve_and_issue(conn, act(now=later), ticket, number, depot)
        assert balances(conn, number)[("city", depot)] == 2
        shelves.discard(conn, act(now=later), MoveKind.RECYCLED, number, depot, quantity=2)
    with api(module_database) as conn, pytest.raises(psycopg.errors.CheckViolation, match="expired"):
        conn.execute(  # the database alone
            "INSERT INTO part_moves (tenant, at, kind, part_id, lot_id, from_id, to_id, quantity, who)"
            " SELECT l.tenant, %s, 'issue', l.part_id, l.id, s.id, r.id, 1, 'x' FROM part_lots l, part_places s,"
            " part_places r WHERE l.lot = 'A' AND s.kind = 'recycling' AND r.kind = 'repair' LIMIT 1",
            [later],
        )


# A serial number's life -----------------------------------------------------------------------------------------------


def test_a_key_part_from_receipt_to_scrap(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn, serialised=True), a_depot(conn)
        first, second = a_ticket(conn, module_database), a_ticket(conn, module_database)
        for serials in ([], ["S1", "S1"]):
            with pytest.raises(BadMove, match="serial numbers"):
                shelves.receive(conn, act(), number, depot, quantity=2, serials=serials)
        shelves.receive(conn, act(), number, depot, quantity=2, serials=["S1", "S2"])
        repairs.reserve_and_issue(conn, act(), first, number, depot, serials={"S1": "X0"})
        repairs.take_out(conn, act(), first, number, MoveKind.RECYCLED, serials=["X0"])
        repairs.reserve_and_issue(conn, act(), second, number, depot, serials={"S2": "S1"})
        with pytest.raises(Conflict, match="was not issued to this ticket"):
            repairs.bring_back(conn, act(), second, number, depot, serials=["S1"])
        repairs.take_out(conn, act(), second, number, MoveKind.REPAIRED, serials=["S1"], depot=depot)
        repairs.bring_back(conn, act(), second, number, depot, serials=["S2"])
        shelves.discard(conn, act(), MoveKind.SCRAPPED, number, depot, serials=["S1"])
        rows = conn.execute(
            "SELECT kind FROM part_moves m WHERE serial = 'S1' AND part_id = (SELECT id FROM parts WHERE number = %s)"
            " ORDER BY id",
            [number],
        ).fetchall()
        assert [kind for (kind,) in rows] == ["receipt", "issue", "repaired", "scrapped"]
        with pytest.raises(Conflict, match="not at"):
            shelves.discard(conn, act(), MoveKind.SCRAPPED, number, depot, serials=["S1"])
    with api(module_database) as conn, pytest.raises(Conflict, match="not where it would be taken from"):
        shelves.receive(conn, act(), number, depot, serials=["S2"])  # it is on the shelf
    with api(module_database) as conn, pytest.raises(Conflict, match="is in no machine by the ledger"):
        repairs.take_out(conn, act(), first, number, MoveKind.SCRAPPED, serials=["S2"])


def test_counting_serial_numbers_finds_and_loses_them(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot, other = a_part(conn, serialised=True), a_depot(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot, serials=["A", "B"])
        shelves.receive(conn, act(), number, other, serials=["C"])
        shelves.count(conn, act(), number, depot, serials=["B", "new"])
        assert balances(conn, number)[("city", depot)] == 2
        shelves.count(conn, act(), number, depot, serials=["A", "B"])  # A is back, new is gone
        with pytest.raises(Conflict, match=f"C is at {other}"):
            shelves.count(conn, act(), number, depot, serials=["C"])
        with pytest.raises(BadMove, match="note"):
            shelves.count(conn, Act("demo", "kim", NOW), number, depot, serials=["A"])


# Reservations ---------------------------------------------------------------------------------------------------------


def kinds(conn: Session, ticket: UUID) -> list[str]:
    rows = conn.execute("SELECT kind FROM ticket_events WHERE ticket_id = %s ORDER BY id", [ticket]).fetchall()
    return [kind for (kind,) in rows if kind.startswith("part_")]


def state(conn: Session, ticket: UUID) -> list[tuple[str, str | None]]:
    return [(one.state, one.place) for one in reservations.reservations(conn, ticket)]


def test_an_urgent_ticket_goes_through_the_green_channel_and_the_loser_is_told(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot, far = a_part(conn), a_depot(conn), a_depot(conn, PlaceKind.CENTRAL)
        low, urgent = a_ticket(conn, module_database), a_ticket(conn, module_database, Priority.URGENT)
        shelves.receive(conn, act(), number, depot)
        reservations.reserve(conn, "demo", low, number, 1, who="jo", now=NOW)
        assert state(conn, low) == [("held", depot)]
        reservations.reserve(conn, "demo", urgent, number, 1, who="kim", now=NOW)
        assert (state(conn, urgent), state(conn, low)) == ([("held", depot)], [("waiting", None)])
        assert kinds(conn, low) == ["part_reserved", "part_taken"]
        shelves.receive(conn, act(), number, far)
        assert state(conn, low) == [("held", far)]
        assert kinds(conn, low)[-1] == "part_reserved"


def test_what_is_held_for_another_is_not_sent_and_not_issued(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot, other = a_part(conn), a_depot(conn), a_depot(conn)
        one, another = a_ticket(conn, module_database), a_ticket(conn, module_database)
        shelves.receive(conn, act(), number, depot, quantity=2)
        held = reservations.reserve(conn, "demo", one, number, 2, who="jo", now=NOW)
        with pytest.raises(Conflict, match="2 of them are held"):
            transfers.send(conn, act(), depot, other, [Load(number)])
        with pytest.raises(Conflict, match="waiting"):
            repairs.reserve_and_issue(conn, act(), another, number, depot)
        transfer = transfers.send(conn, act(), depot, other, [Load(number, 2, reservation=held)])
        with pytest.raises(Conflict, match="on its way"):
            repairs.issue(conn, act(), one, held)
        transfers.receive(conn, act(), transfer)
        assert state(conn, one) == [("held", other)]
        repairs.issue(conn, act(), one, held, quantity=1)
        assert state(conn, one) == [("issued", other)]


@pytest.mark.parametrize("end", [State.CANCELLED, State.CLOSED])
def test_a_ticket_that_ends_holds_nothing(module_database: Database, end: State) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        first, second = a_ticket(conn, module_database), a_ticket(conn, module_database)
        shelves.receive(conn, act(), number, depot)
        for ticket in (first, second):
            reservations.reserve(conn, "demo", ticket, number, 1, who="jo", now=NOW)
        for to in (State.TRIAGED, end):
            move_ticket(
                conn, "demo", first, to, role=Role.MANAGER, who="kim", now=NOW, note="n", verdict=Verdict.NO_FAULT
            )
        assert [one for one, _ in state(conn, first)] == ["released"]
        with pytest.raises(Conflict, match="takes no parts"):
            reservations.reserve(conn, "demo", first, number, 1, who="jo", now=NOW)
    with closing(connect(module_database.url("notify"), "notify")) as conn:
        reservations.sweep(conn, NOW)
    with api(module_database) as conn:
        assert state(conn, second) == [("held", depot)]


def test_what_nobody_comes_for_is_set_free(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        first, second = a_ticket(conn, module_database), a_ticket(conn, module_database)
        shelves.receive(conn, act(), number, depot)
        reservations.reserve(conn, "demo", first, number, 1, who="jo", now=NOW)
        reservations.reserve(conn, "demo", second, number, 1, who="jo", now=NOW + timedelta(days=10))
        (one,) = reservations.reservations(conn, first)
        assert (one.promised_at, one.expires_at) == (NOW + timedelta(hours=48), NOW + timedelta(days=14))
    with closing(connect(module_database.url("notify"), "notify")) as conn:
        reservations.sweep(conn, NOW + timedelta(days=14))
    with api(module_database) as conn:
        assert [one for one, _ in state(conn, first)] == ["expired"]
        assert state(conn, second) == [("held", depot)]
        assert kinds(conn, first)[-1] == "part_expired"


def test_what_is_not_to_be_had_yet_is_waited_for_and_kept_from_when_it_is_there(module_database: Database) -> None:
    late = NOW + timedelta(days=30)
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        ticket = a_ticket(conn, module_database)
        reservations.reserve(conn, "demo", ticket, number, 1, who="jo", now=NOW)
    with closing(connect(module_database.url("notify"), "notify")) as conn:
        reservations.sweep(conn, late)
    with api(module_database) as conn:
        assert state(conn, ticket) == [("waiting", None)]
        shelves.receive(conn, act(now=late), number, depot)
        (one,) = reservations.reservations(conn, ticket)
        assert (one.state, one.expires_at) == ("held", late + timedelta(days=14))


def test_twelve_tickets_that_ask_at_once_hold_no_more_than_there_is(module_database: Database) -> None:
    """And urgent ones that take from the others at the same time as those are closed: no deadlock, nobody twice."""
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        tickets = [a_ticket(conn, module_database, Priority.URGENT if i % 2 else Priority.LOW) for i in range(12)]
        shelves.receive(conn, act(), number, depot, quantity=4)

    def ask(i: int) -> None:
        with api(module_database) as conn:
            reservations.reserve(conn, "demo", tickets[i], number, 1, who="jo", now=NOW)
        if i % 4 == 0:
            with api(module_database) as conn:
                move_ticket(conn, "demo", tickets[i], State.CANCELLED, role=Role.MANAGER, who="kim", now=NOW, note="n")

    assert at_once(12, ask) == [None] * 12
    with closing(connect(module_database.url("notify"), "notify")) as conn:
        reservations.sweep(conn, NOW)
    with api(module_database) as conn:
        held = [ticket for ticket in tickets if [one for one, _ in state(conn, ticket)] == ["held"]]
        assert len(held) == 4
        assert all(tickets.index(ticket) % 2 for ticket in held), "urgent ones come first"


def test_a_part_that_does_not_fit_is_refused(module_database: Database) -> None:
    with api(module_database) as conn:
        number = a_part(conn, fits=("CR 32-4",))
        ticket = a_ticket(conn, module_database)
        with module_database.owner() as owner:
            owner.execute("UPDATE devices SET model = 'NK 80' WHERE id = (SELECT max(id) FROM devices)")
        with pytest.raises(Conflict, match="fits CR 32-4, and this machine is a NK 80"):
            reservations.reserve(conn, "demo", ticket, number, 1, who="jo", now=NOW)


def test_a_depot_closes_only_when_it_is_empty(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot, other = a_part(conn), a_depot(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot)
        with pytest.raises(Conflict, match="not empty"):
            catalogue.change_depot(conn, depot, closed=True, now=NOW)
        transfer = transfers.send(conn, act(), depot, other, [Load(number)])
        with pytest.raises(Conflict, match="on its way"):
            catalogue.change_depot(conn, other, closed=True, now=NOW)
        assert catalogue.change_depot(conn, depot, closed=True, now=NOW).closed_at == NOW
        with pytest.raises(Conflict, match="closed"):
            shelves.receive(conn, act(), number, depot)
        transfers.receive(conn, act(), transfer, [Load(number)])
        assert balances(conn, number) == {("supplier", ""): -1, ("difference", ""): 1}
        with pytest.raises(Conflict, match="received before"):
            transfers.receive(conn, act(), transfer)


def test_a_depot_into_which_parts_are_being_put_does_not_close_meanwhile(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
    with api(module_database) as one, api(module_database) as other:
        shelves.receive(one, act(), number, depot)
        other.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            catalogue.change_depot(other, depot, closed=True, now=NOW)
        other.rollback()
    with api(module_database) as one, api(module_database) as other:
        empty = a_depot(one)
        one.commit()
        act_for(one, "demo")
        catalogue.change_depot(one, empty, closed=True, now=NOW)
        other.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            shelves.receive(other, act(), number, empty)
        other.rollback()


def test_a_lot_expires_on_one_day(module_database: Database) -> None:
    with api(module_database) as conn:
        number, depot = a_part(conn), a_depot(conn)
        shelves.receive(conn, act(), number, depot, lot="A", expires_on=date(2027, 1, 1))
        with pytest.raises(Conflict, match="expires on 2027-01-01"):
            shelves.receive(conn, act(), number, depot, lot="A", expires_on=date(2027, 1, 2))
