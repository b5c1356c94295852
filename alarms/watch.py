"""The watch: every detector over every stream, and the edges that follow by the rules.

The watch holds the whole memory of detection. `snapshot` and `restore` carry it over a restart; ids of events are made
from what they name, so that readings seen twice after a crash make no second alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alarms.annunciator import Annunciator
from alarms.events import AlarmEvent
from alarms.lessons import Patience
from alarms.policy import Policy
from alarms.presence import Presence
from alarms.roster import Roster
from alarms.rules import Rule
from alarms.sites import DETECTOR as SITE
from alarms.sites import Place, Site
from detectors.in_mode import MODES
from detectors.learnt import Learnt, Unfit, checked
from detectors.scores import Detector, Scope, Scores, Snapshot
from detectors.silence import Heard, Silence
from detectors.traits import LEARNERS
from detectors.watchman import Watchman
from telemetry import Batch, Quality, Stream

# Readings of one stream that are scored at once: those of a message in columns. An alarm's evidence is taken at the end
# of such a slice: too high, and the evidence of a backlog's alarm shows what came long after; too low, and a backlog of
# few machines costs a call for every few rows (32: half as much again).
SLICE_READINGS = 100
UNSCORED = Quality.LATE | Quality.FUTURE | Quality.IMPOSSIBLE
_LAYOUT = 2
_NEVER = np.iinfo(np.int64).min


class Cuts(NamedTuple):
    """How readings came in parts: what each ends with, of each stream in it. Shapes (N,), in order of the parts."""

    part: npt.NDArray[np.int64]
    stream: npt.NDArray[np.int32]
    until_us: npt.NDArray[np.int64]


class Watch:
    """Turns readings into alarm events.

    Parameters
    ----------
    detectors
        By the name that rules know them by.
    rules
        By tenant.
    presence
        What is known of the presence of devices, where another watch has gathered it already.
    """

    def __init__(
        self,
        detectors: Mapping[str, Detector],
        rules: Mapping[str, Sequence[Rule]],
        presence: Presence | None = None,
    ) -> None:
        self._detectors = dict(detectors)
        self.presence = presence or Presence()
        self._now_us = 0
        self._roster = Roster({**{name: each.scope for name, each in detectors.items()}, SITE: Scope.MACHINE}, rules)
        self._annunciator = Annunciator(self._roster)
        self._last_us = np.empty(0, np.int64)  # by stream id: the latest reading scored
        self._learnt: set[int] = set()
        # Of each part that was scored since `mark`, its streams and their latest times; None: nobody has asked for it.
        self._cuts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] | None = None

    def watch(self, streams: Sequence[Stream]) -> None:
        """Take streams under watch. Those known already are taken again, as their rules may have changed."""
        self._roster.watch(streams)
        top = max(self._roster.streams, default=-1) + 1
        if top > len(self._last_us):
            grown = np.full(max(top, 2 * len(self._last_us)), _NEVER, np.int64)
            grown[: len(self._last_us)] = self._last_us
            self._last_us = grown
        for detector in self._detectors.values():
            detector.watch(streams)

    def place(self, places: Sequence[Place]) -> None:
        """Where all devices stand, and what they said last. Called after `watch` of the streams known so far."""
        self.presence.place(places)
        silence = self._silence()
        if silence is not None:
            silence.expect({p.machine: p.interval_s for p in places if p.interval_s is not None})
        self._roster.place(self.presence.sites.all)

    def teach(self, patience: Mapping[tuple[str, int], Patience]) -> None:
        """What verdicts have taught, by detector and subject. Alarms that stand are left to return by themselves."""
        self._annunciator.teach(patience)

    def govern(self, policies: Mapping[str, Policy]) -> None:
        """What tenants say about their alarms as a whole."""
        self._annunciator.govern(policies)

    def excuse(self, by_us: int) -> None:
        """Nobody could have been heard for so long, or the clock was set by so much: it counts against nobody."""
        silence = self._silence()
        if silence is not None:
            silence.excuse(by_us)
        self.presence.excuse(by_us)
        self._now_us += by_us
        self._annunciator.excuse(by_us)

    @property
    def now_us(self) -> int:
        """The time of the last step, before a restart too; 0 where there was none."""
        return self._now_us

    def open_subjects(self, name: str) -> set[int]:
        """The subjects of a detector that are in alarm."""
        return self._annunciator.open_subjects(name)

    def heard(self) -> Heard | None:
        """How machines stood at the last step; None where nothing listens for silence."""
        silence = self._silence()
        return None if silence is None else silence.heard(self._now_us)

    def late(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Which readings come too late to be scored: at or before the latest of their stream. Shape (N,)."""
        late: npt.NDArray[np.bool_] = batch.time_us <= self._last_us[batch.stream]
        return late

    def last_scored(self) -> dict[int, int]:
        """The time of the latest reading scored, in µs, by stream; streams without one are left out."""
        return {
            stream: int(self._last_us[stream]) for stream in self._roster.streams if self._last_us[stream] != _NEVER
        }

    def points(self, machine: int) -> list[Stream]:
        """The streams of a machine that are watched."""
        return self._roster.points(machine)

    def latest(self, streams: Sequence[Stream]) -> dict[int, int]:
        """As `last_scored`, of some streams."""
        times = {stream.id: int(self._last_us[stream.id]) for stream in streams}
        return {stream: time_us for stream, time_us in times.items() if time_us != _NEVER}

    def mark(self) -> None:
        """Remember how readings are cut from here on: the memory is being saved, or was just read."""
        self._cuts = []

    def cuts(self) -> Cuts:
        """How readings were cut since `mark`: a part with a new reading of a stream ends with the stream at a time."""
        kept = self._cuts or []
        counts = [len(streams) for streams, _ in kept]
        return Cuts(
            np.repeat(np.arange(len(kept)), counts),
            np.concatenate([streams for streams, _ in kept] or [np.empty(0, np.int32)]),
            np.concatenate([times for _, times in kept] or [np.empty(0, np.int64)]),
        )

    def step(self, batch: Batch, now_us: int) -> list[AlarmEvent]:
        """Score a batch and return the edges in it, in order of time. An empty batch lets time pass.

        Readings that are late, from the future or physically impossible are left out; that they came is not.
        """
        scored = ((batch.quality & UNSCORED) == 0) & ~self.late(batch)
        self._note(batch.stream[~scored], now_us)
        batch = batch.where(scored)
        events: list[AlarmEvent] = []
        self._now_us = now_us
        for part in _slices(batch):
            for name, detector in self._detectors.items():
                scores = detector.score(part, now_us)
                if isinstance(detector, Silence):
                    scores, sites = self._weigh(name, detector, scores, now_us)
                    events += self._annunciator.tell(SITE, self.presence.sites, sites, now_us)
                events += self._annunciator.tell(name, detector, scores, now_us)
                if name in LEARNERS:
                    self._learnt.update(np.unique(scores.subject[~np.isnan(scores.score)]).tolist())
            starts = part.starts()
            if len(starts):
                ends = np.append(starts[1:], len(part)) - 1
                self._last_us[part.stream[ends]] = part.time_us[ends]
                if self._cuts is not None:
                    self._cuts.append((part.stream[ends], part.time_us[ends]))
        return sorted(events, key=lambda event: event.at_us)

    def learnt(self) -> set[int]:
        """The machines whose normal is known, as far as they were heard of since the start."""
        return set(self._learnt)

    def modes(self) -> dict[int, tuple[str, int]]:
        """What each machine that tells it is doing, and since when, in µs."""
        watchman = self._detectors.get(MODES)
        now = watchman.now() if isinstance(watchman, Watchman) else {}
        return {machine: (str(mode), since_us) for machine, (mode, since_us) in now.items() if since_us >= 0}

    def snapshot(self) -> dict[str, Snapshot]:
        """All memory: a snapshot by detector, and the watch's own under `watch`."""
        return {name: snapshot for part in self.snapshots() for name, snapshot in part.items()}

    def snapshots(self) -> Iterator[dict[str, Snapshot]]:
        """The same, a part after the other: all at once are as much again as half of what the detectors hold."""
        for name in self.parts:
            yield {name: self.part(name)}

    @property
    def parts(self) -> tuple[str, ...]:
        """Whose memories they are."""
        return *self._detectors, "watch"

    def part(self, name: str) -> Snapshot:
        """One of them."""
        return self._own_snapshot() if name == "watch" else self._detectors[name].snapshot()

    def restore(self, snapshots: Mapping[str, Snapshot]) -> list[str]:
        """Take over a memory; called after `watch` of the streams known so far.

        Returns
        -------
        list of str
            Those that could not read theirs and start afresh: detectors, or `watch` itself.
        """
        afresh = []
        for name, detector in self._detectors.items():
            try:
                detector.restore(snapshots[name])
            except (KeyError, ValueError):
                afresh.append(name)
        if "watch" in snapshots and not self._own_restore(snapshots["watch"]):
            afresh.append("watch")
        return afresh

    def adopt(self, machine: int, learnt: Learnt) -> None:
        """Put what was learnt of a machine elsewhere in the place of what its detectors remember of it.

        Alarms that stand are left to return by themselves.

        Raises
        ------
        Unfit
            It is of something else, or cannot be read; nothing has changed then.
        """
        streams = self._roster.points(machine)
        if not streams:
            raise Unfit("the machine has no points")
        memories = checked(streams, learnt)
        for name, detector in self._detectors.items():
            if name in memories:
                detector.restore(memories[name])

    def _weigh(self, name: str, silence: Silence, scores: Scores, now_us: int) -> tuple[Scores, Scores]:
        return self.presence.weigh(
            scores, silence.heard(now_us), now_us, self.open_subjects(name), self.open_subjects(SITE), self._may_be_lost
        )

    def _note(self, streams: npt.NDArray[np.int32], now_us: int) -> None:
        """Readings that are not scored still say that their device is there."""
        silence = self._silence()
        if silence is not None and len(streams):
            silence.note(np.unique(streams), now_us)

    def _may_be_lost(self, site: Site) -> bool:
        return self._roster.rule(SITE, site.subject) is not None

    def _silence(self) -> Silence | None:
        return next((detector for detector in self._detectors.values() if isinstance(detector, Silence)), None)

    def _own_snapshot(self) -> Snapshot:
        last = self.last_scored()
        return {
            "layout": np.array([_LAYOUT]),
            "now_us": np.array([self._now_us], np.int64),
            "last_stream": np.array(list(last), np.int32),
            "last_us": np.array(list(last.values()), np.int64),
            **self._annunciator.snapshot(),
        }

    def _own_restore(self, snapshot: Snapshot) -> bool:
        if int(snapshot["layout"][0]) != _LAYOUT:
            return False
        self._now_us = int(snapshot["now_us"][0]) if "now_us" in snapshot else 0
        known = np.isin(snapshot["last_stream"], list(self._roster.streams))
        self._last_us[snapshot["last_stream"][known]] = snapshot["last_us"][known]
        self._annunciator.restore(snapshot)
        return True


def _slices(batch: Batch) -> Iterator[Batch]:
    """A batch cut by time into parts of about `SLICE_READINGS` a stream; the empty batch is one part."""
    streams = max(len(batch.starts()), 1)
    parts = -(-len(batch) // (streams * SLICE_READINGS))
    if parts <= 1:
        yield batch
        return
    at = np.arange(1, parts) * len(batch) // parts
    yield from batch.cut(np.partition(batch.time_us, at)[at])
