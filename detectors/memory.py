"""A detector's memory: one row a subject, one named column a quantity.

Grows when subjects are added, shrinks when they are dropped, and turns into plain arrays and back. A memory of another
layout is refused rather than guessed at, so that a changed detector starts afresh instead of alarming on numbers it
misreads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]

_FIRST_CAPACITY = 16
# Rows that are compared and written together: all at once are as much again as the widest column of a fleet.
_AT_ONCE = 1024

C = TypeVar("C", bound=tuple[Any, ...])
V = TypeVar("V")
Numbers = npt.NDArray[np.int32]


class Memory:
    """Columns of equal length, addressed by name; rows, by the number of a subject.

    Parameters
    ----------
    layout : str
        Name and version of what the columns mean; changed whenever their meaning does.
    empty : mapping of str to array_like
        The row of a subject of which nothing is known: each column's dtype, shape and first value.
    """

    def __init__(self, layout: str, empty: Mapping[str, npt.ArrayLike]) -> None:
        self._layout = layout
        self._empty = {name: np.asarray(value) for name, value in empty.items()}
        self._columns: dict[str, npt.NDArray[Any]] = {}
        # Arrays: a dictionary of fifty thousand subjects is as large as what most detectors remember of them.
        self._subjects: Numbers = np.empty(0, np.int32)
        self._sorted = self._subjects
        self._sorted_rows: Numbers | None = None  # None: subjects came in order of their numbers, as most do
        self._grow_to(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return len(self._subjects)

    def __contains__(self, subject: int) -> bool:
        return bool(self._known(np.array([subject]))[0])

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """The column with room to spare at its end; writes go through."""
        return self._columns[column]

    def columns(self, named: type[C]) -> C:
        """Columns as a named tuple, which compiled code can take: those that it has names for, until a row is added."""
        return named(*(self._columns[name] for name in getattr(named, "_fields", ())))

    @property
    def subjects(self) -> npt.NDArray[Any]:
        """The number of each row's subject, int32, in order of the rows."""
        return self._subjects

    def add(self, subjects: Sequence[int]) -> None:
        """Make a row for each subject that has none."""
        asked = np.array(list(dict.fromkeys(subjects)), np.int32)
        fresh = asked[~self._known(asked)]
        if not len(fresh):
            return
        self._number(np.concatenate((self._subjects, fresh)))
        if len(self) > self._capacity:
            # By a quarter: a fleet is learnt once, and room for as many again would be kept for ever.
            self._grow_to(max(self._capacity * 5 // 4, len(self)))

    def drop(self, subjects: npt.NDArray[np.integer[Any]]) -> None:
        """Give back the rows of subjects, all of them known; those of others move up. Costs a copy of what is left."""
        if not len(subjects):
            return
        left = np.ones(len(self), bool)
        left[self.rows(subjects)] = False
        rows, columns, self._columns = np.flatnonzero(left), self._columns, {}
        self._number(self._subjects[left])
        self._grow_to(max(_FIRST_CAPACITY, len(rows)))
        for name, column in columns.items():
            self._columns[name][: len(rows)] = column[rows]

    def row(self, subject: int) -> int:
        """The row of a subject that was added; KeyError otherwise."""
        at = int(self._sorted.searchsorted(np.int32(subject)))
        if at == len(self) or self._sorted[at] != subject:
            raise KeyError(subject)
        return at if self._sorted_rows is None else int(self._sorted_rows[at])

    def rows(self, subjects: npt.NDArray[np.integer[Any]]) -> Rows:
        """The rows of subjects, all of them known.

        Raises
        ------
        KeyError
            If a subject was never added.
        """
        at = self._at(subjects)
        if not self._there(at, subjects).all():
            raise KeyError("a subject that was never watched")
        return at if self._sorted_rows is None else self._sorted_rows[at].astype(np.intp)

    def _number(self, subjects: Numbers) -> None:
        """Rows are those of these subjects, in this order."""
        self._subjects = self._sorted = subjects
        self._sorted_rows = None
        if (np.diff(subjects) < 0).any():
            self._sorted_rows = np.argsort(subjects).astype(np.int32)
            self._sorted = subjects[self._sorted_rows]

    def _known(self, subjects: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        return self._there(self._at(subjects), subjects)

    def _at(self, subjects: npt.NDArray[np.integer[Any]]) -> Rows:
        # In one type: else NumPy makes a copy of all that are sorted, at each look.
        return np.searchsorted(self._sorted, subjects.astype(np.int32, copy=False))

    def _there(self, at: Rows, subjects: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        known: npt.NDArray[np.bool_] = at < len(self)
        known[known] = self._sorted[at[known]] == subjects[known]
        return known

    def snapshot(self, without: Collection[str] = ()) -> dict[str, npt.NDArray[Any]]:
        kept = {name: column[: len(self)].copy() for name, column in self._columns.items() if name not in without}
        return {"layout": np.array(self._layout), "subject": self.subjects.copy(), **kept}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what is remembered of the subjects that have a row here.

        Raises
        ------
        ValueError
            If the snapshot has another layout.
        """
        self._check(snapshot)
        subjects = snapshot["subject"]
        known = np.flatnonzero(self._known(subjects))
        rows = self.rows(subjects[known])
        for name, column in self._columns.items():
            _write(column, rows, snapshot[name], known)

    def _check(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        if "layout" not in snapshot or str(snapshot["layout"]) != self._layout:
            raise ValueError(f"not a memory of the layout {self._layout}")
        missing = {"subject", *self._empty} - set(snapshot)
        if missing:
            raise ValueError(f"a memory without {sorted(missing)}")
        count = len(snapshot["subject"])
        for name, empty in self._empty.items():
            if snapshot[name].shape != (count, *empty.shape) or snapshot[name].dtype.kind != empty.dtype.kind:
                raise ValueError(f"a memory whose {name} has another shape")

    @property
    def _capacity(self) -> int:
        return len(next(iter(self._columns.values())))

    def _grow_to(self, capacity: int) -> None:
        for name, empty in self._empty.items():
            column = np.zeros((capacity, *empty.shape), empty.dtype)
            if empty.any():
                column[:] = empty
            if name in self._columns:
                before = self._columns[name]
                _write(column, np.arange(len(before)), before, np.arange(len(before)))
            self._columns[name] = column


class Beside(Generic[V]):
    """A value of each subject of a memory that is no number: a name, say. A list: a sixth of what a dictionary takes.

    `KeyError` where the memory knows no such subject.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._values: list[V | None] = []

    def __getitem__(self, subject: int) -> V:
        row = self._memory.row(subject)
        value = self._values[row] if row < len(self._values) else None
        if value is None:
            raise KeyError(subject)
        return value

    def update(self, values: Iterable[tuple[int, V]]) -> None:
        """Of subjects that were added."""
        pairs = list(values)
        self._values += [None] * (len(self._memory) - len(self._values))
        rows = self._memory.rows(np.array([subject for subject, _ in pairs], np.int32))
        for row, (_, value) in zip(rows.tolist(), pairs, strict=True):
            self._values[row] = value


def part(name: str, memory: Memory) -> dict[str, npt.NDArray[Any]]:
    """The memory of some subjects as a part of their detector's snapshot; in order of their numbers.

    In which order they came is a matter of how readings were cut.
    """
    kept = memory.snapshot()
    order = np.argsort(kept["subject"])
    return {f"{name}_{column}": each[order] if each.ndim else each for column, each in kept.items()}


def restore_part(name: str, memory: Memory, among: Memory, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
    """Take over what `part` gave, of the subjects that the memory `among` knows; ValueError as of `Memory.restore`."""
    kept = {each.removeprefix(f"{name}_"): column for each, column in snapshot.items() if each.startswith(f"{name}_")}
    memory.add([int(subject) for subject in kept.get("subject", ()) if int(subject) in among])
    memory.restore(kept)


def _write(column: npt.NDArray[Any], rows: Rows, values: npt.NDArray[Any], of: Rows) -> None:
    """Write values `of` these places to rows, where another is: zeros take no memory before they are written to."""
    for first in range(0, len(rows), _AT_ONCE):
        row, value = rows[first : first + _AT_ONCE], values[of[first : first + _AT_ONCE]]
        other = np.flatnonzero((column[row] != value).any(axis=tuple(range(1, column.ndim))))
        column[row[other]] = value[other]
