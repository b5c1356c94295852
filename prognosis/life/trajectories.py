"""Trajectories: what the machines of a fleet measured, each from its first cycle to its last.

A trajectory ends with a failure, or it is censored: the machine still ran when it was last looked at.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.recordings import numbers, parse_times, table

_DAY_US = 86_400_000_000

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """Rows of one unit stand together, in order of their cycle.

    Attributes
    ----------
    units : tuple of str
        U names.
    failed : bool (U,)
        False where the unit still ran at its last row.
    unit : intp (N,)
        Index into `units`, growing.
    cycle : float64 (N,)
        Its age in whatever the table counts: cycles, hours, days.
    channels : tuple of str
    values : float64 (N, C)
        NaN where there is no reading.
    """

    units: tuple[str, ...]
    failed: Mask
    unit: Rows
    cycle: Floats
    channels: tuple[str, ...]
    values: Floats

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def first(self) -> Rows:
        """The first row of each row's unit, (N,)."""
        return np.searchsorted(self.unit, self.unit, side="left")

    @property
    def ends(self) -> Rows:
        """The last row of each unit, (U,)."""
        return np.searchsorted(self.unit, np.arange(len(self.units)), side="right") - 1

    @property
    def left(self) -> Floats:
        """What each row's unit still had before its last row, (N,): its remaining life, if it failed then."""
        return self.cycle[self.ends][self.unit] - self.cycle

    def only(self, channels: Collection[str]) -> Trajectories:
        """With these channels, in this order.

        Raises
        ------
        ValueError
            If one of them is not there.
        """
        place = {name: at for at, name in enumerate(self.channels)}
        missing = [name for name in channels if name not in place]
        if missing:
            raise ValueError(f"no readings of {', '.join(missing)}: the model was trained with it")
        values = self.values[:, [place[name] for name in channels]]
        return Trajectories(self.units, self.failed, self.unit, self.cycle, tuple(channels), values)

    def picked(self, units: Rows) -> Trajectories:
        """Those of these units alone, in the order in which they are given."""
        starts, ends = np.searchsorted(self.unit, units, side="left"), self.ends[units]
        rows = np.concatenate([np.arange(start, end + 1) for start, end in zip(starts, ends, strict=True)])
        unit = np.repeat(np.arange(len(units)), ends - starts + 1)
        names = tuple(self.units[each] for each in units)
        return Trajectories(names, self.failed[units], unit, self.cycle[rows], self.channels, self.values[rows])


def read(path: Path, *, unit: str, cycle: str, event: str | None = None, ignore: Collection[str] = ()) -> Trajectories:
    """Read a table of a fleet, CSV or, by its ending, Parquet: see `of_table`.

    Without a header columns are called c1, c2, …
    """
    try:
        return of_table(table(path, as_text=[unit]), unit=unit, cycle=cycle, event=event, ignore=ignore)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error


def of_table(
    frame: pd.DataFrame, *, unit: str, cycle: str, event: str | None = None, ignore: Collection[str] = ()
) -> Trajectories:
    """Trajectories out of a table with a row a unit and cycle, in any order.

    Parameters
    ----------
    cycle : str
        A column of numbers, or of times: these become days since the unit's first row.
    event : str or None
        At a unit's last row 1 if it failed then, 0 if it still ran. Without: all failed.

    Raises
    ------
    ValueError
        If a column is missing, or no row has a unit and a cycle.
    """
    missing = [name for name in (unit, cycle, event) if name is not None and name not in frame.columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; there are {', '.join(frame.columns)}")
    named = frame[unit].notna().to_numpy() & (frame[unit].astype(str).str.strip() != "").to_numpy()
    codes, names = pd.factorize(frame[unit].astype(str).str.strip().where(named))
    age = _ages(frame[cycle], codes)
    known = np.flatnonzero((codes >= 0) & np.isfinite(age))
    if not len(known):
        raise ValueError(f"no row has a {unit} and a {cycle}")
    rows = known[np.lexsort((age[known], codes[known]))]
    present, of_row = np.unique(codes[rows], return_inverse=True)
    dropped = {unit, cycle, event, *(name.strip() for name in ignore)}
    columns = {name: numbers(frame[name])[rows] for name in frame.columns if name not in dropped}
    columns = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    values = np.column_stack(list(columns.values())) if columns else np.empty((len(rows), 0))
    failed = np.ones(len(present), np.bool_)
    if event is not None:
        last = np.searchsorted(of_row, np.arange(len(present)), side="right") - 1
        failed = np.nan_to_num(numbers(frame[event])[rows][last]) != 0
    units = tuple(str(names[each]) for each in present)
    return Trajectories(units, failed, of_row.astype(np.intp), age[rows], tuple(columns), values)


def _ages(column: pd.Series[str], codes: npt.NDArray[np.int64]) -> Floats:
    """Float64 (N,), NaN where unreadable."""
    plain = numbers(column)
    if np.isfinite(plain).mean() > 0.5:
        return plain
    try:
        time_us = parse_times(column.astype(str).str.strip())
    except ValueError as error:
        raise ValueError(f"{column.name} holds neither numbers nor times, such as {column.iloc[0]!r}") from error
    days = np.where(time_us >= 0, time_us / _DAY_US, np.nan)
    began = pd.Series(days).groupby(codes).transform("min").to_numpy(np.float64)
    return np.asarray(days - began, np.float64)
