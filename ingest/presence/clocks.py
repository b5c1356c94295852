"""Device clocks: what each shows beside ours.

A message that is under way, or has waited, is old without its device's clock being wrong. So a clock is judged by the
messages that were under way for the shortest time: a stamp from the future is proof at once, since nothing arrives
before it is sent; a clock that is behind is believed when the shortest delays of three minutes in a row agree, which
those of a backlog that drains never do. What cannot be told from a clock that is behind is a device that sends its
backlog at exactly the pace at which it measured it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ingest.presence.corrections import AHEAD_US, BEHIND_US, CLOSE_US, NEVER, OFF_US, Correction, Piece
from store.clocks import ClockFinding, KeptPiece
from telemetry.columns import grown

Name = tuple[str, str]  # tenant and device

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
_FAR = np.iinfo(np.int64).max


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
        seen_us = self._newest_us[self._rows[name]] if name in self._rows else NEVER
        newest_us = max(int(seen_us), NEVER if stored_us is None else stored_us)
        if not pieces and newest_us != NEVER:
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
            is_as_noted = abs(offset_us - float(self._noted_us[row])) < CLOSE_US
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
        full = done[(self._ends_us[done] != NEVER).all(axis=1)]
        delays_us, ends_us = self._delays_us[full], self._ends_us[full]
        drifted_us = (ends_us[:, -1] - ends_us[:, 0]) * _DRIFT_PPM // 1_000_000
        agree = delays_us.max(axis=1) - delays_us.min(axis=1) <= _AGREE_US + drifted_us
        self._know(full[agree], -delays_us[agree].min(axis=1).astype(np.float64), now_us)

    def _know(self, rows: npt.NDArray[np.intp], offset_us: npt.NDArray[np.float64], now_us: int) -> None:
        for row, offset in zip(rows.tolist(), offset_us.tolist(), strict=True):
            before = float(self._offset_us[row])
            since_us = max(0, now_us - int(self._set_at_us[row])) if self._set_at_us[row] != NEVER else 0
            if np.isnan(before) or self._set_at_us[row] == NEVER:
                was_set = np.isnan(before) or abs(offset - before) > _SET_US
                cause = "first" if np.isnan(before) else "set" if was_set else ""
                self._set_at_us[row], self._set_to_us[row] = now_us, offset
            elif abs(offset - before) > _SET_US + min(since_us, SPAN_US * _SPANS) * _DRIFT_PPM // 1_000_000:
                cause = "set"
                self._set_at_us[row], self._set_to_us[row] = now_us, offset
            else:
                told = float(self._told_us[row])
                cause = "drift" if not np.isnan(told) and abs(offset - told) > OFF_US else ""
            self._offset_us[row] = offset
            self._changed[row] = self._changed.get(row) or cause
            correction = self.corrections.get(self._names[row])
            if correction is not None:
                follow = _is_wrong(offset) or (correction.is_used and abs(offset) > OFF_US)
                correction.wanted_us = -round(offset) if follow else 0

    def _drift_ppm(self, row: int, now_us: int) -> float | None:
        over_us = now_us - int(self._set_at_us[row]) if self._set_at_us[row] != NEVER else 0
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
        self._span_us = grown(self._span_us, size, 0)
        self._least_us = grown(self._least_us, size, _FAR)
        self._ends_us = grown(self._ends_us, size, NEVER)
        self._delays_us = grown(self._delays_us, size, 0)
        self._newest_us = grown(self._newest_us, size, NEVER)
        self._offset_us = grown(self._offset_us, size, np.nan)
        self._told_us = grown(self._told_us, size, np.nan)
        self._set_at_us = grown(self._set_at_us, size, NEVER)
        self._set_to_us = grown(self._set_to_us, size, np.nan)
        self._noted_us = grown(self._noted_us, size, np.nan)
        self._noted_at_us = grown(self._noted_at_us, size, NEVER)


def _is_wrong(offset_us: float) -> bool:
    return offset_us > AHEAD_US or offset_us < -BEHIND_US
