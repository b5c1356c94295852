"""The pages in a real browser, against a real database: what a person sees, and what comes of what they do."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import seed
from playwright.sync_api import Browser, Page, Route, expect
from visiting import DESK, PHONE, SECRET, Site, Visitor, served, visiting
from waiting import until

from alarms.roles import Role
from api.access.auth import COOKIE
from api.access.tokens import issue
from dashboard import figures
from store import tickets
from store.connection import Session

DASHBOARD = Path(__file__).parents[2] / "dashboard"
LARGEST_HTML_BYTES = 60_000
NARROWEST = (360, 640)
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
FLEET = ["/fleet?view=cards", "/fleet?view=table", "/fleet?q=nobody"]
PAGES = [
    *FLEET,
    "/machines/pump-102",
    "/machines/compressor-303",
    "/alarms",
    "/alarms?state=all",
    "/maintenance",
    "/rules",
    "/rules/shift",
    "/alarm-kpis",
    "/channels",
    "/on-call",
    "/kpis",
    "/tickets",
    "/report",
    "/terms",
    "/customers",
    "/parts",
    "/intake",
]


def chart(page: Page, point: str) -> Any:
    """What a chart has drawn: its data by column, its span, the width of its buckets."""
    return page.evaluate(
        """point => {
            const { trace } = document.querySelector(`.trace[data-point="${point}"]`);
            const [time, high, low, mean] = trace.chart.data.map((column) => Array.from(column));
            const { min, max } = trace.chart.scales.x;
            return { time, high, low, mean, from: min, to: max, bucket: trace.figure.dataset.bucket };
        }""",
        point,
    )


def drawn(page: Page, point: str = "vibration_velocity") -> Any:
    """The chart, once it has been fetched for what it shows."""
    page.locator(f".trace[data-point='{point}'][data-bucket]:not([aria-busy])").wait_for()
    until(lambda: page.evaluate('p => !document.querySelector(`.trace[data-point="${p}"]`).trace.stale', point))
    return chart(page, point)


def asked_s(url: str, point: str) -> float:
    """For how long a span a chart asks for its readings; infinitely long where it asks for other things."""
    address = urlsplit(url)
    query = parse_qs(address.query)
    if address.path != "/api/v1/readings" or query["point"] != [point]:
        return float("inf")
    begin, end = (datetime.fromisoformat(query[edge][0]) for edge in ("from", "to"))
    return (end - begin).total_seconds()


def values(column: list[float | None]) -> list[float]:
    return [value for value in column if value is not None]


def plot_box(page: Page, point: str = "vibration_velocity") -> Any:
    return page.locator(f".trace[data-point='{point}'] .u-over").bounding_box()


def changes(page: Page, point: str) -> Any:
    """What a chart has marked as changes of behaviour, once it has asked."""
    page.locator(f".trace[data-point='{point}'][data-changes]:not([aria-busy])").wait_for()
    return page.evaluate("point => document.querySelector(`.trace[data-point='${point}']`).trace.changes", point)


# The door -----------------------------------------------------------------------------------------------------------


def test_signing_in_leads_to_where_one_was_going(visitor: Visitor) -> None:
    with visitor(complains=True) as visit:
        page = visit.go("/machines/pump-102?span=3600")
        expect(page).to_have_url(re.compile(r"/login\?next="))
        page.fill("#login", seed.LOGIN)
        page.fill("#password", "not the password")
        page.click("button.main")
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        expect(page.locator("#login")).to_have_value(seed.LOGIN)
        page.fill("#password", seed.PASSWORD)
        page.click("button.main")
        expect(page.get_by_role("heading", level=1)).to_have_text("pump-102")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile("/login$"))
        visit.go("/fleet")
        expect(page).to_have_url(re.compile("/login$"))
        # A wrong password is answered with 401, which Chromium notes.
        assert [text for text in visit.complaints if "401" not in text] == []


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example/"])
def test_signing_in_never_leads_to_another_site(visitor: Visitor, site: Site, elsewhere: str) -> None:
    with visitor() as visit:
        page = visit.page
        page.goto(f"{site.url}/login")
        page.evaluate("next => document.querySelector('[name=next]').value = next", elsewhere)
        page.fill("#login", seed.LOGIN)
        page.fill("#password", seed.PASSWORD)
        page.click("button.main")
        expect(page).to_have_url(f"{site.url}/fleet")


def test_a_form_of_another_site_signs_nobody_in(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        answer = visit.context.request.post(
            f"{site.url}/login",
            form={"login": seed.LOGIN, "password": seed.PASSWORD},
            headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        )
        assert answer.status == 403
        assert visit.context.cookies() == []


# Fleet --------------------------------------------------------------------------------------------------------------


def test_the_fleet_says_how_each_machine_stands(visitor: Visitor) -> None:
    with visitor() as visit:
        page = visit.sign_in()
        for device, status in {
            "pump-102": "Fault",
            "gearmotor-202": "Attention",
            "compressor-303": "Offline",
            "gearmotor-204": "Learning",
            "pump-101": "Healthy",
        }.items():
            card = page.locator(".card", has=page.get_by_role("link", name=device, exact=True))
            expect(card.locator(".chip")).to_have_text(status)
        worst = page.locator(".card").first
        expect(worst).to_contain_text("pump-102")
        expect(worst).to_contain_text("Vibration velocity 5.2 mm/s, expected 1.6 to 2.3")
        expect(worst).to_contain_text("Diagnosing: Bearing wear on pump-102")
        # The line of the last day is broken where the site's connection was.
        assert (worst.locator(".spark path").get_attribute("d") or "").count("M") == 2
        expect(page.locator(".strip a").first).to_contain_text("12")


def test_finding_a_machine_keeps_the_place_in_the_field(visitor: Visitor) -> None:
    with visitor() as visit:
        page = visit.sign_in()
        page.locator("#f-q").press_sequentially("compressor", delay=20)
        expect(page.locator(".card")).to_have_count(3)
        expect(page.locator("#f-q")).to_be_focused()
        expect(page).to_have_url(re.compile("q=compressor"))
        page.select_option("#f-site", "North quay")
        expect(page.locator(".card")).to_have_count(2)
        page.get_by_title("Table").click()
        expect(page.locator("table.fleet tbody tr")).to_have_count(2)
        visit.go("/fleet")
        expect(page.locator("table.fleet tbody tr")).to_have_count(12)


def test_who_has_no_machine_yet_is_told_how_to_connect_one(visitor: Visitor) -> None:
    with visitor() as visit:
        page = visit.sign_in("eve@other.example")
        expect(page.locator(".empty")).to_contain_text("bellwether/v1/other/pump-1/telemetry")
        visit.go("/alarms")
        expect(page.locator(".empty")).to_contain_text("No open alarm")
        visit.go("/tickets")
        expect(page.locator(".empty")).to_contain_text("No open ticket")


def test_another_tenants_things_are_not_there(visitor: Visitor, site: Site) -> None:
    with visitor(complains=True) as visit:
        visit.sign_in("eve@other.example")
        for address in ("/machines/pump-102", site.ticket("pump-102")):
            answer = visit.page.goto(site.url + address)
            assert answer is not None
            assert answer.status == 404
            expect(visit.page.get_by_role("heading")).to_have_text("There is nothing here")


# Charts -------------------------------------------------------------------------------------------------------------


def test_charts_draw_what_was_read(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=21600")
        shown = drawn(page)
        assert len(values(shown["mean"])) > 150
        assert shown["to"] - shown["from"] == pytest.approx(21_600, abs=2)
        assert 3.5 < min(values(shown["mean"])) < max(values(shown["mean"])) < 6.0
        assert all(
            low <= mean <= high
            for low, mean, high in zip(shown["low"], shown["mean"], shown["high"], strict=True)
            if mean is not None
        )
        # Every point of the machine has a chart with something on it, in the colour of the line.
        expect(page.locator("section.traces .trace")).to_have_count(8)
        painted = page.evaluate(
            """() => {
                const canvas = document.querySelector(".trace canvas");
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                const colours = new Set();
                for (let i = 0; i < data.length; i += 4) colours.add(data.slice(i, i + 4).join());
                return colours.size;
            }"""
        )
        assert painted > 20


def test_a_gap_is_a_gap(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-101?span=86400")
        shown = drawn(page)
        hour = site.now.replace(minute=0, second=0, microsecond=0)  # the gap is one of whole hours, see `seed`
        begin, end = ((hour - timedelta(hours=hours)).timestamp() for hours in (14.5, 12))
        inside = [m for t, m in zip(shown["time"], shown["mean"], strict=True) if begin + 300 < t < end - 300]
        assert inside, "where the line breaks stands a point without a value"
        assert set(inside) == {None}
        # Nowhere are two readings joined over more than a few buckets.
        pairs = itertools.pairwise(zip(shown["time"], shown["mean"], strict=True))
        joined = [b - a for (a, x), (b, y) in pairs if x is not None and y is not None]
        assert max(joined) < 4 * float(shown["bucket"])


def test_zooming_asks_for_what_is_shown_from_a_year_to_a_minute(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=86400")
        wide = drawn(page)
        assert float(wide["bucket"]) >= 60
        box = plot_box(page)
        middle = box["y"] + box["height"] / 2
        # A chart that follows asks by itself now and then, for the whole day.
        with page.expect_request(lambda request: asked_s(request.url, "vibration_velocity") < 43_200) as asked:
            page.mouse.move(box["x"] + box["width"] * 0.90, middle)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.93, middle, steps=4)
            page.mouse.move(box["x"] + box["width"] * 0.97, middle, steps=4)
            page.mouse.up()
        assert asked_s(asked.value.url, "vibration_velocity") == pytest.approx(86_400 * 0.07, rel=0.05)
        near = drawn(page)
        assert near["bucket"] == ""  # few enough: the readings themselves
        # All charts show the same span.
        other = drawn(page, "flow")
        assert (other["from"], other["to"]) == (near["from"], near["to"])
        expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
        expect(page).to_have_url(re.compile("from="))

        page.mouse.dblclick(box["x"] + box["width"] / 2, middle)
        day = drawn(page)
        assert day["to"] - day["from"] == pytest.approx(86_400, abs=5)
        page.get_by_role("button", name="1 y", exact=True).click()
        year = drawn(page)
        assert year["to"] - year["from"] == pytest.approx(31_536_000, rel=0.001)
        assert float(year["bucket"]) >= 3600
        for _ in range(25):
            page.get_by_role("button", name="Zoom in").click()
        closest = drawn(page)
        assert closest["to"] - closest["from"] == pytest.approx(60, abs=1)


def test_wheel_and_keys_zoom_a_chart_that_was_clicked_and_nothing_else(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=21600")
        before = drawn(page)
        box = plot_box(page)
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, 300)
        until(lambda: page.evaluate("scrollY") > 0)
        after = chart(page, "vibration_velocity")  # it may have followed meanwhile, by quarters of a minute
        assert after["to"] - after["from"] == pytest.approx(before["to"] - before["from"], abs=1)
        # The wheel's way is a movement: it has ended where the page stays at its top.
        until(lambda: page.evaluate("scrollTo(0, 0), new Promise(to => setTimeout(() => to(scrollY), 200))") == 0)
        plot = page.locator(".trace[data-point='vibration_velocity'] .plot")
        plot.focus()
        box = plot_box(page)
        page.keyboard.press("+")
        until(lambda: chart(page, "flow")["to"] - chart(page, "flow")["from"] < 12_000)
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -100)
        until(lambda: chart(page, "flow")["to"] - chart(page, "flow")["from"] < 9_000)


def test_two_fingers_zoom_and_one_moves(visitor: Visitor) -> None:
    with visitor(PHONE) as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=21600")
        drawn(page)
        page.locator(".trace .u-over").first.scroll_into_view_if_needed()
        box = plot_box(page)
        touch = visit.context.new_cdp_session(page)

        def fingers(kind: str, *places: float) -> None:
            points = [
                {"x": box["x"] + box["width"] * place, "y": box["y"] + 60, "id": index}
                for index, place in enumerate(places)
            ]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", 0.4)
        fingers("touchStart", 0.4, 0.6)
        for wider in (0.05, 0.1, 0.2):
            fingers("touchMove", 0.4 - wider, 0.6 + wider)
        fingers("touchEnd")
        near = until(lambda: (c := drawn(page)) and c["to"] - c["from"] < 10_000 and c)
        fingers("touchStart", 0.3)
        for place in (0.4, 0.5, 0.6):
            fingers("touchMove", place)
        fingers("touchEnd")
        moved = until(lambda: (c := chart(page, "vibration_velocity")) and c["from"] < near["from"] - 500 and c)
        assert moved["to"] - moved["from"] == pytest.approx(near["to"] - near["from"], rel=0.01)


def test_a_chart_that_follows_shows_a_new_reading(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-101?span=900")
        drawn(page)
        site.change(
            "INSERT INTO readings (time, stream_id, value) SELECT now(), id, 9.75 FROM streams"
            " WHERE device = 'pump-101' AND point = 'vibration_velocity'"
        )
        until(
            lambda: (
                9.75 in values(chart(page, "vibration_velocity")["high"] + chart(page, "vibration_velocity")["mean"])
            )
        )
        expect(page.locator(".trace[data-point='vibration_velocity'] output")).to_contain_text("9.75")


def test_cursors_move_together_and_alarms_explain_themselves(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=86400")
        drawn(page)
        box = plot_box(page)
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
        cursors = "[...document.querySelectorAll('section.traces .trace')].map(t => t.trace.chart.cursor.left)"
        left = until(lambda: (found := page.evaluate(cursors)) and min(found) > 0 and found)
        assert len(left) == 8
        assert max(left) - min(left) < 2
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 3)
        tip = page.locator(".trace[data-point='vibration_velocity'] .mark-tip")
        expect(tip).to_contain_text("Critical: Vibration velocity 5.2 mm/s")


# Alarms -------------------------------------------------------------------------------------------------------------


def alarm_row(page: Page, message: str) -> Any:
    return page.locator(".alarm-list > li", has_text=message)


def test_acknowledging_reaches_everyone_who_is_looking(visitor: Visitor, site: Site) -> None:
    with visitor() as visit, visitor() as other:
        page = visit.sign_in("ben@demo.example")
        watching = other.sign_in()
        expect(watching.locator("[data-link='live']")).to_be_visible()
        before = int(re.sub(r"\D", "", watching.locator("#count-alarms").inner_text()))
        visit.go("/alarms")
        row = alarm_row(page, "Discharge temperature 97")
        expect(row).to_contain_text("Returned to normal, unacknowledged")
        row.get_by_role("button", name="Acknowledge").click()
        expect(row).to_have_count(0)  # it is normal now, and the list shows what is open
        state = site.rows("SELECT state, acked_by FROM alarms WHERE rule = 'discharge_limit'")
        assert state == [("normal", "ben@demo.example")]
        expect(watching.locator("#count-alarms")).to_contain_text(str(before - 1))
        expect(page.locator("#count-alarms")).to_contain_text(str(before - 1))


def test_shelving_needs_a_reason_and_says_until_when(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/alarms")
        row = alarm_row(page, "Bearing temperature has risen")
        row.locator("summary").click()
        expect(row.get_by_label("Reason")).to_be_focused()
        row.get_by_role("button", name="Shelve").click()
        assert site.rows("SELECT state FROM alarms WHERE rule = 'temperature_drift' AND device = 'pump-102'") == [
            ("unacknowledged",)
        ]
        row.get_by_label("Reason").fill("Bearing is changed <b>tonight</b>")
        row.get_by_label("For").select_option("4")
        row.get_by_role("button", name="Shelve").click()
        expect(row).to_contain_text("Shelved")
        expect(row).to_contain_text("Ada Okafor: Bearing is changed <b>tonight</b>")
        row.get_by_role("button", name="Unshelve").click()
        expect(row).to_contain_text("Unacknowledged")


def test_what_somebody_types_survives_the_news(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/alarms")
        row = alarm_row(page, "Gearbox oil temperature has risen")
        row.locator("summary").click()
        row.get_by_label("Reason").fill("half a sen")
        with page.expect_response(lambda answer: urlsplit(answer.url).path == "/alarms"):
            site.change(
                "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity)"
                " SELECT gen_random_uuid(), id, tenant, now(), 'escalated', state, severity FROM alarms"
                " WHERE rule = 'silence'"
            )
        page.wait_for_timeout(300)
        expect(row.get_by_label("Reason")).to_have_value("half a sen")
        expect(row.get_by_label("Reason")).to_be_focused()


def test_what_is_chosen_or_pressed_before_the_script_is_there_is_not_lost(visitor: Visitor) -> None:
    with visitor() as visit:
        page = visit.sign_in()
        held: list[Route] = []
        page.route("**/htmx.min*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
        page.goto(visit.site.url + "/alarms", wait_until="commit")
        page.select_option("#f-severity", "high")
        button = page.get_by_role("button", name="Acknowledge", exact=True).first
        assert button.evaluate("it => getComputedStyle(it.form).pointerEvents") == "none"
        until(lambda: held)
        held[0].continue_()
        page.wait_for_url("**/alarms?*severity=high*")
        expect(page.locator("#alarms .alarm-list > li:not(.tone-high)")).to_have_count(0)
        expect(page.locator("#alarms .alarm-list > li.tone-high").first).to_be_visible()
        assert button.evaluate("it => getComputedStyle(it.form).pointerEvents") == "auto"


def test_what_happens_before_a_page_listens_is_shown(visitor: Visitor, site: Site) -> None:
    """A ticket gets a comment after its page was written, before the page's stream of news is open."""

    def late(route: Route) -> None:
        site.change(
            "INSERT INTO ticket_events (ticket_id, tenant, kind, who, note)"
            " SELECT id, tenant, 'comment', 'Ada Okafor', 'Told while nobody listened' FROM tickets"
            " WHERE device = 'gearmotor-202'"
        )
        route.continue_()

    with visitor() as visit:
        visit.sign_in()
        address = site.ticket("gearmotor-202")
        visit.page.route("**/api/v1/events*", late)
        page = visit.go(address)
        # Sooner than the page looks by itself, once a minute.
        expect(page.locator("#main")).to_contain_text("Told while nobody listened", timeout=40_000)


