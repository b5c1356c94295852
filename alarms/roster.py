"""Whom the watch watches, and by which rule each detector's scores of a subject are governed.

A subject is a stream or a machine, as the detector's scope has it, or a site. Rules are looked for when they are first
asked for: most subjects never come near their limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alarms.rules import Rule, governing
from alarms.sites import DETECTOR as SITE
from alarms.sites import Site
from detectors.scores import Scope
from telemetry import Stream


class Roster:
    """Streams, their machines, and sites.

    Parameters
    ----------
    scopes
        Of each detector, by its name.
    rules
        By tenant.
    """

    def __init__(self, scopes: Mapping[str, Scope], rules: Mapping[str, Sequence[Rule]]) -> None:
        self.streams: dict[int, Stream] = {}
        self.scopes = scopes
        self._rules = rules
        self._machines: dict[int, list[int]] = {}  # the streams of each
        self._sites: dict[int, Stream] = {}  # what stands for it
        # By detector and subject, of those that were asked for; None: not watched.
        self._governing: dict[str, dict[int, Rule | None]] = {name: {} for name in scopes}

    def watch(self, streams: Iterable[Stream]) -> None:
        """Take streams in; those known already again, as their rules may have changed."""
        for stream in streams:
            if stream.id not in self.streams:
                self._machines.setdefault(stream.machine, []).append(stream.id)
            self.streams[stream.id] = stream
        for name, known in self._governing.items():
            if name != SITE:
                known.clear()

    def place(self, sites: Iterable[Site]) -> None:
        """Take the sites that there are now. What no longer stands for a site ends what it began."""
        self._governing[SITE] = dict.fromkeys(self._governing[SITE])
        for site in sites:
            self._sites[site.subject] = Stream(-1, site.subject, site.tenant, site.device, "", "unknown", "")
            self._governing[SITE][site.subject] = self._governed(SITE, site.subject)

    def points(self, machine: int) -> list[Stream]:
        """The streams of a machine."""
        return [self.streams[number] for number in self._machines.get(machine, [])]

    def point(self, machine: int, name: str) -> Stream | None:
        """The stream of a machine's point."""
        return next((stream for stream in self.points(machine) if stream.point == name), None)

    def stands_for(self, detector: str, subject: int) -> Stream:
        """A stream that says whose a subject is."""
        if detector == SITE:
            return self._sites[subject]
        machine_wide = self.scopes[detector] is Scope.MACHINE
        return self.streams[self._machines[subject][0] if machine_wide else subject]

    def rule(self, detector: str, subject: int) -> Rule | None:
        """The rule in force; None where nothing is watched."""
        known = self._governing[detector]
        if subject not in known:
            known[subject] = self._governed(detector, subject)
        return known[subject]

    def knows(self, detector: str, subject: int) -> bool:
        """Whether there is such a subject of such a detector."""
        if detector == SITE or detector not in self.scopes:
            return subject in self._governing.get(detector, {})
        return subject in (self._machines if self.scopes[detector] is Scope.MACHINE else self.streams)

    def _governed(self, detector: str, subject: int) -> Rule | None:
        stream, machine_wide = self.stands_for(detector, subject), self.scopes[detector] is Scope.MACHINE
        rule = governing(self._rules.get(stream.tenant, ()), detector, stream, machine_wide)
        return rule if rule and rule.enabled else None
