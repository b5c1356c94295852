"""Right times out of the wrong ones of a device, where its owner asks for it.

Stamps are mended by pieces of a function of the device's own time, a function for each of its runs. A piece begins only
where the piece before it has not been used, and is saved in the transaction that stores by it: the same stamp gives the
same time for ever, so that a message which comes again finds itself stored. Time within a piece, and from one to the
next where they differ by less than a minute, never runs back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.clocks import AHEAD_S, BEHIND_S

# A clock that is further ahead or behind is wrong.
AHEAD_US, BEHIND_US = AHEAD_S * 1_000_000, BEHIND_S * 1_000_000
# Stamps from before were made by clocks that were never set: they begin with 1970, 1980 or 2000.
_NEVER_SET_US = 1_577_836_800_000_000
# Corrections follow a drifting clock from so far off until they are close, at no more than the rate, and no more often
# than that.
OFF_US = 1_000_000
CLOSE_US = 200_000
_SLEW_PPM = 500
_SLEW_OVER_S = 3600
_LEAST_PIECE_US = 600_000_000
# A use of a piece is saved ahead by so much: once in ten minutes, and not with each message.
_AHEAD_OF_USE_US = 600_000_000
# What comes from below the lowest piece of a run is taken in by the hour.
_DOWN_US = 3_600_000_000
# Stamps that were stored as they came, before the policy was `correct`: those that may come again.
_BEFORE_US = 7 * 86_400_000_000
# Stamps of one message that are further beyond its middle one than this were made by no clock.
_THROWN_US = 86_400_000_000
BEFORE = -2  # stands for a run
NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class Piece:
    """From `from_us` of the device's own time on: add `shift_us`, and `rate_ppm` of the time since.

    `used_us` is the latest stamp that it was used for, or later: `saved_us` of the database's.
    """

    from_us: int
    used_us: int
    shift_us: int
    rate_ppm: int = 0
    saved_us: int = NEVER

    def shift_at(self, own_us: int) -> int:
        return self.shift_us + self.rate_ppm * (own_us - self.from_us) // 1_000_000


class Correction:
    """Right times of one device. `wanted_us` is what should be added to its stamps now, where that is known."""

    def __init__(self) -> None:
        self.wanted_us: int | None = None
        self._runs: dict[int, list[Piece]] = {}
        self._last_us: int | None = None  # what was added last, in whatever run
        self._stored: Piece | None = None  # what was stored as it came
        self._unsaved: list[tuple[int, Piece]] = []

    def restore(self, boot: int, piece: Piece) -> None:
        """A piece from the database; called in the order of their making."""
        if boot == BEFORE:
            self._stored = piece
            return
        run = self._runs.setdefault(boot, [])
        run.append(piece)
        run.sort(key=lambda one: one.from_us)
        self._last_us = piece.shift_us

    def begin(self, stored_us: int) -> None:
        """From now on stamps are mended; up to `stored_us` they were stored as they came."""
        self._stored = Piece(stored_us - _BEFORE_US, stored_us, 0, saved_us=stored_us)
        self._unsaved.append((BEFORE, self._stored))

    def correct(
        self, boot: int, own_us: npt.NDArray[np.int64], arrived_us: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The right times of one message's stamps, and which of them that changes. Both of its shape."""
        lowest, highest = int(own_us.min()), _newest(own_us)
        self._decide(boot, lowest, highest, arrived_us, exact=False)
        run = self._runs[boot]
        last = run[-1]
        if lowest >= last.from_us:  # as nearly always
            self._use(boot, last, highest)
            time_us = own_us + last.shift_us + last.rate_ppm * (own_us - last.from_us) // 1_000_000
            return time_us, time_us != own_us
        number = np.searchsorted([piece.from_us for piece in run], own_us, side="right") - 1
        time_us = np.empty_like(own_us)
        for index in np.unique(number).tolist():
            piece, here = run[index], number == index
            stamps = own_us[here]
            time_us[here] = stamps + piece.shift_us + piece.rate_ppm * (stamps - piece.from_us) // 1_000_000
            self._use(boot, piece, min(int(stamps.max()), highest))
        return time_us, time_us != own_us

    def anchor(self, boot: int, own_us: int, arrived_us: int) -> None:
        """The device's own time at a moment when it certainly spoke: what it stamped it sent at once."""
        self._decide(boot, own_us, own_us, arrived_us, exact=True)

    @property
    def is_used(self) -> bool:
        """Whether anything was added last, in whatever run."""
        return bool(self._last_us)

    def unsaved(self) -> list[tuple[int, Piece]]:
        """Pieces that the database does not have, or not as far as they were used."""
        return list(self._unsaved)

    def saved(self) -> None:
        """What was unsaved is committed."""
        self._unsaved.clear()

    def _decide(self, boot: int, lowest: int, highest: int, arrived_us: int, exact: bool) -> None:
        """Make the pieces that cover the stamps of a message, of which `highest` is as new as the message."""
        run = self._runs.setdefault(boot, [])
        stored = self._stored
        if not run and stored and lowest <= stored.used_us and highest >= stored.from_us:
            self._add(boot, Piece(stored.from_us, stored.used_us, stored.shift_us))
        if not run:
            self._add(boot, Piece(lowest, highest, self._guess(highest, arrived_us, exact)))
            return
        if lowest < run[0].from_us:
            self._reach_down(boot, lowest, highest, arrived_us, exact)
        index = max(0, sum(piece.from_us <= highest for piece in run) - 1)
        piece = run[index]
        shift_us, rate_ppm = self._better(piece, highest, arrived_us, exact)
        first = max(lowest, piece.used_us + 1)
        if shift_us is None:
            shift_us = piece.shift_at(first)
        if first <= highest and (shift_us, rate_ppm) != (piece.shift_at(first), piece.rate_ppm):
            self._add(boot, Piece(first, highest, shift_us, rate_ppm))

    def _reach_down(self, boot: int, lowest: int, highest: int, arrived_us: int, exact: bool) -> None:
        """Stamps from below the lowest piece: an older backlog of the same clock, or one that was set back."""
        run = self._runs[boot]
        says_now = (exact or _is_fresh(highest, arrived_us)) and bool(run[-1].shift_us)
        # What would come out before anything of ours was made: the lowest piece was made for a stamp thrown far ahead.
        is_nonsense = highest + run[0].shift_us < _NEVER_SET_US
        if highest < run[0].from_us and (says_now or is_nonsense):
            self._add(boot, Piece(lowest, highest, self._guess(highest, arrived_us, exact)))
        else:
            self._add(boot, Piece(lowest - _DOWN_US, run[0].from_us - 1, run[0].shift_us))

    def _better(self, piece: Piece, highest: int, arrived_us: int, exact: bool) -> tuple[int | None, int]:
        """What should be added from the newest stamp on, and at which rate; None: what is added there anyhow."""
        here = piece.shift_at(highest)
        late_us = arrived_us - (highest + here)
        if late_us < -AHEAD_US or (exact and late_us > AHEAD_US):
            guess = self._guess(highest, arrived_us, exact)
            return (guess if highest + guess <= arrived_us + AHEAD_US else arrived_us - highest), 0
        if late_us > BEHIND_US and abs(here) > BEHIND_US and _is_fresh(highest, arrived_us):
            return 0, 0  # it has been set right
        if self.wanted_us is None or not _is_fresh(highest + self.wanted_us, arrived_us):
            return None, piece.rate_ppm
        off_us = self.wanted_us - here
        if abs(off_us) > BEHIND_US:
            return self.wanted_us, 0
        return None, _rate(piece, off_us) if highest - piece.from_us >= _LEAST_PIECE_US else piece.rate_ppm

    def _guess(self, highest: int, arrived_us: int, exact: bool) -> int:
        """What to add to the stamps of a clock of which nothing more is known than its newest one."""
        if exact:
            return arrived_us - highest if abs(arrived_us - highest) > AHEAD_US else 0
        if _is_fresh(highest, arrived_us):
            return 0
        if self._last_us and _is_fresh(highest + self._last_us, arrived_us):
            return self._last_us
        if highest > arrived_us or highest < _NEVER_SET_US:
            return arrived_us - highest
        return self._last_us or 0  # a backlog, by the clock as it was

    def _add(self, boot: int, piece: Piece) -> None:
        run = self._runs[boot]
        run.append(piece)
        run.sort(key=lambda one: one.from_us)
        self._last_us = piece.shift_us
        self._save(boot, piece)

    def _use(self, boot: int, piece: Piece, own_us: int) -> None:
        piece.used_us = max(piece.used_us, own_us)
        if piece.used_us > piece.saved_us:
            self._save(boot, piece)

    def _save(self, boot: int, piece: Piece) -> None:
        piece.saved_us = piece.used_us + _AHEAD_OF_USE_US
        self._unsaved.append((boot, piece))


def _newest(own_us: npt.NDArray[np.int64]) -> int:
    """The newest stamp of a message, without those that a flipped bit has thrown far beyond the rest."""
    newest = int(own_us.max())
    if newest - int(own_us[0]) <= _THROWN_US:
        return newest
    middle = int(np.sort(own_us)[(len(own_us) - 1) // 2])
    return int(own_us[own_us <= middle + _THROWN_US].max())


def _rate(piece: Piece, off_us: int) -> int:
    """At which rate to come nearer to a clock that is off by so much, in ppm."""
    if abs(off_us) > OFF_US:
        return int(np.clip(off_us // _SLEW_OVER_S, -_SLEW_PPM, _SLEW_PPM))
    arrived = abs(off_us) < CLOSE_US or (off_us > 0) != (piece.rate_ppm > 0)
    return 0 if arrived else piece.rate_ppm


def _is_fresh(time_us: int, arrived_us: int) -> bool:
    """Whether something that was sent at `time_us` would arrive now."""
    return -AHEAD_US <= arrived_us - time_us <= BEHIND_US
