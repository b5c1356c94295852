"""The page of dispatch, as a dispatcher sees and uses it at a desk and on a phone."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import expect
from visiting import DESK, PHONE, Site, Visitor
from waiting import until

from notify.dispatch import Dispatch
from prognosis.faults import library
from store import engineers
from store.connection import act_for, connect
from tickets.calendar import WEEKDAYS

ALWAYS = {"zone": "Europe/Berlin", "week": {day: ["00:00-24:00"] for day in WEEKDAYS}, "exceptions": []}
FIELDS = {"remote": False, "latitude": 49.45, "longitude": 11.08, "speed_km_h": 60.0, "most": 20, "shifts": ALWAYS}


@pytest.fixture(scope="module")
def planned(site: Site) -> Site:
    """The seeded fleet, its sites placed and half of its tickets waiting, with two engineers and a plan."""
    site.change(
        "INSERT INTO users (tenant, login, name, role, password_hash)"
        " VALUES ('demo', 'kim@demo.example', 'Kim Vale', 'engineer', 'x') ON CONFLICT DO NOTHING"
    )
    site.change("UPDATE tickets SET state = 'triaged', assignee = '' WHERE state IN ('new', 'dispatched', 'accepted')")
    with psycopg.connect(site.database.url("api")) as conn:
        act_for(conn, "demo")
        for n, one in enumerate(engineers.sites(conn, limit=100)):
            engineers.keep_site(conn, "demo", one.site, 49.3 + 0.2 * n, 11.0, "ada@demo.example")
        engineers.create(conn, "demo", "ben@demo.example", {**FIELDS, "skills": ["mechanical"]}, "ada@demo.example")
        engineers.create(
            conn, "demo", "kim@demo.example", {**FIELDS, "skills": [], "latitude": 50.1}, "ada@demo.example"
        )
    with closing(connect(site.database.url("notify"), "test")) as conn:
        conn.autocommit = True
        Dispatch(site.database.url("notify"), library(), lambda *_: None).look(conn, datetime.now(UTC))
    return site


def test_a_dispatcher_sees_why_sends_whom_is_proposed_and_somebody_else(planned: Site, visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/tickets")
        page.click("a[href='/dispatch']")
        first = page.locator("#dispatch .items > li", has=page.locator("button", has_text="Send")).first
        expect(first).to_contain_text("sets off")
        expect(page.locator("#dispatch")).to_contain_text("second best:")
        for width, height in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": height})
            for address in ("/engineers", "/dispatch"):
                visit.go(address)
                assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (address, width)
        name = first.locator("form button.main.tight").inner_text().removeprefix("Send ")
        ticket = first.get_attribute("id")
        first.locator("form button.main.tight").click()
        expect(page.locator(f"#{ticket}")).to_have_count(0)
        expect(page.locator("section[aria-labelledby='h-decisions'] tbody tr").first).to_contain_text(name)
        page.locator("summary", has_text="Somebody else…").first.click()
        form = page.locator("details[open] form")
        form.locator("select").select_option(index=1)
        form.locator("textarea").fill("Knows the gate")
        form.locator("button").click()
        expect(page.locator("section[aria-labelledby='h-decisions'] tbody tr").first).to_contain_text("Knows the gate")
        page = visit.go("/engineers")
        row = page.locator("section[aria-labelledby='h-sites'] tbody tr").first
        row.locator("input[name=latitude]").fill("48.137")
        row.locator("button").click()
        until(lambda: planned.rows("SELECT FROM sites WHERE latitude = 48.137"))
        expect(row.locator("input[name=latitude]")).to_have_value("48.137")
        page = visit.go("/engineers")
        change = page.locator("section[aria-labelledby='h-engineers'] li", has_text="kim@demo.example")
        change.locator("summary").click()
        change.locator("input[name=longitude]").fill("")
        change.get_by_role("button", name="Keep", exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="Not kept")).to_have_text(
            "Not kept: a place has a latitude and a longitude"
        )
