"""Sites: devices that are lost together are one alarm, and not one for each of them.

A site is the devices behind one gateway, where they name one, else those of one place. It has no number of its own:
its subject is the gateway's device, else the one of its devices that was there first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detectors.scores import Evidence, Scope, Scores
from detectors.silence import Heard
from telemetry.columns import grown

DETECTOR = "site"
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
_NO_SCORES = Scores(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))


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


class Sites:
    """All of them, and which of their machines are silent, by the number of the machine."""

    scope = Scope.SITE

    def __init__(self) -> None:
        self.all: list[Site] = []
        self._devices: dict[int, str] = {}
        self._site_of = np.empty(0, np.intp)  # by machine; -1 is none
        self._held_us = np.empty(0, np.int64)  # since when its alarm waits
        self._judgement: _Judgement | None = None

    def gather(self, places: Mapping[int, Place]) -> None:
        """Devices, by the number of their machine, by gateway or place, each with what stands for it."""
        self._devices = {machine: place.device for machine, place in places.items()}
        numbers = {(place.tenant, place.device): machine for machine, place in places.items()}
        sites: dict[tuple[str, bool, str], Site] = {}
        for place in sorted(places.values(), key=lambda place: place.machine):
            if name := place.gateway or place.site:
                key = (place.tenant, bool(place.gateway), name)
                site = sites.setdefault(key, Site(place.tenant, name, -1, "", by_gateway=bool(place.gateway)))
                site.machines.append(place.machine)
        taken: set[int] = set()
        for site in sorted(sites.values(), key=lambda site: not site.by_gateway):
            gateway = numbers.get((site.tenant, site.name)) if site.by_gateway else None
            wanted = [machine for machine in (gateway, *site.machines) if machine is not None and machine not in taken]
            if wanted:
                site.subject, site.device = wanted[0], self._devices[wanted[0]]
                taken.add(site.subject)
        self.all = [site for site in sites.values() if site.subject >= 0]
        self._judgement = None  # by other numbers
        self._make_room(max(places, default=-1) + 1)
        self._site_of[:] = -1
        for number, site in enumerate(self.all):
            self._site_of[site.machines] = number

    def judge(
        self,
        heard: Heard,
        whole: npt.NDArray[np.float64],
        raised: Collection[int],
        now_us: int,
        lost: Collection[int],
        may_be_lost: Callable[[Site], bool],
    ) -> tuple[Scores, npt.NDArray[np.bool_]]:
        """The scores of sites, and which machines do not speak for themselves: (M,).

        Parameters
        ----------
        whole
            How silent each machine is as a whole, (M,): 1.0 is silent, NaN cannot be told.
        raised
            Machines whose own silence is an alarm already.
        lost
            Subjects of sites that are lost already.
        may_be_lost
            Whether a site is watched as one.
        """
        machine, count = heard.machine, len(self.all)
        self._make_room(int(machine.max(initial=-1)) + 1)
        site = self._site_of[machine]
        if not lost and not ((whole >= 1.0) & (site >= 0)).any():
            return _NO_SCORES, np.zeros(len(machine), np.bool_)
        own = ~np.isin(machine, list(raised)) if raised else np.ones(len(machine), np.bool_)
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
            for number in np.flatnonzero((silent_n > 0) | np.isin([s.subject for s in self.all], list(lost))).tolist()
            if may_be_lost(self.all[number])
        ]
        watched = np.zeros(count + 1, np.bool_)  # the last is the site of those that have none
        watched[asked] = True
        speaks = np.zeros(count + 1, np.bool_)
        speaks[asked] = [score[number] >= 1.0 or self.all[number].subject in lost for number in asked]
        # What nobody could have heard yet may still join the silent.
        undecided = np.zeros(count + 1, np.bool_)
        undecided[:-1] = (judged_n - alive_n >= LEAST_SILENT) & (judged_n - alive_n >= LOST_SHARE * judged_n)
        spoken_for = judged & speaks[site]
        spoken_for |= self._hold(heard, silent & ~spoken_for & watched[site] & undecided[site], now_us)
        since_us = np.where(fell_us >= 0, fell_us, now_us)
        self._judgement = _Judgement(machine, site, silent, silent_n + alive_n, since_us)
        order = sorted(asked, key=lambda number: self.all[number].subject)
        subjects = np.array([self.all[number].subject for number in order], np.int32)
        return Scores(np.full(len(order), now_us), subjects, score[order].astype(np.float64)), spoken_for

    def _hold(self, heard: Heard, may: npt.NDArray[np.bool_], now_us: int) -> npt.NDArray[np.bool_]:
        """Which of the machines that may wait still do."""
        held_us = np.where(may, self._held_us[heard.machine], _NEVER)
        held_us[may & (held_us < 0)] = now_us
        self._held_us[heard.machine] = held_us
        patience_us = np.clip(np.nan_to_num(heard.every_us), HOLD_LEAST_S * 1e6, HOLD_MOST_S * 1e6)
        held: npt.NDArray[np.bool_] = may & (now_us - held_us < patience_us)
        return held

    def excuse(self, by_us: int) -> None:
        """Time that nobody could have been heard in, as in `Silence.excuse`."""
        self._held_us[self._held_us >= 0] += by_us

    def explain(self, subject: int) -> Evidence:
        """Silent are `observed` devices of the `high` that can be judged; `contributions` are some of them by name."""
        number = next((number for number, site in enumerate(self.all) if site.subject == subject), None)
        found = self._judgement
        if number is None or found is None:  # its devices stand elsewhere now
            return Evidence("site", np.nan, np.nan, np.nan, np.nan, 0, {})
        silent = found.machine[found.silent & (found.site == number)].tolist()
        names = sorted(self._devices[machine] for machine in silent)[:_NAMED]
        return Evidence(
            point=self.all[number].name,
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
        numbers = [number for number, site in enumerate(self.all) if site.subject in subjects]
        if found is None or not numbers:
            return []
        gone: list[int] = found.machine[found.silent & np.isin(found.site, numbers)].tolist()
        return gone

    def _make_room(self, size: int) -> None:
        if size > len(self._site_of):
            size = max(size, 2 * len(self._site_of))
            self._site_of = grown(self._site_of, size, -1)
            self._held_us = grown(self._held_us, size, _NEVER)
