"""What detectors say of machines that change their load is the same however readings are cut into batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from detectors import Detector, Drift, Flatline, Multivariate, Novelty, Scores, Sensors, Shift
from detectors.in_mode import MODES, in_mode
from firmware_sim.duty import Duty, DutyKind
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.machine import Machine, MachineSpec
from telemetry import Batch, Stream, quantity_of

START_S, STEP_S, ROWS = 1_763_740_800, 144, 300  # from four in the afternoon to four at night
DAY = ((15, "full"), (18, "part"), (19.5, "full"), (21, "idle"), (22.5, "full"), (0, "off"), (1, "full"), (2.5, "part"))
STOPPED = ((15, "full"), (18, "off"), (0.5, "full"))
# Kind, day, and every which time the last point speaks: it is missing in rows, and waited for.
MACHINES = (("pump", DAY, 3), ("compressor", DAY, 16), ("pump", STOPPED, 3))
# Of the machine that is stopped nobody hears for so long what tells it.
TELL_TALES, SILENT_ROWS = {"speed", "flow", "motor_current"}, slice(67, 210)
# Rows of a batch; the last is the whole recording at once.
CUTS = (1, 3, 10, 40, 200, ROWS)
# By streams or machines and time: what was said of them.
Said = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]


def made() -> dict[str, Detector]:
    """With short windows: they have learnt a level before the machine leaves it."""
    return in_mode(
        {
            "flatline": Flatline(min_changes=20, floor_s=5.0, floor_intervals=5.0),
            "sensors": Sensors(learn_spans=8),
            "shift": Shift(learn_spans=5, false_alarm_rate=0.01),
            "drift": Drift(learn_s=1800.0),
            "novelty": Novelty(limit=1.0, day_s=14_400.0, from_interval_s=0.0),
            "multivariate": Multivariate(learn_rows=30, learn_s=0.0),
        }
    )


@dataclass(frozen=True)
class Recording:
    """Values of shape (streams, ROWS): NaN where nothing came."""

    streams: list[Stream]
    time_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def batch(self, rows: slice) -> Batch:
        values = self.values[:, rows]
        stream, row = np.nonzero(~np.isnan(values))
        return Batch.of(self.time_us[rows][row], stream, values[stream, row])


def recorded() -> Recording:
    """Machines with a day, whose bearings begin to wear."""
    time_us = (START_S + np.arange(ROWS, dtype=np.int64) * STEP_S) * 1_000_000
    streams: list[Stream] = []
    values = []
    for number, (kind, day, every) in enumerate(MACHINES):
        device, after_s = f"{kind}-{number}", 0.4 * ROWS * STEP_S
        duties = [Duty(device, hour, DutyKind(name)) for hour, name in day]
        ill = [Fault(device, FaultKind.BEARING_WEAR, after_s, 3600.0, 1.0)]
        machine = Machine(MachineSpec(device, kind, "", "works"), number, ill, float(START_S), duties=duties)
        read = machine.run(time_us // 1000)
        for point, value in read.items():
            quantity = quantity_of(point)
            streams.append(Stream(len(streams), number, "demo", device, point, quantity.name, quantity.unit))
            values.append(value.astype(np.float64))
            if day is STOPPED and point in TELL_TALES:
                values[-1][SILENT_ROWS] = np.nan
        values[-1][np.arange(ROWS) % every != 1] = np.nan
    return Recording(streams, time_us, np.array(values))


def said_of(recording: Recording, rows: int) -> dict[str, Said]:
    detectors = made()
    told: dict[str, list[Scores]] = {name: [] for name in detectors}
    for detector in detectors.values():
        detector.watch(recording.streams)
    for begin in range(0, ROWS, rows):
        batch = recording.batch(slice(begin, begin + rows))
        for name, detector in detectors.items():
            told[name].append(detector.score(batch, 0))
    return {name: in_order(parts) for name, parts in told.items() if name != MODES}


def in_order(parts: list[Scores]) -> Said:
    subject, time_us = (np.concatenate([getattr(part, name) for part in parts]) for name in ("subject", "time_us"))
    order = np.lexsort((time_us, subject))
    return subject[order], time_us[order], np.concatenate([part.score for part in parts])[order]


@pytest.fixture(scope="module")
def said() -> dict[int, dict[str, Said]]:
    """By the rows of a batch, and by detector."""
    recording = recorded()
    return {rows: said_of(recording, rows) for rows in CUTS}


@pytest.mark.parametrize("name", sorted(set(made()) - {MODES}))
def test_scores_of_a_machine_that_changes_do_not_depend_on_how_readings_are_cut(
    name: str, said: dict[int, dict[str, Said]]
) -> None:
    subject, time_us, score = said[1][name]
    assert not np.isnan(score).all(), "nothing was said that could depend on it"
    for rows in CUTS[1:]:
        ours = said[rows][name]
        np.testing.assert_array_equal(ours[0], subject, err_msg=f"{rows} rows")
        np.testing.assert_array_equal(ours[1], time_us, err_msg=f"{rows} rows")
        np.testing.assert_allclose(ours[2], score, rtol=1e-9, atol=1e-9, err_msg=f"{rows} rows")