def test_an_owner_looks_but_does_not_touch(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in("owner@demo.example")
        page = visit.go("/alarms")
        expect(page.locator(".alarm-list > li").first).to_be_visible()
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
        alarm = site.rows("SELECT id FROM alarms WHERE rule = 'silence'")[0][0]
        assert visit.refused(f"/alarms/{alarm}/acknowledge") == 403


def test_a_chart_marks_where_behaviour_changed(visitor: Visitor, site: Site) -> None:
    """A vibration that has grown for a day: marked in the week that shows it, told to whoever points or listens."""
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102?span=604800")
        drawn(page)
        since = (site.now - timedelta(hours=27)).timestamp()
        found = [one for one in changes(page, "vibration_velocity") if one["at"] >= since]
        assert found
        assert all(one["after"] > one["before"] > 0 for one in found)
        label = page.locator(".trace[data-point='vibration_velocity'] .plot")
        expect(label).to_have_attribute(
            "aria-label", re.compile(r"changed \d+ \w+( \d{4})? \d\d:\d\d from [\d.]+ to [\d.]+ mm/s")
        )
        box = plot_box(page)
        x = page.evaluate(
            "at => document.querySelector(`.trace[data-point='vibration_velocity']`).trace.chart.valToPos(at, 'x')",
            found[0]["at"],
        )
        page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
        expect(page.locator(".trace[data-point='vibration_velocity'] .mark-tip")).to_contain_text("Behaviour changed")


# Tickets ------------------------------------------------------------------------------------------------------------


def test_a_tickets_evidence_shows_what_when_and_who(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("pump-102"))
        shown = drawn(page)
        since = (site.now - timedelta(hours=26)).timestamp()
        assert shown["from"] < since < shown["to"]
        trace = page.evaluate(
            "(({low, high, window}) => ({low, high, window}))(document.querySelector('.trace.tall').trace)"
        )
        assert (trace["low"], trace["high"]) == (1.55, 2.31)
        assert trace["window"][0] == pytest.approx(since, abs=1)
        expect(page.locator(".verdict")).to_contain_text("2.90 mm/s above")
        bars = page.locator(".bars li")
        assert [re.sub(r"\s+", " ", text).strip() for text in bars.all_inner_texts()][:2] == [
            "Vibration velocity 56 %",
            "Bearing temperature 27 %",
        ]
        widths = [float(rect.get_attribute("width") or 0) for rect in page.locator(".bars .fill").all()]
        assert widths == pytest.approx([56, 27, 11, 4, 2])
        expect(page.locator(".trace.low")).to_have_count(4)
        expect(page.locator("#ticket-rest")).to_contain_text("Bearing temperature has risen")


def test_a_stuck_sensors_evidence_is_a_time_and_no_band_of_its_readings(visitor: Visitor, site: Site) -> None:
    evidence = {"point": "motor_current", "unit": "s", "detector": "flatline", "observed": 1830.0, "expected": 12.0,
                "low": 0.0, "high": 90.0, "score": 20.3, "contributions": {"motor_current": 1.0}}  # fmt: skip
    site.change(
        "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, state, priority, level,"
        " leading_point, since, evidence) SELECT tenant, 'STUCKSTUCKSTUCK2', id, device, 'sensor', 'alarm', 'Stuck',"
        " 'new', 'low', 'general', 'flow', now() - interval '1 hour', %s FROM devices WHERE device = 'gearmotor-203'",
        json.dumps(evidence),
    )
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("gearmotor-203"))
        shown = page.locator(".verdict").first
        expect(shown).to_contain_text("Motor current, the same value for")
        expect(shown).to_contain_text("30 min")
        expect(shown).to_contain_text("up to 1 min")
        expect(shown).to_contain_text("29 min longer")
        expect(page.get_by_text("20.3 times the limit")).to_be_visible()
        drawn(page, "motor_current")
        trace = page.evaluate(
            "(({low, high, unit}) => ({low, high, unit}))(document.querySelector('.trace.tall').trace)"
        )
        assert trace == {"low": None, "high": None, "unit": "A"}


