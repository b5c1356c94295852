"""A repair out of warranty, from diagnosis to the signature, on the pages of those who do it."""

from __future__ import annotations

from pathlib import Path

import pytest
import seed
from playwright.sync_api import Page, expect
from visiting import PHONE, Site, Visit, Visitor

AXE = Path(__file__).parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
ENGINEER, INSPECTOR = "ben@demo.example", "ines@demo.example"


@pytest.fixture(autouse=True, scope="module")
def inspector(site: Site) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", INSPECTOR, "Ines Roth", "inspector")
        conn.execute(
            "INSERT INTO device_files (device_id, tenant, warranty_until, criticality, changed_by)"
            " SELECT id, tenant, '2026-03-01', 'A', 'x' FROM devices WHERE device = 'pump-103'"
            " ON CONFLICT (device_id) DO UPDATE SET warranty_until = '2026-03-01', criticality = 'A'"
        )


def fill(page: Page, move: str, **fields: str) -> None:
    """Open the form of a move, fill it in by the names of its fields, and send it."""
    page.get_by_text(f"{move}…", exact=True).click()
    form = page.locator("details[open] form")
    for name, text in fields.items():
        field = form.locator(f'[name="{name.replace("__", ".")}"]')
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(text)
        else:
            field.fill(text)
    form.get_by_role("button", name=move).click()


def sign(page: Page, move: str, name: str) -> None:
    """Draw two strokes on the pad of a move's form, write the name, send it."""
    page.get_by_text(f"{move}…", exact=True).click()
    form = page.locator("details[open] form")
    form.locator('[name="signature.name"]').fill(name)
    pad = form.locator("[data-pad] canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    for begin in (0.1, 0.5):
        page.mouse.move(box["x"] + begin * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + (begin + 0.3) * box["width"], box["y"] + 0.8 * box["height"], steps=4)
        page.mouse.up()
    form.get_by_role("button", name=move).click()


def assert_good_document(visit: Visit, says: str) -> None:
    """A document with a drawn signature, which everyone can use and which fits the screen."""
    article = visit.page.locator("article")
    expect(article).to_contain_text(says)
    expect(article.locator("svg.signature polyline")).to_have_count(2)
    wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} px wider than the screen"
    visit.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [one["id"] for one in found] == []


def test_a_repair_goes_its_road_from_quote_to_signature_on_a_phone(visitor: Visitor, site: Site) -> None:
    address = site.ticket("pump-103")
    code = site.rows("SELECT code FROM tickets WHERE device = 'pump-103' AND fault = 'seal'")[0][0]
    site.change("UPDATE users SET role = 'engineer' WHERE login = %s", ENGINEER)
    with visitor(PHONE) as visit:
        visit.sign_in(ENGINEER)
        page = visit.go(address)
        head = page.locator("#ticket-head")
        page.get_by_role("button", name="Start diagnosis").click()
        expect(page.locator("#ticket-live")).to_contain_text("the warranty ended on 2026-03-01")
        fill(
            page,
            "Send a quote",
            diagnosis__located="Seal faces are scored, seen from outside",
            diagnosis__plan="Replace the shaft seal",
            diagnosis__hours="2,5",
            quote__amount="480,50",
            quote__covers="Shaft seal and two hours",
        )
        expect(head).to_contain_text("Awaiting approval")
        expect(page.locator("#ticket-papers")).to_contain_text("480.50 EUR")
        expect(page.locator("#ticket-live")).to_contain_text("only with the customer's answer to the quote")

        with visitor(PHONE) as customer:
            tracked = customer.go(f"/track/{code}")
            tracked.get_by_label("Your name").fill("A. Dairy")
            tracked.get_by_role("button", name="Accept").click()
            expect(tracked.get_by_role("status")).to_contain_text("Accepted")
            expect(tracked.get_by_role("button", name="Accept")).to_have_count(0)

        expect(page.locator("#ticket-papers")).to_contain_text("Accepted by A. Dairy")
        page.get_by_role("button", name="Arrived on site").click()
        page.get_by_role("button", name="Start repair").click()
        page.get_by_role("button", name="Start test").click()
        fill(
            page, "Test passed", test__note="An hour without a drop", test__values="flow 10.1 m3/h", verdict="confirmed"
        )
        expect(head).to_contain_text("Quality check")
        expect(page.locator("#ticket-papers")).to_contain_text("an inspector")
        expect(page.locator("#ticket-live")).to_contain_text("by somebody who did not work on it")

        site.change("""UPDATE ticket_papers SET body = body || '{"looks": ["own", "site"]}' WHERE paper = 'check'""")
        with visitor(PHONE) as other:
            other.sign_in(INSPECTOR)
            inspected = other.go(address)
            fill(inspected, "Hand over", inspection__note="Dry, runs quietly")
            expect(inspected.locator("#ticket-head")).to_contain_text("Handed over")

        expect(page.locator("#documents")).to_contain_text("SR-")
        sign(page, "Signed by the customer", "A. Dairy")
        expect(page.locator("#ticket-papers")).to_contain_text("Taken back by A. Dairy")
        page.locator("#documents").get_by_role("link", name="Service report").click()
        assert_good_document(visit, "Taken back by")
        page.get_by_role("link", name="Back to the ticket").click()
        with visitor(PHONE, color_scheme="dark") as customer:
            tracked = customer.go(f"/track/{code}")
            tracked.get_by_role("link", name="Service report", exact=True).click()
            assert_good_document(customer, "Taken back by")
            with tracked.expect_download() as pdf:
                tracked.get_by_role("link", name="PDF").click()
            assert pdf.value.suggested_filename.startswith("SR-")
        page.get_by_role("button", name="Close").click()
        expect(head).to_contain_text("Closed")
