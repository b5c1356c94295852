"""Who is there, and by whose clock: what ingest knows of devices beside what they measure.

Between the decoder and the database: stamps of devices whose owners want it are mended here, the time that others show
is compared with ours, and each arrival is noted. Between the database and the watch: what devices have said, and what
their owners say of them, is learnt a few seconds later at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import store.clocks as clock_rows
import store.presence as rows
from alarms.presence import Presence
from alarms.sites import DETECTOR as SITE
from alarms.sites import Place
from alarms.watch import Watch
from ingest.decoding import Decoded
from ingest.directory import Directory
from ingest.messages import Message
from ingest.presence.clocks import Clocks, Name
from ingest.presence.corrections import Piece
from ingest.presence.server_clock import ServerClock
from ingest.reading import NO_BOOT
from ingest.reading.stamps import EARLIEST_MS, FUTURE_TOLERANCE_MS, MAX_AHEAD_MS
from ingest.sparkplug import Heard
from store.connection import Session
from store.presence import Said, Seen
from store.rejects import Reject
from store.telemetry import Status
from telemetry import Batch, Quality
from telemetry.columns import grown

# What waits at the broker for longer says nothing of a device's clock.
_WAITED_S = 2.0
# How often devices are asked for in the database: as often as this, or so seldom that it is 1 part in 200 of the time.
REFRESH_EVERY_S = 5.0
_REFRESH_SHARE = 200
# A device that is there is noted so often, and so many of them at a time: ten thousand rows at once would hold up what
# is new by a tenth of a second.
_NOTE_EVERY_US = 30_000_000
_NOTES_AT_ONCE = 1000
_PRESENCES = ("unknown", "online", "silent", "lost", "site_lost", "stopped")
_UNKNOWN, _ONLINE, _SILENT, _LOST, _SITE_LOST, _STOPPED = range(len(_PRESENCES))
_UNWRITTEN = -1
_CLOCK = np.uint8(Quality.CLOCK)
_REASON = "ts: before the year 2000 or more than a day ahead, by what is known of the device's clock"


class Attendance:
    """Presence and clocks of all devices.

    Parameters
    ----------
    wall_us
        What the server's clock shows, in µs since 1970.
    """

    def __init__(self, wall_us: Callable[[], int]) -> None:
        self.presence = Presence()
        self.places: list[Place] = []
        self.clocks = Clocks()
        self._server = ServerClock(wall_us)
        self._wall_us = wall_us
        self._news: list[Said] = []
        self._heard_us = np.empty(0, np.int64)  # when it was heard last, by machine; -1 is not in our time
        self._written_us = np.empty(0, np.int64)  # of that, what the database has
        self._written_as = np.empty(0, np.int8)
        self._refresh_at = 0.0

    @property
    def mended(self) -> Collection[Name]:
        """Devices whose stamps are mended."""
        return self.clocks.corrections

    def now_us(self) -> int:
        """The time that we go by: that of the server's clock, unless we doubt it."""
        return self._wall_us() - self._server.doubted_us

    @property
    def doubted_s(self) -> float:
        """How far the server's clock is ahead of the time that we go by; 0 where we believe it."""
        return self._server.doubted_us / 1e6

    def begin(self) -> int:
        """The time; what passed before it, while we were not there or began, is excused by whoever asks."""
        return self._server.begin()

    def tick(self, connected: bool) -> tuple[int, int]:
        """The time of an arrival; and for how long since the last one we could hear nobody: it counts against none."""
        return self._server.tick(connected)

    # Within the transaction that stores -----------------------------------------------------------------------------

    def mend(
        self,
        decoded: Decoded,
        messages: Sequence[Message | Heard],
        directory: Directory,
        arrived_us: int,
        waited_s: float,
    ) -> None:
        """Look at the stamps of a delivery, and mend those that are to be mended.

        A reading whose time cannot be, mended as it is, becomes a reject. `waited_s` is how long ago at least the
        delivery was published.
        """
        batch = decoded.batch
        if not len(batch):
            return
        owner, names = _owners(decoded, directory)
        known = [number for name in names if (number := directory.machine_of_name(*name)) is not None]
        self._make_room(max(known, default=-1) + 1)
        self._heard_us[known] = arrived_us
        stamped = (batch.quality & Quality.ARRIVAL_TIME) == 0
        newest_us = np.full(len(names), np.iinfo(np.int64).min)
        np.maximum.at(newest_us, owner[stamped], batch.time_us[stamped])
        present = np.flatnonzero(newest_us > np.iinfo(np.int64).min)
        self._server.hear(newest_us[present])
        if waited_s < _WAITED_S:
            self.clocks.observe([names[number] for number in present], newest_us[present], arrived_us)
        wrong = self.clocks.suspects(names)
        if wrong.any():
            decoded.batch = batch.flagged(Quality.CLOCK, wrong[owner] & stamped)
        mended = [number for number, name in enumerate(names) if name in self.clocks.corrections]
        if mended:
            self._mend(decoded, messages, owner, names, np.isin(owner, mended) & stamped, arrived_us)

    def note(self, conn: Session, statuses: Sequence[Status]) -> None:
        """Store what devices say of themselves, and by what their stamps were mended; `confirm` must follow."""
        for status in statuses:
            correction = self.clocks.corrections.get((status.tenant, status.device))
            # Written at the moment itself, unlike a will, and unlike what the broker has kept.
            if correction and status.said_us is not None and status.online and not status.retained:
                correction.anchor(NO_BOOT if status.boot is None else status.boot, status.said_us, status.at_us)
        self._news = rows.note_status(conn, statuses)
        clock_rows.save_pieces(conn, self.clocks.unsaved())

    def confirm(self, now_us: int) -> None:
        """What was noted last is committed."""
        self.clocks.saved()
        for said in self._news:
            self.presence.said(said.tenant, said.device, said.online, said.reason, now_us)
        self._news = []

    # Once in a while ------------------------------------------------------------------------------------------------

    def load(self, conn: Session) -> None:
        """Learn what the database knows."""
        self.clocks.restore(clock_rows.clocks_known(conn))
        self._refresh(conn)

    def look_after(self, conn: Session, watch: Watch, now_us: int) -> None:
        """Write down how devices and their clocks stand; learn what their owners say of them."""
        clock_rows.note_clocks(conn, self.clocks.changes(now_us))
        rows.note_presence(conn, self._seen(watch), now_us)
        began = time.monotonic()
        if began >= self._refresh_at:
            self._refresh(conn)
            watch.place(self.places)
            self._refresh_at = began + max(REFRESH_EVERY_S, (time.monotonic() - began) * _REFRESH_SHARE)

    def _refresh(self, conn: Session) -> None:
        self.places, corrected = rows.places(conn)
        fresh = self.clocks.correct(corrected)
        if fresh:
            stored_us = clock_rows.newest_readings(conn, fresh)
            pieces: dict[Name, list[tuple[int, Piece]]] = {}
            for kept in clock_rows.clock_pieces(conn, fresh):
                piece = Piece(kept.from_us, kept.used_us, kept.shift_us, kept.rate_ppm, saved_us=kept.used_us)
                pieces.setdefault((kept.tenant, kept.device), []).append((kept.boot, piece))
            for name in fresh:
                self.clocks.begin(name, pieces.get(name, []), stored_us.get(name))

    def _seen(self, watch: Watch) -> list[Seen]:
        """How those machines stand that the database does not know so."""
        heard = watch.heard()
        if heard is None or not len(heard.machine):
            return []
        machine = heard.machine
        self._make_room(int(machine.max()) + 1)
        state = np.where(np.isnan(heard.score), _UNKNOWN, _ONLINE).astype(np.int8)
        state[np.isin(machine, list(watch.open_subjects("silence")))] = _SILENT
        for number, word in self.presence.away(heard).items():
            state[np.searchsorted(machine, number)] = _LOST if word == "lost" else _STOPPED
        state[np.isin(machine, self.presence.sites.gone_with(watch.open_subjects(SITE)))] = _SITE_LOST
        heard_us = self._heard_us[machine]
        is_other = state != self._written_as[machine]
        age_us = heard_us - self._written_us[machine]
        due = np.flatnonzero(is_other | (age_us >= _NOTE_EVERY_US))
        due = due[np.lexsort((-age_us[due], ~is_other[due]))][:_NOTES_AT_ONCE]
        self._written_as[machine[due]], self._written_us[machine[due]] = state[due], heard_us[due]
        return [
            Seen(
                int(machine[index]),
                int(heard_us[index]),
                None if np.isnan(heard.every_us[index]) else float(heard.every_us[index]) / 1e6,
                _PRESENCES[state[index]],
            )
            for index in due
        ]

    def _mend(
        self,
        decoded: Decoded,
        messages: Sequence[Message | Heard],
        owner: npt.NDArray[np.intp],
        names: Sequence[Name],
        these: npt.NDArray[np.bool_],
        arrived_us: int,
    ) -> None:
        """Put right times in the place of the stamps that `these` readings have, message by message."""
        batch = decoded.batch
        time_us, quality = batch.time_us.copy(), batch.quality.copy()
        is_other = np.zeros(len(batch), np.bool_)
        boots = {(index, (tenant, device)): boot for index, tenant, device, boot, _ in reversed(decoded.counted)}
        blocks = dict(decoded.waveforms)
        for index, number, found in _by_message(decoded.message, owner, these):
            block = blocks.get(index)
            own_us = batch.time_us[found] if block is None else np.append(batch.time_us[found], block.time_us)
            correction = self.clocks.corrections[names[number]]
            right_us, changed = correction.correct(boots.get((index, names[number]), NO_BOOT), own_us, arrived_us)
            if block is not None:
                flags = _flags(right_us[-1:], changed[-1:], arrived_us)
                blocks[index] = replace(block, time_us=int(right_us[-1]), quality=int(flags[0]))
            time_us[found], is_other[found] = right_us[: len(found)], changed[: len(found)]
        quality[these] = (quality[these] & ~_CLOCK) | _flags(time_us[these], is_other[these], arrived_us)
        impossible = these & _cannot_be(time_us, arrived_us)
        for index, number in sorted(
            {*zip(decoded.message[impossible].tolist(), owner[impossible].tolist(), strict=True)}
        ):
            message = messages[index]
            decoded.rejected.append((index, Reject(message.topic, message.payload, _REASON, *names[number])))
        decoded.rejected.sort(key=lambda rejected: rejected[0])
        decoded.waveforms = [(at, block) for at, block in blocks.items() if not _cannot_be(block.time_us, arrived_us)]
        decoded.batch = Batch(time_us, batch.stream, batch.value, quality).where(~impossible)
        decoded.message = decoded.message[~impossible]

    def _make_room(self, size: int) -> None:
        if size > len(self._heard_us):
            self._heard_us = grown(self._heard_us, size, -1)
            self._written_us = grown(self._written_us, size, -1)
            self._written_as = grown(self._written_as, size, _UNWRITTEN)


