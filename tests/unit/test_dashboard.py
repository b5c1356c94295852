"""Numbers, durations, small lines and clocks as the pages write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboard
from dashboard import Pages, clocks, figures, words, zone_of
from tickets.calendar import Calendar
from tickets.clocks import Clock, ClockName

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
        (math.inf, "\N{EN DASH}"),
        (0, "0"),
        (0.0421, "0.042"),
        (5.214, "5.21"),
        (71.26, "71.3"),
        (-118.4, "\N{MINUS SIGN}118"),
        (1483.6, "1\N{NARROW NO-BREAK SPACE}484"),
        (4.1e9, "4.10e+09"),
    ],
)
def test_a_number_has_the_digits_that_its_size_deserves(value: float | None, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599, "59 min"), (3660, "1 h 1 min"), (93_600, "1 d 2 h")],
)
def test_a_duration_has_its_two_largest_parts(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, "over 99 %"), (0.991, "over 99 %"), (0.5, "50 %"), (0.01, "1 %"), (0.0, "under 1 %")],
)
def test_nothing_foretold_is_certain(probability: float, text: str) -> None:
    assert figures.chance(probability) == text.replace(" %", "\N{NARROW NO-BREAK SPACE}%")


@given(st.lists(st.none() | st.floats(-1e12, 1e12), max_size=60))
def test_a_small_line_stays_in_its_box_and_breaks_where_nothing_was_read(values: list[float | None]) -> None:
    drawn = figures.spark(values)
    if sum(value is not None for value in values) < 2:
        assert drawn is None
        return
    assert drawn is not None
    places = [place.split() for place in str(drawn["path"]).replace("M", " M").replace("L", " L").split("  ") if place]
    numbers = [float(part.lstrip("ML")) for place in places for part in place]
    xs, ys = numbers[::2], numbers[1::2]
    assert all(0 <= x <= figures.SPARK_WIDTH for x in xs)
    assert all(0 <= y <= figures.SPARK_HEIGHT for y in ys)
    pieces = sum(value is not None and (index == 0 or values[index - 1] is None) for index, value in enumerate(values))
    assert str(drawn["path"]).count("M") == pieces


def promise(**times: datetime) -> Clock:
    due_at, warn_at = NOW + timedelta(hours=1), NOW + timedelta(minutes=12)
    return Clock(ClockName.RESPONSE, NOW - timedelta(hours=3), due_at=due_at, warn_at=warn_at, **times)


@pytest.mark.parametrize(
    ("clock", "now", "tone", "text"),
    [
        (promise(), NOW, "running", "1 h left"),
        (promise(), NOW + timedelta(minutes=30), "due", "30 min left"),
        (promise(), NOW + timedelta(minutes=65), "breached", "overdue by 5 min"),
        (promise(paused_at=NOW), NOW + timedelta(days=3), "paused", "paused, 1 h left"),
        (promise(stopped_at=NOW), NOW + timedelta(days=3), "met", "met"),
        (promise(stopped_at=NOW + timedelta(hours=3)), NOW + timedelta(days=3), "breached", "missed by 2 h"),
    ],
)
def test_a_clock_says_how_much_is_left(clock: Clock, now: datetime, tone: str, text: str) -> None:
    face = clocks.face("response", clock, now)
    assert (face.tone, face.words) == (tone, text)
    assert 0 <= face.part <= 1


def test_a_clock_that_rests_says_until_when_and_counts_no_further() -> None:
    """NOW is a Sunday: the hour that is left is Monday's first."""
    office = Calendar(ZoneInfo("UTC"), (*(((480, 1020),),) * 5, (), ()))
    monday = (NOW + timedelta(days=-NOW.weekday() % 7)).replace(hour=8, minute=0, second=0, microsecond=0)
    sunday = monday - timedelta(hours=12)
    clock = Clock(ClockName.RESPONSE, sunday, monday + timedelta(hours=1), monday, calendar=office)
    face = clocks.face("response", clock, sunday)
    assert (face.words, face.left_s, face.until, face.rests_until) == ("1 h left", 3600.0, sunday, monday)
    face = clocks.face("response", clock, monday + timedelta(minutes=30))
    assert (face.words, face.until.hour, face.rests_until) == ("30 min left", 17, None)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5.214, "mm/s", "5.21 mm/s"),
        (71.26, "degC", "71.3 °C"),
        (1830.0, "s", "30 min"),
        (12.0, "s", "12.0 s"),
        (0.5, "", "0.500"),
        (None, "s", "\N{EN DASH} s"),
    ],
)
def test_a_quantity_is_a_number_with_its_unit_and_a_long_time_a_duration(
    value: float | None, unit: str, text: str
) -> None:
    assert words.quantity(value, unit) == text


def test_terms_that_nobody_has_put_into_words_are_still_readable() -> None:
    assert words.point("bearing_temperature") == "Bearing temperature"
    assert words.point("Accelerometer1RMS") == "Accelerometer1RMS"
    assert words.unit("degC") == "°C"
    assert words.plain("awaiting_parts") == "Awaiting parts"
    assert words.ticket_move("some_new_state") == "Some new state"


@pytest.mark.parametrize("name", [None, "", "../../etc/passwd", "Mars/Olympus"])
def test_a_zone_that_is_none_is_utc(name: str | None) -> None:
    assert zone_of(name) is UTC


def test_a_page_escapes_what_it_is_given() -> None:
    values = {"now": NOW, "zone": UTC, "theme": "auto", "status": 404, "heading": "<script>", "advice": '"&'}
    page = Pages().render("error.html", {**values, "onward": '/x"onclick="y', "onward_text": "Back"})
    assert "<script>" not in page.replace('<script src="/static', "")
    assert "&lt;script&gt;" in page
    assert 'onclick="' not in page


def test_each_colour_that_is_asked_for_is_one_of_the_style_sheet() -> None:
    static = Path(dashboard.__file__).parent / "static"
    style = (static / "app.css").read_text(encoding="utf-8")
    scripts = "".join(file.read_text(encoding="utf-8") for file in static.glob("*.js"))
    of_charts = re.search(r"const NAMES = \[([^]]+)\]", scripts)
    assert of_charts is not None
    asked = {*re.findall(r'"([a-z-]+)"', of_charts[1]), *re.findall(r'colour\("([a-z-]+)"\)', scripts)}
    asked.update(re.findall(r"var\(--([a-z-]+)\)", style + scripts))
    assert asked >= {"grid", "trace", "line-strong", "accent"}
    assert sorted(asked - set(re.findall(r"--([a-z-]+):", style))) == []
