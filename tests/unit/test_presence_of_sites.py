"""Who is there: last wills, goodbyes, silence by the owner's word, and a site that is lost as one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from alarms.events import AlarmEvent, Kind, Severity
from alarms.presence import LOST_AFTER_S, is_orderly
from alarms.rules import DEFAULT_RULES, Rule
from alarms.sites import HOLD_LEAST_S, Place
from alarms.watch import Watch
from detectors import Silence
from detectors.scores import Scope
from telemetry import Batch, Stream

START_S = 1_782_907_200
RULES = [rule for rule in DEFAULT_RULES if rule.detector in ("silence", "site")]


class Plant:
    """Machines with two points each, heard second by second; `now_s` is the clock."""

    def __init__(
        self,
        sites: dict[str, int],
        rules: Sequence[Rule] = RULES,
        tenant: str = "demo",
        gateway: str = "",
        every_s: dict[int, float] | None = None,
    ) -> None:
        self.rules = {tenant: list(rules)}
        self.now_s = 0.0
        self.places: list[Place] = []
        for site, count in sites.items():
            for _ in range(count):
                number = len(self.places) + 1
                self.places.append(Place(number, tenant, f"pump-{number}", site, gateway, (every_s or {}).get(number)))
        self.streams = [
            Stream(2 * place.machine + point, place.machine, tenant, place.device, f"p{point}", "unknown", "")
            for place in self.places
            for point in range(2)
        ]
        self.watch = self.a_watch()
        self.told: list[AlarmEvent] = []

    def a_watch(self) -> Watch:
        watch = Watch({"silence": Silence()}, self.rules)
        watch.watch(self.streams)
        watch.place(self.places)
        return watch

    @property
    def all(self) -> list[int]:
        return [place.machine for place in self.places]

    def us(self, second: float) -> int:
        return int((START_S + second) * 1e6)

    def hear(self, machines: Iterable[int]) -> list[AlarmEvent]:
        streams = np.array(sorted(2 * machine + point for machine in machines for point in range(2)), np.int32)
        times = np.full(len(streams), self.us(self.now_s))
        return self.step(Batch.of(times, streams, np.ones(len(streams))))

    def step(self, batch: Batch) -> list[AlarmEvent]:
        events = self.watch.step(batch, self.us(self.now_s))
        self.told += events
        return events

    def run(self, seconds: int, machines: Iterable[int], every_s: int = 5) -> list[AlarmEvent]:
        """Time passes, and these are heard now and then: a step a second."""
        told: list[AlarmEvent] = []
        heard = list(machines)
        for _ in range(seconds):
            self.now_s += 1
            told += self.hear(heard) if self.now_s % every_s == 0 else self.step(Batch.empty())
        return told

    def status(self, machine: int, online: bool, reason: str = "") -> None:
        place = self.places[machine - 1]
        self.watch.presence.said(place.tenant, place.device, online, reason, self.us(self.now_s))

    def restart(self, down_s: float = 0) -> None:
        """A new watch with the memory of the old one; nobody was heard in between."""
        snapshot, old = self.watch.snapshot(), self.watch
        self.watch = self.a_watch()
        assert self.watch.restore(snapshot) == []
        assert self.watch.now_us == old.now_us
        self.now_s += down_s
        self.watch.excuse(self.us(self.now_s) - self.watch.now_us)


def names(events: Sequence[AlarmEvent]) -> list[tuple[str, str, str]]:
    return [(event.rule, event.kind.value, event.device) for event in events]


# One device -----------------------------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_is_an_alarm_before_silence_would_be() -> None:
    plant = Plant({"": 2})
    plant.run(60, plant.all)
    plant.status(1, online=False, reason="connection lost")
    assert plant.run(int(LOST_AFTER_S) - 1, [2]) == []
    (event,) = plant.run(1, [2])
    assert names([event]) == [("silence", "raised", "pump-1")]
    assert event.severity is Severity.MEDIUM


def test_who_comes_back_in_time_is_no_alarm() -> None:
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    plant.status(1, online=False)
    plant.run(20, [])
    plant.status(1, online=True)
    assert plant.run(120, [1]) == []


def test_what_is_heard_after_the_will_says_more_than_the_will() -> None:
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    plant.status(1, online=False)
    assert plant.run(200, [1]) == []


def test_a_connection_that_flaps_is_one_alarm() -> None:
    """40 s away, 10 s there, for a quarter of an hour: raised once, and returned once it stays."""
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    for _ in range(18):
        plant.status(1, online=False)
        plant.run(40, [])
        plant.status(1, online=True)
        plant.run(10, [1])
    plant.run(120, [1])
    assert names(plant.told) == [("silence", "raised", "pump-1"), ("silence", "returned", "pump-1")]


@pytest.mark.parametrize("reason", ["stopped", "maintenance", "finished"])
def test_who_says_goodbye_is_not_silent(reason: str) -> None:
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    plant.status(1, online=False, reason=reason)
    assert plant.run(3600, []) == []
    plant.status(1, online=True)
    plant.run(60, [1])
    assert names(plant.run(70, [])) == [("silence", "raised", "pump-1")], "and is waited for again when it is back"


def test_a_goodbye_stands_however_the_database_dates_it_and_over_a_restart() -> None:
    """By the device's own clock, which is behind ours: before its last reading."""
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    plant.status(1, online=False, reason="stopped")
    dated_us = plant.us(plant.now_s - 3)
    plant.places = [replace(plant.places[0], online=False, reason="stopped", online_us=dated_us)]
    plant.watch.place(plant.places)
    plant.run(300, [])
    plant.restart(down_s=60)
    plant.watch.presence.recall(plant.us(plant.now_s))
    plant.run(300, [])
    assert plant.told == []


