"""A repair out of warranty, from diagnosis to the signature, on the pages of those who do it; and what follows."""

from __future__ import annotations

import hashlib
import itertools
import json
import re

import numpy as np
import pytest
import seed
from playwright.sync_api import Page, expect
from psycopg.types.json import Jsonb
from visiting import PHONE, Site, Visit, Visitor

from prognosis.after_repair import compare
from prognosis.running import ROW_US, Point, Table
from store.repairs.rounds import told
from tickets.quality import commitment, drawn
from tickets.surveys import link_hash, new_link

SAID = {"reached": 2, "time": 1, "told": 2, "people": 4, "result": 3, "recommend": 4}
MANAGER = "mara@demo.example"
ENGINEER, INSPECTOR = "ben@demo.example", "ines@demo.example"
STEPS = (
    {"do": "Switch off and lock it.", "warn": "Hot water stands in the casing."},
    {"do": "Press the seal in.", "replaces": "shaft seal"},
    {"do": "Collect what drips.", "measure": "drip", "unit": "ml/h", "high": 1},
)


@pytest.fixture(autouse=True, scope="module")
def inspector(site: Site) -> None:
    with site.database.owner() as conn:
        seed.user(conn, "demo", INSPECTOR, "Ines Roth", "inspector")
        conn.execute(
            "INSERT INTO device_files (device_id, tenant, warranty_until, criticality, changed_by)"
            " SELECT id, tenant, '2026-03-01', 'A', 'x' FROM devices WHERE device = 'pump-103'"
            " ON CONFLICT (device_id) DO UPDATE SET warranty_until = '2026-03-01', criticality = 'A'"
        )
        conn.execute(
            "INSERT INTO procedures (tenant, kind, fault, model, version, name, steps, reason, changed_at, changed_by)"
            " VALUES ('demo', 'repair', '', 'NK 65-160', 1, 'Shaft seal of the NK 65', %s, 'new', now(), 'x')"
            " ON CONFLICT DO NOTHING",
            [json.dumps(STEPS)],
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
    assert_everyone_can_use(visit)


def assert_everyone_can_use(visit: Visit) -> None:
    """It fits the screen, and a rule of accessibility that a program can see is not broken."""
    wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} px wider than the screen"
    assert visit.violations_in_both() == []


def work_by_its_steps(visit: Visit, site: Site, address: str) -> None:
    """Tick a work order off; what is typed stays while news come, and nothing is checked with a step left."""
    page = visit.page
    expect(page.locator("#ticket-steps header")).to_contain_text("0 of 3 steps")
    lock, seal, drip = (page.locator(".work-step").filter(has_text=step["do"]) for step in STEPS)
    lock.get_by_role("button", name="Done").click()
    expect(lock).to_have_class(re.compile("is-done"))
    drip.get_by_label("Drip").fill("1,4")
    seal.get_by_label("that goes in").fill("S-41")
    seal.get_by_label("that comes out").fill("S-07")
    ticket = address.rsplit("/", 1)[1]
    site.change(
        "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, note)"
        " VALUES (%s, 'demo', now(), 'comment', 'x', 'The lid is heavy')",
        ticket,
    )
    expect(page.locator("#ticket-story")).to_contain_text("The lid is heavy")
    expect(drip.get_by_label("Drip")).to_have_value("1,4")
    seal.get_by_role("button", name="Done").click()
    expect(seal).to_contain_text("S-41 went in for S-07")
    expect(drip.get_by_label("Drip")).to_have_value("1,4")
    page.get_by_role("button", name="Start test").click()
    expect(page.locator("#ticket-live")).to_contain_text("its steps: 1 of 3 is neither done nor left out")
    assert_everyone_can_use(visit)
    drip.get_by_role("button", name="Done").click()
    expect(drip).to_contain_text("outside: above 1")
    fill(page, "Test failed", test__note="It drips after ten minutes", test__values="drip 4 ml/h")
    expect(page.locator("#ticket-head")).to_contain_text("Repairing")
    expect(page.locator("#ticket-papers")).to_contain_text("Not passed: It drips after ten minutes")
    page.get_by_role("button", name="Start test").click()


