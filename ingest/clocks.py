"""Device clocks: what each shows beside ours, and right times out of wrong ones where a device's owner asks for it.

A message that is under way, or has waited, is old without its device's clock being wrong. So a clock is judged by the
messages that were under way for the shortest time: a stamp from the future is proof at once, since nothing arrives
before it is sent; a clock that is behind is believed when the shortest delays of three minutes in a row agree, which
those of a backlog that drains never do. What cannot be told from a clock that is behind is a device that sends its
backlog at exactly the pace at which it measured it.

Where the policy is `correct`, stamps are mended by pieces of a function of the device's own time, a function for each
of its runs. A piece begins only where the piece before it has not been used, and is saved in the transaction that
stores by it: the same stamp gives the same time for ever, so that a message which comes again finds itself stored. Time
within a piece, and from one to the next where they differ by less than a minute, never runs back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.presence import AHEAD_S, BEHIND_S, ClockFinding, KeptPiece

Name = tuple[str, str]  # tenant and device

AHEAD_US, BEHIND_US = AHEAD_S * 1_000_000, BEHIND_S * 1_000_000
# The shortest delay is looked for in spans of this length. Too low: a device heard now and then has one message a span,
# and each of them may have waited. Too high: a clock that is behind is known that much later.
SPAN_US = 60_000_000
_SPANS = 3
# The shortest delays of three spans agree within this, and what a bad oscillator makes of the time between them.
_AGREE_US = 1_000_000
_DRIFT_PPM = 200
# Beyond this, and what it may have drifted since, a clock was set.
_SET_US = 2_000_000
# A drift is the change since the clock was last set, over at least this time: 20 ms of jitter are then 6 ppm.
_DRIFT_OVER_US = 3_600_000_000
# A clock that is as it was is written down so often. Too low: ten thousand devices are a row each, minute by minute.
_NOTE_EVERY_US = 3_600_000_000
# Stamps from before were made by clocks that were never set: they begin with 1970, 1980 or 2000.
_NEVER_SET_US = 1_577_836_800_000_000
# Corrections follow a drifting clock once they are off by this, at no more than the rate, and no more often than that.
_OFF_US = 1_000_000
_CLOSE_US = 200_000
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
_NEVER = np.iinfo(np.int64).min
_FAR = np.iinfo(np.int64).max


@dataclass(slots=True)
class Piece:
    """From `from_us` of the device's own time on: add `shift_us`, and `rate_ppm` of the time since.

    `used_us` is the latest stamp that it was used for, or later: `saved_us` of the database's.
    """

    from_us: int
    used_us: int
    shift_us: int
    rate_ppm: int = 0
    saved_us: int = _NEVER

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


class Clocks:
    """The clocks of all devices, by name."""

    def __init__(self) -> None:
        self.corrections: dict[Name, Correction] = {}
        self._rows: dict[Name, int] = {}
        self._names: list[Name] = []
        self._span_us = np.empty(0, np.int64)  # when the present span began; 0 is never
        self._least_us = np.empty(0, np.int64)  # its shortest delay
        self._ends_us = np.empty((0, _SPANS), np.int64)  # of the last spans, and their shortest delays
        self._delays_us = np.empty((0, _SPANS), np.int64)
        self._newest_us = np.empty(0, np.int64)
        self._offset_us = np.empty(0)  # NaN: not known
        self._told_us = np.empty(0)  # the offset that was told of last
        self._set_at_us = np.empty(0, np.int64)  # when it was first known, or set
        self._set_to_us = np.empty(0)
        self._noted_us = np.empty(0)  # as the database has it
        self._noted_at_us = np.empty(0, np.int64)
        self._changed: dict[int, str] = {}

    def correct(self, devices: Iterable[Name]) -> list[Name]:
        """Whose stamps are mended from now on; the rest are kept. Returns those of whom nothing is known yet."""
        wanted = set(devices)
        self.corrections = {name: one for name, one in self.corrections.items() if name in wanted}
        return sorted(wanted - set(self.corrections))

    def begin(self, name: Name, pieces: Sequence[tuple[int, Piece]], stored_us: int | None) -> None:
        """Mend the stamps of a device: by what the database knows, or from its newest reading on."""
        correction = self.corrections[name] = Correction()
        for boot, piece in pieces:
            correction.restore(boot, piece)
        seen_us = self._newest_us[self._rows[name]] if name in self._rows else _NEVER
        newest_us = max(int(seen_us), _NEVER if stored_us is None else stored_us)
        if not pieces and newest_us != _NEVER:
            correction.begin(newest_us)

    def observe(self, names: Sequence[Name], newest_us: npt.NDArray[np.int64], arrived_us: int) -> None:
        """The newest stamp of each of some devices in what has just arrived, by their own clocks. Shape (devices,)."""
        if not len(names):
            return
        rows = np.array([self._row(name) for name in names], np.intp)
        self._newest_us[rows] = np.maximum(self._newest_us[rows], newest_us)
        delay_us = arrived_us - newest_us
        ended = arrived_us - self._span_us[rows] >= SPAN_US
        if ended.any():
            self._end_span(rows[ended], arrived_us)
        self._least_us[rows] = np.minimum(self._least_us[rows], delay_us)
        ahead = -delay_us > np.where(np.isnan(self._offset_us[rows]), AHEAD_US, self._offset_us[rows] + AHEAD_US)
        if ahead.any():
            found = rows[ahead]
            self._delays_us[found], self._least_us[found] = delay_us[ahead][:, None], delay_us[ahead]
            self._ends_us[found] = arrived_us
            self._know(found, -delay_us[ahead].astype(np.float64), arrived_us)

    def suspects(self, names: Sequence[Name]) -> npt.NDArray[np.bool_]:
        """Of which of some devices the clock is known to be wrong. Shape (devices,)."""
        found = np.zeros(len(names), np.bool_)
        if not len(self._names) or not self._is_any_wrong():
            return found
        for index, name in enumerate(names):
            row = self._rows.get(name)
            found[index] = row is not None and _is_wrong(float(self._offset_us[row]))
        return found

    def changes(self, now_us: int) -> list[ClockFinding]:
        """What was found out since it was last asked for."""
        found = []
        for row, cause in self._changed.items():
            offset_us, before_us = float(self._offset_us[row]), float(self._told_us[row])
            is_as_noted = abs(offset_us - float(self._noted_us[row])) < _CLOSE_US
            if not cause and is_as_noted and now_us - int(self._noted_at_us[row]) < _NOTE_EVERY_US:
                continue
            self._noted_us[row], self._noted_at_us[row] = offset_us, now_us
            found.append(
                ClockFinding(
                    *self._names[row],
                    now_us,
                    offset_us / 1e6,
                    self._drift_ppm(row, now_us),
                    None if np.isnan(before_us) else before_us / 1e6,
                    cause,
                )
            )
            if cause:
                self._told_us[row] = offset_us
        self._changed.clear()
        return found

    def unsaved(self) -> list[KeptPiece]:
        """Pieces that must be saved in the transaction that stores by them; `saved` must follow its commit."""
        rows = {
            (name, boot, piece.from_us): KeptPiece(
                *name, boot, piece.from_us, piece.saved_us, piece.shift_us, piece.rate_ppm
            )
            for name, correction in self.corrections.items()
            for boot, piece in correction.unsaved()
        }
        return list(rows.values())

    def saved(self) -> None:
        for correction in self.corrections.values():
            correction.saved()

    def restore(self, known: Mapping[Name, float]) -> None:
        """The offsets known before, in seconds: what is found to be as it was is no news."""
        for name, offset_s in known.items():
            row = self._row(name)
            self._offset_us[row] = self._told_us[row] = offset_s * 1e6

    def _end_span(self, rows: npt.NDArray[np.intp], now_us: int) -> None:
        """Look at the last spans of some devices, and begin their next."""
        began = self._span_us[rows] > 0
        done = rows[began]
        self._delays_us[done] = np.roll(self._delays_us[done], -1, axis=1)
        self._ends_us[done] = np.roll(self._ends_us[done], -1, axis=1)
        self._delays_us[done, -1], self._ends_us[done, -1] = self._least_us[done], now_us
        self._span_us[rows], self._least_us[rows] = now_us, _FAR
        full = done[(self._ends_us[done] != _NEVER).all(axis=1)]
        delays_us, ends_us = self._delays_us[full], self._ends_us[full]
        drifted_us = (ends_us[:, -1] - ends_us[:, 0]) * _DRIFT_PPM // 1_000_000
        agree = delays_us.max(axis=1) - delays_us.min(axis=1) <= _AGREE_US + drifted_us
        self._know(full[agree], -delays_us[agree].min(axis=1).astype(np.float64), now_us)

    def _know(self, rows: npt.NDArray[np.intp], offset_us: npt.NDArray[np.float64], now_us: int) -> None:
        for row, offset in zip(rows.tolist(), offset_us.tolist(), strict=True):
            before = float(self._offset_us[row])
            since_us = max(0, now_us - int(self._set_at_us[row])) if self._set_at_us[row] != _NEVER else 0
            if np.isnan(before) or self._set_at_us[row] == _NEVER:
                was_set = np.isnan(before) or abs(offset - before) > _SET_US
                cause = "first" if np.isnan(before) else "set" if was_set else ""
                self._set_at_us[row], self._set_to_us[row] = now_us, offset
            elif abs(offset - before) > _SET_US + min(since_us, SPAN_US * _SPANS) * _DRIFT_PPM // 1_000_000:
                cause = "set"
                self._set_at_us[row], self._set_to_us[row] = now_us, offset
            else:
                told = float(self._told_us[row])
                cause = "drift" if not np.isnan(told) and abs(offset - told) > _OFF_US else ""
            self._offset_us[row] = offset
            self._changed[row] = self._changed.get(row) or cause
            correction = self.corrections.get(self._names[row])
            if correction is not None:
                follow = _is_wrong(offset) or (correction.is_used and abs(offset) > _OFF_US)
                correction.wanted_us = -round(offset) if follow else 0

    def _drift_ppm(self, row: int, now_us: int) -> float | None:
        over_us = now_us - int(self._set_at_us[row]) if self._set_at_us[row] != _NEVER else 0
        if over_us < _DRIFT_OVER_US:
            return None
        return float(self._offset_us[row] - self._set_to_us[row]) / over_us * 1e6

    def _is_any_wrong(self) -> bool:
        known = self._offset_us[: len(self._names)]
        return bool(((known > AHEAD_US) | (known < -BEHIND_US)).any())

    def _row(self, name: Name) -> int:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._names)
            self._names.append(name)
            if row >= len(self._span_us):
                self._grow(max(16, 2 * row))
        return row

    def _grow(self, size: int) -> None:
        self._span_us = _grown(self._span_us, size, 0)
        self._least_us = _grown(self._least_us, size, _FAR)
        self._ends_us = _grown(self._ends_us, size, _NEVER)
        self._delays_us = _grown(self._delays_us, size, 0)
        self._newest_us = _grown(self._newest_us, size, _NEVER)
        self._offset_us = _grown(self._offset_us, size, np.nan)
        self._told_us = _grown(self._told_us, size, np.nan)
        self._set_at_us = _grown(self._set_at_us, size, _NEVER)
        self._set_to_us = _grown(self._set_to_us, size, np.nan)
        self._noted_us = _grown(self._noted_us, size, np.nan)
        self._noted_at_us = _grown(self._noted_at_us, size, _NEVER)


def _newest(own_us: npt.NDArray[np.int64]) -> int:
    """The newest stamp of a message, without those that a flipped bit has thrown far beyond the rest."""
    newest = int(own_us.max())
    if newest - int(own_us[0]) <= _THROWN_US:
        return newest
    middle = int(np.sort(own_us)[(len(own_us) - 1) // 2])
    return int(own_us[own_us <= middle + _THROWN_US].max())


def _rate(piece: Piece, off_us: int) -> int:
    """At which rate to come nearer to a clock that is off by so much, in ppm."""
    if abs(off_us) > _OFF_US:
        return int(np.clip(off_us // _SLEW_OVER_S, -_SLEW_PPM, _SLEW_PPM))
    arrived = abs(off_us) < _CLOSE_US or (off_us > 0) != (piece.rate_ppm > 0)
    return 0 if arrived else piece.rate_ppm


def _is_fresh(time_us: int, arrived_us: int) -> bool:
    """Whether something that was sent at `time_us` would arrive now."""
    return -AHEAD_US <= arrived_us - time_us <= BEHIND_US


def _is_wrong(offset_us: float) -> bool:
    return offset_us > AHEAD_US or offset_us < -BEHIND_US


def _grown(column: npt.NDArray[Any], size: int, empty: Any) -> npt.NDArray[Any]:
    grown = np.full((size, *column.shape[1:]), empty, column.dtype)
    grown[: len(column)] = column
    return grown
