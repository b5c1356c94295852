"""A machine's changes from one level to another, tell-tale reading by reading.

A machine at a level stays within a band about it. A reading outside begins a change; when the tell-tales have come to
rest, where they are is a level known before, or a new one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors import swings
from detectors.levels import NONE, SLOTS, Centres, Floats, Levels, is_off, stands
from detectors.memory import Memory

# What a machine is asked for shows in its speed and effort; a throughput that falls by itself is a fault.
_OF_LOAD = [0, 1]
# At rest: within the band for ten seconds, and four readings. Fewer, and a soft starter's ramp is taken for a level.
_REST_US, _REST_READINGS = 10_000_000, 4
# A change that takes longer is none: the machine's figures are like that, and its band is widened to hold them.
_PATIENCE_US, _PATIENCE_READINGS = 600_000_000, 12
# Stays shorter than this, so many more than longer ones: no levels, but how the machine runs (a compressor that loads
# and unloads).
_STAY_US, _HASTY = 180_000_000, 4
# Levels met in the first day are taken as they come; later ones when they are met again: a machine that suddenly does
# what it never did is first of all to be judged.
_YOUNG_US = 86_400_000_000

# A machine whose tell-tales have turned so often, by so many bands, before it was given up on loads and unloads: it is
# known by means over its cycles from then on. At rest they are when they stay within the band for so long.
_TURNS, _SWING = 3, 5.0
_MEANS_REST_US, _MEANS_REST_READINGS, _MEANS_PATIENCE_US = 300_000_000, 15, 2_400_000_000

_BLANK = np.full(SLOTS, np.nan)
COLUMNS: Mapping[str, Any] = {
    "value": _BLANK,
    "low": np.full(SLOTS, -np.inf),
    "high": np.full(SLOTS, np.inf),
    "scale": np.zeros(SLOTS),
    "candidate": _BLANK,
    "level": np.int8(NONE),
    "moving": np.bool_(True),
    "hasty": np.int8(0),
    "born_us": np.int64(-1),
    "since_us": np.int64(-1),
    "held_us": np.int64(-1),
    "moved_us": np.int64(-1),
    "rest_us": np.int64(-1),
    "heard": np.int32(0),
    "land": _BLANK,
    "total": np.zeros(SLOTS),
    "stray": np.zeros(SLOTS),
    "count": np.zeros(SLOTS, np.int32),
    "least": np.full(SLOTS, np.inf),
    "most": np.full(SLOTS, -np.inf),
    "upward": np.bool_(False),
    "turned": np.int16(0),
    "swings": np.bool_(False),
    "floor": _BLANK,
    "bottom": np.full(SLOTS, -np.inf),
    "top": np.full(SLOTS, np.inf),
    "once": _BLANK,
    "mean": _BLANK,
    "mean_us": np.zeros(SLOTS, np.int64),
    "mean_of": np.zeros(SLOTS, np.int32),
    "steps": np.bool_(False),
}
"""What is remembered of a machine, beside its levels."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A machine changes, or has changed, at `at_us`.

    Attributes
    ----------
    level : int
        The level from then on; `NONE` while it changes.
    off : bool
        It stands still there.
    fresh : bool
        It is another level than before the change.
    held_us : int
        When it was last seen at the level that it leaves: what happened later may be the change itself. At its end:
        when the change began.
    undone : bool
        What were taken for changes lately were none.
    """

    at_us: int
    level: int
    off: bool
    fresh: bool
    held_us: int
    undone: bool = False


class Change:
    """One machine that has something to be looked at: its memory's row, reading by reading."""

    def __init__(self, memory: Memory, row: int) -> None:
        self.turns: list[Turn] = []
        self._memory, self._row = memory, row
        for name in COLUMNS:
            setattr(self, name, memory[name][row].tolist())
        self.levels = Levels(memory["centre"][row], memory["half"][row], self.swings)

    value: list[float]
    low: list[float]
    high: list[float]
    scale: list[float]
    candidate: list[float]
    level: int
    moving: bool
    hasty: int
    born_us: int
    since_us: int
    held_us: int
    moved_us: int
    rest_us: int
    heard: int
    land: list[float]
    total: list[float]
    stray: list[float]
    count: list[int]
    least: list[float]
    most: list[float]
    upward: bool
    turned: int
    swings: bool
    floor: list[float]
    bottom: list[float]
    top: list[float]
    once: list[float]
    mean: list[float]
    mean_us: list[int]
    mean_of: list[int]
    steps: bool

    def keep(self) -> None:
        for name in COLUMNS:
            self._memory[name][self._row] = getattr(self, name)

    def hear(self, at_us: int, slot: int, value: float) -> None:
        if self.born_us < 0:
            self.born_us = self.since_us = at_us
            self._begin(at_us)
        read, seen_us = value, self.mean_us[slot]
        value = self._mean(at_us, slot, read) if self.swings else read
        before, self.value[slot] = self.value[slot], value
        if not self.moving:
            self._follow(slot, value, at_us - seen_us)
            within = self.bottom[slot] <= read <= self.top[slot]
            if within and self.low[slot] <= value <= self.high[slot]:
                self.held_us = max(self.held_us, at_us - swings.MEMORY_US * self.swings)
                return
            self._begin(at_us)
            self._turn(value > self.high[slot])
            value = self._mean(at_us, slot, read) if self.swings else read
            self.turns.append(Turn(at_us, NONE, False, False, self.held_us))
        self.heard += 1
        self.least[slot], self.most[slot] = _min(self.least[slot], read), _max(self.most[slot], read)
        self._move(at_us, slot, value, before)
        if self.swings:
            self._see_means(at_us)
        elif at_us - self.rest_us >= _REST_US and all(n == 0 or n >= _REST_READINGS for n in self.count):
            self._come_to_rest(at_us)
        elif at_us - self.moved_us >= _PATIENCE_US and self.heard >= _PATIENCE_READINGS:
            self._give_up(at_us)

    def _follow(self, slot: int, mean: float, since_us: int) -> None:
        """A figure that creeps takes its band along, where no load step is known."""
        if self.swings and not self.steps:
            by = swings.followed.function(mean, self.low[slot], self.high[slot], float(since_us))
            self.low[slot] += by
            self.high[slot] += by

    def _see_means(self, at_us: int) -> None:
        """Means over cycles come to rest, or are where they are when nobody would wait any longer."""
        at_rest = at_us - max(self.rest_us, self.moved_us + _MEANS_REST_US) >= _MEANS_REST_US
        at_rest &= all(n == 0 or n >= _MEANS_REST_READINGS for n in self.count)
        if at_rest or at_us - self.moved_us >= _MEANS_PATIENCE_US:
            self._come_to_rest(at_us)

    def _mean(self, at_us: int, slot: int, value: float) -> float:
        """A tell-tale's mean with one more reading."""
        self.mean_of[slot] += 1
        share = swings.weight.function(float(at_us - self.mean_us[slot]), self.mean_of[slot])
        if self.mean_of[slot] == 1:
            self.once[slot] = self.mean[slot] = value
        self.once[slot] += (value - self.once[slot]) * share
        self.mean[slot] += (self.once[slot] - self.mean[slot]) * share
        self.mean_us[slot] = at_us
        return self.mean[slot]

    def _begin(self, at_us: int) -> None:
        self.moving, self.moved_us, self.rest_us, self.heard = True, at_us, at_us, 0
        self.land = list(self.value)
        self._forget()
        self.mean_of = [0] * SLOTS
        if self.swings:
            self.least, self.most = [math.nan] * SLOTS, [math.nan] * SLOTS
        elif self.hasty == 0:
            self.least, self.most, self.turned = list(self.value), list(self.value), 0

    def _forget(self) -> None:
        self.total, self.stray, self.count = [0.0] * SLOTS, [0.0] * SLOTS, [0] * SLOTS

    def _move(self, at_us: int, slot: int, value: float, before: float) -> None:
        self.scale[slot] = max(self.scale[slot], abs(value)) if self.level == NONE else self.scale[slot]
        if not abs(value - self.land[slot]) <= self.levels.reach(self.level, slot, self.scale[slot], value):
            self._turn(value > self.land[slot])
            self.land[slot], self.rest_us = value, at_us
            self._forget()
        self.total[slot] += value
        self.stray[slot] += abs(value - before) if self.count[slot] else 0.0
        self.count[slot] += 1

    def _turn(self, upward: bool) -> None:
        self.turned += upward != self.upward
        self.upward = upward

    def _come_to_rest(self, at_us: int) -> None:
        """The tell-tales are at rest: which level is it?"""
        heard = np.array(self.count) > 0
        place = np.where(heard, np.array(self.total) / np.maximum(self.count, 1), self.value)
        unrest = np.where(heard, np.array(self.stray) / np.maximum(np.array(self.count) - 1, 1), 0.0)
        if self.swings:
            place, unrest = np.where(heard, self.once, self.value), np.zeros(SLOTS)
        before, found = self.level, self.levels.nearest(place, np.array(self.scale))
        if self.swings and found != NONE and self.levels.is_wide(found, np.array(self.scale)):
            self._settle_at(found, place, unrest)
        elif before == NONE:
            found = 0
            self._settle_at(0, place, unrest)
        elif found == NONE and self._takes(place, at_us):
            found = self.levels.free()
            self._settle_at(found, place, unrest)
        elif found in (NONE, before):
            found = before
            self.levels.widen(before, np.array(self.scale))
        self._arrive(at_us, found, self.levels.landed(found, place, np.array(self.scale)))

    def _takes(self, place: Floats, at_us: int) -> bool:
        """Whether a place becomes a level: it is apart from where the machine was, and expected or met before."""
        if self.levels.free() == NONE:
            return False
        with np.errstate(invalid="ignore"):
            middle = (np.array(self.low) + np.array(self.high)) / 2
        reach = self.levels.apart * self.levels.half[self.level]
        moved = np.abs(place - middle)
        apart = moved > np.where(np.isnan(reach), np.inf, reach)
        if not (apart[_OF_LOAD] if not np.isnan(place[_OF_LOAD]).all() else apart).any():
            return False
        if stands(place, np.array(self.scale)) or at_us - self.born_us < _YOUNG_US:
            return True
        half = [self.levels.half_of(self.level, slot, self.scale[slot]) for slot in range(SLOTS)]
        again = np.abs(place - np.array(self.candidate)) <= self.levels.apart * np.array(half)
        self.candidate = place.tolist()
        return bool(again[~np.isnan(place)].all())

    def _settle_at(self, level: int, place: Floats, unrest: Floats) -> None:
        self.scale = np.fmax(self.scale, np.abs(place)).tolist()
        self.levels.settle(level, place, unrest, np.array(self.scale))

    def _arrive(self, at_us: int, level: int, place: Floats) -> None:
        fresh = level != self.level
        if fresh and self.level != NONE and not self.swings:
            short = self.moved_us - self.since_us < _STAY_US
            self.hasty = self.hasty + 1 if short else max(self.hasty - 1, 0)
        if self.hasty >= _HASTY:
            self._give_up(at_us)
            return
        if fresh:
            self.since_us = self.moved_us
        self.levels.draw(level, place)
        fresh &= self.level != NONE
        self._be_at(at_us, level, fresh, place, self.levels.half[level])

    def _give_up(self, at_us: int) -> None:
        """The machine does not come to rest: how it goes is one level, and those within are none."""
        self.scale = np.fmax(self.scale, np.fmax(np.abs(self.least), np.abs(self.most))).tolist()
        level, before = self._swung(), self.level
        place, half = self.levels.swallow(level, self.least, self.most, np.array(self.scale))
        self.hasty = 0
        fresh = NONE not in (before, level) and level != before
        if fresh:
            self.since_us = self.moved_us
        self._be_at(at_us, level, fresh, place, half, undone=not fresh)
        if not self.swings and self._swung_widely():
            self.swings, self.floor = True, list(self.least)
            self.levels = Levels(self.levels.centre, self.levels.half, self.swings)
            self._begin(at_us)

    def _swung_widely(self) -> bool:
        """Whether the machine went up and down, and did not only take long."""
        swing = (np.array(self.most) - np.array(self.least))[_OF_LOAD]
        return self.turned >= _TURNS and bool(
            (swing > _SWING * self.levels.share * np.array(self.scale)[_OF_LOAD]).any()
        )

    def _swung(self) -> int:
        """Which level a machine is at that does not come to rest: the one it left, if it went through that again."""
        within = self.levels.between(self.least, self.most)
        if self.level == NONE or self.level in within:
            return max(self.level, 0)
        return next((level for level in (*within, self.levels.free()) if level != NONE), self.level)

    def _be_at(
        self, at_us: int, level: int, fresh: bool, place: Floats, half: Centres, *, undone: bool = False
    ) -> None:
        half = np.where(np.isnan(half), np.inf, half)
        low, high = place - half, place + half
        self.low = np.where(np.isnan(low), -np.inf, low).tolist()
        self.high = np.where(np.isnan(high), np.inf, high).tolist()
        if self.swings:
            beyond = self.levels.share * np.array(self.scale)
            self.bottom = np.nan_to_num(np.array(self.least) - beyond, nan=-np.inf).tolist()
            self.top = np.nan_to_num(np.array(self.most) + beyond, nan=np.inf).tolist()
            self.steps = self.levels.running(np.array(self.scale)) > 1
        self.level, self.moving, self.held_us = level, False, at_us
        off = is_off(self.levels.centre, np.array(self.scale), level)
        self.turns.append(Turn(at_us, level, off, fresh, self.moved_us, undone))


def _min(one: float, other: float) -> float:
    return other if math.isnan(one) else min(one, other)  # NaN: nothing yet


def _max(one: float, other: float) -> float:
    return other if math.isnan(one) else max(one, other)
