"""A procedure of one's own is written from the library's with a picture, worked by on a phone, and taken back."""

from __future__ import annotations

import struct
import zlib

import pytest
import seed
from playwright.sync_api import Page, expect
from visiting import PHONE, Site, Visitor

MANAGER, ENGINEER = "mara@demo.example", "ben@demo.example"
DRAWN = "el => el.complete && el.naturalWidth"


def png(width: int = 320, height: int = 200) -> bytes:
    """A grey picture."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + b"\x90" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(autouse=True, scope="module")
def people(site: Site) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", MANAGER, "Mara Voss", "manager")
    site.change("UPDATE users SET role = 'engineer' WHERE login = %s", ENGINEER)
    site.change("UPDATE tickets SET state = 'repairing', assignee = %s WHERE device = 'pump-103'", ENGINEER)


def write_from_the_library(page: Page) -> None:
    page.get_by_role("link", name="Replace a rolling bearing").click()
    expect(page.locator(".work-step").first).to_contain_text("Stored energy")
    page.get_by_role("link", name="Write your own from it").click()
    page.get_by_label("Name").fill("Bearing of the NK 65")
    page.get_by_label("Model").fill("NK 65-160")
    page.get_by_role("button", name="Add a step").click()
    last = page.locator("#s9")
    last.get_by_label("What is done").fill("Fit the cap as it is shown.")
    last.get_by_text("Warning, picture").click()
    last.get_by_label("What is measured").fill("gap")
    last.get_by_label("At most").fill("0,3")
    last.get_by_label("Picture").set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"<svg/>"})
    page.get_by_label("Why is it written").fill("The cap is ours")
    page.get_by_role("button", name="Keep version 1").click()
    expect(page.get_by_role("alert").filter(has_text="Not kept")).to_contain_text("the picture of step 9")
    last.get_by_label("Picture").set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": png()})
    page.get_by_role("button", name="Step 9 up").click()
    expect(page.locator("#s8").get_by_label("What is done")).to_have_value("Fit the cap as it is shown.")
    expect(page.locator("#s8").get_by_role("img")).to_be_visible()
    page.locator("#s8").get_by_label("At most").fill("x")
    page.get_by_role("button", name="Keep version 1").click()
    expect(page.get_by_role("alert").filter(has_text="Not kept")).to_contain_text("step 8, high")
    page.locator("#s8").get_by_label("At most").fill("0,3")


def test_a_procedure_is_written_worked_by_with_its_picture_and_taken_back(site: Site, visitor: Visitor) -> None:
    with visitor(size=PHONE) as visit:
        visit.sign_in(MANAGER)
        page = visit.go("/procedures")
        expect(page.get_by_role("region", name="Your own")).to_contain_text("None yet")
        assert visit.violations_in_both() == []
        write_from_the_library(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert visit.violations_in_both() == []
        page.get_by_role("button", name="Keep version 1").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Bearing of the NK 65")
        expect(page).to_have_url(f"{site.url}/procedures/own?kind=repair&fault=bearing_wear&model=NK+65-160")
        step = page.locator(".work-step").nth(7)
        expect(step).to_contain_text("Measured: gap, at most 0.3")
        assert step.get_by_role("img", name="Picture: Fit the cap").evaluate(DRAWN) == 320
        assert visit.violations_in_both() == []

        with visitor(size=PHONE, color_scheme="dark") as other:
            other.sign_in(ENGINEER)
            work = other.go(site.ticket("pump-103"))
            work.get_by_text("Choose a procedure…").click()
            work.get_by_label("Procedure", exact=True).select_option("Bearing of the NK 65 (your own)")
            work.locator("#procedure-why").fill("It is the bearing")
            work.get_by_role("button", name="Work by it").click()
            step = work.locator("#ticket-steps .work-step").nth(7)
            expect(step).to_contain_text("Fit the cap")
            step.scroll_into_view_if_needed()
            expect(step.get_by_role("img", name="Picture: Fit the cap")).to_be_visible()
            assert work.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert other.violations(within="#ticket-steps") == []
            work.get_by_role("link", name="Your own procedure, version 1").click()
            expect(work.get_by_role("heading", level=1)).to_have_text("Bearing of the NK 65")
            expect(work.get_by_text("Take back…")).to_have_count(0)
            assert other.refused("/procedures/retire", "kind=repair&version=1&reason=x") == 403

        page.get_by_role("link", name="Change", exact=True).click()
        page.locator("#s8").get_by_role("button", name="No picture").click()
        expect(page.locator("#s8").get_by_role("img")).to_have_count(0)
        page.get_by_label("Why is it changed").fill("It is plain by now")
        page.get_by_role("button", name="Keep version 2").click()
        expect(page.get_by_role("region", name="Versions").locator("li")).to_have_count(2)
        page.get_by_role("link", name="Version 1").click()
        expect(page.locator("#procedure")).to_contain_text("This is version 1")
        expect(page.locator(".work-step").nth(7).get_by_role("img")).to_be_visible()
        page.get_by_text("Take back…").click()
        page.get_by_label("Why?").fill("The library's is as good")
        page.get_by_role("button", name="Take back").click()
        expect(page.locator("#procedure")).to_contain_text("Taken back by Mara Voss")
        page = visit.go("/procedures")
        expect(page.get_by_role("region", name="Taken back")).to_contain_text("The library's is as good")
        kept = visit.go(site.ticket("pump-103")).locator("#ticket-steps .work-step").nth(7).get_by_role("img")
        expect(kept).to_be_attached()
