"""A manager makes a rota and a chain, somebody gives a channel, and what reached nobody is seen."""

from __future__ import annotations

import seed
from playwright.sync_api import expect
from visiting import PHONE, Site, Visitor

MANAGER = "mo@demo.example"


def test_who_is_on_call_where_they_are_reached_and_what_reached_nobody(site: Site, visitor: Visitor) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", MANAGER, "Mo", "manager")
    with visitor(size=PHONE) as visit:
        visit.sign_in(MANAGER)
        page = visit.go("/channels")
        page.fill("#c-name", "My phone")
        page.fill("#c-url", "file:///etc/passwd")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert").filter(has_text="Not kept")).to_contain_text("of a kind that may be sent to")
        page.fill("#c-name", "My phone")
        page.fill("#c-url", "jsons://phone.example/a-secret")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#channels")).to_contain_text("JSON over HTTP at phone.example")
        expect(page.locator("#channels")).not_to_contain_text("a-secret")
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#told")).to_contain_text("Bellwether: a test")
        page.fill("#w-from", "22:00")
        page.fill("#w-to", "07:00")
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("status").filter(has_text="Kept.")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert visit.violations_in_both() == []

        page = visit.go("/on-call")
        expect(page.get_by_role("heading", name="Now:")).to_contain_text("nobody")
        page.fill("#l-new-name", "Weeks")
        page.fill("#l-new-members", MANAGER)
        page.fill("#l-new-starts", "2026-01-05")
        page.get_by_role("button", name="Keep the rota").click()
        expect(page.get_by_role("heading", name="Now:")).to_contain_text("Mo")
        page.get_by_text("Change the chain", exact=True).click()
        page.select_option("#k-4-whom", f"person {MANAGER}")
        page.get_by_role("button", name="Keep the chain").click()
        expect(page.locator("#on-call ol li")).to_have_count(5)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert visit.violations_in_both() == []

        site.change(
            "UPDATE messages SET state = 'undeliverable', ended_at = now(), error = 'answered 500' WHERE login = %s",
            MANAGER,
        )
        page = visit.go("/messages")
        expect(page.get_by_role("alert").filter(has_text="reached nobody")).to_be_visible()
        expect(page.locator("#messages tbody")).to_contain_text("answered 500")
        page.get_by_role("button", name="I have seen that").click()
        expect(page.locator("#messages tbody")).to_contain_text("seen by Mo")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert visit.violations_in_both() == []