def alert(site: Site) -> None:
    """An alarm is raised and joins the ticket of the seal."""
    with site.database.owner() as conn, conn.transaction():
        conn.execute(
            "WITH raised AS ("
            " INSERT INTO alarms (id, tenant, device_id, device, point, rule, detector, fault, severity, state, active,"
            " since, raised_at, score, message, evidence)"
            " SELECT gen_random_uuid(), tenant, id, device, 'flow', 'leak', 'shift', 'seal', 'high', 'unacknowledged',"
            " true, now(), now(), 2.0, 'Flow 3.9 m3/h, expected 5.0', '{}' FROM devices WHERE device = 'pump-103'"
            " RETURNING id, tenant, device_id)"
            " INSERT INTO ticket_alarms (ticket_id, alarm_id, tenant)"
            " SELECT t.id, raised.id, raised.tenant FROM raised"
            " JOIN tickets t ON t.device_id = raised.device_id AND t.fault = 'seal'"
        )
        conn.execute(
            "INSERT INTO alarm_events (event_id, occurrence_id, tenant, at, kind, state, severity, score, who)"
            " SELECT gen_random_uuid(), id, tenant, now(), 'raised', state, severity, score, 'bellwether' FROM alarms"
            " WHERE rule = 'leak'"
        )


def accept_from_the_alert(visit: Visit, site: Site) -> Page:
    """Who is looking at the alarms sees one come, goes to its ticket, and takes it."""
    visit.sign_in(ENGINEER)
    page = visit.go("/alarms")
    expect(page.locator("[data-link='live']")).to_be_attached()
    alert(site)
    page.locator(".alarm-list > li", has_text="Flow 3.9 m3/h").get_by_role("link", name="ticket").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#ticket-head")).to_contain_text("Accepted")
    return page


def test_an_engineers_day_from_the_alert_to_the_signature_on_a_phone(visitor: Visitor, site: Site) -> None:
    address = site.ticket("pump-103")
    code = site.rows("SELECT code FROM tickets WHERE device = 'pump-103' AND fault = 'seal'")[0][0]
    site.change("UPDATE users SET role = 'engineer' WHERE login = %s", ENGINEER)
    site.change("UPDATE tickets SET state = 'dispatched' WHERE device = 'pump-103' AND fault = 'seal'")
    with visitor(PHONE) as visit:
        page = accept_from_the_alert(visit, site)
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
        work_by_its_steps(visit, site, address)
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


