"""An administrator tells another system, and sees what could not be delivered."""

from __future__ import annotations

import seed
from playwright.sync_api import expect
from visiting import PHONE, Site, Visitor

ADMINISTRATOR = "ann@demo.example"


def test_a_webhook_is_added_tried_and_what_is_lost_is_sent_again(site: Site, visitor: Visitor) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", ADMINISTRATOR, "Ann", "administrator")
    with visitor(size=PHONE) as visit:
        visit.sign_in(ADMINISTRATOR)
        page = visit.go("/webhooks")
        page.fill("#h-url", "https://169.254.169.254/latest")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert").filter(has_text="Not kept")).to_contain_text("no public address")
        page.fill("#h-url", "https://cmms.example/hooks")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#new-key")).to_contain_text("whk_")
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#h-deliveries-all tbody tr")).to_contain_text("On its way")
        expect(page.locator("#new-key")).to_have_count(0)
        ((webhook,),) = site.rows("SELECT id FROM webhooks")
        site.change("UPDATE webhook_deliveries SET state = 'undeliverable', ended_at = now(), error = 'answered 500'")
        expect(page.locator("#h-deliveries-all tbody tr")).to_contain_text("Undeliverable")
        page = visit.go("/webhooks")
        expect(page.locator(f"#w-{webhook}")).to_contain_text("1 undeliverable")
        page.get_by_role("link", name="https://cmms.example/hooks").click()
        page.get_by_role("button", name="Send 1 undeliverable again").click()
        expect(page.locator("#h-deliveries-all tbody tr")).to_have_count(2)
        expect(page.locator("#h-deliveries-all tbody tr").last).to_contain_text("sent again")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.get_by_text("Change", exact=True).click()
        page.get_by_role("button", name="Remove it").click()
        expect(page.locator("#webhooks")).to_contain_text("No system is told")
    with visitor() as visit:
        visit.sign_in()
        assert visit.refused("/webhooks", "url=https://cmms.example/") == 403
