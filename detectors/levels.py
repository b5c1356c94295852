"""Levels that one machine comes to rest at: where each is, and how far the machine strays there.

They are the machine's own, found by the gaps between them. A figure that creeps, as a fault does, takes its band along
and makes no level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Tell-tales of a machine: speed, effort, throughput.
SLOTS = 3
LEVELS = 5
NONE = -1
# Half a band: the tell-tale's steps from reading to reading at rest, and a share of its full scale. Lower, and the
# unrest of a process is a change; higher, and a pump that is turned down by a tenth has not changed.
_STEPS, _SHARE = 4.0, 0.03
# The same of means over the cycles of a machine that loads and unloads, which go on wandering; and how wide theirs may
# become: wider, and part load is within full load. A level wider than that is one of single readings still.
_MEANS_SHARE, _MEANS_WIDEST, _MEANS_APART = 0.06, 0.07, 1.3
# A band that was left for nothing is so much wider, up to a share of the full scale.
_WIDER, _WIDEST = 1.25, 0.2
# Beyond that by more than the rounding of single precision: the tell-tale is restless.
_RESTLESS = 1.01
# Bands apart before a place is another level; within so many of a known one's it is that level. Of means both are one.
_APART, _SAME = 2.0, 1.5
# A level is drawn to where the machine comes to rest, by so much each time.
_FOLLOWS = 0.1
# Of its full scale: less is standing still, for every tell-tale there is.
STANDING = 0.1

Floats = npt.NDArray[np.float64]
Centres = npt.NDArray[np.floating]

_BLANK = np.full((LEVELS, SLOTS), np.nan, np.float32)
COLUMNS: Mapping[str, Any] = {"centre": _BLANK, "half": _BLANK}
"""What is remembered of a machine's levels."""


class Levels:
    """One machine's.

    Attributes
    ----------
    centre, half : float32 (LEVELS, SLOTS)
        Where each level's band is, and half its width, in the tell-tale's unit; NaN where there is no such level, or
        the tell-tale says nothing there. Written to.
    """

    def __init__(self, centre: Centres, half: Centres, of_means: bool = False) -> None:
        self.centre, self.half = centre, half
        self.share, self._widest, self.apart, self._same = _SHARE, _WIDEST, _APART, _SAME
        if of_means:
            self.share, self._widest, self.apart, self._same = _MEANS_SHARE, _MEANS_WIDEST, _MEANS_APART, _MEANS_APART

    def half_of(self, level: int, slot: int, scale: float) -> float:
        """Half the band of one tell-tale, at a level or, for `NONE`, anywhere."""
        known = self.half[level, slot] if level != NONE else np.nan
        return float(np.fmax(known, self.share * scale))

    def reach(self, level: int, slot: int, scale: float, value: float) -> float:
        """How far a tell-tale that is at rest goes from where it was when that began: as at the level that was left, or
        at one that it may have come to."""
        half = self.half_of(level, slot, scale)
        for centre, known in zip(self.centre[:, slot].tolist(), self.half[:, slot].tolist(), strict=True):
            if abs(value - centre) <= known:
                half = max(half, known)
        # What swings through its whole band all the time is at rest when it does that.
        return 2 * half if half > _RESTLESS * self._widest * scale else half

    def nearest(self, place: Floats, scale: Floats, *, however_far: bool = False) -> int:
        """The known level that is nearest, if it is near; of standing still there is but one."""
        if stands(place, scale):
            return next((k for k in range(LEVELS) if is_off(self.centre, scale, k)), NONE)
        with np.errstate(invalid="ignore", divide="ignore"):
            bands = np.abs(place - self.centre) / self.half
        known = ~np.isnan(bands).all(axis=1)
        if not known.any():
            return NONE
        away = np.where(known, np.nanmax(np.where(np.isnan(bands), 0.0, bands), axis=1), np.inf)
        nearest = int(away.argmin())
        return nearest if however_far or away[nearest] <= self._same else NONE

    def running(self, scale: Floats) -> int:
        """How many levels are known at which the machine does not stand."""
        return sum(not np.isnan(one).all() and not stands(one, scale) for one in self.centre)

    def free(self) -> int:
        """A level that there is not yet; `NONE` where there are as many as can be."""
        unknown = np.isnan(self.centre).all(axis=1)
        return int(unknown.argmax()) if unknown.any() else NONE

    def settle(self, level: int, place: Floats, unrest: Floats, scale: Floats) -> None:
        """Make a level of a place, by the steps that tell-tales take there from reading to reading."""
        self.centre[level] = place
        self.half[level] = np.fmax(np.fmin(_STEPS * unrest, self._widest * scale), self.share * scale)

    def is_wide(self, level: int, scale: Floats) -> bool:
        """Whether a level is how the machine swings, and not a place."""
        return bool((self.half[level] > _RESTLESS * self._widest * scale).any())

    def widen(self, level: int, scale: Floats) -> None:
        """A level was left for nothing."""
        half = self.half[level]
        self.half[level] = np.minimum(_WIDER * half, np.maximum(self._widest * scale, half))

    def landed(self, level: int, place: Floats, scale: Floats) -> Floats:
        """Where the machine is at a level, by where it came to rest."""
        # Where in its swing a restless figure is says nothing.
        return np.where(self.half[level] > _RESTLESS * (self._widest * scale), self.centre[level], place)

    def draw(self, level: int, place: Floats) -> None:
        """The machine has come to rest at a level."""
        drawn = self.centre[level] + _FOLLOWS * (place - self.centre[level])
        self.centre[level] = np.where(np.isnan(drawn), np.fmin(self.centre[level], place), drawn)

    def between(self, least: Sequence[float], most: Sequence[float]) -> list[int]:
        """The known levels whose bands meet, at every tell-tale, what these went through."""
        with np.errstate(invalid="ignore"):
            beyond = (self.centre + self.half < np.array(least)) | (self.centre - self.half > np.array(most))
        within = ~beyond.any(axis=1) & ~np.isnan(self.centre).all(axis=1)
        return [int(level) for level in np.flatnonzero(within)]

    def swallow(
        self, level: int, least: Sequence[float], most: Sequence[float], scale: Floats
    ) -> tuple[Floats, Floats]:
        """Make one level of all within what the machine went through; its centre and half its band."""
        place = np.where(np.isinf(least), np.nan, (np.array(least) + np.array(most)) / 2)
        half = (np.array(most) - np.array(least)) / 2 + self.share * scale
        half = np.where(np.isfinite(half), half, np.nan)
        with np.errstate(invalid="ignore"):
            within = ~(np.abs(self.centre - place) > half).any(axis=1)
        self.centre[within], self.half[within] = np.nan, np.nan
        self.centre[level], self.half[level] = place, half
        return place, half


def is_off(centre: Centres, scale: Floats, level: int) -> bool:
    """Whether the machine stands still at a level, and not at all of them."""
    runs = any(not np.isnan(one).all() and not stands(one, scale) for one in centre)
    return runs and stands(centre[level], scale)


def stands(place: Centres, scale: Floats) -> bool:
    """Whether all tell-tales are next to nothing."""
    heard = ~np.isnan(place)
    return bool(heard.any() and (np.abs(place[heard]) <= STANDING * scale[heard]).all())
