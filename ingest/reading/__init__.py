"""What every decoder writes to: the columns of a delivery, through a reader that checks all that comes from outside -
times, names, numbers, limits - and says what it refuses in words for the device's maker."""

from ingest.reading.columns import (
    MAX_COUNT,
    MAX_PAYLOAD_BYTES,
    MAX_POINT_LENGTH,
    MAX_POINTS,
    MAX_VALUES,
    NO_BOOT,
    Columns,
    Numbers,
)
from ingest.reading.reader import Reader

__all__ = [
    "MAX_COUNT",
    "MAX_PAYLOAD_BYTES",
    "MAX_POINTS",
    "MAX_POINT_LENGTH",
    "MAX_VALUES",
    "NO_BOOT",
    "Columns",
    "Numbers",
    "Reader",
]
