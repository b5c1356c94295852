"""What detectors have learnt of one machine, apart from what they know of all others: to be kept, tried and put back.

Of detectors that hold a baseline against what the machine does now (`traits.TRAINED`), with the levels of its load that
they know apart, and of no others. What comes back from storage is read by fresh detectors first: what they cannot read,
or what is of another machine, never reaches those that run live.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from detectors import DETECTORS
from detectors.in_mode import in_mode
from detectors.scores import Detector, Snapshot
from detectors.traits import TRAINED
from telemetry import Batch, Stream

Learnt = Mapping[str, Snapshot]
"""Of one machine: a snapshot by detector, and under `ABOUT` which machine it is."""

ABOUT = "about"
# What a memory that is none makes of our reading it.
_MISREAD = (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError)


class Unfit(ValueError):
    """What is said to be learnt of a machine can't be put to use; the message says why."""


def fresh() -> dict[str, Detector]:
    """Those that can be trained, as they run live, with nothing learnt."""
    return in_mode({name: DETECTORS[name]() for name in TRAINED})


def learn(streams: Sequence[Stream], batches: Iterable[Batch]) -> dict[str, Snapshot]:
    """What fresh detectors make of the readings of a machine, given in order of time."""
    detectors = fresh()
    for detector in detectors.values():
        detector.watch(streams)
    for batch in batches:
        for detector in detectors.values():
            detector.score(batch, 0)
    return of_detectors(streams, detectors)


def of_detectors(streams: Sequence[Stream], detectors: Mapping[str, Detector]) -> dict[str, Snapshot]:
    """What detectors that know nothing but one machine have learnt."""
    learnt = {name: detector.snapshot() for name, detector in detectors.items()}
    return {**learnt, ABOUT: about(streams)}


def about(streams: Sequence[Stream]) -> Snapshot:
    """Which machine something is of, and which points."""
    return {"machine": np.array([streams[0].machine]), "streams": np.array(sorted(stream.id for stream in streams))}


def of_machine(streams: Sequence[Stream], memories: Iterable[tuple[str, Snapshot]]) -> dict[str, Snapshot]:
    """What detectors know of one machine, out of what they know of a whole fleet; read one after the other.

    Raises
    ------
    Unfit
        A memory is of another layout, or of none.
    """
    found = {ABOUT: about(streams)}
    detectors = fresh()
    for name, memory in memories:
        detector = detectors[name]
        detector.watch(streams)
        try:
            detector.restore(memory)
        except _MISREAD as error:
            raise Unfit(f"what {name} has learnt cannot be read: {error}") from error
        found[name] = detector.snapshot()
    return found


def checked(streams: Sequence[Stream], learnt: Learnt) -> dict[str, Snapshot]:
    """The same as the detectors of today read it, of the machine with these streams and of nothing else.

    Raises
    ------
    Unfit
        It can't be read, it is of no detector that is trained, or of other streams.
    """
    said = learnt.get(ABOUT, {})
    if any(not np.array_equal(said.get(name, ()), known) for name, known in about(streams).items()):
        raise Unfit("it is of another machine, or the machine has other points now")
    memories = [(name, memory) for name, memory in learnt.items() if name != ABOUT]
    unknown = {name for name, _ in memories} - set(fresh())
    if unknown or not memories:
        raise Unfit(f"it is of {sorted(unknown) or 'nothing'}: of detectors that are not trained")
    return of_machine(streams, memories)
