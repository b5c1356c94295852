"""Recordings: tables of one machine's readings, as files hold them.

What can't be read as a number is no reading, so gaps in a table are gaps in the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

_TIME_FORMATS = (
    "ISO8601",
    "%d/%m/%y %H",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y.%m.%d.%H.%M.%S",
)
# A number of seconds since 1970 stays below the first until the year 5138, one of milliseconds below the second.
_MILLISECONDS_FROM = 1e11
_MICROSECONDS_FROM = 1e14

# Rows of a long file on which ways to read its dates are tried first, and the share of them that must make sense: well
# below the half that the whole needs, for a sample by chance.
_SAMPLED_ROWS = 1000
_SAMPLE_READABLE = 0.3

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A table of one machine.

    Attributes
    ----------
    time_us : int64 (N,)
        -1 where the time can't be read.
    time_text : tuple of str
        The times as they were written.
    channels : tuple of str
    values : float64 (N, C)
        NaN where there is no reading.
    """

    time_us: Times
    time_text: tuple[str, ...]
    channels: tuple[str, ...]
    values: Floats

    def __len__(self) -> int:
        return len(self.time_us)


def read(path: Path, *, time_column: str, ignore: Sequence[str] = ()) -> Recording:
    """Read a CSV or, by its ending, a Parquet file.

    The separator of a CSV is whichever of comma, semicolon and tab its first line has most of, else blanks.

    Raises
    ------
    ValueError
        If there is no such time column, or it holds no times, or no other column holds numbers.
    """
    frame = table(path, as_text=[time_column])
    if time_column not in frame.columns:
        raise ValueError(f"{path}: no column {time_column}; there are {', '.join(frame.columns)}")
    text = frame[time_column].astype(str).fillna("").str.strip()
    dropped = {time_column, *(name.strip() for name in ignore)}
    values = {name: numbers(frame[name]) for name in frame.columns if name not in dropped}
    values = {name: column for name, column in values.items() if not np.isnan(column).all()}
    if not values:
        raise ValueError(f"{path}: no column of numbers beside {time_column}")
    try:
        time_us = parse_times(text)
    except ValueError as error:
        raise ValueError(f"{path}: {time_column} holds no times, such as {text.iloc[0]!r}") from error
    return Recording(time_us, tuple(text.tolist()), tuple(values), np.column_stack(list(values.values())))


def parse_times(text: pd.Series[str]) -> Times:
    """Times in microseconds, int64 (N,), -1 where unreadable; numbers are seconds, or smaller units where too large.

    Of several ways to read a date the one that leaves the fewest rows unreadable or out of order is taken.

    Raises
    ------
    ValueError
        If no more than half can be read.
    """
    sample = text.iloc[:: max(1, len(text) // _SAMPLED_ROWS)]
    plain = numbers(text if np.isfinite(numbers(sample)).mean() > _SAMPLE_READABLE else sample)
    if np.isfinite(plain).mean() > 0.5:
        largest = np.nanmax(np.abs(plain))
        unit_us = 1e6 if largest < _MILLISECONDS_FROM else 1e3 if largest < _MICROSECONDS_FROM else 1.0
        return np.where(np.isfinite(plain), np.round(np.nan_to_num(plain) * unit_us), -1).astype(np.int64)
    worth_trying = [form for form in _TIME_FORMATS if (_as_written(sample, form) >= 0).mean() > _SAMPLE_READABLE]
    best, fewest = np.full(len(text), -1, np.int64), len(text) // 2 + 1
    for form in worth_trying:
        times = _as_written(text, form)
        known = times >= 0
        bad = int((~known).sum() + (np.diff(times[known]) < 0).sum())
        if bad < fewest:
            best, fewest = times, bad
    if (best < 0).all():
        raise ValueError("no times")
    return best


def _as_written(text: pd.Series[str], form: str) -> Times:
    import pandas as pd

    parsed = pd.to_datetime(text, format=form, errors="coerce", utc=True)
    return np.where(parsed.notna().to_numpy(), parsed.dt.as_unit("us").astype("int64").to_numpy(), -1)


def in_order(time_us: Times) -> Times:
    """Times that only grow; -1 where a row has none, or the same as the row before.

    A clock that was put back goes on from where it was, by the step before; one that runs ahead leaves a gap.
    """
    known = np.flatnonzero(time_us >= 0)
    if not len(known):
        return time_us
    step_us = np.diff(time_us[known])
    last_good = np.maximum.accumulate(np.where(step_us > 0, np.arange(len(step_us)), -1))
    before_us = np.where(last_good >= 0, step_us[last_good], 1_000_000)
    grown_us = np.concatenate(([0], np.where(step_us < 0, before_us, step_us)))
    ordered = np.full(len(time_us), -1, np.int64)
    kept = grown_us > 0
    kept[0] = True
    ordered[known[kept]] = (time_us[known[0]] + np.cumsum(grown_us))[kept]
    return ordered


def table(path: Path, *, as_text: Collection[str] = ()) -> pd.DataFrame:
    """A file's columns by their names without blanks around them; those of `as_text` as they are written.

    Fields may be separated by blanks, too. A first line of numbers alone, none of them asked for, is
    no header: columns are then c1, c2, …

    Raises
    ------
    ValueError
        If there is no table in it.
    """
    import pandas as pd

    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: no Parquet file") from error
    else:
        frame = _separated(path, as_text)
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame


def _separated(path: Path, as_text: Collection[str]) -> pd.DataFrame:
    import pandas as pd

    with path.open(encoding="utf-8-sig") as lines:
        first = lines.readline().rstrip("\r\n")
    separator = max(",;\t", key=first.count)
    if separator not in first and first.strip().count(" "):
        separator = r"\s+"
    fields = first.split() if separator == r"\s+" else first.split(separator)
    titles = [title.strip('"') for title in fields]
    titled = np.isnan(numbers(pd.Series(titles, dtype=str))).any() or not set(titles).isdisjoint(as_text)
    if not titled:
        titles = [f"c{place + 1}" for place in range(len(fields))]
    return pd.read_csv(
        path,
        sep=separator,
        encoding="utf-8-sig",
        header=0 if titled else None,
        names=None if titled else titles,
        dtype={title: str for title in titles if title.strip() in as_text},
        low_memory=False,
    )


def numbers(text: pd.Series[str]) -> Floats:
    """Numbers, with decimal point or comma; NaN for anything else and for what is not finite."""
    import pandas as pd

    plain = pd.to_numeric(text, errors="coerce")
    if plain.isna().all() and not pd.api.types.is_numeric_dtype(text):
        plain = pd.to_numeric(text.astype(str).str.replace(",", ".", regex=False), errors="coerce")
    column: Floats = plain.to_numpy(np.float64)
    return np.where(np.isfinite(column), column, np.nan)
