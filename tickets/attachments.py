"""Files that come with a report: what they are by their content, and what they are called.

Nothing is believed of what a browser says of a file, nor of its name. Photos, videos and documents are told by their
first bytes, logs by having nothing in them but text. What a browser could run (HTML, SVG, anything that begins as a
page does) is none of them. We look no further: a file is never unpacked, drawn or run here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEAD_BYTES = 4096
"""What is enough to tell a file by."""
LONGEST_NAME = 120


class NotTaken(Exception):
    """this file is none of: photo (JPEG, PNG, WebP), video (MP4), PDF, log or table of plain text"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its media type, and the endings that its name may have, the usual first."""

    media_type: str
    endings: tuple[str, ...]

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


KINDS: dict[str, Kind] = {
    "jpeg": Kind("image/jpeg", (".jpg", ".jpeg")),
    "png": Kind("image/png", (".png",)),
    "webp": Kind("image/webp", (".webp",)),
    "mp4": Kind("video/mp4", (".mp4", ".m4v")),
    "pdf": Kind("application/pdf", (".pdf",)),
    "csv": Kind("text/csv; charset=utf-8", (".csv",)),
    "text": Kind("text/plain; charset=utf-8", (".txt", ".log")),
}
_TEXTS = frozenset({"csv", "text"})
# Brands of ISO 14496-12 that players take for MP4; those of still pictures (heic, avif) and QuickTime are not here.
_MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash"}
)
# A log may hold a form feed, or the escape of a terminal's colours; nothing else below a space is text.
_NO_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"


def kind_of(head: bytes, name: str) -> str:
    """What a file is, by its first `HEAD_BYTES`. The name only tells a table from other text.

    Raises
    ------
    NotTaken
        It is none of `KINDS`.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return "mp4"
    if head.startswith(b"%PDF-"):
        return "pdf"
    if not head or not is_text(head) or head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise NotTaken(NotTaken.__doc__)
    return "csv" if name.lower().endswith(".csv") else "text"


def is_text(piece: bytes) -> bool:
    """Whether a piece of a file has no byte that no text has."""
    return piece.translate(None, _NO_TEXT) == piece


def checked(kind: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a file as they come; of a text each is looked at, since a picture may hide behind a first line.

    Raises
    ------
    NotTaken
        A text turns out to be none.
    """
    for piece in pieces:
        if kind in _TEXTS and not is_text(piece):
            raise NotTaken(NotTaken.__doc__)
        yield piece


def name_of(given: str, kind: str) -> str:
    """A name that is safe to show and to keep a file by: no folder, no control character, an ending that says its kind.

    >>> name_of("..\\\\secret\\\\seal.exe", "jpeg")
    'seal.exe.jpg'
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    kept = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ").strip(" .")
    endings = KINDS[kind].endings
    if not kept.lower().endswith(endings):
        kept = f"{kept[: LONGEST_NAME - 5] or 'file'}{endings[0]}"
    if len(kept) > LONGEST_NAME:
        stem, _, ending = kept.rpartition(".")
        kept = f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}"
    return kept
