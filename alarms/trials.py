"""A rule tried over the past before it is believed: what it would have raised, found and missed, and whether that fits.

Two budgets, both the tenant's (`alarms.policy`): alarms in ten minutes of each person (`alarms.duties` says whose they
are), on the day that was worst, by the rule alone and with what all other rules called them for; and false alarms a
month of each machine. False is what was raised while no ticket found a fault: of what nobody has judged
yet nothing is said. Bounded whatever the rule: counts by ten minutes, never a list of alarms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alarms.duties import NOBODYS, Duties, most_borne
from alarms.events import Severity
from alarms.policy import Policy
from alarms.rules import Rule, rule_to_json
from alarms.trials_edges import RAISED, RETURNED, Edges

SPAN_US = 600_000_000
_DAY_SPANS = 144
_MONTH_DAYS = 30.4
# An alarm so long before anybody says that a fault began belongs to it.
BEFORE_US = 6 * 3_600_000_000
# From this severity on people are called out of bed.
WAKES = Severity.HIGH
# The parts of a rule that change nothing of when it alarms, or only what is written beside it.
_BESIDE = ("enabled", "rationalisation", "fault", "latch", "quiet_with_parent")


@dataclass(frozen=True, slots=True)
class Fault:
    """What a ticket found on a machine, or is still looking for.

    Attributes
    ----------
    since_us, until_us : int
        From its beginning to when its ticket was closed, or the end of the trial.
    known
        Whether a verdict has confirmed it; else it is open, and no alarm meanwhile is called false.
    """

    ticket: str
    device: str
    machine: int
    name: str
    since_us: int
    until_us: int
    known: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What one rule would have done.

    Attributes
    ----------
    by_device
        Alarms, of those that had any, the worst ten.
    worst_ten_min, worst_at_us
        The ten minutes with the most alarms, and when that was.
    busiest_day_per_10min : float
        The mean of its worst day, over all people.
    person_per_10min, with_others_per_10min : float
        The mean of the worst day of whoever has most of it: by the rule alone, and with all other rules' alarms.
    tickets
        At most one a day of each machine.
    woken
        Alarms that came at or rose to `WAKES` out of hours; a ten minutes with several counts each.
    faults
        Of each known fault, how long after its beginning it was told, in seconds; None: not.
    """

    alarms: int
    per_day: float
    by_device: Mapping[str, int]
    worst_ten_min: int
    worst_at_us: int
    busiest_day_per_10min: float
    person_per_10min: float
    with_others_per_10min: float
    tickets: int
    false_alarms: int
    false_per_month: float
    woken: int
    faults: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Span:
    """What a trial is about: [start, end), the machines' time together, and who is there for the alarms.

    `others`: by site, what other rules called people for on each day.
    """

    start_us: int
    end_us: int
    machine_days: float
    people: int
    out_of_hours: npt.NDArray[np.bool_]  # of each ten minutes
    faults: Sequence[Fault]
    duties: Duties = NOBODYS
    others: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Counts as machine after machine is played."""

    spans: int
    raised: npt.NDArray[np.int64] = field(init=False)
    waking: npt.NDArray[np.int64] = field(init=False)
    by_site: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # of each day
    by_device: dict[str, int] = field(default_factory=dict)
    false_alarms: int = 0
    tickets: int = 0
    first_us: dict[str, int] = field(default_factory=dict)  # by ticket

    def __post_init__(self) -> None:
        self.raised, self.waking = np.zeros(self.spans, np.int64), np.zeros(self.spans, np.int64)

    @property
    def days(self) -> int:
        return -(-self.spans // _DAY_SPANS)

    def add(
        self,
        start_us: int,
        device: str,
        told: Sequence[tuple[Rule, Edges]],
        faults: Sequence[Fault],
        site: str = "",
    ) -> None:
        """Take in what the rules made of one machine of a site, its faults beside it."""
        raised_us = [made.at_us[(made.kind == RAISED) & (made.at_us >= start_us)] for _, made in told]
        every_us = np.sort(np.concatenate([np.empty(0, np.int64), *raised_us]))
        np.add.at(self.raised, self._span(every_us, start_us), 1)
        if len(every_us):
            self.by_device[device] = self.by_device.get(device, 0) + len(every_us)
            on_days = self.by_site.setdefault(site, np.zeros(self.days, np.int64))
            np.add.at(on_days, self._span(every_us, start_us) // _DAY_SPANS, 1)
        for rule, made in told:
            np.add.at(self.waking, self._span(_waking(made, rule, start_us), start_us), 1)
        opened = [at_us for (rule, _), at_us in zip(told, raised_us, strict=True) if rule.opens_ticket]
        days = [(at_us - start_us) // (_DAY_SPANS * SPAN_US) for at_us in opened]
        self.tickets += len(np.unique(np.concatenate([np.empty(0, np.int64), *days])))
        in_fault = np.zeros(len(every_us), np.bool_)
        for fault in faults:
            here = (every_us >= fault.since_us - BEFORE_US) & (every_us <= fault.until_us)
            in_fault |= here
            if fault.known and here.any():
                self.first_us[fault.ticket] = int(every_us[here][0])
        self.false_alarms += int(np.count_nonzero(~in_fault))

    def _span(self, at_us: npt.NDArray[np.int64], start_us: int) -> npt.NDArray[np.int64]:
        return np.minimum((at_us - start_us) // SPAN_US, self.spans - 1)


def figures(tally: Tally, span: Span) -> Figures:
    """What the counts say."""
    days = max((span.end_us - span.start_us) / 86_400e6, 1e-9)
    busiest = max(int(part.sum()) for part in np.split(tally.raised, range(_DAY_SPANS, tally.spans, _DAY_SPANS)))
    worst = int(tally.raised.argmax())
    total = int(tally.raised.sum())
    together = dict(span.others)
    for site, counts in tally.by_site.items():
        together[site] = counts + together.get(site, 0)
    duties = replace(span.duties, people=span.people)
    ranked = sorted(tally.by_device.items(), key=lambda item: (-item[1], item[0]))
    known = [fault for fault in span.faults if fault.known]
    after_s = [
        (tally.first_us[fault.ticket] - fault.since_us) / 1e6 if fault.ticket in tally.first_us else None
        for fault in known
    ]
    return Figures(
        alarms=total,
        per_day=total / days,
        by_device=dict(ranked[:10]),
        worst_ten_min=int(tally.raised[worst]),
        worst_at_us=span.start_us + worst * SPAN_US,
        busiest_day_per_10min=busiest / _DAY_SPANS,
        person_per_10min=most_borne(duties, tally.by_site, tally.days) / _DAY_SPANS,
        with_others_per_10min=most_borne(duties, together, tally.days) / _DAY_SPANS,
        tickets=tally.tickets,
        false_alarms=tally.false_alarms,
        false_per_month=tally.false_alarms / max(span.machine_days, 1e-9) * _MONTH_DAYS,
        woken=int(tally.waking[span.out_of_hours].sum()),
        faults=after_s,
    )


def why_not(found: Figures, span: Span, policy: Policy, before: Figures | None = None) -> list[str]:
    """By how much it is above the budgets; empty where it fits.

    One false alarm is borne wherever any is: by one nobody can tell a rate. Where all rules together are above the
    budget, a rule is not refused that adds nothing to what was in force `before`.
    """
    reasons = []
    who = f"each of {max(span.people, 1)}" if not span.duties.by_site else "whoever has most of them"
    allowed = f"{policy.alarms_per_10min:g} are allowed"
    now_is = before.with_others_per_10min if before else 0.0
    if found.person_per_10min > policy.alarms_per_10min:
        reasons.append(f"{found.person_per_10min:.2f} alarms in ten minutes for {who} on its busiest day: {allowed}")
    elif found.with_others_per_10min > max(policy.alarms_per_10min, now_is):
        reasons.append(
            f"{found.with_others_per_10min:.2f} alarms in ten minutes for {who} on the busiest day, together with those"
            f" of all other rules: {allowed}"
        )
    borne = 1 if policy.false_per_month > 0 else 0
    if found.false_alarms > max(policy.false_per_month * span.machine_days / _MONTH_DAYS, borne):
        reasons.append(
            f"{found.false_per_month:.2f} false alarms a machine-month: {policy.false_per_month:g} are allowed"
        )
    return reasons


def missed(found: Figures, before: Figures) -> list[int]:
    """Which known faults the second told and the first does not, by their places."""
    pairs = zip(found.faults, before.faults, strict=True)
    return [place for place, (now, then) in enumerate(pairs) if now is None and then is not None]


def content_of(rule: Rule) -> str:
    """SHA-256 of what decides when a rule alarms: what was tried, and nothing beside it."""
    fields: dict[str, Any] = rule_to_json(replace(rule, rationalisation=None))
    kept = {name: value for name, value in fields.items() if name not in _BESIDE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _waking(made: Edges, rule: Rule, start_us: int) -> npt.NDArray[np.int64]:
    """When each occurrence first was as severe as `WAKES`."""
    if rule.severities[-1][1].rank < WAKES.rank:
        return np.empty(0, np.int64)
    occurrence = np.cumsum(made.kind == RAISED)
    severe = (made.kind != RETURNED) & (made.rank >= WAKES.rank)
    _, first = np.unique(occurrence[severe], return_index=True)
    at_us: npt.NDArray[np.int64] = made.at_us[severe][first]
    return at_us[at_us >= start_us]
