"""Who is there: by what devices say of themselves, and by what is heard of them.

Between the detector `silence` and the alarms stands what a score alone cannot know: a connection that was lost is
silence from that moment on, a device that said goodbye is not silent, and where a whole site has gone, that is one
alarm and not one for each of its devices. The cost of a quiet fleet is a few comparisons of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np
import numpy.typing as npt

from alarms.sites import Place, Site, Sites
from detectors.scores import Scores
from detectors.silence import Heard
from telemetry.columns import grown

# From a lost connection to an alarm, where nothing else is heard. Too low: every router that restarts is an alarm. Too
# high: silence alone would have been as soon.
LOST_AFTER_S = 30.0
_NEVER = np.int64(-1)
_LOST = frozenset({"", "connection lost"})


class Presence:
    """What is known of the presence of devices, by the number of their machine."""

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}
        self.sites = Sites()
        self._numbers: dict[tuple[str, str], int] = {}
        self._lost_us = np.empty(0, np.int64)  # when its connection was lost, by machine
        self._stopped_us = np.empty(0, np.int64)  # when it said goodbye
        self._back_us = np.empty(0, np.int64)  # when it was there again after a goodbye: from then on it is waited for
        self._watched = np.empty(0, np.bool_)

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
            self.sites.gather(known)

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
        for moment_us in (self._lost_us, self._stopped_us, self._back_us):
            moment_us[moment_us >= 0] += by_us
        self.sites.excuse(by_us)

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
        sites, spoken_for = self.sites.judge(heard, whole, raised, now_us, lost, may_be_lost)
        score[spoken_for] = 0.0
        return Scores(scores.time_us, scores.subject, score), sites

    def away(self, heard: Heard) -> dict[int, str]:
        """Machines that said they are gone and have not been heard since: `lost` or `stopped`."""
        self._make_room(int(heard.machine.max(initial=-1)) + 1)
        words = dict.fromkeys(heard.machine[self._said_gone(heard)].tolist(), "lost")
        return words | dict.fromkeys(heard.machine[self._said_goodbye(heard)].tolist(), "stopped")

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

    def _make_room(self, size: int) -> None:
        if size <= len(self._watched):
            return
        size = max(size, 2 * len(self._watched))
        self._lost_us = grown(self._lost_us, size, _NEVER)
        self._stopped_us = grown(self._stopped_us, size, _NEVER)
        self._back_us = grown(self._back_us, size, _NEVER)
        self._watched = grown(self._watched, size, True)


def _stands(place: Place) -> tuple[str, str, str, str]:
    return place.tenant, place.device, place.site, place.gateway


def is_orderly(reason: str) -> bool:
    """Whether a device that is offline said goodbye itself: a last will has no reason, or says what it is."""
    return reason not in _LOST
