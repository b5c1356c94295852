"""Changes of a machine that loads and unloads: means over its cycles tell its level (`swings`), and no single reading.

A mean that leaves its band begins anew with the reading that made it do so. A reading outside all that the level has
shown ends it at once.
"""

from __future__ import annotations

import math

import numpy as np

from detectors import swings
from detectors.changes import Change, Mask
from detectors.levels import SLOTS, Centres, Floats

# At rest: within the band for so long, and so many readings, when the means have had as long to begin. After so long
# they are where they are, and nobody would wait any longer.
_REST_US, _REST_READINGS, _PATIENCE_US = 300_000_000, 15, 2_400_000_000


class ByMeans(Change):
    of_means = True

    @classmethod
    def instead_of(cls, other: Change, at_us: int) -> ByMeans:
        """Of a machine that has just turned out to load and unload."""
        other.keep()
        machine = cls(other.memory, other.row, other.young_until_us)
        machine.turns = other.turns
        machine._begin(at_us)
        return machine

    def _told(self, at_us: int, slot: int, read: float) -> float:
        """The mean with one more reading."""
        since_us = float(at_us - self.mean_us[slot])
        self.mean_of[slot] += 1
        share = swings.weight(since_us, self.mean_of[slot])
        if self.mean_of[slot] == 1:
            self.plain[slot] = self.once[slot] = self.mean[slot] = read
        self.once[slot] += (read - self.once[slot]) * share
        self.mean[slot] += (self.once[slot] - self.mean[slot]) * share
        self.mean_us[slot] = at_us
        if self.moving:
            self.plain[slot] += (read - self.plain[slot]) / self.mean_of[slot]
        elif not self.steps:
            by = swings.followed(self.mean[slot], self.low[slot], self.high[slot], self.land[slot], since_us)
            self.low[slot] += by
            self.high[slot] += by
        return self.mean[slot]

    def _stays(self, at_us: int, slot: int, read: float) -> bool:
        within = self.bottom[slot] <= read <= self.top[slot]
        stays = within and self.low[slot] <= self.mean[slot] <= self.high[slot]
        if stays:
            self.held_us = max(self.held_us, at_us - swings.LAG_US)
        return stays

    def _look(self, at_us: int) -> None:
        at_rest = at_us - max(self.rest_us, self.moved_us + _REST_US) >= _REST_US
        at_rest &= all(n == 0 or n >= _REST_READINGS for n in self.count)
        if at_rest or at_us - self.moved_us >= _PATIENCE_US:
            self._come_to_rest(at_us)

    def _begin(self, at_us: int) -> None:
        if not self.moving and not self.steps:
            # What the detectors know of it is what it was like lately.
            with np.errstate(invalid="ignore"):
                middle = (np.array(self.low) + np.array(self.high)) / 2
            self.levels.centre[self.level] = np.where(np.isfinite(middle), middle, self.levels.centre[self.level])
        super()._begin(at_us)
        self.mean_of = [0] * SLOTS
        self.least, self.most = [math.nan] * SLOTS, [math.nan] * SLOTS

    def _place(self, heard: Mask) -> tuple[Floats, Floats]:
        return np.where(heard, self.plain, self.value), np.zeros(SLOTS)

    def _be_at(
        self, at_us: int, level: int, fresh: bool, place: Floats, half: Centres, *, undone: bool = False
    ) -> None:
        self.steps = self.levels.running(np.array(self.scale)) > 1
        super()._be_at(at_us, level, fresh, place, half, undone=undone)
        self.land = place.tolist()
        beyond = self.levels.share * np.array(self.scale)
        self.bottom = np.nan_to_num(np.array(self.least) - beyond, nan=-np.inf).tolist()
        self.top = np.nan_to_num(np.array(self.most) + beyond, nan=np.inf).tolist()
