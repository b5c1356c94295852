"""What a plan is made of: tickets that wait for somebody, and engineers who could go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tickets.dispatch.shifts import Shifts
from tickets.dispatch.travel import Place
from tickets.priority import Priority


@dataclass(frozen=True, slots=True)
class Job:
    """A ticket as dispatch sees it.

    Attributes
    ----------
    opened_min, on_site_due_min, done_due_min
        Minutes from now, negative in the past. A promise that is not given, or does not run, is None.
    place
        None: nobody has said where the site is.
    skills
        What somebody must have; empty: anybody can.
    parts
        Numbers of the parts that the repair is thought to take.
    in_van
        Of those that are held for it in somebody's van: whose, by login.
    remote
        Looked at from afar first.
    """

    id: str
    priority: Priority
    opened_min: float
    work_min: float
    place: Place | None = None
    skills: frozenset[str] = frozenset()
    on_site_due_min: float | None = None
    done_due_min: float | None = None
    parts: frozenset[str] = frozenset()
    in_van: Mapping[str, str] = field(default_factory=dict)
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Engineer:
    """Somebody who could go.

    Attributes
    ----------
    place
        Where they set off from.
    free_min
        When what they have in hand is done.
    capacity
        How many tickets they may be given beside those they have.
    parts
        Numbers of the parts that are free in their van.
    remote
        Of the remote team: they travel nowhere.
    queue
        Tickets that are theirs and not begun, in the order in which they are meant to be done.
    """

    login: str
    name: str
    shifts: Shifts
    capacity: int
    place: Place | None = None
    skills: frozenset[str] = frozenset()
    speed_km_h: float = 50.0
    free_min: float = 0.0
    parts: frozenset[str] = frozenset()
    remote: bool = False
    queue: tuple[Job, ...] = ()

    def at_hand(self, job: Job) -> frozenset[str]:
        """Which of a job's parts are in this van: held for it there, or free."""
        return frozenset(n for n in job.parts if job.in_van.get(n, self.login if n in self.parts else "") == self.login)


@dataclass(frozen=True)
class Batch:
    """Everything that is planned at once."""

    jobs: Sequence[Job]
    engineers: Sequence[Engineer]

    @cached_property
    def able(self) -> Mapping[str, tuple[Engineer, ...]]:
        """By a job's id, who may be sent: skilled, with room for it and with a shift to come.

        What is looked at from afar first goes to the remote team while one of them could begin by its promise, and to
        those who travel else; what is not never goes to the remote team.
        """
        return {job.id: self._able(job) for job in self.jobs}

    def _able(self, job: Job) -> tuple[Engineer, ...]:
        fit = [
            e for e in self.engineers if e.capacity > 0 and job.skills <= e.skills and e.shifts.any_after(e.free_min)
        ]
        if not job.remote:
            return tuple(e for e in fit if not e.remote)
        afar = tuple(e for e in fit if e.remote and _begins_in_time(e, job))
        return afar or tuple(fit)


def _begins_in_time(engineer: Engineer, job: Job) -> bool:
    begins = engineer.shifts.begin(engineer.shifts.worked_at(engineer.free_min), job.work_min)
    due = job.on_site_due_min
    return begins is not None and (due is None or due < 0.0 or engineer.shifts.moment(begins, setting_off=True) <= due)
