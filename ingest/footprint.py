"""Memory that the process holds and does not need: given back to the system, so that what is left is the fleet's.

A saving, no promise: where the system is not Linux with glibc, nothing happens.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MADV_DONTNEED = 4
# A block of this size or more goes back as soon as it is freed. Lower, and what detectors work with is mapped anew with
# each batch, page by page: at 1 MB they are a third slower. Higher, and the largest columns leave holes as they grow;
# by itself glibc goes up to 32 MB.
_OWN_MAPPING_BYTES = 4 << 20
# What may lie idle at the heap's end. Lower, and each batch grows the heap and shrinks it again.
_IDLE_BYTES = 32 << 20

# A mapping of a file, private to the process and not writable: its bounds.
_FROM_A_FILE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-.p \S+ \S+ [1-9]")
_WRITTEN = re.compile(r"Anonymous: +[1-9]")


def keep_little() -> None:
    """From now on the largest blocks go back to the system when they are freed; others are kept to be used again."""
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _IDLE_BYTES)


def return_idle() -> None:
    """Give back whatever is free at this moment: what a fleet leaves when it grows, and what was saved. Takes ms."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def drop_read(smaps: Path = Path("/proc/self/smaps")) -> None:
    """Let go of what was read of programs and libraries to start them: what is used again is read again.

    Of the compiler nine tenths are not: 70 MB. Pages that were written to are kept.
    """
    with suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        for begin, end in list(_only_read(smaps.read_text().splitlines())):
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def _only_read(lines: list[str]) -> Iterator[tuple[int, int]]:
    """The bounds of mappings that hold no more than their files do."""
    bounds = None
    for line in lines:
        if re.match("[0-9a-f]+-", line):
            found = _FROM_A_FILE.match(line)
            bounds = (int(found[1], 16), int(found[2], 16)) if found else None
        elif bounds and line.startswith("Anonymous:") and not _WRITTEN.match(line):
            yield bounds
