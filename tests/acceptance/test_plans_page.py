"""Preventive plans on the pages: one is made, said to be wrong, changed and ended, at a desk and on a phone."""

from __future__ import annotations

from playwright.sync_api import expect
from visiting import PHONE, Site, Visitor

MACHINE = "pump-102"


def test_a_plan_is_made_seen_on_its_machine_and_ended(site: Site, visitor: Visitor) -> None:
    with visitor(size=PHONE) as visit:
        visit.sign_in()
        visit.go("/tickets").get_by_role("link", name="Plans", exact=True).click()
        page = visit.page
        page.fill("#p-name", "Grease the bearings")
        page.fill("#p-device", "pump-none")
        page.select_option("#p-when", "weeks")
        page.fill("#p-amount", "2")
        page.select_option("#p-procedure", "bearing.lubricate")
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("there is no machine of device pump-none")
        expect(page.locator("#p-amount")).to_have_value("2")
        page.fill("#p-device", MACHINE)
        page.get_by_role("button", name="Plan", exact=True).click()
        due = page.get_by_role("region", name="Falls due")
        expect(due.locator("tr", has_text="Grease the bearings").first).to_contain_text("every 2 weeks")
        expect(page.locator("#p-name")).to_have_value("")
        page.get_by_role("link", name="Change").click()
        expect(page.locator("#p-amount")).to_have_value("2")
        page.select_option("#p-when", "hours")
        page.fill("#p-amount", "500")
        page.get_by_role("button", name="Keep").click()
        unknown = page.get_by_role("region", name="Cannot be said yet")
        expect(unknown).to_contain_text(MACHINE)
        panel = visit.go(f"/machines/{MACHINE}").get_by_role("region", name="Plans")
        expect(panel).to_contain_text("Grease the bearings")
        page = visit.go("/plans")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="End").click()
        expect(page.get_by_role("region", name="Plans", exact=True)).to_contain_text("No plan yet")
