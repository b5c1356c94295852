"""Who is there: by what devices say of themselves, and by what is heard of them.

Between the detector `silence` and the alarms stands what a score alone cannot know: a connection that was lost is
silence from that moment on, a device that said goodbye is not silent, and where a whole site has gone, that is one
alarm and not one for each of its devices. The cost of a quiet fleet is a few comparisons of columns.

A site is the devices behind one gateway, where they name one, else those of one place. It has no number of its own:
its subject is the gateway's device, else the one of its devices that was there first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.scores import Evidence, Scope, Scores
from detectors.silence import Heard

DETECTOR = "site"
# From a lost connection to an alarm, where nothing else is heard. Too low: every router that restarts is an alarm. Too
# high: silence alone would have been as soon.
LOST_AFTER_S = 30.0
# A site is lost with so many of its devices, and such a share of those that would have been heard. Too low: two pumps
# that are switched off are a site. Too high: a gateway that takes all but two along is a hundred alarms.
LEAST_SILENT = 3
LOST_SHARE = 0.8
# How long the alarm of one device waits, where it may still turn out that its site is lost: its own rhythm, within
# these. It does not wait at all where its neighbours have been heard since.
HOLD_LEAST_S = 30.0
HOLD_MOST_S = 600.0
# Heard later than the last of the silent by more than this is heard since. Too low: what was still on its way counts.
_SINCE_US = 5_000_000
# The devices that an alarm names, and its ticket then shows.
_NAMED = 20
_NEVER = np.int64(-1)
_LOST = frozenset({"", "connection lost"})


@dataclass(frozen=True, slots=True)
class Place:
    """One device: where it stands, what it said last, and how often its owner expects to hear it.

    `online` is None where it never said. `watched` is False of one that nobody waits for any more.
    """

    machine: int
    tenant: str
    device: str
    site: str = ""
    gateway: str = ""
    interval_s: float | None = None
    online: bool | None = None
    online_us: int = 0
    reason: str = ""
    watched: bool = True


@dataclass(slots=True)
class Site:
    """The devices of one gateway or place. `subject` stands for it."""

    tenant: str
    name: str
    subject: int
    device: str
    by_gateway: bool
    machines: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Judgement:
    """What was found of sites when they were last judged: by machine, (M,), and by site, (S,)."""

    machine: npt.NDArray[np.int32]
    site: npt.NDArray[np.intp]
    silent: npt.NDArray[np.bool_]
    judged: npt.NDArray[np.intp]
    fell_us: npt.NDArray[np.int64]


class Presence:
    """What is known of the presence of devices, by the number of their machine."""

    scope = Scope.SITE

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}
        self.sites: list[Site] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._site_of = np.empty(0, np.intp)  # by machine; -1 is none
        self._lost_us = np.empty(0, np.int64)  # when its connection was lost, by machine
        self._stopped_us = np.empty(0, np.int64)  # when it said goodbye
        self._back_us = np.empty(0, np.int64)  # when it was there again after a goodbye: from then on it is waited for
        self._held_us = np.empty(0, np.int64)  # since when its alarm waits
        self._watched = np.empty(0, np.bool_)
        self._judgement: _Judgement | None = None

    def place(self, places: Iterable[Place]) -> None:
        """Take over all devices as they are now: what is not among them is gone."""
        known = {place.machine: place for place in places}
        if known == self.places:
            return
        before, self.places = self.places, known
        self._numbers = {(place.tenant, place.device): place.machine for place in known.values()}
        self._make_room(max(known, default=-1) + 1)
        self._watched[:] = True
        for place in known.values():
            self._watched[place.machine] = place.watched
            said = before.get(place.machine)
            if said is None or said.online != place.online or said.reason != place.reason:
                self._learn(place)
        if {number: _stands(place) for number, place in before.items()} != {
            number: _stands(place) for number, place in known.items()
        }:
            self._gather(known.values())

    def said(self, tenant: str, device: str, online: bool, reason: str, now_us: int) -> None:
        """A device, or its last will for it, has just said whether it is there."""
        machine = self._numbers.get((tenant, device))
        if machine is not None:
            self._take(machine, online, reason, now_us)

    def recall(self, now_us: int) -> None:
        """What was learnt of goodbyes holds now: whatever was scored meanwhile had been heard before."""
        self._stopped_us[self._stopped_us >= 0] = now_us

    def excuse(self, by_us: int) -> None:
        """Time that nobody could have been heard in, as in `Silence.excuse`."""
        for moment_us in (self._lost_us, self._stopped_us, self._back_us, self._held_us):
            moment_us[moment_us >= 0] += by_us

    def weigh(
        self,
        scores: Scores,
        heard: Heard,
        now_us: int,
        raised: Collection[int],
        lost: Collection[int],
        may_be_lost: Callable[[Site], bool] = lambda _: True,
    ) -> tuple[Scores, Scores]:
        """The scores of silence with what is known beside them, and those of sites.

        Parameters
        ----------
        scores, heard
            Of the detector `silence`, of the same machines.
        raised
            Machines whose own silence is an alarm already: they are no news of their site.
        lost
            Subjects of sites that are lost already.
        may_be_lost
            Whether a site is watched as one.

        Returns
        -------
        machines : Scores
            0 where a device said goodbye, or where its site speaks for it.
        sites : Scores
            1.0 is `LOST_SHARE` of the devices that can be judged: those silent, and those heard since.
        """
        machine = heard.machine
        self._make_room(int(machine.max(initial=-1)) + 1)
        score, whole = scores.score.copy(), heard.score.copy()
        back_us = self._back_us[machine]
        back = np.flatnonzero((back_us > heard.heard_us) & (heard.heard_us >= 0))
        if len(back):
            waited = (now_us - back_us[back]) / np.maximum(now_us - heard.heard_us[back], 1)
            score[back], whole[back] = score[back] * waited, whole[back] * waited
        quiet = np.flatnonzero(self._said_gone(heard))
        if len(quiet):
            by_word = (now_us - self._lost_us[machine[quiet]]) / (LOST_AFTER_S * 1e6)
            score[quiet], whole[quiet] = np.fmax(score[quiet], by_word), np.fmax(whole[quiet], by_word)
        away = self._away(heard)
        score[away], whole[away] = 0.0, np.nan
        site = self._site_of[machine]
        suspects = (whole >= 1.0) & (site >= 0)
        if suspects.any() or lost:
            own = ~np.isin(machine, list(raised)) if raised else np.ones(len(machine), np.bool_)
            sites, spoken_for = self._judge(heard, whole, site, own, now_us, lost, may_be_lost)
            score[spoken_for] = 0.0
        else:
            sites = Scores(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
        return Scores(scores.time_us, scores.subject, score), sites

    def away(self, heard: Heard) -> dict[int, str]:
        """Machines that said they are gone and have not been heard since: `lost` or `stopped`."""
        self._make_room(int(heard.machine.max(initial=-1)) + 1)
        words = dict.fromkeys(heard.machine[self._said_gone(heard)].tolist(), "lost")
        return words | dict.fromkeys(heard.machine[self._said_goodbye(heard)].tolist(), "stopped")

    def explain(self, subject: int) -> Evidence:
        """Silent are `observed` devices of the `high` that can be judged; `contributions` are some of them by name."""
        number = next((number for number, site in enumerate(self.sites) if site.subject == subject), None)
        found = self._judgement
        if number is None or found is None:  # its devices stand elsewhere now
            return Evidence("site", np.nan, np.nan, np.nan, np.nan, 0, {})
        silent = found.machine[found.silent & (found.site == number)].tolist()
        names = sorted(self.places[machine].device for machine in silent)[:_NAMED]
        return Evidence(
            point=self.sites[number].name,
            observed=float(len(silent)),
            expected=np.nan,
            low=np.nan,
            high=float(found.judged[number]),
            since_us=int(found.fell_us[number]),
            contributions={name: 1.0 / len(names) for name in names},
            unit="devices",
        )

    def gone_with(self, subjects: Collection[int]) -> list[int]:
        """The silent machines of lost sites, as of the last step."""
        found = self._judgement
        numbers = [number for number, site in enumerate(self.sites) if site.subject in subjects]
        if found is None or not numbers:
            return []
        gone: list[int] = found.machine[found.silent & np.isin(found.site, numbers)].tolist()
        return gone

    def _judge(
        self,
        heard: Heard,
        whole: npt.NDArray[np.float64],
        site: npt.NDArray[np.intp],
        own: npt.NDArray[np.bool_],
        now_us: int,
        lost: Collection[int],
        may_be_lost: Callable[[Site], bool],
    ) -> tuple[Scores, npt.NDArray[np.bool_]]:
        """The scores of sites, and which machines do not speak for themselves: (M,)."""
        machine, count = heard.machine, len(self.sites)
        judged = own & (site >= 0) & ~np.isnan(whole)
        silent = judged & (whole >= 1.0)
        fell_us = np.full(count, _NEVER)
        np.maximum.at(fell_us, site[silent], heard.heard_us[silent])
        alive = judged & ~silent
        alive[alive] = heard.heard_us[alive] > fell_us[site[alive]] + _SINCE_US
        silent_n, alive_n, judged_n = (np.bincount(site[these], minlength=count) for these in (silent, alive, judged))
        share = silent_n / np.maximum(silent_n + alive_n, 1)
        score = np.where(silent_n >= LEAST_SILENT, share / LOST_SHARE, 0.0)
        asked = [
            number
            for number in np.flatnonzero((silent_n > 0) | np.isin([s.subject for s in self.sites], list(lost))).tolist()
            if may_be_lost(self.sites[number])
        ]
        watched = np.zeros(count + 1, np.bool_)  # the last is the site of those that have none
        watched[asked] = True
        speaks = np.zeros(count + 1, np.bool_)
        speaks[asked] = [score[number] >= 1.0 or self.sites[number].subject in lost for number in asked]
        # What nobody could have heard yet may still join the silent.
        undecided = np.zeros(count + 1, np.bool_)
        undecided[:-1] = (judged_n - alive_n >= LEAST_SILENT) & (judged_n - alive_n >= LOST_SHARE * judged_n)
        spoken_for = judged & speaks[site]
        spoken_for |= self._hold(heard, silent & ~spoken_for & watched[site] & undecided[site], now_us)
        since_us = np.where(fell_us >= 0, fell_us, now_us)
        self._judgement = _Judgement(machine, site, silent, silent_n + alive_n, since_us)
        order = sorted(asked, key=lambda number: self.sites[number].subject)
        subjects = np.array([self.sites[number].subject for number in order], np.int32)
        return Scores(np.full(len(order), now_us), subjects, score[order].astype(np.float64)), spoken_for

    def _hold(self, heard: Heard, may: npt.NDArray[np.bool_], now_us: int) -> npt.NDArray[np.bool_]:
        """Which of the machines that may wait still do."""
        held_us = np.where(may, self._held_us[heard.machine], _NEVER)
        held_us[may & (held_us < 0)] = now_us
        self._held_us[heard.machine] = held_us
        patience_us = np.clip(np.nan_to_num(heard.every_us), HOLD_LEAST_S * 1e6, HOLD_MOST_S * 1e6)
        held: npt.NDArray[np.bool_] = may & (now_us - held_us < patience_us)
        return held

    def _said_gone(self, heard: Heard) -> npt.NDArray[np.bool_]:
        lost_us = self._lost_us[heard.machine]
        gone: npt.NDArray[np.bool_] = (lost_us >= 0) & (heard.heard_us <= lost_us)
        return gone

    def _said_goodbye(self, heard: Heard) -> npt.NDArray[np.bool_]:
        stopped_us = self._stopped_us[heard.machine]
        stopped: npt.NDArray[np.bool_] = (stopped_us >= 0) & (heard.heard_us <= stopped_us)
        return stopped

    def _away(self, heard: Heard) -> npt.NDArray[np.bool_]:
        """Those that nobody waits for: they said so, or their owner did."""
        return self._said_goodbye(heard) | ~self._watched[heard.machine]

    def _learn(self, place: Place) -> None:
        """What the database says that a device has said last, unless we have heard it ourselves."""
        gone, orderly = place.online is False, is_orderly(place.reason)
        knows_lost, knows_stopped = self._lost_us[place.machine] >= 0, self._stopped_us[place.machine] >= 0
        if (knows_lost, knows_stopped) != (gone and not orderly, gone and orderly):
            self._take(place.machine, place.online, place.reason, place.online_us)

    def _take(self, machine: int, online: bool | None, reason: str, at_us: int) -> None:
        gone = online is False
        orderly = is_orderly(reason)
        if online and self._stopped_us[machine] >= 0:
            self._back_us[machine] = at_us
        for moment_us, applies in ((self._lost_us, gone and not orderly), (self._stopped_us, gone and orderly)):
            moment_us[machine] = at_us if applies else _NEVER

    def _gather(self, places: Collection[Place]) -> None:
        """Devices by gateway or place, each with what stands for it."""
        sites: dict[tuple[str, bool, str], Site] = {}
        for place in sorted(places, key=lambda place: place.machine):
            if name := place.gateway or place.site:
                key = (place.tenant, bool(place.gateway), name)
                site = sites.setdefault(key, Site(place.tenant, name, -1, "", by_gateway=bool(place.gateway)))
                site.machines.append(place.machine)
        taken: set[int] = set()
        for site in sorted(sites.values(), key=lambda site: not site.by_gateway):
            gateway = self._numbers.get((site.tenant, site.name)) if site.by_gateway else None
            wanted = [machine for machine in (gateway, *site.machines) if machine is not None and machine not in taken]
            if wanted:
                site.subject, site.device = wanted[0], self.places[wanted[0]].device
                taken.add(site.subject)
        self.sites = [site for site in sites.values() if site.subject >= 0]
        self._judgement = None  # by other numbers
        self._site_of[:] = -1
        for number, site in enumerate(self.sites):
            self._site_of[site.machines] = number

    def _make_room(self, size: int) -> None:
        if size <= len(self._site_of):
            return
        size = max(size, 2 * len(self._site_of))
        self._site_of = _grown(self._site_of, size, -1)
        self._lost_us = _grown(self._lost_us, size, _NEVER)
        self._stopped_us = _grown(self._stopped_us, size, _NEVER)
        self._back_us = _grown(self._back_us, size, _NEVER)
        self._held_us = _grown(self._held_us, size, _NEVER)
        self._watched = _grown(self._watched, size, True)


def _stands(place: Place) -> tuple[str, str, str, str]:
    return place.tenant, place.device, place.site, place.gateway


def is_orderly(reason: str) -> bool:
    """Whether a device that is offline said goodbye itself: a last will has no reason, or says what it is."""
    return reason not in _LOST


def _grown(column: npt.NDArray[Any], size: int, empty: Any) -> npt.NDArray[Any]:
    grown = np.full(size, empty, column.dtype)
    grown[: len(column)] = column
    return grown
