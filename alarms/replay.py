"""The score of an alarm again: a copy of what its detector remembered before, and the readings it was given since.

By the very detectors that run live, given the readings in the parts in which they came. How readings in order of time
are cut makes no difference to a score; that a machine's points may come one after the other, does.

Fails where a machine gained a point between the copy and the alarm: from when on it was heard with it is not known. And
where a delay ended by the clock: the score may then be older than the copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np

from alarms.watch import Cuts
from detectors import DETECTORS
from detectors.in_mode import in_mode
from detectors.learnt import Learnt
from detectors.limits import Limit, Limits
from detectors.scores import Detector, Snapshot
from detectors.traits import BY_THE_CLOCK
from telemetry import Batch, Stream

REPLAYED = frozenset(DETECTORS) - BY_THE_CLOCK
"""Detectors whose scores follow from readings alone. Others are told what they say, or go by when something arrived."""

# A copy is of all that is known of rates: for which streams the rule limits them is known when it is played.
_ANY_RATE = Limit(rate_per_min=1.0)


def rests_on(detector: str, streams: Sequence[Stream], subject: int) -> list[Stream]:
    """The streams of a machine that a score needs: all of them, but for limits, which know nothing of the others."""
    return [stream for stream in streams if detector != "limits" or stream.id == subject]


def copied(
    streams: Sequence[Stream], remembered: Callable[[str], Snapshot | None], names: Collection[str]
) -> dict[str, Snapshot]:
    """What some detectors remember of some streams, out of what they remember of a fleet.

    What can't be read, or is not there, is left out: that detector knew nothing then.
    """
    detectors = _fresh(names, _ANY_RATE)
    for detector in detectors.values():
        detector.watch(streams)
    _restore(detectors, remembered)
    return {name: detector.snapshot() for name, detector in detectors.items()}


def rescored(
    streams: Sequence[Stream],
    name: str,
    limit: Limit | None,
    memory: Learnt,
    parts: Iterable[Batch],
    subject: int,
    scored_us: int,
) -> float:
    """The score of a subject at a time, by the detector `name`; NaN where it has no opinion then.

    Parameters
    ----------
    streams
        As they were watched when the score was given; `subject` is one of them, or their machine.
    limit
        The rule's, for the detector `limits` alone.
    memory
        What `copied` gave.
    parts
        The readings that were scored since then, up to the score's time at least, as `in_parts` gives them.
    """
    detectors = _fresh([name], limit)
    for detector in detectors.values():
        detector.watch(streams)
    _restore(detectors, memory.get)
    score = math.nan
    for part in parts:
        for each, detector in detectors.items():
            said = detector.score(part, 0)
            mine = (said.subject == subject) & (said.time_us <= scored_us) & ~np.isnan(said.score)
            if each == name and mine.any():
                score = float(said.score[mine][-1])
    return score


def in_parts(batch: Batch, cuts: Cuts) -> Iterator[Batch]:
    """Readings in the parts in which they were scored."""
    part = np.zeros(len(batch), np.int64)
    for stream in np.unique(batch.stream):
        own, ends = batch.stream == stream, cuts.stream == stream
        # What came after the last part, if anything, goes with it.
        at = np.searchsorted(cuts.until_us[ends], batch.time_us[own]).clip(max=max(np.count_nonzero(ends) - 1, 0))
        part[own] = cuts.part[ends][at] if ends.any() else 0
    for number in np.unique(part):
        yield batch.where(part == number)


def _fresh(names: Collection[str], limit: Limit | None) -> dict[str, Detector]:
    return in_mode({name: Limits(lambda _: limit) if name == "limits" else DETECTORS[name]() for name in sorted(names)})


def _restore(detectors: dict[str, Detector], remembered: Callable[[str], Snapshot | None]) -> None:
    """As the watch does: whoever can't read a memory begins afresh."""
    for name, detector in detectors.items():
        memory = remembered(name)
        if memory is None:
            continue
        try:
            detector.restore(memory)
        except (KeyError, ValueError):
            continue
