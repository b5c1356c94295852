"""The fleet of the demonstration: twelve healthy machines with a past, then one fault after another.

The first run sends six hours of healthy history and goes on live. A later run goes on where the machines would be by
then: the time between is a gap, what was broken has been repaired, and the rotation of faults continues, so that the
next fault strikes a machine that was well before. What was begun is kept in `fleet.json` in the state folder, written
at each event and whole or not at all.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from firmware_sim.device import Sampling
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.fleet import run
from firmware_sim.happenings import FleetEvent, Happening
from firmware_sim.machine import MachineSpec
from firmware_sim.plan import Past, Plan, fleet_of
from firmware_sim.running_fleet import FleetReport
from firmware_sim.scenario import Scenario
from telemetry import Broker, Trust

SEED = 2024
MACHINES = 12
# Six hours are learnt from in seconds and fill a chart; the last quarter of an hour is as dense as what follows.
HISTORY = (Past(6 * 3600.0, 900.0, 10.0, 60), Past(900.0, 0.0, 1.0, 60))
SAMPLING = Sampling(interval_ms=1000, per_message=2, waveform_every_s=60.0)
# One with accelerometers on it, as most plants begin.
VIBRATING = ("gearmotor-01",)
# The first fault is sudden, so that nobody waits; the next ones come while one still looks at the first.
FIRST_ONSET_S, FIRST_GROWTH_S = 1.0, 3.0
_ONSETS_S = (60.0, 150.0, 270.0, 420.0, 600.0)
_THEN_EVERY_S = 900.0
_GROWTH_S = 90.0
_REPAIRED_AFTER_S = 1800.0
_HORIZON_S = 24 * 3600.0

# What shows at once, in every kind of machine, and what takes its time to show: by kind, in turn.
_SUDDEN = (FaultKind.BEARING_WEAR, FaultKind.IMBALANCE)
_GROWING = {
    "pump": (FaultKind.BLOCKED_FILTER, FaultKind.LEAK, FaultKind.CAVITATION, FaultKind.OVERHEATING),
    "gearmotor": (FaultKind.OVERHEATING, FaultKind.BEARING_WEAR, FaultKind.LEAK),
    "compressor": (FaultKind.LEAK, FaultKind.BLOCKED_FILTER, FaultKind.OVERHEATING),
}
# One kind after the other, and as long as possible until the same machine again. A stride of 5 visits all twelve.
_STRIDE = 5


@dataclass(frozen=True, slots=True)
class DemoState:
    """What a run leaves for the next.

    `episode` counts faults begun so far; `active` are pairs of device and kind not repaired when the run ended;
    `has_history` tells that the past was sent whole; `until_s` is the last moment that was simulated for certain.
    """

    episode: int = 0
    has_history: bool = False
    until_s: float = 0.0
    active: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, state_dir: Path) -> DemoState:
        """The state of the last run; a folder without one, or with one that cannot be read, begins anew."""
        try:
            body = orjson.loads((state_dir / _STATE_FILE).read_bytes())
            return cls(
                int(body["episode"]),
                bool(body["has_history"]),
                float(body["until_s"]),
                tuple((str(device), str(kind)) for device, kind in body["active"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        half_written = state_dir / f"{_STATE_FILE}.new"
        half_written.write_bytes(orjson.dumps(asdict(self)))
        os.replace(half_written, state_dir / _STATE_FILE)

    def after(self, event: FleetEvent) -> DemoState:
        """The state once an event has happened."""
        state = replace(self, until_s=max(self.until_s, event.time_s))
        if event.happening is Happening.HISTORY:
            return replace(state, has_history=True)
        if event.fault is None:
            return state
        which = (event.fault.device, event.fault.kind.value)
        if event.happening is Happening.FAULT:
            return replace(state, episode=state.episode + 1, active=(*state.active, which))
        return replace(state, active=tuple(pair for pair in state.active if pair != which))


_STATE_FILE = "fleet.json"
_TRUTH_FILE = "truth.jsonl"


def demo_fleet(now_s: float, state_dir: Path, tenant: str = "demo") -> Plan:
    """The plan of a run that starts at `now_s`: a function of the state folder alone."""
    state = DemoState.read(state_dir)
    machines = fleet_of(MACHINES)
    known = {spec.device for spec in machines}
    return Plan(
        machines,
        Scenario(faults=_faults(machines, state.episode)),
        () if state.has_history and state.until_s <= now_s else HISTORY,
        SEED,
        tenant,
        truth_path=state_dir / _TRUTH_FILE,
        repaired=tuple(pair for pair in state.active if pair[0] in known),
        vibrating=VIBRATING,
    )


def run_demo(
    state_dir: Path,
    mqtt_url: str,
    username: str | None = None,
    password: str | None = None,
    *,
    trust: Trust | None = None,
    tenant: str = "demo",
    for_s: float | None = None,
    speed: float = 1.0,
    stop: threading.Event | None = None,
    on_event: Callable[[FleetEvent], None] | None = None,
) -> FleetReport:
    """Run the demonstration's fleet until `stop` is set or `for_s` is over, and remember how far it came."""
    state_dir.mkdir(parents=True, exist_ok=True)
    plan = demo_fleet(time.time(), state_dir, tenant)
    last = DemoState.read(state_dir)
    state = replace(last, active=())

    def remember(event: FleetEvent) -> None:
        nonlocal state
        state = state.after(event)
        state.write(state_dir)
        if on_event is not None:
            on_event(event)

    report = run(
        plan,
        Broker.parse(mqtt_url, username, password, trust),
        SAMPLING,
        for_s=for_s,
        speed=speed,
        not_before_s=last.until_s,
        stop=stop,
        on_event=remember,
    )
    replace(state, until_s=max(state.until_s, report.until_s)).write(state_dir)
    return report


def _faults(machines: tuple[MachineSpec, ...], episode: int) -> tuple[Fault, ...]:
    """The faults of a run, from the given place of the rotation on; each machine at most one at a time."""
    onsets = [FIRST_ONSET_S, *_ONSETS_S]
    while onsets[-1] + _THEN_EVERY_S < _HORIZON_S:
        onsets.append(onsets[-1] + _THEN_EVERY_S)
    faults = []
    for place, onset_s in enumerate(onsets):
        number = episode + place
        spec = machines[number * _STRIDE % len(machines)]
        sudden = place == 0
        kinds = _SUDDEN if sudden else _GROWING[spec.kind]
        kind = kinds[(number + number // len(machines)) % len(kinds)]
        growth_s = FIRST_GROWTH_S if sudden else _GROWTH_S
        faults.append(Fault(spec.device, kind, onset_s, growth_s, lasts_s=_REPAIRED_AFTER_S))
    return tuple(faults)