def test_who_answers_badly_on_a_phone_is_called_back_by_the_desk(site: Site, visitor: Visitor) -> None:
    link = new_link()
    with site.database.owner() as conn:
        seed.user(conn, "demo", MANAGER, "Mara Voss", "manager")
        conn.execute(
            "INSERT INTO surveys (tenant, ticket_id, turn, terms, made_at, due_at, expires_at, link_hash, to_call)"
            " SELECT tenant, id, 0, 0, now(), now(), now() + interval '1 day', %s, 'vip' FROM tickets"
            " WHERE tenant = 'demo' AND device = 'pump-102' ORDER BY opened_at DESC LIMIT 1",
            [link_hash(link)],
        )
    with visitor(PHONE) as customer:
        page = customer.go(f"/survey/{link}")
        for name, number in SAID.items():
            page.locator(f'input[name="a.{name}"][value="{number}"]').check()
        page.get_by_label("What should we have done better?").fill("You came two days late")
        assert customer.violations() == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("status")).to_contain_text("Thank you")
    with visitor(PHONE, color_scheme="dark") as visit:
        visit.sign_in(MANAGER)
        page = visit.go("/follow-up")
        second = page.locator("section", has=page.locator("#h-second"))
        expect(second).to_contain_text("You came two days late")
        assert visit.violations() == []
        second.get_by_text("Called…", exact=True).click()
        second.get_by_label("Was somebody there?").select_option("true")
        second.get_by_role("button", name="Write down").click()
        second.get_by_text("Close…", exact=True).click()
        second.get_by_label("Why were they not satisfied?").fill("Moved twice without a word")
        second.get_by_label("What became of it?").fill("Apologised")
        second.get_by_role("button", name="Close").click()
        expect(second).to_contain_text("Nobody waits for a second handling")
        expect(visit.go(site.ticket("pump-102")).locator("#ticket-follow-up")).to_contain_text("Apologised")
        page = visit.go("/corrective-actions")
        expect(page.locator("[data-link='live']")).to_be_attached()
        site.change(
            "INSERT INTO corrective_actions (tenant, kind, fault, problem, state, made_at, made_by, closed_at,"
            " changed_at, changed_by)"
            " SELECT 'demo', 'fault', 'seal', 'The seal again', 'dismissed', at, 'x', at, at, 'x' FROM now() at"
        )
        expect(page.locator("#corrective-actions")).to_contain_text("The seal again")
        page.fill("#p-problem", "Visits are moved without a word")
        page.get_by_role("button", name="Write down").click()
        page.get_by_text("Decide…", exact=True).click()
        page.get_by_label("Root cause").fill("Nobody tells the desk")
        page.get_by_label("What is done?").fill("The desk calls before it moves a visit")
        page.get_by_label("Who sees to it?").select_option(MANAGER)
        page.get_by_label("Until").fill("2020-01-31")
        page.get_by_role("button", name="Decide").click()
        expect(page.locator("#corrective-actions")).to_contain_text("Overdue")
        assert visit.violations() == []
        page = visit.go("/month")
        expect(page.locator("#month")).to_contain_text("Visits are moved without a word")
        assert visit.violations() == []
        page = visit.go("/month?month=2024-05")
        page.get_by_label("What is to be said of it?").fill("Nothing happened")
        page.get_by_role("button", name="Sign", exact=True).click()
        expect(page.locator("main")).to_contain_text("Signed by Mara Voss")


def unwell(site: Site) -> str:
    """A ticket that waits to be handed over, whose machine is compared as `notify` does it; its address."""
    at = np.arange(480)
    level = np.array([2.0, 71.0]) * (1.0 + 0.01 * np.sin(at / 40.0)[:, None])
    level[432:, 0] *= 1.9
    points = [Point("vibration_velocity", "vibration_velocity", "mm/s"), Point("motor_current", "current", "A")]
    table = Table(points, at * ROW_US, level, 0.02 * level)
    finding = compare(table, at < 432, (at >= 432) & (at < 444), at >= 444, wanted_rows=24)
    baseline = {"from": site.now.isoformat(), "to": site.now.isoformat(), "hours": 72.0}
    shown = {"points": [one.to_json() for one in finding.points], "compared": 2, "off": len(finding.off)}
    beside = {"wanted_h": 4.0, "baseline": baseline, "health": {"before": 41.0, "now": 44.5}, "alarms": 1}
    ((ticket,),) = site.rows(
        "INSERT INTO tickets (tenant, code, device_id, device, fault, source, title, description, state, priority,"
        " level, since, opened_at, updated_at, verdict, evidence, leading_point)"
        " SELECT tenant, 'AFTERREPAIRAFTER', id, device, 'shakes', 'person', 'It shakes', '', 'quality_check', 'high',"
        " 'major', now(), now(), now(), 'confirmed', '{}', '' FROM devices"
        " WHERE tenant = 'demo' AND device = 'pump-102' RETURNING id"
    )
    site.change(
        "INSERT INTO repair_checks (ticket_id, device_id, tenant, turn, stage, begins_at, settled_at, outcome, reason,"
        " ran_h, found) SELECT id, device_id, tenant, 0, 'test', now(), now(), %s, %s, 6.0, %s FROM tickets"
        " WHERE id = %s",
        *(finding.outcome, told(finding), Jsonb(shown | beside), ticket),
    )
    return f"/tickets/{ticket}"


