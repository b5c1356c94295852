"""Changes of a machine that comes to rest: each reading of a tell-tale tells its level."""

from __future__ import annotations

import numpy as np

from detectors.changes import OF_LOAD, Change, Mask
from detectors.levels import NONE, Floats

# At rest: within the band for ten seconds, and four readings. Fewer, and a soft starter's ramp is taken for a level.
_REST_US, _REST_READINGS = 10_000_000, 4
# A change that takes longer is none: the machine's figures are like that, and its band is widened to hold them.
_PATIENCE_US, _PATIENCE_READINGS = 600_000_000, 12
# Stays shorter than this, so many more than longer ones: no levels, but how the machine runs (a compressor that loads
# and unloads).
_STAY_US, _HASTY = 180_000_000, 4
# A level at which the machine was for so long stays one when it turns out that it loads and unloads elsewhere.
_LONG_US = 1_800_000_000
# A machine whose tell-tales have turned so often, by so many bands, before it was given up on loads and unloads: it is
# known by means over its cycles from then on (`swings`).
_TURNS, _SWING = 3, 5.0
# if of so many readings no more than this share went to another place: noise always does, and two places do not.
_MOVING = 0.75


class ByReadings(Change):
    of_means = False

    def _told(self, at_us: int, slot: int, read: float) -> float:
        return read

    def _stays(self, at_us: int, slot: int, read: float) -> bool:
        stays = self.low[slot] <= read <= self.high[slot]
        if stays:
            self.held_us = max(self.held_us, at_us)
        return stays

    def _look(self, at_us: int) -> None:
        if at_us - self.rest_us >= _REST_US and all(n == 0 or n >= _REST_READINGS for n in self.count):
            self._come_to_rest(at_us)
        elif at_us - self.moved_us >= _PATIENCE_US and sum(self.heard) >= _PATIENCE_READINGS:
            self._give_up(at_us)

    def _begin(self, at_us: int) -> None:
        super()._begin(at_us)
        if self.hasty == 0:
            self.least, self.most, self.turned = list(self.value), list(self.value), 0

    def _place(self, heard: Mask) -> tuple[Floats, Floats]:
        place = np.where(heard, np.array(self.total) / np.maximum(self.count, 1), self.value)
        unrest = np.where(heard, np.array(self.stray) / np.maximum(np.array(self.count) - 1, 1), 0.0)
        return place, unrest

    def _arrive(self, at_us: int, level: int, place: Floats) -> None:
        if NONE != self.level != level:
            short = self.moved_us - self.since_us < _STAY_US
            self.hasty = self.hasty + 1 if short else max(self.hasty - 1, 0)
        if self.hasty >= _HASTY:
            self._give_up(at_us)
        else:
            super()._arrive(at_us, level, place)

    def _give_up(self, at_us: int) -> None:
        """The machine does not come to rest: how it goes is one level, and those within are none."""
        self.scale = np.fmax(self.scale, np.fmax(np.abs(self.least), np.abs(self.most))).tolist()
        if self._swung_widely():
            self.swings, self.floor = True, list(self.least)
            if self._is_other(at_us):
                return
        self.hasty, level, before = 0, self._swung(), self.level
        place, half = self.levels.swallow(level, self.least, self.most, np.array(self.scale))
        fresh = NONE not in (before, level) and level != before
        if fresh:
            self.since_us = self.moved_us
        self._be_at(at_us, level, fresh, place, half, undone=not fresh)

    def _is_other(self, at_us: int) -> bool:
        """Whether how it swings is another level than the one that it was at: there it was at rest for long."""
        return self.level != NONE and self.moved_us - self.since_us >= _LONG_US and self._is_young(at_us)

    def _swung(self) -> int:
        """Which level a machine is at that does not come to rest: the one it left, if it went through that again."""
        within = self.levels.between(self.least, self.most)
        if self.level == NONE or self.level in within:
            return max(self.level, 0)
        return next((level for level in (*within, self.levels.free()) if level != NONE), self.level)

    def _swung_widely(self) -> bool:
        """Whether the machine went up and down, and did not only take long."""
        swing = np.array(self.most) - np.array(self.least) > _SWING * self.levels.share * np.array(self.scale)
        if self.hasty < _HASTY:
            swing &= np.array(self.moves) <= _MOVING * np.array(self.heard)
        return self.turned >= _TURNS and bool(swing[OF_LOAD].any())