def test_a_goodbye_explains_a_silence() -> None:
    plant = Plant({"": 1})
    plant.run(60, plant.all)
    plant.run(100, [])
    plant.status(1, online=False, reason="maintenance")
    plant.run(61, [])
    assert [event.kind for event in plant.told] == [Kind.RAISED, Kind.RETURNED]


def test_a_will_says_so_or_says_nothing() -> None:
    assert not is_orderly("")
    assert not is_orderly("connection lost")
    assert is_orderly("stopped")


def test_the_owners_word_stands_above_what_was_learnt() -> None:
    plant = Plant({"": 3}, every_s={1: 10.0, 2: 600.0})
    plant.run(60, plant.all)
    assert names(plant.run(35, [])) == [("silence", "raised", "pump-1")]
    assert names(plant.run(65, [])) == [("silence", "raised", "pump-3")]
    assert plant.run(1600, []) == []
    assert names(plant.run(200, [])) == [("silence", "raised", "pump-2")]
    event = plant.told[0]
    assert (event.evidence.high, event.evidence.observed) == (30.0, 30.0)


def test_a_device_that_nobody_waits_for_any_more_is_not_missed() -> None:
    plant = Plant({"Hall 2": 5})
    plant.run(60, plant.all)
    plant.watch.place([replace(place, watched=place.machine != 1) for place in plant.places])
    assert plant.run(300, [2, 3, 4, 5]) == []


# A site ---------------------------------------------------------------------------------------------------------------


def test_a_site_that_is_lost_is_one_alarm() -> None:
    plant = Plant({"Hall 2": 30, "Hall 3": 5})
    rest = plant.all[30:]
    plant.run(60, plant.all)
    plant.run(300, rest)
    (event,) = plant.told
    assert (event.rule, event.kind, event.severity, event.scope) == (
        "site_lost",
        Kind.RAISED,
        Severity.HIGH,
        Scope.SITE,
    )
    assert event.opens_ticket
    assert event.device == "pump-1", "the device that stands for it"
    assert event.message == "Hall 2 lost: nothing heard from 30 of 30 devices"
    assert event.evidence.since_us == plant.us(60)


def test_a_single_device_that_dies_does_not_wait_for_its_neighbours() -> None:
    alone, among = Plant({"": 1}), Plant({"Hall 2": 30})
    for plant in (alone, among):
        plant.run(60, plant.all)
        plant.run(120, plant.all[1:])
    assert names(among.told) == [("silence", "raised", "pump-1")]
    assert among.told[0].at_us == alone.told[0].at_us


