"""What detectors have learnt of one machine, apart from what they know of all others: to be kept, tried and put back.

Of detectors that hold a baseline against what the machine does now (`traits.TRAINED`), and of no others. What comes
back from storage is read by fresh detectors first: what they cannot read, or what is of another machine, never reaches
those that run live.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from detectors.drift import Drift
from detectors.multivariate import Multivariate
from detectors.scores import Detector, Snapshot
from detectors.shift import Shift
from detectors.traits import TRAINED
from telemetry import Batch, Stream

Learnt = Mapping[str, Snapshot]
"""A snapshot by detector: all of `TRAINED`, of one machine."""

# Rows that a machine's normal is learnt from at once: more add nothing but memory.
MOST_ROWS = 20_000
# Rows after the last that is learnt from, which show that learning is over.
_ROWS_AFTER = 20


class Unfit(ValueError):
    """What is said to be learnt of a machine can't be put to use; the message says why."""


def fresh() -> dict[str, Detector]:
    """Those that can be trained, as they run live, with nothing learnt."""
    return {"shift": Shift(), "drift": Drift(), "multivariate": Multivariate()}


def of_machine(streams: Sequence[Stream], memories: Iterable[tuple[str, Snapshot]]) -> dict[str, Snapshot]:
    """What detectors know of one machine, out of what they know of a whole fleet; read one after the other.

    Raises
    ------
    Unfit
        A memory is of another layout, or of none.
    """
    found = {}
    for name, memory in memories:
        detector = fresh()[name]
        detector.watch(streams)
        try:
            detector.restore(memory)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise Unfit(f"what {name} has learnt cannot be read: {error}") from error
        found[name] = detector.snapshot()
    return found


def checked(streams: Sequence[Stream], learnt: Learnt) -> dict[str, Snapshot]:
    """The same, of the machine with these streams and of nothing else, as the detectors of today read it.

    Raises
    ------
    Unfit
        It can't be read, or it is of other streams.
    """
    if set(learnt) != set(TRAINED):
        raise Unfit(f"it is of {sorted(learnt)}, not of {sorted(TRAINED)}")
    ids = sorted(stream.id for stream in streams)
    multivariate = learnt["multivariate"]
    machine, points = multivariate.get(f"{len(ids)}/subject"), multivariate.get(f"{len(ids)}/streams")
    if machine is None or points is None or machine.tolist() != [streams[0].machine] or points.shape != (1, len(ids)):
        raise Unfit("it is of another machine, or the machine has other points now")
    of_streams = (points[0], learnt["shift"].get("subject"), learnt["drift"].get("subject"))
    if any(each is None or sorted(each.tolist()) != ids for each in of_streams):
        raise Unfit("it is of other points")
    return of_machine(streams, learnt.items())


def learn(
    streams: Sequence[Stream], rows: Iterable[Batch], lead: Batch, means: Iterable[Batch], width_us: int
) -> dict[str, Snapshot]:
    """What fresh detectors make of a machine's healthy past.

    Parameters
    ----------
    rows
        Stretches of its readings, in order, that the normal of the whole machine is learnt from.
    lead
        The newest stretch, after those: what baselines of minutes and hours rest on.
    means
        What slow drift is learnt from: all of the past, lead included, if only by the minute.
    width_us : int
        Of a row of the machine.
    """
    until_us = int(lead.time_us.max(initial=0)) - _ROWS_AFTER * width_us
    at_once = Multivariate(learn_rows=MOST_ROWS, learn_until_us=until_us)
    taught: dict[str, tuple[Detector, Iterable[Batch]]] = {
        "shift": (Shift(), [lead]),
        "drift": (Drift(), means),
        "multivariate": (at_once, chain(rows, [lead])),
    }
    for detector, batches in taught.values():
        detector.watch(streams)
        for batch in batches:
            detector.score(batch, 0)
    return {name: detector.snapshot() for name, (detector, _) in taught.items()}