def _owners(decoded: Decoded, directory: Directory) -> tuple[npt.NDArray[np.intp], list[Name]]:
    """Whose each reading is, as an index in the names of those whose there are any. Shape (N,)."""
    stream = decoded.batch.stream
    names = dict.fromkeys((key.tenant, key.device) for key in decoded.unknown)
    numbers = {name: number for name in names if (number := directory.machine_of_name(*name)) is not None}
    # Devices that have no number yet come after all that have one; some of those have no stream yet.
    beyond = max(int(directory.machine_of.max(initial=0)), *numbers.values(), 0) + 1
    fresh = numbers | {name: beyond + place for place, name in enumerate(n for n in names if n not in numbers)}
    of_unknown = np.array([fresh[key.tenant, key.device] for key in decoded.unknown], np.int64)
    machine = np.empty(len(stream), np.int64)
    known = stream >= 0
    machine[known] = directory.machine_of[stream[known]]
    machine[~known] = of_unknown[-1 - stream[~known]]
    present = np.flatnonzero(np.bincount(machine))
    number_of = np.zeros(beyond + len(names), np.intp)
    number_of[present] = np.arange(len(present))
    owner = number_of[machine]
    name_of = {number: name for name, number in fresh.items()}
    return owner, [name_of.get(number) or directory.names[number] for number in present.tolist()]


def _by_message(
    message: npt.NDArray[np.int32], owner: npt.NDArray[np.intp], these: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, int, npt.NDArray[np.intp]]]:
    """Message, owner, and which of these readings are theirs, in the order of the messages."""
    found = np.flatnonzero(these)
    found = found[np.lexsort((owner[found], message[found]))]
    cuts = np.flatnonzero((np.diff(message[found]) != 0) | (np.diff(owner[found]) != 0)) + 1
    for part in np.split(found, cuts):
        if len(part):
            yield int(message[part[0]]), int(owner[part[0]]), part


def _flags(time_us: npt.NDArray[np.int64], is_other: npt.NDArray[np.bool_], arrived_us: int) -> npt.NDArray[np.uint8]:
    """What is known against mended times. Shape of `time_us`."""
    is_ahead = time_us > arrived_us + FUTURE_TOLERANCE_MS * 1000
    return is_other * _CLOCK | is_ahead * np.uint8(Quality.FUTURE)


def _cannot_be(time_us: Any, arrived_us: int) -> Any:
    return (time_us < EARLIEST_MS * 1000) | (time_us > arrived_us + MAX_AHEAD_MS * 1000)
