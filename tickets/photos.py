"""Photos without where they were taken: what a camera writes beside the picture goes, the picture stays bit for bit.

In its place lie zeros, in a file of the same length; of a JPEG and PNG alone. Kept are how the picture is turned, when
it was taken, and its colours. What lies behind the picture is cut off: other pictures, and a film, with places of their
own. A file that is not built as its first bytes say stays as it is from there on.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import IO

# A JPEG has some tens of segments, a PNG as many chunks as its writer likes. Too low: the last stay as they are. Too
# high: a file made of nothing else keeps a core for long.
MOST_PARTS = 100_000
_PIECE_BYTES = 256 * 1024
# What no reader knows, and all pass over: ancillary, private, safe to copy.
_NOTHING = b"voId"
_TOLD_BESIDE = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_TAKEN = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d\0")
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Markers that no length follows: one to fill up with, one of old, and those within a picture.
_ALONE = frozenset({0xFF, 0x01, *range(0xD0, 0xD8)})
_EXIF = b"Exif\0\0"
_SHORT, _LONG, _TEXT = 3, 4, 2


def strip(kind: str, photo: IO[bytes]) -> None:
    """Take out of a photo, in place, what its camera says of where, with what and by whom it was taken.

    Parameters
    ----------
    kind
        As `tickets.attachments.kind_of` tells it; of others than `jpeg` and `png` nothing is done.
    photo
        Open for reading and writing. Read once at most, a piece at a time.
    """
    if kind == "jpeg":
        _strip_jpeg(photo)
    elif kind == "png":
        _strip_png(photo)


def _strip_jpeg(photo: IO[bytes]) -> None:
    place = 2
    for _ in range(MOST_PARTS):
        head = _read(photo, place, 4)
        if len(head) < 2 or head[0] != 0xFF:
            return
        marker, length = head[1], int.from_bytes(head[2:])
        if marker == 0xD9:
            photo.truncate(place + 2)
            return
        if marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if len(head) < 4 or length < 2:
            return
        if _is_told_beside(photo, marker, place + 4):
            _blank_segment(photo, place + 4, length - 2)
        place += 2 + length
        if marker == 0xDA:
            place = _after_scan(photo, place)


def _is_told_beside(photo: IO[bytes], marker: int, place: int) -> bool:
    """Comments and what applications write, but for the form of the file (0, 14) and its colours (2)."""
    if marker == 0xE2:
        return _read(photo, place, 4) == b"MPF\0"
    return marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in {0xE0, 0xEE})


def _blank_segment(photo: IO[bytes], place: int, length: int) -> None:
    said = _read(photo, place, length)
    kept = _kept(said[len(_EXIF) :]) if said.startswith(_EXIF) else b""
    told = _EXIF + kept if kept and len(_EXIF + kept) <= len(said) else b""
    _write(photo, place, told.ljust(len(said), b"\0"))


def _after_scan(photo: IO[bytes], place: int) -> int:
    """The next marker that is none of the picture's own, or the end."""
    while True:
        piece = _read(photo, place, _PIECE_BYTES)
        found = _MARKER.search(piece)
        if found:
            return place + found.start()
        if len(piece) < _PIECE_BYTES:
            return place + len(piece)
        place += len(piece) - 1


def _strip_png(photo: IO[bytes]) -> None:
    place, end = 8, photo.seek(0, 2)
    for _ in range(MOST_PARTS):
        head = _read(photo, place, 8)
        length, name = int.from_bytes(head[:4]), head[4:]
        if len(head) < 8 or place + 12 + length > end:
            return
        if name in _TOLD_BESIDE:
            _blank_chunk(photo, place, length, name)
        place += 12 + length
        if name == b"IEND":
            photo.truncate(place)
            return


def _blank_chunk(photo: IO[bytes], place: int, length: int, name: bytes) -> None:
    kept = _kept(_read(photo, place + 8, min(length, _PIECE_BYTES))) if name == b"eXIf" else b""
    kept = kept if len(kept) <= length else b""
    _write(photo, place + 4, (name if kept else _NOTHING) + kept)
    check = zlib.crc32((name if kept else _NOTHING) + kept)
    left = length - len(kept)
    while left:
        zeros = bytes(min(left, _PIECE_BYTES))
        photo.write(zeros)
        check = zlib.crc32(zeros, check)
        left -= len(zeros)
    photo.write(check.to_bytes(4))


def _kept(tiff: bytes) -> bytes:
    """How the picture is turned and when it was taken, as Exif of its own; empty: neither is known."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    turned, taken = 0, b""
    try:
        if order:
            first = _entries(tiff, order, struct.unpack_from(f"{order}I", tiff, 4)[0])
            turned = first.get((0x0112, _SHORT), 0) >> (16 if order == ">" else 0) & 0xFFFF
            inner = _entries(tiff, order, first[0x8769, _LONG]) if (0x8769, _LONG) in first else {}
            place = inner.get((0x9003, _TEXT), 0)
            taken = tiff[place : place + 20] if place else b""
    except struct.error:
        pass
    return _exif(turned if 1 <= turned <= 8 else 0, taken if _TAKEN.fullmatch(taken) else b"")


def _entries(tiff: bytes, order: str, place: int) -> Mapping[tuple[int, int], int]:
    """What stands in a directory, by tag and type: the value, or where it is."""
    (count,) = struct.unpack_from(f"{order}H", tiff, place)
    found = (struct.unpack_from(f"{order}HHII", tiff, place + 2 + 12 * n) for n in range(count))
    return {(tag, kind): value for tag, kind, _, value in found}


def _exif(turned: int, taken: bytes) -> bytes:
    count = bool(turned) + bool(taken)
    if not count:
        return b""
    inner = 8 + 2 + 12 * count + 4
    exif = b"MM\0*" + struct.pack(">IH", 8, count)
    exif += struct.pack(">HHIHH", 0x0112, _SHORT, 1, turned, 0) if turned else b""
    exif += struct.pack(">HHII", 0x8769, _LONG, 1, inner) if taken else b""
    exif += bytes(4)
    if taken:
        exif += struct.pack(">HHHIII", 1, 0x9003, _TEXT, 20, inner + 2 + 12 + 4, 0) + taken
    return exif


def _read(photo: IO[bytes], place: int, length: int) -> bytes:
    photo.seek(place)
    return photo.read(length)


def _write(photo: IO[bytes], place: int, content: bytes) -> None:
    photo.seek(place)
    photo.write(content)
