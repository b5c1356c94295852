"""Levels of one machine, and its changes from one to another, tell-tale reading by reading.

A machine at a level stays within a band about it. A reading outside begins a change; when the tell-tales have come to
rest, where they are is a level known before, or a new one. Levels are the machine's own, found by the gaps between
them; a figure that creeps, as a fault does, takes its band along and makes no level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.memory import Memory

# Tell-tales of a machine: speed, effort, throughput.
SLOTS = 3
# What a machine is asked for shows in its speed and effort; a throughput that falls by itself is a fault.
_OF_LOAD = [0, 1]
LEVELS = 5
NONE = -1
# At rest: within the band for ten seconds, and four readings. Fewer, and a soft starter's ramp is taken for a level.
_REST_US, _REST_READINGS = 10_000_000, 4
# A change that takes longer is none: the machine's figures are like that, and its band is widened to hold them.
_PATIENCE_US, _PATIENCE_READINGS = 600_000_000, 12
# Half a band: the tell-tale's steps from reading to reading at rest, and a share of its full scale. Lower, and the
# unrest of a process is a change; higher, and a pump that is turned down by a tenth has not changed.
_STEPS, _SHARE = 4.0, 0.03
# A band that was left for nothing is so much wider, up to a share of the full scale.
_WIDER, _WIDEST = 1.25, 0.2
# Beyond that by more than the rounding of single precision: the tell-tale is restless.
_RESTLESS = 1.01
# Bands apart before a place is another level; within so many of a known one's it is that level.
_APART, _SAME = 2.0, 1.5
# A level is drawn to where the machine comes to rest, by so much each time.
_FOLLOWS = 0.1
# Of its full scale: less is standing still, for every tell-tale there is.
_STANDING = 0.1
# Stays shorter than this, so many more than longer ones: no levels, but how the machine runs (a compressor that loads
# and unloads).
_STAY_US, _HASTY = 180_000_000, 4
# Levels met in the first day are taken as they come; later ones when they are met again: a machine that suddenly does
# what it never did is first of all to be judged.
_YOUNG_US = 86_400_000_000

Floats = npt.NDArray[np.float64]

_BLANK, _LEVELS = np.full(SLOTS, np.nan), np.full((LEVELS, SLOTS), np.nan, np.float32)
COLUMNS: Mapping[str, Any] = {
    "value": _BLANK,
    "low": np.full(SLOTS, -np.inf),
    "high": np.full(SLOTS, np.inf),
    "scale": np.zeros(SLOTS),
    "candidate": _BLANK,
    "centre": _LEVELS,
    "half": _LEVELS,
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
}
"""What is remembered of a machine."""


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
        for name in _FIGURES:
            setattr(self, name, memory[name][row].tolist())
        self.centre = memory["centre"][row].copy()
        self.half = memory["half"][row].copy()

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

    def keep(self) -> None:
        for name in (*_FIGURES, "centre", "half"):
            self._memory[name][self._row] = getattr(self, name)

    def hear(self, at_us: int, slot: int, value: float) -> None:
        if self.born_us < 0:
            self.born_us = self.since_us = at_us
            self._begin(at_us)
        before, self.value[slot] = self.value[slot], value
        if not self.moving:
            if self.low[slot] <= value <= self.high[slot]:
                self.held_us = max(self.held_us, at_us)
                return
            self._begin(at_us)
            self.turns.append(Turn(at_us, NONE, False, False, self.held_us))
        self._move(at_us, slot, value, before)
        if at_us - self.rest_us >= _REST_US and all(n == 0 or n >= _REST_READINGS for n in self.count):
            self._come_to_rest(at_us)
        elif at_us - self.moved_us >= _PATIENCE_US and self.heard >= _PATIENCE_READINGS:
            self._give_up(at_us)

    def _begin(self, at_us: int) -> None:
        self.moving, self.moved_us, self.rest_us, self.heard = True, at_us, at_us, 0
        self.land = list(self.value)
        self._forget()
        if self.hasty == 0:
            self.least, self.most = list(self.value), list(self.value)

    def _forget(self) -> None:
        self.total, self.stray, self.count = [0.0] * SLOTS, [0.0] * SLOTS, [0] * SLOTS

    def _move(self, at_us: int, slot: int, value: float, before: float) -> None:
        self.heard += 1
        self.least[slot] = _min(self.least[slot], value)
        self.most[slot] = _max(self.most[slot], value)
        self.scale[slot] = max(self.scale[slot], abs(value)) if self.level == NONE else self.scale[slot]
        half = self._half(slot)
        # What swings through its whole band all the time is at rest when it does that.
        if not abs(value - self.land[slot]) <= (2 * half if half > _RESTLESS * _WIDEST * self.scale[slot] else half):
            self.land[slot], self.rest_us = value, at_us
            self._forget()
        self.total[slot] += value
        self.stray[slot] += abs(value - before) if self.count[slot] else 0.0
        self.count[slot] += 1

    def _half(self, slot: int) -> float:
        known = self.half[self.level, slot] if self.level != NONE else np.nan
        return float(np.fmax(known, _SHARE * self.scale[slot]))

    def _come_to_rest(self, at_us: int) -> None:
        """The tell-tales are at rest: which level is it?"""
        heard = np.array(self.count) > 0
        place = np.where(heard, np.array(self.total) / np.maximum(self.count, 1), self.value)
        unrest = np.where(heard, np.array(self.stray) / np.maximum(np.array(self.count) - 1, 1), 0.0)
        before, found = self.level, self._which(place)
        if before == NONE:
            found = 0
            self._settle_at(0, place, unrest)
        elif found == NONE and self._takes(place, at_us):
            found = int(np.isnan(self.centre).all(axis=1).argmax())
            self._settle_at(found, place, unrest)
        elif found in (NONE, before):
            found = before
            self.half[before] = np.minimum(_WIDER * self.half[before], np.maximum(self._limit(), self.half[before]))
        # Where in its swing a restless figure is says nothing.
        self._arrive(at_us, found, np.where(self.half[found] > _RESTLESS * self._limit(), self.centre[found], place))

    def _limit(self) -> Floats:
        return _WIDEST * np.array(self.scale)

    def _which(self, place: Floats) -> int:
        """The known level that is nearest, if it is near; of standing still there is but one."""
        scale = np.array(self.scale)
        if _stands(place, scale):
            return next((k for k in range(LEVELS) if is_off(self.centre, scale, k)), NONE)
        with np.errstate(invalid="ignore", divide="ignore"):
            bands = np.abs(place - self.centre) / self.half
        known = ~np.isnan(bands).all(axis=1)
        if not known.any():
            return NONE
        away = np.where(known, np.nanmax(np.where(np.isnan(bands), 0.0, bands), axis=1), np.inf)
        nearest = int(away.argmin())
        return nearest if away[nearest] <= _SAME else NONE

    def _takes(self, place: Floats, at_us: int) -> bool:
        """Whether a place becomes a level: it is apart from where the machine was, and expected or met before."""
        if not np.isnan(self.centre).all(axis=1).any():
            return False
        with np.errstate(invalid="ignore"):
            middle = (np.array(self.low) + np.array(self.high)) / 2
        reach = _APART * self.half[self.level]
        moved = np.abs(place - middle)
        apart = moved > np.where(np.isnan(reach), np.inf, reach)
        if not (apart[_OF_LOAD] if not np.isnan(place[_OF_LOAD]).all() else apart).any():
            return False
        if _stands(place, np.array(self.scale)) or at_us - self.born_us < _YOUNG_US:
            return True
        again = np.abs(place - np.array(self.candidate)) <= _APART * np.array([self._half(s) for s in range(SLOTS)])
        self.candidate = place.tolist()
        return bool(again[~np.isnan(place)].all())

    def _settle_at(self, level: int, place: Floats, unrest: Floats) -> None:
        self.scale = np.fmax(self.scale, np.abs(place)).tolist()
        self.centre[level] = place
        self.half[level] = np.fmax(np.fmin(_STEPS * unrest, self._limit()), _SHARE * np.array(self.scale))

    def _arrive(self, at_us: int, level: int, place: Floats) -> None:
        fresh = level != self.level
        if fresh and self.level != NONE:
            short = self.moved_us - self.since_us < _STAY_US
            self.hasty = self.hasty + 1 if short else max(self.hasty - 1, 0)
        if self.hasty >= _HASTY:
            self._give_up(at_us)
            return
        if fresh:
            self.since_us = self.moved_us
        drawn = self.centre[level] + _FOLLOWS * (place - self.centre[level])
        self.centre[level] = np.where(np.isnan(drawn), np.fmin(self.centre[level], place), drawn)
        fresh &= self.level != NONE
        self._be_at(at_us, level, fresh, place, np.where(np.isnan(self.half[level]), np.inf, self.half[level]))

    def _give_up(self, at_us: int) -> None:
        """The machine does not come to rest: how it goes is one level, and those within are none."""
        least, most = np.array(self.least), np.array(self.most)
        place = np.where(np.isinf(least), np.nan, (least + most) / 2)
        self.scale = np.fmax(self.scale, np.fmax(np.abs(least), np.abs(most))).tolist()
        half = (most - least) / 2 + _SHARE * np.array(self.scale)
        half = np.where(np.isfinite(half), half, np.nan)
        level = max(self.level, 0)
        with np.errstate(invalid="ignore"):
            within = ~(np.abs(self.centre - place) > half).any(axis=1)
        self.centre[within], self.half[within] = np.nan, np.nan
        self.centre[level], self.half[level] = place, half
        self.hasty = 0
        self._be_at(at_us, level, False, place, np.where(np.isnan(half), np.inf, half), undone=True)

    def _be_at(self, at_us: int, level: int, fresh: bool, place: Floats, half: Floats, *, undone: bool = False) -> None:
        low, high = place - half, place + half
        self.low = np.where(np.isnan(low), -np.inf, low).tolist()
        self.high = np.where(np.isnan(high), np.inf, high).tolist()
        self.level, self.moving, self.held_us = level, False, at_us
        off = is_off(self.centre, np.array(self.scale), level)
        self.turns.append(Turn(at_us, level, off, fresh, self.moved_us, undone))


_FIGURES = (
    *("value", "low", "high", "scale", "candidate", "level", "moving", "hasty", "born_us", "since_us", "held_us"),
    *("moved_us", "rest_us", "heard", "land", "total", "stray", "count", "least", "most"),
)


def is_off(centre: npt.NDArray[np.floating], scale: Floats, level: int) -> bool:
    """Whether the machine stands still at a level, and not at all of them."""
    runs = any(not np.isnan(one).all() and not _stands(one, scale) for one in centre)
    return runs and _stands(centre[level], scale)


def _stands(place: npt.NDArray[np.floating], scale: Floats) -> bool:
    """Whether all tell-tales are next to nothing."""
    heard = ~np.isnan(place)
    return bool(heard.any() and (np.abs(place[heard]) <= _STANDING * scale[heard]).all())


def _min(one: float, other: float) -> float:
    return other if math.isnan(one) else min(one, other)  # NaN: nothing yet


def _max(one: float, other: float) -> float:
    return other if math.isnan(one) else max(one, other)
