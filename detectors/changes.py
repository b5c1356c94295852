"""A machine's changes from one level to another, tell-tale reading by reading.

A machine at a level stays within a band about it. What goes outside begins a change; when the tell-tales have come to
rest, where they are is a level known before, or a new one. What that is told by is for `change_by_readings` to say, and
for `change_by_means` of a machine that loads and unloads.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from detectors.levels import NONE, SLOTS, STANDING, Centres, Floats, Levels, is_off, stands
from detectors.memory import Memory

# What a machine is asked for shows in its speed and effort; a throughput that falls by itself is a fault.
OF_LOAD = [0, 1]
# Levels met in the first day are taken as they come; later ones when they are met again: a machine that suddenly does
# what it never did is first of all to be judged.
_YOUNG_US = 86_400_000_000

Mask = npt.NDArray[np.bool_]

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
    "heard": np.zeros(SLOTS, np.int32),
    "moves": np.zeros(SLOTS, np.int32),
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
    "plain": _BLANK,
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
    steps : bool
        It is known by means over its cycles from then on, and to go from load to load.
    """

    at_us: int
    level: int
    off: bool
    fresh: bool
    held_us: int
    undone: bool = False
    steps: bool = False


class Change(ABC):
    """One machine that has something to be looked at: its memory's row, reading by reading."""

    of_means: ClassVar[bool]

    def __init__(self, memory: Memory, row: int, young_until_us: int | None) -> None:
        self.turns: list[Turn] = []
        self.young_until_us = young_until_us
        self.memory, self.row = memory, row
        for name in COLUMNS:
            setattr(self, name, memory[name][row].tolist())
        self.levels = Levels(memory["centre"][row], memory["half"][row], self.of_means)

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
    heard: list[int]
    moves: list[int]
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
    plain: list[float]
    once: list[float]
    mean: list[float]
    mean_us: list[int]
    mean_of: list[int]
    steps: bool

    def keep(self) -> None:
        for name in COLUMNS:
            self.memory[name][self.row] = getattr(self, name)

    def hear(self, at_us: int, slot: int, read: float) -> None:
        if self.born_us < 0:
            self.born_us = self.since_us = at_us
            self._begin(at_us)
        before, value = self.value[slot], self._told(at_us, slot, read)
        self.value[slot] = value
        if not self.moving:
            if self._stays(at_us, slot, read):
                return
            self._begin(at_us)
            self._turn(value > self.high[slot])
            value = self._told(at_us, slot, read)
            self.turns.append(Turn(at_us, NONE, False, False, self.held_us, steps=self.steps))
        self.heard[slot] += 1
        self.least[slot], self.most[slot] = _min(self.least[slot], read), _max(self.most[slot], read)
        self._move(at_us, slot, value, before)
        self._look(at_us)

    @abstractmethod
    def _told(self, at_us: int, slot: int, read: float) -> float:
        """What a reading tells of the machine's level."""

    @abstractmethod
    def _stays(self, at_us: int, slot: int, read: float) -> bool:
        """Whether the machine is at its level still."""

    @abstractmethod
    def _look(self, at_us: int) -> None:
        """Let a change end that is over."""

    @abstractmethod
    def _place(self, heard: Mask) -> tuple[Floats, Floats]:
        """Where the tell-tales have come to rest, and their steps from reading to reading there."""

    def _begin(self, at_us: int) -> None:
        self.moving, self.moved_us, self.rest_us = True, at_us, at_us
        self.heard, self.moves = [0] * SLOTS, [0] * SLOTS
        self.land = list(self.value)
        self._forget()

    def _forget(self) -> None:
        self.total, self.stray, self.count = [0.0] * SLOTS, [0.0] * SLOTS, [0] * SLOTS

    def _move(self, at_us: int, slot: int, value: float, before: float) -> None:
        if self.level == NONE or abs(value) * STANDING > self.scale[slot]:
            self.scale[slot] = max(self.scale[slot], abs(value))
        if not abs(value - self.land[slot]) <= self.levels.reach(self.level, slot, self.scale[slot], value):
            self._turn(value > self.land[slot])
            self.land[slot], self.rest_us = value, at_us
            self.moves[slot] += 1
            self._forget()
        self.total[slot] += value
        self.stray[slot] += abs(value - before) if self.count[slot] else 0.0
        self.count[slot] += 1

    def _turn(self, upward: bool) -> None:
        self.turned += upward != self.upward
        self.upward = upward

    def _come_to_rest(self, at_us: int) -> None:
        """The tell-tales are at rest: which level is it?"""
        place, unrest = self._place(np.array(self.count) > 0)
        before, found = self.level, self.levels.nearest(place, np.array(self.scale))
        if self.of_means and found != NONE and self.levels.is_wide(found, np.array(self.scale)):
            self._settle_at(found, place, unrest)
        elif before == NONE:
            found = 0
            self._settle_at(0, place, unrest)
        elif found == NONE and self._takes(place, at_us):
            found = self.levels.free()
            self._settle_at(found, place, unrest)
        elif found in (NONE, before):
            # Means end where the cycle happens to be: what is no level of its own is the nearest, and not the one left.
            nearest = self.levels.nearest(place, np.array(self.scale), however_far=self.of_means)
            found = before if nearest == NONE else nearest
            if found == before:
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
        if not (apart[OF_LOAD] if not np.isnan(place[OF_LOAD]).all() else apart).any():
            return False
        if stands(place, np.array(self.scale)) or self._is_young(at_us):
            return True
        half = [self.levels.half_of(self.level, slot, self.scale[slot]) for slot in range(SLOTS)]
        again = np.abs(place - np.array(self.candidate)) <= self.levels.apart * np.array(half)
        self.candidate = place.tolist()
        return bool(again[~np.isnan(place)].all())

    def _is_young(self, at_us: int) -> bool:
        until_us = self.born_us + _YOUNG_US if self.young_until_us is None else self.young_until_us
        return at_us < until_us

    def _settle_at(self, level: int, place: Floats, unrest: Floats) -> None:
        self.scale = np.fmax(self.scale, np.abs(place)).tolist()
        self.levels.settle(level, place, unrest, np.array(self.scale))

    def _arrive(self, at_us: int, level: int, place: Floats) -> None:
        fresh = level != self.level
        if fresh:
            self.since_us = self.moved_us
        self.levels.draw(level, place)
        fresh &= self.level != NONE
        self._be_at(at_us, level, fresh, place, self.levels.half[level])

    def _be_at(
        self, at_us: int, level: int, fresh: bool, place: Floats, half: Centres, *, undone: bool = False
    ) -> None:
        half = np.where(np.isnan(half), np.inf, np.fmax(half, self.levels.share * np.array(self.scale)))
        low, high = place - half, place + half
        self.low = np.where(np.isnan(low), -np.inf, low).tolist()
        self.high = np.where(np.isnan(high), np.inf, high).tolist()
        self.level, self.moving, self.held_us = level, False, at_us
        off = is_off(self.levels.centre, np.array(self.scale), level)
        self.turns.append(Turn(at_us, level, off, fresh, self.moved_us, undone, self.steps))


def _min(one: float, other: float) -> float:
    return other if math.isnan(one) else min(one, other)  # NaN: nothing yet


def _max(one: float, other: float) -> float:
    return other if math.isnan(one) else max(one, other)
