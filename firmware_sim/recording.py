"""A recorded CSV as rows with times: which column is the time, which are points, what separates them.

Reads in slices, so that a file of any size takes the memory of one slice. What cannot be read as a number is missing,
not zero; a row without a readable time is counted and left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

ROWS_PER_SLICE = 20_000
_SEPARATORS = (",", ";", "\t")
_TIME_NAMES = ("time", "timestamp", "ts", "datetime", "date", "date_time")
# Recorded numbers are seconds, milliseconds, microseconds or nanoseconds since 1970: the first of these limits above
# them tells which (1e11 s is the year 5138, 1e11 ms is March 1973).
_EPOCH_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (np.inf, 1e-3))


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some rows of a recording, in the file's order.

    Attributes
    ----------
    time_us : int64 (N,)
        Microseconds since 1970; as recorded: repeated and backward times stay.
    points : str (P,)
        The columns' own names.
    values : float64 (N, P)
        NaN where a cell is empty or no number.
    unreadable : int
        Rows left out for want of a time.
    """

    time_us: npt.NDArray[np.int64]
    points: tuple[str, ...]
    values: npt.NDArray[np.float64]
    unreadable: int

    def __len__(self) -> int:
        return len(self.time_us)


@dataclass(frozen=True, slots=True)
class Recording:
    """One CSV file, its header understood.

    `points` are the columns to read; one that holds no numbers simply yields none.
    """

    path: Path
    separator: str
    time_column: str
    points: tuple[str, ...]
    time_format: str | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        time_column: str | None = None,
        points: Collection[str] | None = None,
        ignore: Collection[str] = (),
        time_format: str | None = None,
    ) -> Recording:
        """Read the header.

        Without `time_column` it is the first column called like a time, else the first. Columns without a name, as an
        exported index has none, are no points.

        Raises
        ------
        ValueError
            If a column asked for isn't there, naming those that are.
        """
        header = _header(path)
        separator = max(_SEPARATORS, key=header.count)
        columns = [name.strip().strip('"') for name in header.split(separator)]
        time_column = time_column or next((c for c in columns if c.lower() in _TIME_NAMES), columns[0])
        missing = sorted({time_column, *(points or ()), *ignore} - set(columns))
        if missing:
            raise ValueError(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(columns)}")
        wanted = set(points) if points is not None else set(columns)
        kept = tuple(c for c in columns if c and c in wanted and c != time_column and c not in ignore)
        if not kept:
            raise ValueError(f"{path.name} has no column left to send beside {time_column}")
        return cls(path, separator, time_column, kept, time_format)

    def slices(self, rows: int = ROWS_PER_SLICE) -> Iterator[Slice]:
        """The file in order, `rows` at a time.

        Raises
        ------
        ValueError
            If no time of the first slice can be read.
        """
        columns = [self.time_column, *self.points]
        frames = pd.read_csv(
            self.path,
            sep=self.separator,
            usecols=lambda name: name.strip() in columns,
            skipinitialspace=True,
            chunksize=rows,
            low_memory=False,
        )
        with frames:
            for number, frame in enumerate(frames):
                frame.columns = frame.columns.str.strip()
                time_us, readable = _times(frame[self.time_column], self.time_format)
                if number == 0 and len(frame) and not readable.any():
                    example = frame[self.time_column].iloc[0]
                    raise ValueError(
                        f"{self.path.name}: {self.time_column} {example!r} is no time; give its format, "
                        "as in '%m/%d/%Y %H:%M'"
                    )
                values = np.column_stack([_numbers(frame[point]) for point in self.points])
                yield Slice(time_us[readable], self.points, values[readable], int((~readable).sum()))

    def count_rows(self) -> int:
        """Lines after the header; for a progress bar, without reading any cell."""
        with self.path.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
            file.seek(max(0, file.tell() - 1))
            return lines - (1 if file.read(1) == b"\n" else 0)


def _header(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline().rstrip("\r\n")
    if not header:
        raise ValueError(f"{path.name} is empty")
    return header


def _numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _times(column: pd.Series, time_format: str | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Microseconds since 1970 and whether each could be read. A time without a zone is UTC."""
    if time_format is None and pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        readable = np.isfinite(numbers)
        largest = float(np.abs(numbers[readable]).max(initial=0.0))
        factor = next(factor for limit, factor in _EPOCH_UNITS if largest < limit)
        return np.where(readable, np.rint(np.where(readable, numbers, 0.0) * factor), 0).astype(np.int64), readable
    stamps = pd.to_datetime(column, format=time_format or "ISO8601", utc=True, errors="coerce")
    readable = stamps.notna().to_numpy()
    micros = stamps.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    return np.where(readable, micros, 0), readable
