"""Alarms that are kept quiet, latched, or too many, on the pages."""

from __future__ import annotations

import pytest
import seed
from playwright.sync_api import expect
from visiting import DESK, PHONE, Site, Visitor

MACHINE = "pump-102"
MANAGER = "max@demo.example"


@pytest.fixture(autouse=True, scope="module")
def manager(site: Site) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", MANAGER, "Max", "manager")


def states(site: Site, device: str = MACHINE) -> set[str]:
    return {state for (state,) in site.rows("SELECT state FROM alarms WHERE device = %s AND active", device)}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_work_is_planned_and_its_alarms_are_quiet(site: Site, visitor: Visitor, size: tuple[int, int]) -> None:
    before = states(site)
    with visitor(size=size) as visit:
        visit.sign_in()
        page = visit.go("/alarms")
        page.get_by_role("link", name="Maintenance and rules out of service").click()
        page.fill("#w-device", "pump-none")
        page.fill("#w-reason", "Bearing change")
        page.get_by_role("button", name="Plan").click()
        expect(page.get_by_role("alert")).to_contain_text("there is no device pump-none")
        expect(page.locator("#w-reason")).to_have_value("Bearing change")
        page.fill("#w-device", MACHINE)
        page.get_by_role("button", name="Plan").click()
        under_way = page.get_by_role("region", name="Under way and planned")
        line = under_way.locator("tr", has_text="Bearing change")
        expect(line).to_contain_text(MACHINE)
        assert states(site) == {"suppressed"}
        line.get_by_role("button", name="End now").click()
        expect(under_way).to_contain_text("No work is planned")
        assert "suppressed" not in states(site)
        assert visit.complaints == []
    site.change("UPDATE alarms SET state = %s WHERE device = %s AND active", min(before), MACHINE)


def test_a_rule_is_taken_out_on_its_alarm_and_returned(site: Site, visitor: Visitor) -> None:
    ((alarm, rule),) = site.rows("SELECT id, rule FROM alarms WHERE device = %s AND active LIMIT 1", MACHINE)
    with visitor() as visit:
        visit.sign_in(MANAGER)
        page = visit.go(f"/alarms/{alarm}")
        page.get_by_text("Take out of service").first.click()
        page.fill("#oos-reason", "The sensor is at its maker's")
        page.get_by_role("button", name="Take out of service").click()
        line = page.locator("#maintenance tr", has_text=rule)
        expect(line).to_contain_text("The sensor is at its maker's")
        page = visit.go(f"/alarms/{alarm}")
        expect(page.locator(".notice")).to_contain_text("It bothers nobody: The sensor is at its maker's")
        page = visit.go("/maintenance")
        page.get_by_role("button", name="Return to service").click()
        expect(page.locator("#maintenance")).to_contain_text("Every rule watches")
        assert states(site) == {"unacknowledged"}
        assert visit.complaints == []


def test_a_latch_is_acknowledged_and_reset(site: Site, visitor: Visitor) -> None:
    ((alarm,),) = site.rows(
        "UPDATE alarms SET state = 'latched_unacknowledged', latch = true, active = false, returned_at = now()"
        " WHERE id = (SELECT id FROM alarms WHERE device = %s AND active LIMIT 1) RETURNING id",
        MACHINE,
    )
    with visitor() as visit:
        visit.sign_in(MANAGER)
        page = visit.go("/alarms")
        line = page.locator(f"#alarm-{alarm}")
        line.get_by_role("button", name="Acknowledge").click()
        expect(line).to_contain_text("Latched until it is reset")
        line.get_by_role("button", name="Reset").click()
        expect(line).to_have_count(0)
        assert visit.complaints == []


def test_a_flood_is_shown_by_machine_and_the_rest_one_by_one(site: Site, visitor: Visitor) -> None:
    site.change(
        "INSERT INTO alarm_floods (tenant, site, since, began_at, most_alarms, first_out)"
        " SELECT 'demo', 'North quay', now(), now(), 34, a.id FROM alarms a JOIN devices d ON d.id = a.device_id"
        " WHERE d.site = 'North quay' AND a.active ORDER BY a.since LIMIT 1"
    )
    ((elsewhere,),) = site.rows(
        "SELECT count(*) FROM alarms a JOIN devices d ON d.id = a.device_id"
        " WHERE a.state <> 'normal' AND d.site <> 'North quay'"
    )
    with visitor() as visit:
        visit.sign_in()
        page = visit.go("/alarms")
        flood = page.get_by_role("region", name="Flood at North quay")
        expect(flood).to_contain_text("First out")
        expect(flood.locator("tbody tr", has_text="compressor-303")).to_contain_text("Nothing heard for 3 h")
        expect(page.locator("#alarms .alarm-list > li")).to_have_count(elsewhere)
        flood.get_by_role("link", name="one by one").click()
        expect(page.locator("#alarms .alarm-list > li").first).to_contain_text("North quay")
        expect(page.get_by_role("region", name="Flood at North quay")).to_have_count(0)
        page.select_option("#f-state", "stale")
        expect(page.locator("#alarms")).to_contain_text("No alarm matches")
    site.change("DELETE FROM alarm_floods")
