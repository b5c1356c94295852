"""A fault reported from a phone, and what becomes of it on the pages of who repairs."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect
from visiting import PHONE, Visitor

IMAGES = Path(__file__).parents[2] / "docs/images"
PHOTO = (IMAGES / "ticket-desk-light.png").read_bytes()
AFTER = (IMAGES / "machine-desk-light.png").read_bytes()


def test_a_fault_is_reported_from_a_phone_and_its_photo_seen_by_who_repairs(visitor: Visitor) -> None:
    with visitor(PHONE) as visit:
        visit.sign_in()
        page = visit.go("/machines/pump-102")
        page.click("text=Report a fault")
        page.select_option("#r-symptom", "structure")
        page.fill("#r-words", "A bolt of the foot is gone.")
        files = [
            {"name": "foot.png", "mimeType": "image/png", "buffer": PHOTO},
            {"name": "foot.svg", "mimeType": "image/png", "buffer": b"<svg onload='alert(1)'/>"},
        ]
        page.set_input_files("#r-files", files)  # type: ignore[arg-type]
        page.click("#report button.main")
        expect(page.locator("#h-done")).to_have_text("Your report is with us")
        expect(page.locator("#ticket-intake [role=alert]")).to_contain_text("foot.svg: this file is none of")
        code = page.locator("#report .code").inner_text()
        page.fill("#i-error_code", "none")
        page.fill("#i-situation", "at full load")
        page.click("#ticket-intake .ask button.main")
        expect(page.locator("#ticket-intake")).to_contain_text("at full load")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        address = page.locator("#report a.lead").get_attribute("href")
        page = visit.go(f"/track/{code}")
        expect(page.locator("h1")).to_contain_text("something is loose")
        assert page.locator("input").count() == 0, "without an account nothing is sent"
    with visitor() as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go(address or "")
        image = page.locator("#ticket-intake .files img")
        image.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.files img').naturalWidth > 0")
        page.set_input_files("#i-files", {"name": "after.png", "mimeType": "image/png", "buffer": AFTER})
        page.select_option("#i-shows", "after")
        page.click(".add-files button")
        expect(page.locator("#ticket-intake .files li", has_text="after.png")).to_contain_text("after the repair")
        assert page.locator("#ticket-intake button", has_text="Take out").count() == 0
        expect(page.locator("#ticket-story")).to_contain_text("A bolt of the foot is gone.")
