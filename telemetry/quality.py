"""What is known against a reading. Zero is good; the bits are stored with each row."""

from __future__ import annotations

from enum import IntFlag


class Quality(IntFlag):
    """Bits of `Batch.quality` and of the column `readings.quality`."""

    GOOD = 0
    LATE = 1
    """Older than a reading of the same stream that was stored before; kept, not scored."""
    FUTURE = 2
    """Stamped ahead of the server's clock by more than the tolerance; kept, not scored."""
    ARRIVAL_TIME = 4
    """The device gave no time: this is when the message arrived."""
    CLOCK = 16
    """The device's clock is known to be wrong: its stamp was mended, or, where its owner keeps them, is as it came."""
    IMPOSSIBLE = 8
    """Outside what the quantity can physically be; kept, not scored by what learns a normal."""
    CONTESTED = 32
    """Another value of the same stream and time was there before: kept beside it, not scored."""
