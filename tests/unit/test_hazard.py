"""The hazard of components: signs before failures are learnt, tickets come in time, and nothing looks ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prognosis.hazard import (
    DAY_US,
    HOUR_US,
    Hazard,
    History,
    any_risk,
    failures_of,
    fit,
    needless,
    threshold,
    tickets,
    warned,
)

HOURS = 60 * 24
START_US = 1_763_740_800_000_000


def us(hours: float) -> int:
    return START_US + int(hours * HOUR_US)


def times(*hours: float) -> np.ndarray:
    return np.array([us(hour) for hour in hours], np.int64)


def machine(seed: int, fails_at: float | None = None, decoy_at: float | None = None) -> History:
    """Two channels. The first rises by two spreads for two days before a failure of an old pump, or before nothing."""
    rng = np.random.default_rng(seed)
    values = rng.normal([170.0, 40.0], [15.0, 5.0], (HOURS, 2))
    for end in (fails_at, decoy_at):
        if end is not None:
            values[int(end) - 48 : int(end), 0] += 30.0
    services = {"pump": times(-200 * 24 if fails_at is not None else -5 * 24)}
    failures = {"pump": times(fails_at)} if fails_at is not None else {}
    return History(us(0) + np.arange(HOURS, dtype=np.int64) * HOUR_US, values, {}, services, failures)


FLEET = [machine(seed, fails_at=400.5 + 60 * seed) for seed in range(6)] + [
    machine(10 + seed, decoy_at=500 + 50 * seed) for seed in range(6)
]


@pytest.fixture(scope="module")
def learnt() -> Hazard:
    return fit(FLEET)


def test_failures_of_other_machines_are_warned_of_in_time_and_decoys_are_not(learnt: Hazard) -> None:
    risks = [any_risk(learnt.risk(one)) for one in FLEET]
    level = threshold(FLEET, risks, needless_a_month=0.1)
    failing, decoy = machine(77, fails_at=900.5), machine(78, decoy_at=900)
    opened = tickets(failing.time_us, any_risk(learnt.risk(failing)), level)
    assert warned(opened, failures_of(failing)) == 1
    assert needless(opened, failures_of(failing)) == 0
    # The same signs on a component that is new mean less.
    assert len(tickets(decoy.time_us, any_risk(learnt.risk(decoy)), level)) == 0


def test_no_row_looks_ahead(learnt: Hazard) -> None:
    whole = machine(77, fails_at=900.5)
    part = replace(whole, time_us=whole.time_us[:880], values=whole.values[:880])
    np.testing.assert_allclose(learnt.risk(whole)[:880], learnt.risk(part))


def test_units_and_levels_do_not_matter(learnt: Hazard) -> None:
    whole = machine(77, fails_at=900.5)
    other = replace(whole, values=whole.values * 9.7 + 1e6)
    np.testing.assert_allclose(learnt.risk(whole), learnt.risk(other), rtol=1e-3, atol=1e-6)


def test_missing_values_and_machines_without_a_record_are_scored(learnt: Hazard) -> None:
    whole = machine(77)
    holes = np.where(np.arange(HOURS)[:, None] % 3 == 0, np.nan, whole.values)
    bare = replace(whole, values=holes, services={}, events={"error": times(5)})
    risk = learnt.risk(bare)
    assert np.isfinite(risk).all()
    assert ((risk >= 0) & (risk <= 1)).all()


def test_events_of_the_last_day_count() -> None:
    def with_error(one: History) -> History:
        return replace(one, events={"error": failures_of(one) - 30 * HOUR_US})

    fleet = [with_error(replace(one, values=one.values * 0 + 1.0)) for one in FLEET]
    failing = with_error(replace(machine(77, fails_at=900.5), values=np.ones((HOURS, 2))))
    risk = fit(fleet).risk(failing)[:, 0]
    assert risk[872:893].min() > 5 * risk[:860].max()


def test_nothing_can_be_learnt_from_a_fleet_that_never_failed() -> None:
    with pytest.raises(ValueError, match="no component ever failed"):
        fit(FLEET[6:])


def test_a_stretch_of_risk_is_one_ticket_until_it_has_been_quiet_for_a_day() -> None:
    risk = np.zeros(HOURS)
    risk[[100, 101, 120, 144, 200]] = 0.9
    opened = tickets(FLEET[0].time_us, risk, 0.5)
    assert (opened - us(0)).tolist() == [100 * HOUR_US, 200 * HOUR_US]


@pytest.mark.parametrize(("lead_h", "hits"), [(23.9, 0), (24, 1), (168, 1), (168.1, 0), (-5, 0)])
def test_a_ticket_is_in_time_from_a_week_to_a_day_before(lead_h: float, hits: int) -> None:
    opened, failures = times(1000 - lead_h), times(1000)
    assert warned(opened, failures) == hits
    assert needless(opened, failures) == 1 - hits


def test_the_threshold_keeps_to_its_budget() -> None:
    rng = np.random.default_rng(5)
    risks = [rng.uniform(size=HOURS) for _ in FLEET]
    for budget in (0.5, 2.0):
        level = threshold(FLEET, risks, budget)
        count = sum(
            needless(tickets(one.time_us, risk, level), failures_of(one))
            for one, risk in zip(FLEET, risks, strict=True)
        )
        assert count <= budget * len(FLEET) * HOURS * HOUR_US / (30.4 * DAY_US)