def test_an_inspector_sees_what_is_off_after_a_repair_and_says_why_it_is_handed_over(
    visitor: Visitor, site: Site
) -> None:
    address = unwell(site)
    with visitor(PHONE) as visit:
        visit.sign_in(INSPECTOR)
        page = visit.go(address)
        section = page.locator("#ticket-after-repair")
        expect(section).to_contain_text("Not well")
        expect(section.locator(".strips li")).to_have_count(2)
        expect(section.locator(".strips li.tone-high")).to_have_count(1)
        assert visit.violations(within="#ticket-after-repair") == []
        fill(page, "Hand over", inspection__nevertheless="The new foot is stiffer")
        expect(page.locator("#ticket-head")).to_contain_text("Handed over")
        expect(page.locator("#ticket-papers")).to_contain_text("The new foot is stiffer")
        expect(section).to_contain_text("Not known yet")


def sampled(site: Site) -> str:
    """Two repairs of a month that is over, of which one was drawn and inspected; the seed in hex."""
    tickets = [row[0] for row in site.rows("SELECT id FROM tickets WHERE tenant = 'demo' ORDER BY opened_at LIMIT 2")]
    seeds = (hashlib.sha256(str(n).encode()).digest() for n in itertools.count())
    seed = next(one for one in seeds if [drawn(one, ticket, 0, 0.5) for ticket in tickets] == [True, False])
    site.change(
        "INSERT INTO quality_seeds (tenant, month, seed, commitment) VALUES ('demo', '2024-02-01', %s, %s)",
        seed,
        commitment(seed),
    )
    for ticket, looks in zip(tickets, (["own", "sample"], ["own"]), strict=True):
        site.change(
            "INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body)"
            " VALUES (%s, 'demo', 0, 'check', '2024-02-07', 'bellwether', %s)",
            ticket,
            Jsonb({"looks": looks, "month": "2024-02-01", "share": 0.5}),
        )
    site.change(
        "INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body)"
        " VALUES (%s, 'demo', 0, 'inspection', '2024-02-08', %s, '{\"passed\": false}')",
        tickets[0],
        INSPECTOR,
    )
    return seed.hex()


def test_an_inspector_sees_what_waits_and_draws_a_month_again(visitor: Visitor, site: Site) -> None:
    seed = sampled(site)
    site.change("UPDATE tickets SET state = 'quality_check', held_from = NULL WHERE device = 'pump-104'")
    site.change(
        "INSERT INTO ticket_papers (ticket_id, tenant, turn, paper, at, who, body)"
        " SELECT id, tenant, turn, 'check', now(), 'x', %s FROM tickets WHERE device = 'pump-104'",
        Jsonb({"looks": ["own", "site"]}),
    )
    with visitor(PHONE) as visit:
        visit.sign_in(INSPECTOR)
        page = visit.go("/tickets")
        page.get_by_role("link", name="Inspections").click()
        expect(page.get_by_role("region", name="Wait for an inspection")).to_contain_text("Discharge pressure")
        page = visit.go("/inspections?month=2024-02")
        expect(page.get_by_role("region", name="Months")).to_contain_text(seed)
        draws = page.get_by_role("region", name="Draws of February 2024")
        expect(draws).to_contain_text("every draw comes out as it did")
        expect(draws.locator("tbody tr").first).to_contain_text("Drawn")
        expect(draws.locator("tbody tr").first).to_contain_text("Failed Ines Roth")
        assert_everyone_can_use(visit)
        site.change("UPDATE ticket_papers SET body = body || '{\"looks\": [\"own\"]}' WHERE at = '2024-02-07'")
        page.reload()
        expect(draws.get_by_role("alert")).to_contain_text("1 of these come out otherwise")
