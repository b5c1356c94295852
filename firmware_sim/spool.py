"""Messages on a device's disk: what its outbox holds survives the loss of power, and is bounded.

Files that are only appended to, `000001.spool` and so on, each record with a checksum: what was cut short by a loss of
power is the end of its file and is left out, nothing else is touched by it. A file goes when none of its messages is
wanted any more. The oldest messages are given up first, a file of them at a time, since a file cannot lose its head.

Nothing here is a database: it is what fits into a controller with a few megabytes of flash.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import struct
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

# So many files make up the buffer. Few: much is given up at once. Many: each has little in it.
_FILES = 16
# A write is safe from the process's death at once, from a loss of power after this. Low: it wears the flash out.
SYNC_EVERY_S = 5.0

# Checksum of what follows; lengths of the label and the payload; boot, first and last sequence number. The label is the
# kind of a message and its content type; without one, nothing of that boot is wanted up to the last number.
_HEAD = struct.Struct(">IHIQQQ")
# The limit is reached; the disk is; a file may not grow further.
FULL = frozenset({errno.EDQUOT, errno.ENOSPC, errno.EFBIG})

_STATE, _LOCK, _SUFFIX = "state.json", "lock", ".spool"


class Place(NamedTuple):
    """Where a payload lies."""

    file: int
    offset: int
    length: int  # of all the record


@dataclass(frozen=True, slots=True)
class Kept:
    """A message of an earlier run that nobody has confirmed."""

    boot: int
    first_seq: int
    last_seq: int
    kind: str
    content_type: str
    place: Place


class Unreadable(OSError):
    """A message that was written is not there any more as it was."""


class Spool:
    """The buffer of one device.

    Parameters
    ----------
    limit_bytes
        What the files may take together.
    boot
        The number of this run, unless the folder knows a higher one.

    Attributes
    ----------
    boot : int
        Of this run, above that of every earlier one, and on disk before anything can be sent with it.
    kept : list of Kept
        What earlier runs left, in their order.
    dropped, unconfirmed : int
        As the outbox counts them, since the folder was made.

    Raises
    ------
    ValueError
        Another process works on the folder.
    OSError
        It cannot be written.
    """

    def __init__(self, folder: Path, limit_bytes: int, boot: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ValueError(f"another process works on the buffer {folder}") from error
        self._limit = limit_bytes
        self._file_bytes = max(1, limit_bytes // _FILES)
        self._sizes: dict[int, int] = {}
        self._wanted: dict[int, int] = {}  # messages that are still wanted, by file
        self._done: dict[int, int] = {}  # the last number not wanted any more, by boot
        self._unwritten = self._unsynced = False
        self._synced_at_s = 0.0
        self.dropped = self.unconfirmed = 0
        known_boot = self._read_state()
        self.kept = self._recover()
        self.boot = max([boot, known_boot + 1, *(kept.boot + 1 for kept in self.kept)])
        self._active = max(self._sizes, default=0) + 1
        self._fd = self._open(self._active)
        self._repeat_done()
        self._write_state()

    def append(self, first_seq: int, last_seq: int, payload: bytes, kind: str, content_type: str) -> Place:
        """Write a message of this run.

        Raises
        ------
        OSError
            It is not written. `FULL` tells whether giving up older ones would help.
        """
        if sum(self._sizes.values()) + _HEAD.size + len(payload) > self._limit:
            raise OSError(errno.EDQUOT, "the buffer is full")
        place = self._write(_packed(f"{kind} {content_type}", self.boot, first_seq, last_seq, payload))
        self._wanted[place.file] += 1
        return place

    def read(self, place: Place) -> bytes:
        """The payload of a message.

        Raises
        ------
        Unreadable
            It is not there any more as it was written.
        """
        try:
            with self._path(place.file).open("rb") as file:
                file.seek(place.offset)
                record = _record(file.read(place.length), 0)
        except OSError as error:
            raise Unreadable(str(error)) from error
        if record is None:
            raise Unreadable(f"{self._path(place.file)}: damaged at {place.offset}")
        return record.payload

    def forget(self, place: Place) -> None:
        """The message is not wanted any more."""
        self._wanted[place.file] -= 1
        if not self._wanted[place.file] and place.file != self._active:
            self._remove(place.file)

    def done(self, boot: int, seq: int) -> None:
        """Note that nothing up to `seq` of that run is wanted any more: the next run need not send it."""
        self._done[boot] = max(seq, self._done.get(boot, 0))
        with suppress(OSError):  # sent twice it is stored once
            self._write(_packed("", boot, seq, seq, b""))

    def sync(self, now_s: float | None = None) -> None:
        """See that what was written survives a loss of power; with `now_s`, where that is due."""
        if now_s is not None and now_s - self._synced_at_s < SYNC_EVERY_S:
            return
        self._synced_at_s = now_s if now_s is not None else time.monotonic()
        with suppress(OSError):  # a disk that is full or gone keeps nothing; measuring goes on
            if self._unwritten:
                self._write_state()
            if self._unsynced:
                os.fdatasync(self._fd)
                self._unsynced = False

    def count(self, dropped: int, unconfirmed: int) -> None:
        """How much was given up, all told."""
        self._unwritten |= (self.dropped, self.unconfirmed) != (dropped, unconfirmed)
        self.dropped, self.unconfirmed = dropped, unconfirmed

    def close(self) -> None:
        self.sync()
        os.close(self._fd)
        os.close(self._lock)

    def may_go(self, place: Place) -> bool:
        """Whether its file would go with its last message."""
        return place.file != self._active

    @property
    def files(self) -> int:
        return len(self._sizes)

    # Files ----------------------------------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}{_SUFFIX}"

    def _open(self, number: int) -> int:
        fd = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._sizes[number], self._wanted[number] = 0, 0
        return fd

    def _write(self, record: bytes) -> Place:
        if self._sizes[self._active] >= self._file_bytes:
            self._turn_over()
        return self._put(record)

    def _put(self, record: bytes) -> Place:
        place = Place(self._active, self._sizes[self._active], len(record))
        try:
            if os.write(self._fd, record) < len(record):
                raise OSError(errno.ENOSPC, "no space left for all of it")
        except OSError:
            # Half a record would hide what is written after it.
            with suppress(OSError):
                os.ftruncate(self._fd, place.offset)
            raise
        self._sizes[self._active] += len(record)
        self._unsynced = True
        return place

    def _turn_over(self) -> None:
        fd = self._open(self._active + 1)
        with suppress(OSError):
            os.fdatasync(self._fd)
            self._sync_folder()
        os.close(self._fd)
        self._fd, full = fd, self._active
        self._active += 1
        self._repeat_done()
        if not self._wanted[full]:
            self._remove(full)

    def _repeat_done(self) -> None:
        """What is not wanted any more is said in each file anew: any of those before may go."""
        with suppress(OSError):
            for boot, seq in self._done.items():
                self._put(_packed("", boot, seq, seq, b""))

    def _remove(self, number: int) -> None:
        with suppress(FileNotFoundError):
            self._path(number).unlink()
        del self._sizes[number], self._wanted[number]

    # What earlier runs left -----------------------------------------------------------------------------------------

    def _recover(self) -> list[Kept]:
        kept: list[Kept] = []
        for path in sorted(self._folder.glob(f"[0-9]*{_SUFFIX}")):
            number, data, offset = int(path.stem), path.read_bytes(), 0
            while (record := _record(data, offset)) is not None:
                boot, first_seq, last_seq = record.boot, record.first_seq, record.last_seq
                if record.label:
                    kind, _, content_type = record.label.partition(" ")
                    place = Place(number, offset, record.length)
                    kept.append(Kept(boot, first_seq, last_seq, kind, content_type, place))
                else:
                    self._done[boot] = max(last_seq, self._done.get(boot, 0))
                offset += record.length
            self._sizes[number], self._wanted[number] = len(data), 0
        kept = [each for each in kept if each.last_seq > self._done.get(each.boot, -1)]
        boots = {each.boot for each in kept}
        self._done = {boot: seq for boot, seq in self._done.items() if boot in boots}
        for each in kept:
            self._wanted[each.place.file] += 1
        for number in [number for number, wanted in self._wanted.items() if not wanted]:
            self._remove(number)
        return kept

    def _read_state(self) -> int:
        """The boot of the last run; 0 where that is not known."""
        try:
            state = json.loads((self._folder / _STATE).read_bytes())
            self.dropped, self.unconfirmed = int(state["dropped"]), int(state["unconfirmed"])
            return int(state["boot"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _write_state(self) -> None:
        """Anew beside the old, then in its place: never half of it."""
        state = {"boot": self.boot, "dropped": self.dropped, "unconfirmed": self.unconfirmed}
        new = self._folder / f"{_STATE}.new"
        with new.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / _STATE)
        self._sync_folder()
        self._unwritten = False

    def _sync_folder(self) -> None:
        """A new file survives a loss of power only with the folder that names it."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Record(NamedTuple):
    boot: int
    first_seq: int
    last_seq: int
    label: str
    payload: bytes
    length: int


def _packed(label: str, boot: int, first_seq: int, last_seq: int, payload: bytes) -> bytes:
    said = label.encode()
    record = _HEAD.pack(0, len(said), len(payload), boot, first_seq, last_seq) + said + payload
    return zlib.crc32(record[4:]).to_bytes(4) + record[4:]


def _record(data: bytes, offset: int) -> _Record | None:
    """The record at `offset`; None where there is none that is whole."""
    if len(data) - offset < _HEAD.size:
        return None
    checksum, label, payload, boot, first_seq, last_seq = _HEAD.unpack_from(data, offset)
    begins = offset + _HEAD.size
    end = begins + label + payload
    if end > len(data) or zlib.crc32(data[offset + 4 : end]) != checksum:
        return None
    said, body = data[begins : begins + label], data[begins + label : end]
    return _Record(boot, first_seq, last_seq, said.decode(), body, end - offset)
