"""The simulated device through the broker into the database: every form, and what an earlier run had left on disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ingesting import ingesting
from servers import Database, RunningBroker
from waiting import until

from firmware_sim.device import Sampling
from firmware_sim.encoding import Form
from firmware_sim.fleet import run
from firmware_sim.machine import Machine
from firmware_sim.plan import Plan, fleet_of
from firmware_sim.spool import Spool


@pytest.mark.parametrize("form", [Form.CBOR, Form.SENML_JSON, Form.SENML_CBOR])
def test_what_a_device_measures_is_what_is_stored(database: Database, broker: RunningBroker, form: Form) -> None:
    (spec,) = fleet_of(1)
    with ingesting(database, broker), database.owner() as conn:
        report = run(Plan((spec,), seed=3), broker.of("devices"), Sampling(100, 5, form), for_s=1.5)
        count = "SELECT count(*) FROM readings"
        until(lambda: conn.execute(count).fetchone() == (report.readings,))
        assert conn.execute("SELECT reason FROM rejects").fetchall() == []
        stored = conn.execute(
            "SELECT s.point, (extract(epoch FROM r.time) * 1000)::bigint, r.value, s.unit"
            " FROM readings r JOIN streams s ON s.id = r.stream_id ORDER BY s.point, r.time"
        ).fetchall()
        acknowledged = "SELECT sum(messages_stored), sum(messages_duplicate) FROM ledger"
        until(lambda: conn.execute(acknowledged).fetchone() == (report.messages + 2, 0))  # and hello and goodbye
    points = {point for point, *_ in stored}
    assert points == {sensor.point for sensor in spec.sensors}
    for point in points:
        times = np.array([time_ms for each, time_ms, *_ in stored if each == point])
        values = [value for each, _, value, _ in stored if each == point]
        np.testing.assert_allclose(values, Machine(spec, 3).run(times)[point], rtol=0, atol=1e-9)
    units = {point: unit for point, _, _, unit in stored}
    assert units["bearing_temperature"] == "degC"


def test_what_an_earlier_run_left_is_stored_and_let_go(
    database: Database, broker: RunningBroker, tmp_path: Path
) -> None:
    """Of two boots, the first of which nobody had confirmed: real acknowledgements empty the buffer."""
    sampling = Sampling(100, 2, buffer=tmp_path)
    plan = Plan(fleet_of(1), seed=3)
    first = run(plan, broker.of("devices"), sampling, for_s=1.2)

    def kept_boots() -> list[int]:
        with closing(Spool(tmp_path / "pump-01", 1 << 30)) as spool:
            return [kept.boot for kept in spool.kept]

    left = kept_boots()
    assert len(left) == first.messages > 3
    # A message a run, a second before its end: of five a second one is always on its way when a busy machine ends.
    slowly = Sampling(1500, 2, buffer=tmp_path)
    with ingesting(database, broker), database.owner() as conn:
        later = [run(plan, broker.of("devices"), slowly, for_s=4.0)]
        while later[-1].unsent or left[0] in kept_boots():
            assert len(later) < 8, "only what came last may be unconfirmed, though a busy machine takes longer"
            later.append(run(plan, broker.of("devices"), slowly, for_s=4.0))
        readings = first.readings + sum(report.readings for report in later)
        until(lambda: conn.execute("SELECT count(*) FROM readings").fetchone() == (readings,))
