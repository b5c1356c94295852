"""Whose alarms they are: who answers for which site, and how much each of them has to bear.

The alarms of a site are shared by those who answer for it; where nobody does, by everybody who deals with alarms. All
rules' alarms count together: who is called does not ask by which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]

OTHERS = ""
"""Whoever answers for no site, each of them: they have their share of what is nobody's."""


@dataclass(frozen=True, slots=True)
class Duties:
    """Logins by site, and how many people deal with alarms at all."""

    by_site: Mapping[str, Sequence[str]]
    people: int

    @property
    def names(self) -> list[str]:
        """Who answers for any site."""
        return sorted({login for logins in self.by_site.values() for login in logins})


NOBODYS = Duties({}, 0)
"""Where nobody answers for anything: one person is taken to."""


def loads(duties: Duties, by_site: Mapping[str, npt.ArrayLike], length: int) -> dict[str, Counts]:
    """What each person bears of counts by site, all of one length (of days, or of ten minutes).

    Everybody who answers for a site is in it; `OTHERS` where there is anybody else, or nobody at all. What all of them
    bear together, others as often as they are, is what there was.
    """
    names = duties.names
    people = max(duties.people, len(names), 1)
    found = {login: np.zeros(length) for login in names}
    nobodys = np.zeros(length)
    for site, counts in by_site.items():
        logins = duties.by_site.get(site, ())
        for login in logins:
            found[login] += np.asarray(counts, np.float64) / len(logins)
        if not logins:
            nobodys += np.asarray(counts, np.float64) / people
    shared = {login: own + nobodys for login, own in found.items()}
    return shared if people == len(names) else {**shared, OTHERS: nobodys}


def most_borne(duties: Duties, by_site: Mapping[str, npt.ArrayLike], length: int) -> float:
    """The most that anybody bears in one of the counts."""
    return max(float(load.max(initial=0.0)) for load in loads(duties, by_site, length).values())