def test_a_ticket_says_what_is_probably_wrong_and_how_to_find_out(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("pump-102"))
        panel = page.locator("#ticket-diagnosis")
        expect(panel.locator(".items > li:has(h3)")).to_have_count(3)
        expect(panel.locator("h3").first).to_have_text("Bearing wear")
        expect(panel).to_contain_text("Envelope spectrum at the bearing housing")
        expect(panel.locator("li").first).to_contain_text("Vibration velocity up from")
        # News of a later diagnosis changes the page that is open.
        with page.expect_response(re.compile("/tickets/")):
            site.change(
                "UPDATE diagnoses SET suspects = '[]', abstains = 'what moved has come back' FROM tickets t"
                " WHERE t.id = ticket_id AND t.device = 'pump-102'"
            )
        expect(panel).to_contain_text("Nothing is named: what moved has come back.")


def test_an_alarm_says_why(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/alarms")
        page.locator(".alarm-list > li", has_text="5.2 mm/s").get_by_role("link", name="why").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Vibration velocity 5.2 mm/s")
        expect(page.locator(".verdict")).to_contain_text("2.90 mm/s above")
        expect(page.locator(".bars li").first).to_contain_text("Vibration velocity")
        expect(page.get_by_text("together they are all of it: 3.10 times the limit")).to_be_visible()
        drawn(page)
        expect(page.get_by_role("region", name="Like these").locator("li")).to_have_count(2)
        silent = site.rows("SELECT id FROM alarms WHERE rule = 'silence'")[0][0]
        visit.go(f"/alarms/{silent}")
        expect(page.get_by_role("region", name="What happened")).to_be_visible()


def test_a_ticket_says_what_the_like_of_it_was(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("pump-102"))
        panel = page.get_by_role("region", name="Like these")
        expect(panel.locator("li")).to_have_count(2)
        worn = panel.locator("li", has_text="pump-103")
        expect(worn).to_contain_text("Fault confirmed: Drive-end bearing replaced")
        expect(worn).to_contain_text("back to normal 1 d 17 h after it began")
        worn.get_by_role("link", name="pump-103: vibration").click()
        expect(page.locator("#ticket-head")).to_contain_text("Fault confirmed")
        page = visit.go(site.ticket("gearmotor-202"))
        expect(page.locator("#ticket-like")).to_be_hidden()


def test_a_machine_shows_its_health_and_when_it_fell(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102")
        panel = page.locator("#machine-health")
        expect(panel).to_contain_text("Now")
        expect(panel.locator("dd").first).to_have_text(re.compile(r"^[1-4]?\d$"))
        expect(panel).to_contain_text("Vibration velocity")
        figure = page.locator(".trace[data-health]")
        figure.scroll_into_view_if_needed()
        page.locator(".trace[data-health][data-bucket]:not([aria-busy])").wait_for()
        course = page.evaluate("Array.from(document.querySelector('.trace[data-health]').trace.chart.data[3])")
        known = values(course)
        assert len(known) > 60
        assert known[0] >= 80
        assert known[-1] < 50
        # Its span is its own: the bar above the readings moves them alone.
        page.get_by_role("button", name="1 h", exact=True).click()
        span = page.evaluate("document.querySelector('[data-alone]').view.span")
        assert span == 2_592_000_000
        page.goto(f"{page.url.split('/machines')[0]}/machines/gearmotor-201")
        expect(page.locator("#machine-health dd").first).to_have_text(re.compile(r"^(100|[89]\d)$"))


def test_a_machine_that_wears_says_how_long_it_has_and_one_that_does_not_says_why_not(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        worn = visit.go("/machines/pump-102").locator("#machine-remaining")
        expect(worn).to_contain_text("Nine of ten times between")
        expect(worn).to_contain_text(re.compile(r"Fails within 30 days\s*over 99\s%"))
        expect(worn).to_contain_text("No failure of its kind is known yet")
        expect(worn.locator("svg path")).to_have_count(5)
        well = visit.go("/machines/gearmotor-201").locator("#machine-remaining")
        expect(well).to_contain_text("No remaining life is said: no wear is seen.")
        expect(well.locator("svg")).to_have_count(0)


def test_a_machine_says_which_of_its_sensors_can_be_trusted(visitor: Visitor, site: Site) -> None:
    """The line to its site was down for two hours and a half; one of its points says what cannot be."""
    site.change(
        "UPDATE quality_hours SET impossible = readings / 20 FROM streams s"
        " WHERE s.id = stream_id AND s.device = 'gearmotor-201' AND s.point = 'gearbox_oil_temperature'"
    )
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/gearmotor-201")
        rows = page.get_by_role("region", name="Data").get_by_role("row")
        bad = rows.filter(has_text="Oil temperature").get_by_role("cell")
        expect(bad.nth(1)).to_have_text("D")
        expect(bad.nth(2)).to_have_text("5 % physically impossible; 10 % missing, 2 hours without any")
        grades = [row.get_by_role("cell").nth(1).inner_text() for row in rows.all()[1:]]
        assert sorted(grades) == ["C"] * (len(grades) - 1) + ["D"]


def test_a_new_machine_says_what_it_cannot_judge_yet(visitor: Visitor) -> None:
    """Heard for ten hours: what needs days is named with the day, what is known is not; an old machine says nothing."""
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/machines/gearmotor-204")
        rows = page.get_by_role("region", name="What it can't judge yet").get_by_role("row")
        drift = rows.filter(has_text="Level over days and weeks").get_by_role("cell")
        expect(drift.nth(1)).to_have_text("all points")
        expect(drift.nth(2)).to_have_text(re.compile(r"^about \d+ \w+( \d{4})? \d\d:\d\d, in 7 d 1[0-4] h$"))
        expect(rows.filter(has_text="How often it is heard")).to_have_count(0)
        expect(rows.filter(has_text="How its points move together")).to_have_count(1)
        page = visit.go("/machines/pump-101")
        expect(page.locator("#machine-learning")).to_be_hidden()


def test_an_engineer_says_what_a_machine_is_built_of(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go("/machines/pump-104")
        panel = page.get_by_role("region", name="What it is built of")
        expect(panel).to_contain_text("Nobody has said yet")
        panel.get_by_text("Say what it is").click()
        panel.get_by_label("Bearing", exact=True).fill("SKF 6295")
        panel.get_by_label("Shaft speed").fill("fast")
        panel.get_by_label("Machine group").select_option("2")
        panel.get_by_role("button", name="Keep").click()
        expect(panel.get_by_role("alert")).to_contain_text("Not kept: ")
        expect(panel.get_by_label("Shaft speed")).to_have_value("fast")
        expect(panel.get_by_label("Shaft speed")).to_have_attribute("aria-invalid", "true")
        expect(panel.locator("#b-rpm-help")).to_contain_text("valid number")
        assert site.rows("SELECT machine FROM devices WHERE device = 'pump-104'") == [({},)]
        panel.get_by_label("Shaft speed").fill("1484,5")
        panel.get_by_role("button", name="Keep").click()
        expect(panel.locator("#b-bearing-help")).to_contain_text("6295")
        panel.get_by_label("Bearing", exact=True).fill("SKF 6205")
        panel.get_by_role("button", name="Keep").click()
        expect(panel).to_contain_text("said by Ben Lindqvist")
        expect(panel.locator("dl")).to_contain_text("1484.5 rpm")
        expect(panel.locator("dl")).to_contain_text("2: 15 to 300 kW")
        facts = {"bearing": "SKF 6205", "group": 2, "rpm": 1484.5}
        assert site.rows("SELECT machine FROM devices WHERE device = 'pump-104'") == [(facts,)]
    with visitor() as visit:
        visit.sign_in("owner@demo.example")
        panel = visit.go("/machines/pump-104").get_by_role("region", name="What it is built of")
        expect(panel).to_contain_text("SKF 6205")
        expect(panel.get_by_text("Change")).to_have_count(0)
        assert visit.refused("/machines/pump-104/facts", "rpm=1") == 403


def test_an_engineer_moves_a_ticket_along(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go(site.ticket("pump-103"))
        expect(page.locator("#ticket-head")).to_contain_text("Accepted")
        page.get_by_role("button", name="Arrived on site").click()
        expect(page.locator("#ticket-head")).to_contain_text("On site")
        expect(page.locator("#ticket-story")).to_contain_text("On site")
        expect(page.locator(".clock-big", has_text="On site")).to_contain_text("met")
        assert site.rows("SELECT state FROM tickets WHERE device = 'pump-103' AND fault = 'seal'") == [("on_site",)]
        page.get_by_label("Add a comment").fill("Seal faces are <i>scored</i>")
        held: list[Route] = []
        page.route("**/comment", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
        page.get_by_role("button", name="Comment").click()
        page.get_by_text("Close…").click()  # while the comment is still being answered
        until(lambda: page.title() and held)
        held[0].continue_()
        expect(page.locator("#ticket-story .said")).to_have_text("Seal faces are <i>scored</i>")
        expect(page.get_by_label("Add a comment")).to_have_value("")
        page.get_by_label("What was it?").select_option("confirmed")
        page.get_by_role("button", name="Close", exact=True).click()
        expect(page.locator("#ticket-head")).to_contain_text("Fault confirmed")
        expect(page.get_by_text("Reopen…")).to_be_visible()


def test_the_intake_says_what_became_of_every_message_and_plays_again(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go("/intake")
        received, stored, duplicate, rejected, missing = (
            int(text.replace("\N{NARROW NO-BREAK SPACE}", "")) for text in page.locator(".strip b").all_inner_texts()
        )
        assert received == stored + duplicate + rejected
        assert missing == 6 * 14
        machines = page.get_by_role("table").last.locator("tbody tr")
        expect(machines.first).to_contain_text("84")  # who has lost something comes first
        row = page.get_by_role("row").filter(has_text="temperature: a text is no number")
        row.get_by_role("button", name="Play again").click()
        expect(page.get_by_role("status").filter(has_text="3 messages will be played again")).to_be_visible()
        assert site.rows("SELECT count(*), min(asked_by) FROM replays") == [(3, "ben@demo.example")]
        visit.go("/intake?device=no-such")
        expect(page.get_by_text("No machine matches")).to_be_visible()


def test_an_owner_sees_no_payloads_and_plays_nothing(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in("owner@demo.example")
        page = visit.go("/intake")
        expect(page.locator(".strip")).to_be_visible()
        expect(page.get_by_text("What could not be taken")).to_have_count(0)


def test_a_dispatcher_sends_somebody(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("gearmotor-202"))
        expect(page.get_by_text("with nobody yet")).to_be_visible()
        page.get_by_label("Send", exact=True).select_option("ben@demo.example")
        page.get_by_role("button", name="Assign").click()
        expect(page.locator("#ticket-live")).to_contain_text("with Ben Lindqvist")
        expect(page.locator("#ticket-head")).to_contain_text("Dispatched")
        page.get_by_text("Put on hold…").click()
        page.locator("details[open]").get_by_label("Why?").fill("The customer is away")
        page.get_by_role("button", name="Put on hold", exact=True).click()
        expect(page.locator("#ticket-head")).to_contain_text("On hold")
        expect(page.locator(".clock-big").first).to_contain_text("paused")


def test_clocks_count_down_in_the_words_of_the_server(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        site.change(
            "UPDATE ticket_clocks SET due_at = now() + interval '65 s', warn_at = now() + interval '3 s'"
            " WHERE clock = 'response' AND ticket_id = (SELECT id FROM tickets WHERE device = 'compressor-303')"
        )
        page = visit.go("/tickets")
        clock = page.locator("tr", has_text="compressor-303").locator("[data-clock]").first
        expect(clock).to_have_class(re.compile("tone-due"))
        expect(clock).to_contain_text(re.compile(r"\d\d s left"))


def test_whoever_has_the_code_follows_the_ticket_and_nothing_else(visitor: Visitor, site: Site) -> None:
    code = site.rows("SELECT code FROM tickets WHERE device = 'pump-102'")[0][0]
    with visitor(PHONE, complains=True) as visit:
        page = visit.go(f"/track/{code}")
        expect(page.get_by_role("heading")).to_have_text("Bearing wear on pump-102")
        expect(page.locator("[aria-current='step']")).to_contain_text("Finding the cause")
        assert page.locator("a").count() == 0
        answer = page.goto(f"{site.url}/track/NOSUCHCODE234567")
        assert answer is not None
        assert answer.status == 404


# All of them --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(DESK,), (NARROWEST, PHONE)], ids=["desk", "phone"])
def test_every_page_fits_and_can_be_used_by_everyone(
    visitor: Visitor, site: Site, sizes: tuple[tuple[int, int], ...]
) -> None:
    """No complaint of a script or of the content policy, no page wider than the screen, no violation that axe finds.

    A phone's page comes on the narrowest and is turned to a usual one. In the dark, whose colours are the same at any
    width, a desk's is looked at.
    """
    with visitor(sizes[0], color_scheme="light") as visit:
        page = visit.go("/login")
        found = {"/login": visit.violations()}
        visit.sign_in()
        code = site.rows("SELECT code FROM tickets WHERE device = 'pump-102'")[0][0]
        alarm = site.rows("SELECT id FROM alarms WHERE rule = 'bearing_wear'")[0][0]
        for address in [*PAGES, f"/alarms/{alarm}", site.ticket("pump-102"), site.ticket("pump-103"), f"/track/{code}"]:
            _turned(page, sizes[0])
            answer = page.goto(site.url + address)
            assert answer is not None
            assert len(answer.body()) < LARGEST_HTML_BYTES, address
            assert "style=" not in answer.text(), address
            page.locator(".trace").first.wait_for() if "/machines/" in address else None
            for size in sizes:
                _turned(page, size)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{address} is {wide} px wider than {size[0]} px"
            found[address] = visit.violations()
            if sizes == (DESK,):
                by_day = page.evaluate(BACKGROUND)
                page.emulate_media(color_scheme="dark")  # only the colours change
                assert page.evaluate(BACKGROUND) != by_day
                found[f"{address} in the dark"] = visit.violations("{runOnly: ['color-contrast']}")
                page.emulate_media(color_scheme="light")
    assert {address: what for address, what in found.items() if what} == {}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_an_administrator_reads_who_did_what_on_a_small_screen(visitor: Visitor, site: Site, colours: str) -> None:
    with visitor(NARROWEST, color_scheme=colours) as visit:
        page = visit.sign_in("admin@demo.example")
        page.get_by_role("link", name="Audit").click()
        page.fill("#f-who", "admin@demo.example")
        expect(page.locator("#audit tbody tr").first).to_contain_text("Session signed in")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{wide} px wider than the screen"
        assert visit.violations() == []


def _turned(page: Page, size: tuple[int, int]) -> None:
    if page.viewport_size != {"width": size[0], "height": size[1]}:
        page.set_viewport_size({"width": size[0], "height": size[1]})


def test_a_name_is_only_ever_a_name(visitor: Visitor, site: Site) -> None:
    """Points and messages come from devices: nothing in them is markup, in the page or in what charts say."""
    wicked = "<img src=x onerror=alert(1)>\"'`${1}"
    site.change(
        "INSERT INTO streams (device_id, tenant, device, point, quantity, unit)"
        " SELECT id, tenant, device, %s, 'unknown', %s FROM devices WHERE device = 'pump-105'",
        wicked,
        "<b>",
    )
    site.change("UPDATE devices SET model = %s WHERE device = 'pump-105'", wicked)
    site.change("UPDATE alarms SET message = %s, point = %s WHERE device = 'pump-105'", wicked, wicked)
    with visitor() as visit:
        visit.sign_in()
        for address in ("/fleet?q=pump-105", "/machines/pump-105", "/alarms"):
            page = visit.go(address)
            page.wait_for_load_state("networkidle") if address != "/alarms" else None
            assert page.locator("img").count() == 0
            expect(page.locator("main")).to_contain_text(wicked)


def test_times_are_the_readers_with_utc_beside(visitor: Visitor, site: Site) -> None:
    with visitor(timezone_id="Asia/Kathmandu") as visit:
        page = visit.sign_in()
        visit.go("/alarms?state=all")
        time = page.locator("time[data-when]").first
        at = datetime.fromisoformat(time.get_attribute("datetime") or "")
        local, now = (moment.astimezone(UTC) + timedelta(hours=5, minutes=45) for moment in (at, datetime.now(UTC)))
        said = f"{local.day} {local:%b}{f' {local.year}' if local.year != now.year else ''} {local:%H:%M}"
        expect(time).to_have_text(said)
        expect(time).to_have_attribute("title", f"{at:%Y-%m-%d %H:%M:%S} UTC")
        # From now on the server writes it so itself: nothing jumps when the script comes.
        assert f">{said}</time>" in visit.context.request.get(f"{site.url}/alarms?state=all").text()


def test_colours_are_kept(visitor: Visitor) -> None:
    with visitor(color_scheme="light") as visit:
        page = visit.sign_in()
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.get_by_role("button", name="Colours").click()
        page.get_by_role("button", name="Colours: light").click()
        until(lambda: page.evaluate(background) != light)
        visit.go("/alarms")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        until(lambda: page.evaluate(background) != light)


def test_a_lost_connection_is_told_and_made_good(visitor: Visitor, site: Site) -> None:
    with visitor(complains=True) as visit:
        page = visit.sign_in()
        expect(page.locator("[data-link='live']")).to_be_visible()
        visit.context.set_offline(True)
        expect(page.locator("#trouble")).to_contain_text("Connection lost")
        site.change("UPDATE devices SET model = 'NK 999' WHERE device = 'pump-101'")
        visit.context.set_offline(False)
        expect(page.locator("#trouble")).to_be_hidden()
        expect(page.locator(".card", has_text="pump-101")).to_contain_text("NK 999")


def test_scripts_and_server_write_numbers_alike(visitor: Visitor) -> None:
    numbers = [0, 0.0421, -0.5, 1.005, 5.2149, 71.26, 118.4, -1483.6, 12345.678, 9.9e6, 3.2e-5, 4.1e9]
    seconds = [0, 12.4, 59.6, 60, 3599, 3660, 86_400, 93_600, 200_000]
    with visitor() as visit:
        visit.go("/login")
        said = visit.page.evaluate(
            "([n, s]) => import('/static/words.js').then(w => [n.map(w.number), s.map(w.duration)])", [numbers, seconds]
        )
    assert said[1] == [figures.duration(value) for value in seconds]
    # Beyond 10^7 and below 10^-4 the two write exponents differently.
    plain = [index for index, value in enumerate(numbers) if value == 0 or 1e-4 <= abs(value) < 1e7]
    assert [said[0][i] for i in plain] == [figures.number(numbers[i]) for i in plain]


def test_the_lockfile_names_no_registry() -> None:
    lock = json.loads((DASHBOARD / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert [name for name, package in lock["packages"].items() if name and "integrity" not in package] == []


@dataclass(frozen=True)
class Away:
    """A database that nobody answers for."""

    owner_url: str = "postgresql://nobody@127.0.0.1:1/none"

    def url(self, role: str) -> str:
        return self.owner_url

    def owner(self) -> Session:
        raise AssertionError("nobody owns it")


def test_a_page_says_that_the_database_is_away(browser: Browser) -> None:
    with served(Away(), datetime.now(UTC)) as site, visiting(browser, site, complains=True) as visit:
        token = issue(SECRET, f"user:{UUID(int=1)}", "demo", Role.ENGINEER, 600, "ben")
        visit.context.add_cookies([{"name": COOKIE, "value": token, "url": site.url}])
        answer = visit.page.goto(f"{site.url}/fleet")
        assert answer is not None
        assert answer.status == 503
        expect(visit.page.get_by_role("heading")).to_have_text("The database cannot be reached")
        expect(visit.page.get_by_role("link", name="Try again")).to_have_attribute("href", "/fleet")


# Terms, pauses and escalations: last, since they change what the others look at --------------------------------------

MANAGER = "mia@demo.example"


@pytest.fixture(scope="module")
def manager(site: Site) -> str:
    with site.database.owner() as conn:
        seed.user(conn, "demo", MANAGER, "Mia Vance", "manager")
    return MANAGER


def test_a_manager_changes_the_terms_and_sees_what_is_wrong_where_it_was_typed(
    visitor: Visitor, site: Site, manager: str
) -> None:
    with visitor(complains=True) as visit:
        visit.sign_in(manager)
        page = visit.go("/terms")
        page.get_by_label("Monday").fill("08:00-12:00, 13:00-17:00")
        page.get_by_label("Time zone").fill("Atlantis")
        page.get_by_label("Holidays and other days").fill("2026-12-25 Christmas Day")
        page.get_by_label("Why?").fill("We close for lunch")
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("alert").filter(has_text="Not kept")).to_be_visible()
        zone = page.get_by_label("Time zone")
        expect(zone).to_have_value("Atlantis")
        expect(zone).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#terms")).to_contain_text("IANA")
        zone.fill("Europe/Berlin")
        page.get_by_label("Reason 4").fill("Plant is closed")
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("status").filter(has_text="Kept")).to_be_visible()
        expect(page.locator(".page-head")).to_contain_text("Version 1, by Mia Vance")
        assert [text for text in visit.complaints if "422" not in text] == []
    kept = site.rows("SELECT terms FROM terms WHERE tenant = 'demo' AND version = 1")[0][0]
    assert kept["calendar"]["week"]["monday"] == ["08:00-12:00", "13:00-17:00"]
    assert kept["calendar"]["exceptions"] == [{"date": "2026-12-25", "hours": [], "name": "Christmas Day"}]
    assert kept["pause_reasons"][3] == {
        "id": "plant_is_closed", "label": "Plant is closed",
        "pauses": ["assignment", "response", "on_site", "resolution"],
    }  # fmt: skip
    site.change("DELETE FROM terms")


def test_others_read_the_terms_and_may_not_change_them(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/terms")
        expect(page.get_by_label("Time zone")).to_be_disabled()
        expect(page.get_by_role("button", name="Keep")).to_have_count(0)
        assert visit.refused("/terms", "version=0") == 403


def test_a_ticket_says_what_it_waits_for_and_who_said_so(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(site.ticket("pump-102"))
        page.get_by_text("Put on hold…").click()
        form = page.locator("details[open]")
        form.get_by_label("What does it wait for?").select_option(label="Waiting for parts")
        form.get_by_label("Why?").fill("The bearing comes on Thursday")
        page.get_by_role("button", name="Put on hold", exact=True).click()
        pauses = page.get_by_role("list", name="Pauses")
        expect(pauses).to_contain_text("Waiting for parts")
        expect(pauses).to_contain_text("The bearing comes on Thursday")
        expect(pauses).to_contain_text("Ada Okafor")
        page.get_by_role("button", name="Start diagnosis").click()
        expect(pauses).not_to_contain_text("so far")


def test_a_broken_promise_is_told_to_managers_wherever_they_are(visitor: Visitor, site: Site, manager: str) -> None:
    with visitor() as visit:
        visit.sign_in(manager)
        page = visit.go("/fleet")
        expect(page.locator("[data-link='live']")).to_be_visible()
        with site.database.owner() as conn:
            assert tickets.ring(conn, datetime.now(UTC) + timedelta(days=9)) > 0
        bar = page.locator("#escalation")
        expect(bar).to_be_visible()
        expect(bar).to_contain_text("overdue")
        bar.get_by_role("link").click()
        expect(page).to_have_url(re.compile("/tickets/"))
        expect(page.locator("#ticket-story")).to_contain_text("told dispatchers, managers, administrators")


def test_a_customer_is_added_a_machine_given_to_it_and_its_ticket_says_so(visitor: Visitor, site: Site) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/customers")
        page.get_by_text("Add a customer").click()
        form = page.locator("#customers details[open] form")
        for field, text in (("Number", "K-1007"), ("Name", "Riverside Dairy"), ("Contact", "Jo Novak, 030 901820")):
            form.get_by_label(field, exact=True).fill(text)
        form.get_by_label("Tier").select_option("vip")
        form.get_by_role("button", name="Add").click()
        expect(page.locator("#customers table")).to_contain_text("Riverside Dairy")
        page = visit.go("/machines/pump-102")
        file = page.locator("#machine-file")
        file.get_by_text("Change", exact=True).click()
        file.get_by_label("Customer").fill("K-nobody")
        file.get_by_label("Serial number").fill("NK-2231-0077")
        file.get_by_label("Criticality").select_option("A")
        file.get_by_role("button", name="Keep").click()
        expect(file).to_contain_text("there is no customer K-nobody")
        file.get_by_label("Customer").fill("K-1007")
        file.get_by_role("button", name="Keep").click()
        expect(file.locator("dl")).to_contain_text("Riverside Dairy")
        page = visit.go(site.ticket("pump-102"))
        expect(page.locator("#ticket-rest")).to_contain_text("Jo Novak, 030 901820")
        expect(page.locator("#ticket-rest")).to_contain_text("NK-2231-0077")
    with visitor() as visit:
        visit.sign_in("admin@demo.example")
        page = visit.go("/customers")
        row = page.locator("#customers tr", has_text="Riverside Dairy")
        row.get_by_role("link", name="Personal data").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Riverside Dairy")
        expect(page.locator("main")).to_contain_text("customers.contact")
        for size in (PHONE, DESK):
            _turned(page, size)
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert visit.violations_in_both() == []