def test_two_devices_are_no_site() -> None:
    plant = Plant({"Hall 2": 2})
    plant.run(60, plant.all)
    plant.run(61, [])
    assert names(plant.told) == [("silence", "raised", "pump-1"), ("silence", "raised", "pump-2")]


def test_a_fifth_that_is_still_heard_is_a_site_that_stands() -> None:
    plant = Plant({"Hall 2": 10})
    plant.run(60, plant.all)
    plant.run(300, [9, 10, 8])
    assert [event.rule for event in plant.told] == ["silence"] * 7


def test_wills_tell_of_a_lost_site_sooner() -> None:
    plant = Plant({"Hall 2": 10})
    plant.run(60, plant.all)
    for machine in plant.all:
        plant.status(machine, online=False, reason="connection lost")
    plant.run(int(LOST_AFTER_S), [])
    assert names(plant.told) == [("site_lost", "raised", "pump-1")]


def test_devices_of_another_rhythm_neither_prove_nor_disprove_it() -> None:
    """Seven are heard every 5 s, three every 200: these fall due minutes later, and are told of by the site too."""
    plant = Plant({"Hall 2": 10})
    for _ in range(15):
        plant.run(195, range(1, 8))
        plant.run(5, plant.all)
    plant.run(2000, [])
    assert names(plant.told) == [("site_lost", "raised", "pump-1")]


def test_devices_that_were_dead_before_are_no_news_of_the_site() -> None:
    plant = Plant({"Hall 2": 10})
    plant.run(60, plant.all)
    plant.run(200, range(1, 6))
    assert [event.rule for event in plant.told] == ["silence"] * 5
    plant.run(200, [])
    assert names(plant.told[5:]) == [("site_lost", "raised", "pump-1")]
    assert plant.told[5].message == "Hall 2 lost: nothing heard from 5 of 5 devices"


def test_a_site_that_returns_leaves_those_that_did_not() -> None:
    plant = Plant({"Hall 2": 10})
    plant.run(60, plant.all)
    plant.run(200, [])
    plant.run(59, plant.all[2:])
    assert names(plant.told) == [("site_lost", "raised", "pump-1")], "time to come back"
    plant.run(10, plant.all[2:])
    assert names(plant.told[1:]) == [
        ("site_lost", "returned", "pump-1"),
        ("silence", "raised", "pump-1"),
        ("silence", "raised", "pump-2"),
    ]
    plant.run(100, plant.all)
    assert [event.kind for event in plant.told[4:]] == [Kind.RETURNED] * 2


def test_the_alarm_of_one_waits_while_the_rest_may_follow() -> None:
    """One dies 20 s before the gateway does: by the time that it is due, nobody has been heard since for a while."""
    plant = Plant({"Hall 2": 10})
    plant.run(60, plant.all)
    plant.run(2, plant.all[1:])
    plant.run(120, [])
    assert names(plant.told) == [("site_lost", "raised", "pump-1")]


def test_waiting_ends() -> None:
    """Three devices of one site, two of which are heard once an hour: the third is told of by itself."""
    plant = Plant({"Hall 2": 3}, every_s={2: 3600.0, 3: 3600.0})
    plant.run(60, plant.all)
    plant.run(60 + int(HOLD_LEAST_S) + 1, [])
    assert names(plant.told) == [("silence", "raised", "pump-1")]


def test_a_gateway_stands_for_its_devices() -> None:
    plant = Plant({"Hall 2": 6}, gateway="pump-6")
    plant.run(60, plant.all)
    plant.run(100, [])
    (event,) = plant.told
    assert (event.device, event.machine) == ("pump-6", 6)
    assert event.message == "pump-6 lost: nothing heard from 6 of 6 devices"


def test_two_gateways_of_one_site_are_lost_apart() -> None:
    plant = Plant({"Hall 2": 12})
    plant.places = [replace(place, gateway="east" if place.machine <= 6 else "west") for place in plant.places]
    plant.watch.place(plant.places)
    plant.run(60, plant.all)
    plant.run(200, range(7, 13))
    assert [(event.message, event.device) for event in plant.told] == [
        ("east lost: nothing heard from 6 of 6 devices", "pump-1")
    ]


