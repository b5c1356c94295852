"""Figures of after-sales from sums: what they are divided by, what they are held against, when nothing is said."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from dashboard import services
from tickets.kpis import KPIS, Figure, Goals, Rates, Unit, added, begins, figures, steps


def one(name: str, sums: dict[str, float], goals: Goals | None = None, days: float = 365) -> Figure:
    return {figure.name: figure for figure in figures(sums, goals or Goals(), days=days)}[name]


def test_a_share_of_two_groups_is_of_their_sums_not_of_their_shares() -> None:
    small, large = {"response_kept": 5.0, "response_known": 5.0}, {"response_kept": 45.0, "response_known": 95.0}
    both = one("response", added([small, large]))
    assert (both.value, both.cases, both.met) == (0.5, 100, False)
    assert one("response", small).met is True


@pytest.mark.parametrize(("cases", "why"), [(0, "no case"), (4, "too few cases"), (5, "")])
def test_of_a_few_cases_nothing_is_said(cases: int, why: str) -> None:
    found = one("satisfaction", {"csat": 95.0 * cases, "answered": cases})
    assert (found.value, found.why) == (None if why else 95.0, why)


def test_less_is_better_where_it_is() -> None:
    assert one("false_alarms", {"false_alarms": 1, "judged": 20}).met is True
    assert one("false_alarms", {"false_alarms": 9, "judged": 20}).met is False
    aimed = Goals({"repair_s": 3600.0, "response": None})
    assert one("repair_s", {"repair_s": 36_000.0, "repaired": 10}, aimed).met is True
    assert one("response", {"response_kept": 1.0, "response_known": 10}, aimed).met is None


def test_costs_are_not_said_without_every_rate() -> None:
    sums = {"costed": 10.0, "costed_work_s": 36_000.0, "costed_visits": 5.0, "parts_value": 100.0}
    assert one("cost", sums, Goals(rates=Rates(hour=50, visit=20))).why == "no rates are set"
    assert one("cost", sums, Goals(rates=Rates(50, 20, 0.1))).value == pytest.approx((500 + 100 + 100) * 1.1 / 10)


def test_hours_are_saved_by_what_a_visit_takes_longer() -> None:
    sums = {"afar": 10.0, "afar_work_s": 36_000.0, "visited": 5.0, "visited_work_s": 54_000.0}
    assert one("hours_saved", sums).value == 20.0
    assert one("hours_saved", {**sums, "visited": 4.0}).why == "too few cases"


def test_parts_turn_over_as_of_a_year() -> None:
    sums = {"used_value": 50.0, "stock_begin": 80.0, "stock_end": 120.0, "parts_moved": 3.0}
    assert one("parts_turnover", sums, days=73).value == 2.5
    assert one("parts_turnover", {**sums, "stock_begin": 0.0, "stock_end": 0.0}).value is None
    assert one("parts_turnover", {}).why == "not of a part of the fleet"


def test_what_is_for_inside_stays_there() -> None:
    assert {kpi.name for kpi in figures({}, Goals(), days=1, internal=False)} == {
        name for name, kpi in KPIS.items() if not kpi.internal
    }


def test_steps_are_those_of_the_calendar_on_the_wall() -> None:
    begin, end = datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 11, 2, 23, 30, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    assert steps(begin, end, "day", berlin)[0::9] == [date(2026, 10, 25), date(2026, 11, 3)]
    assert steps(begin, end, "week", UTC) == [date(2026, 10, 19), date(2026, 10, 26), date(2026, 11, 2)]
    assert steps(datetime(2025, 12, 5, tzinfo=UTC), end, "month", UTC)[0] == date(2025, 12, 1)
    assert len(steps(datetime(2025, 12, 5, tzinfo=UTC), end, "month", UTC)) == 12


def test_days_begin_at_midnight_or_when_the_clock_is_past_it() -> None:
    havana, sao_paulo = ZoneInfo("America/Havana"), ZoneInfo("America/Sao_Paulo")
    assert begins([date(2026, 10, 25)], ZoneInfo("Europe/Berlin")) == [datetime(2026, 10, 24, 22, tzinfo=UTC)]
    assert begins([date(2026, 11, 1)], havana) == [datetime(2026, 11, 1, 4, tzinfo=UTC)], "the first of two midnights"
    assert begins([date(2018, 11, 4)], sao_paulo) == [datetime(2018, 11, 4, 3, tzinfo=UTC)], "there was none"


def test_columns_miss_their_goal_or_are_not_there() -> None:
    values = [1.0, 0.5, None]
    shown = [Figure("response", Unit.SHARE, value, 9, goal=0.95) for value in values]
    days = [date(2026, 11, day) for day in (2, 9, 16)]
    drawn = services.bars(shown, days)
    assert (drawn.good.count("M"), drawn.short.count("M"), drawn.goal) == (
        1,
        1,
        "95\N{NARROW NO-BREAK SPACE}% at least",
    )
    assert "2026-11-09: 50\N{NARROW NO-BREAK SPACE}%" in drawn.said
    assert "2026-11-16" not in drawn.said
    assert [services.shade(faults, 20) for faults in (0, 1, 4, 5, 20)] == [0, 1, 1, 2, 5]
