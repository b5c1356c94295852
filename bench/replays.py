"""How exactly alarms are played again: `python -m bench.replays [--seeds N]`.

Simulated machines of each kind, with each of their faults, at a constant load and by days of changing loads, are
scored in parts of 1 to 200 rows by turns; their memory is saved with each alarm and now and then, as ingest does. Each
raise is played again from the copy that ingest would have kept. Beside it the same with all readings at once, which
is to make no difference. Ends with 1 where a score is not the same to the last bit.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from alarms.events import AlarmEvent, Kind
from alarms.replay import REPLAYED, copied, in_parts, rescored, rests_on
from alarms.rules import DEFAULT_RULES
from alarms.watch import Watch
from bench.detection.modes import DAYS_OF
from bench.detection.simulated import MODES, START_S
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from ingest.watch.detectors import detectors_for
from telemetry import Batch, Stream
from telemetry.quantities import quantity_of

ROWS = 12_000
# By the day: a second in between where the load is constant, and twenty where a day is to be seen.
_DAYS = {"": 1, **dict.fromkeys(DAYS_OF, 20)}
_PARTS = (1, 3, 10, 40, 200)
_SAVED_BY_CHANCE = 0.02
_RULES = {"bench": DEFAULT_RULES}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.replays", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="fleets of each kind and day")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for kind in MODELS:
        for day, every_s in _DAYS.items():
            for seed in range(1, options.seeds + 1):
                found = replayed(kind, day, every_s, seed)
                total += found
                print(f"{kind:10} {day or 'constant':8} {seed}: {dict(sorted(found.items()))}", flush=True)
    print(dict(sorted(total.items())))
    return int(total["different"] + total["different at once"] > 0)


def replayed(kind: str, day: str, every_s: int, seed: int) -> Counter[str]:
    """What came of the raises of one fleet: the same to the last bit, different, or by the clock."""
    time_us = (START_S + np.arange(ROWS, dtype=np.int64) * every_s) * 1_000_000
    streams, values = _fleet(kind, day, every_s, seed, time_us)
    watch = Watch(detectors_for(_RULES), _RULES)
    watch.watch(streams)
    watch.mark()
    rng, saved, saved_at = np.random.default_rng(seed), watch.snapshot(), 0
    counts: Counter[str] = Counter()
    for begin, end in _parts(rng):
        now_us = int(time_us[end - 1])
        raised = [event for event in watch.step(_rows(streams, time_us, values, begin, end), now_us) if _counts(event)]
        since = _rows(streams, time_us, values, saved_at, end)
        for event in raised:
            own = watch.points(event.machine)
            batch = since.where(np.isin(since.stream, [s.id for s in rests_on(event.detector, own, event.subject)]))
            memory = copied(own, saved.get, {event.detector})
            again, at_once = (
                rescored(own, event.detector, None, memory, parts, event.subject, event.scored_us)
                for parts in (in_parts(batch, watch.cuts()), [batch])
            )
            if saved_at and event.scored_us <= time_us[saved_at - 1]:
                counts["by the clock"] += 1
                continue
            counts["same" if again == event.score else "different"] += 1
            counts["different at once"] += at_once != event.score
        if raised or rng.random() < _SAVED_BY_CHANCE:
            saved, saved_at = watch.snapshot(), end
            watch.mark()
    return counts


def _counts(event: AlarmEvent) -> bool:
    return event.kind is Kind.RAISED and event.detector in REPLAYED


def _parts(rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    at = 0
    while at < ROWS:
        end = min(at + int(rng.choice(_PARTS)), ROWS)
        yield at, end
        at = end


def _fleet(
    kind: str, day: str, every_s: int, seed: int, time_us: npt.NDArray[np.int64]
) -> tuple[list[Stream], npt.NDArray[np.float64]]:
    """A machine that stays well, and one with each fault from six tenths on: streams, and values of shape (S, ROWS)."""
    points = [sensor.point for sensor in MODELS[kind].sensors]
    streams, values = [], []
    for number, fault in enumerate(["", *(name for of, name in MODES if of == kind)]):
        device = f"{kind}-{fault}-{seed}"
        duties = [Duty(device, hour, DutyKind(name)) for hour, name in DAYS_OF.get(day, ())]
        ill = _ill(device, fault, points, ROWS * every_s)
        machine = Machine(MachineSpec(device, kind, "", f"site-{device}"), seed, ill, float(START_S), duties=duties)
        readings = machine.run(time_us // 1000)
        for point in points:
            quantity = quantity_of(point)
            streams.append(Stream(len(streams), number, "bench", device, point, quantity.name, quantity.unit))
            values.append(readings[point])
    return streams, np.array(values)


def _ill(device: str, fault: str, points: Sequence[str], length_s: float) -> list[Fault]:
    if not fault:
        return []
    of = FaultKind(fault)
    growth_s = 0.0 if of is FaultKind.STUCK_SENSOR else 0.2 * length_s
    return [Fault(device, of, 0.6 * length_s, growth_s, 0.8, point=points[0] if of.of_sensor else None)]


def _rows(
    streams: Sequence[Stream],
    time_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    begin: int,
    end: int,
) -> Batch:
    ids = np.arange(len(streams), dtype=np.int32)
    return Batch.of(np.tile(time_us[begin:end], len(ids)), np.repeat(ids, end - begin), values[:, begin:end].ravel())


if __name__ == "__main__":
    sys.exit(main())
