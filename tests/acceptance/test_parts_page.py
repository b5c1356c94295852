"""Parts on their page and on a ticket's, as those see and use them who keep them and who put them in."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import seed
from playwright.sync_api import Page, expect
from visiting import DESK, PHONE, Site, Visitor

from store.connection import act_for, connect
from store.parts import catalogue, plans, reservations, shelves, transfers
from store.parts.ledger import Act
from tickets.parts.places import PlaceKind
from tickets.parts.tables import parts_of

NOW = datetime.now(UTC)
TABLE = """number,name,value,fits,serialised,shelf_days,low_at
seal-40,Shaft seal 40 mm,38.50,NK 80-200|NK 65-160,no,,4
bearing-6310,Bearing SKF 6310,112,NK 80-200,yes,,1
grease-400,Grease cartridge 400 g,9.80,,no,720,10
spider-38,Coupling spider 38,22.40,,no,,2
"""


@pytest.fixture(scope="module")
def stocked(site: Site) -> Site:
    """The seeded fleet, with depots, a van, parts, and somebody who keeps them."""
    with site.database.owner() as conn:
        seed.user(conn, "demo", "kit@demo.example", "Kit Stores", "depot")
    day = NOW.date()
    ticket = site.rows("SELECT id FROM tickets WHERE device = 'pump-102' ORDER BY opened_at DESC LIMIT 1")[0][0]
    with psycopg.connect(site.database.url("api")) as conn:
        act_for(conn, "demo")
        act = Act("demo", "kit@demo.example", NOW, "order 4711")
        catalogue.import_parts(conn, "demo", parts_of(TABLE), act.who)
        catalogue.open_depot(conn, "demo", "central", kind=PlaceKind.CENTRAL)
        catalogue.open_depot(conn, "demo", "riverside", kind=PlaceKind.CITY, region="Riverside works")
        catalogue.open_depot(conn, "demo", "van-ben", kind=PlaceKind.VAN, engineer="ben@demo.example")
        shelves.receive(conn, act, "seal-40", "central", quantity=6)
        shelves.receive(conn, act, "seal-40", "riverside", quantity=2)
        shelves.receive(conn, act, "bearing-6310", "riverside", serials=["B-2211", "B-2212"])
        shelves.receive(conn, act, "spider-38", "central", quantity=1)
        shelves.receive(conn, act, "grease-400", "riverside", quantity=5, lot="G7", expires_on=day + timedelta(20))
        past = Act("demo", act.who, NOW - timedelta(days=40), "order 4607")
        shelves.receive(conn, past, "grease-400", "central", quantity=3, lot="G1", expires_on=day - timedelta(2))
        transfers.send(conn, act, "central", "van-ben", [transfers.Load("seal-40", 2)])
        for part, quantity in (("bearing-6310", 1), ("spider-38", 3)):
            reservations.reserve(conn, "demo", ticket, part, quantity, who="ada@demo.example", now=NOW)
    with closing(connect(site.database.url("notify"), "notify")) as conn:
        plans.plan_due(conn, NOW)
    return site


def act_of(page: Page, name: str) -> None:
    page.locator("summary", has_text=name).click()


def test_who_keeps_parts_receives_counts_and_scraps_them(stocked: Site, visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in("kit@demo.example")
        page = visit.go("/parts")
        act_of(page, "Receive…")
        page.fill("#r-part", "grease-400")
        page.select_option("#r-place", "riverside")
        page.fill("#r-n", "12")
        page.click("form[hx-post='/parts/receive'] button")
        expect(page.locator("#parts [role=status]")).to_contain_text("12 of grease-400 came into riverside")
        act_of(page, "Count…")
        page.fill("#c-part", "seal-40")
        page.select_option("#c-place", "riverside")
        page.fill("#c-n", "1")
        page.fill("#c-note", "One was cracked")
        page.click("form[hx-post='/parts/count'] button")
        expect(page.locator("#parts [role=status]")).to_contain_text("The difference is written down")
        expect(page.locator("tr", has_text="One was cracked")).to_contain_text("Lost")
        page.click("section[aria-labelledby='h-expiring'] button")
        expect(page.locator("#parts [role=status]")).to_contain_text("3 of grease-400 were scrapped")
        page.click("section[aria-labelledby='h-way'] button")
        expect(page.locator("#parts [role=status]")).to_contain_text("It was received")
        expect(page.locator("section[aria-labelledby='h-lies'] tr", has_text="van-ben")).to_contain_text("2")
        act_of(page, "From a table…")
        page.set_input_files(
            "#t-file", {"name": "parts.csv", "mimeType": "text/csv", "buffer": b"number,name\nfuse-10,Fuse 10 A\n"}
        )
        page.click("form[hx-post='/parts/table'] button")
        expect(page.locator("#parts [role=status]")).to_contain_text("1 parts are new")
    rows = stocked.rows(
        "SELECT kind, quantity FROM part_moves WHERE tenant = 'demo' AND kind IN ('lost', 'scrapped') ORDER BY id"
    )
    assert rows == [("lost", 1), ("scrapped", 3)]


def test_what_the_ledger_refuses_is_said(stocked: Site, visitor: Visitor) -> None:
    with visitor(complains=True) as visit:
        visit.sign_in("kit@demo.example")
        page = visit.go("/parts")
        act_of(page, "Send…")
        page.fill("#s-part", "spider-38")
        page.select_option("#s-place", "central")
        page.select_option("#s-target", "riverside")
        page.fill("#s-n", "7")
        page.click("form[hx-post='/parts/send'] button")
        expect(page.locator("#trouble")).to_contain_text("spider-38 at central: 1 can be used")


def test_a_key_part_is_put_in_by_its_serial_number(stocked: Site, visitor: Visitor) -> None:
    with visitor(PHONE) as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go(stocked.ticket("pump-102"))
        parts = page.locator("#ticket-parts")
        expect(parts.locator("li", has_text="3 of spider-38")).to_contain_text("Waits")
        expect(parts.locator("li", has_text="1 of bearing-6310")).to_contain_text("Held at riverside")
        act_of(page, "Put in…")
        page.locator("#ticket-parts input[name=new]").fill("B-2211")
        page.locator("#ticket-parts input[name=old]").fill("B-0907")
        page.locator("#ticket-parts details[open] button").click()
        expect(parts).to_contain_text("B-2211 of bearing-6310 went in for B-0907")
        page.fill("#ask-part", "grease-400")
        page.fill("#ask-n", "2")
        page.locator("#ticket-parts form.body button").click()
        expect(parts.locator("li", has_text="2 of grease-400")).to_contain_text("Held at")
        expect(parts).to_contain_text("arrives within 48 h")
        parts.locator("li", has_text="3 of spider-38").locator("button", has_text="Not needed").click()
        expect(parts.locator("li", has_text="3 of spider-38")).to_contain_text("Not needed")


def test_an_owner_sees_no_parts(stocked: Site, visitor: Visitor) -> None:
    with visitor(complains=True) as visit:
        visit.sign_in("owner@demo.example")
        expect(visit.page.locator("nav a", has_text="Parts")).to_have_count(0)
        page = visit.go(stocked.ticket("pump-102"))
        expect(page.locator("#ticket-parts")).to_have_count(0)
        page.goto(stocked.url + "/parts")
        expect(page.locator("h1")).to_contain_text("not for your role")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_fits(stocked: Site, visitor: Visitor, size: tuple[int, int]) -> None:
    with visitor(size) as visit:
        visit.sign_in()
        page = visit.go("/parts")
        expect(page.locator("#h-lies")).to_be_visible()
        orders = page.locator("section[aria-labelledby='h-plans'] li", has_text="spider-38")
        expect(orders).to_contain_text("Order 5 of spider-38 to central")
        expect(orders).to_contain_text("-2 free or on their way, fewer than 2")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        for element in page.locator("nav.nav a").all():
            assert (element.bounding_box() or {"width": 0})["width"] > 40
