"""How rightly a machine is called well after a repair: `python -m bench.after_repair [--seeds N]`.

Simulated machines of each kind with each of their faults, at a constant load and by days of changing loads, by the
minute: nine days of health, a fault that grows for twelve hours and stays for six, then a repair that ends it, or one
that was none, and a day of running. Each is looked at hour by hour, as `notify` does it, until something can be said.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np

from bench.detection.modes import DAYS_OF
from bench.detection.simulated import MODES, START_S
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import MODELS, Machine, MachineSpec
from prognosis.after_repair import Finding, Outcome, compare
from prognosis.running import ROW_US, SETTLES_US, Point, Table
from telemetry.quantities import quantity_of

HEALTHY_S, GROWTH_S, STAYS_S, EVERY_S = 9 * 86_400, 12 * 3600, 6 * 3600, 60
# It is noticed when a third has grown; the baseline ends six hours before, and is a week long at most.
_NOTICED_S, _GUARD_S, _BASELINE_S = HEALTHY_S + GROWTH_S // 3, 6 * 3600, 7 * 86_400
WANTED_ROWS = 24
# Days with changing loads run on until there is enough of them.
_AFTER_S = 24 * 3600
_ROW_S = ROW_US // 1_000_000
SEVERITIES = (0.8, 0.4)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.after_repair", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="machines of each kind, fault and day")
    parser.add_argument("--first", type=int, default=1, help="the first seed: others are other machines")
    parser.add_argument("--show", action="store_true", help="say which points each was refused for, or was not")
    options = parser.parse_args()
    began = time.perf_counter()
    total: Counter[tuple[str, str, str]] = Counter()
    for kind, day, fault, severity, repaired, finding in cases(range(options.first, options.first + options.seeds)):
        truth = "repaired" if repaired else f"pretended {severity:g}"
        total[truth, finding.outcome.value, ""] += 1
        total[truth, finding.outcome.value, f"{kind} {fault}"] += 1
        total[truth, finding.outcome.value, day or "constant"] += 1
        wrong = finding.outcome is (Outcome.NOT_WELL if repaired else Outcome.WELL)
        if options.show and wrong:
            off = [f"{one.point} {one.mode} {one.why} {one.beyond:.2f}" for one in finding.points[:3]]
            print(
                kind, day or "constant", fault, severity, truth, finding.outcome.value, finding.reason, off, flush=True
            )
    for truth in ("repaired", *(f"pretended {s:g}" for s in SEVERITIES)):
        for of in sorted({of for t, _, of in total if t == truth}):
            counts = {outcome.value: total[truth, outcome.value, of] for outcome in Outcome}
            right = counts["well" if truth == "repaired" else "not_well"]
            print(f"{truth:14} {of or 'ALL':28} {100 * right / sum(counts.values()):5.1f} % {counts}")
    print(f"{time.perf_counter() - began:.0f} s")


def cases(seeds: range) -> Iterator[tuple[str, str, str, float, bool, Finding]]:
    """Every kind, day, fault and seed: repaired, and pretended to be."""
    for kind, fault in MODES:
        for day in ("", *DAYS_OF):
            for seed in seeds:
                for severity in SEVERITIES:
                    for repaired in (True, False) if severity == SEVERITIES[0] else (False,):
                        yield kind, day, fault, severity, repaired, checked(kind, day, fault, seed, severity, repaired)


def checked(kind: str, day: str, fault: str, seed: int, severity: float, repaired: bool) -> Finding:
    """One machine, looked at each hour until something can be said."""
    device = f"{kind}-{fault}-{day}-{seed}"
    sensors = MODELS[kind].sensors
    of = FaultKind(fault)
    ends_s = HEALTHY_S + GROWTH_S + STAYS_S
    growth_s = 0.0 if of is FaultKind.STUCK_SENSOR else float(GROWTH_S)
    point = sensors[seed % len(sensors)].point if of.of_sensor else None
    lasts_s = float(ends_s - HEALTHY_S) if repaired else None
    ill = Fault(device, of, float(HEALTHY_S), growth_s, severity, lasts_s, point)
    duties = [Duty(device, hour, DutyKind(name)) for hour, name in DAYS_OF.get(day, ())]
    spec = MachineSpec(device, kind, "", f"site-{device}")
    machine = Machine(spec, seed, [ill], float(START_S), duties=duties)
    time_s = np.arange(0, ends_s + _AFTER_S, EVERY_S, dtype=np.int64)
    read = machine.run((START_S + time_s) * 1000)
    rows = len(time_s) * EVERY_S // _ROW_S
    values = np.stack([read[s.point][: rows * _ROW_S // EVERY_S].reshape(rows, -1) for s in sensors], axis=1)
    points = [Point(s.point, quantity_of(s.point).name, quantity_of(s.point).unit) for s in sensors]
    at_s = np.arange(rows, dtype=np.int64) * _ROW_S
    healthy = (at_s < _NOTICED_S - _GUARD_S) & (at_s >= _NOTICED_S - _GUARD_S - _BASELINE_S)
    before = (at_s >= ends_s - STAYS_S) & (at_s < ends_s)
    finding = Finding(Outcome.CANNOT_SAY, 0, "")
    for hour in range(5, _AFTER_S // 3600 + 1):
        seen = at_s < ends_s + hour * 3600
        after = (at_s >= ends_s + SETTLES_US // 1_000_000) & seen
        table = Table(points, at_s[seen] * 1_000_000, values[seen].mean(axis=2), np.ptp(values[seen], axis=2))
        finding = compare(table, healthy[seen], before[seen], after[seen], WANTED_ROWS)
        if finding.outcome is not Outcome.CANNOT_SAY:
            break
    return finding


if __name__ == "__main__":
    main()
