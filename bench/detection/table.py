"""A row of the table: a figure, what it should reach, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one set of recordings.

    Attributes
    ----------
    recordings, figure
        What was scored, and by what.
    ours : float
        NaN where it does not exist.
    least, aim : float or None
        What must and what should be reached.
    upwards
        Whether more is better.
    beside
        Published figures of others by their name, and the trivial rows.
    """

    recordings: str
    figure: str
    ours: float
    least: float | None = None
    aim: float | None = None
    upwards: bool = True
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        def reached(wanted: float) -> bool:
            return self.ours >= wanted if self.upwards else self.ours <= wanted

        if self.aim is not None and reached(self.aim):
            return "aim"
        if self.least is None:
            return ""
        return "reached" if reached(self.least) else "missed"