def test_sites_of_the_same_name_belong_to_their_tenants() -> None:
    plant = Plant({"Hall 2": 8})
    plant.places = [replace(place, tenant="demo" if place.machine <= 4 else "other") for place in plant.places]
    plant.streams = [replace(s, tenant="demo" if s.machine <= 4 else "other") for s in plant.streams]
    plant.rules["other"] = plant.rules["demo"]
    plant.watch = plant.a_watch()
    plant.run(60, plant.all)
    plant.run(100, range(5, 9))
    assert [(event.tenant, event.rule, event.device) for event in plant.told] == [("demo", "site_lost", "pump-1")]


def test_where_no_rule_watches_sites_devices_speak_for_themselves() -> None:
    plant = Plant({"Hall 2": 5}, rules=[rule for rule in RULES if rule.detector == "silence"])
    plant.run(60, plant.all)
    plant.run(100, [])
    assert [event.rule for event in plant.told] == ["silence"] * 5


def test_a_site_is_lost_over_a_restart() -> None:
    plant = Plant({"Hall 2": 5})
    plant.run(60, plant.all)
    plant.run(100, [])
    plant.restart(down_s=3600)
    plant.run(300, [])
    assert names(plant.told) == [("site_lost", "raised", "pump-1")]
    plant.run(70, plant.all)
    raised, returned = plant.told
    assert (returned.kind, returned.occurrence_id) == (Kind.RETURNED, raised.occurrence_id)


def test_a_site_whose_devices_stand_elsewhere_now_is_no_longer_lost() -> None:
    plant = Plant({"Hall 2": 5})
    plant.run(60, plant.all)
    plant.run(100, [])
    plant.watch.place([replace(place, site="") for place in plant.places])
    plant.run(1, [])
    assert [(event.rule, event.kind) for event in plant.told[:2]] == [
        ("site_lost", Kind.RAISED),
        ("site_lost", Kind.RETURNED),
    ]
    assert [event.rule for event in plant.told[2:]] == ["silence"] * 5


# Our own absence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_s", [86_400.0, -86_400.0])
def test_a_clock_that_was_set_accuses_nobody(by_s: float) -> None:
    plant = Plant({"": 3})
    plant.run(100, plant.all)
    plant.now_s += by_s
    plant.watch.excuse(int(by_s * 1e6))
    assert plant.run(100, plant.all) == []
    assert names(plant.run(70, [2, 3])) == [("silence", "raised", "pump-1")], "and a real silence is still seen in time"
    plant.now_s -= by_s
    plant.watch.excuse(int(-by_s * 1e6))
    plant.run(70, plant.all)
    assert names(plant.told[1:]) == [("silence", "returned", "pump-1")]


def test_a_stop_of_our_own_accuses_nobody() -> None:
    plant = Plant({"Hall 2": 5, "": 2})
    plant.run(100, plant.all)
    plant.restart(down_s=7200)
    assert plant.step(Batch.empty()) == []
    assert plant.run(100, plant.all) == []


# Cost -----------------------------------------------------------------------------------------------------------------


def test_a_thousand_devices_that_fall_silent_at_once_cost_a_step_little() -> None:
    plant = Plant({f"Hall {hall}": 100 for hall in range(10)})
    for _ in range(20):
        plant.now_s += 5
        plant.hear(plant.all)
    quiet_s = busiest_s = 0.0
    for second in range(120):
        plant.now_s += 1
        began = time.process_time()
        plant.step(Batch.empty())
        took_s = time.process_time() - began
        if second < 50:
            quiet_s = max(quiet_s, took_s)
        busiest_s = max(busiest_s, took_s)
    assert names(plant.told) == [("site_lost", "raised", f"pump-{100 * hall + 1}") for hall in range(10)]
    assert busiest_s < quiet_s + 0.03, "a few milliseconds, with room for a garbage collector"
