"""Raw vibration on a machine's page: what was felt, and where it lies."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from shaking import Shaft, faulty
from visiting import PHONE, Site, Visitor

from detectors.vibration import named
from notify.vibration import Vibration
from store import machines, waveforms
from store.connection import connect
from telemetry import microseconds
from telemetry.waveform import Waveform

AXES = ("drive_end", "gearbox")
RAMP = np.linspace(-1.0, 1.0, 4000).astype("<f4")


@pytest.fixture
def vibrating(site: Site) -> str:
    """A machine whose two sensors have each sent two blocks: a hum at shaft speed, louder in the newer one. Each test
    has its own."""
    ((device,),) = site.rows(
        "SELECT device FROM devices d WHERE kind <> 'gearmotor' AND device <> 'pump-102'"
        " AND NOT EXISTS (SELECT FROM waveforms w WHERE w.device = d.device) ORDER BY device DESC LIMIT 1"
    )
    t = np.arange(12_800) / 12_800
    now_us = microseconds(site.now)
    blocks = [
        Waveform(
            "demo", device, axis, now_us - before_s * 1_000_000, 0, 12_800.0, 1500.0, "g", 1e-4, 0.0,
            np.rint(loud * np.sin(2 * np.pi * 25 * t)).astype("<i2"),
        )
        for axis in AXES
        for before_s, loud in ((120, 1000), (60, 4000))
    ]  # fmt: skip
    with connect(site.database.url("ingest"), "ingest") as conn, conn.transaction():
        waveforms.append(conn, blocks, now_us)
    return device


@pytest.mark.parametrize("size", [None, PHONE])
def test_the_newest_block_of_each_axis_is_drawn(visitor: Visitor, vibrating: str, size: tuple[int, int] | None) -> None:
    with visitor(*[size] * (size is not None)) as visit:
        visit.sign_in()
        page = visit.go(f"/machines/{vibrating}")
        figures = page.locator("[data-waveforms] figure")
        expect(figures).to_have_count(4)
        expect(figures.nth(0)).to_contain_text("Drive end, ")
        velocity_mm_s = 0.4 * 9806.65 / (2 * np.pi * 25) / 2**0.5
        expect(figures.nth(1)).to_contain_text(f"{velocity_mm_s:.1f} mm/s RMS")
        expect(figures.nth(1)).to_contain_text("1\u202f500 rpm")
        expect(figures.nth(1).locator(".plot")).to_have_attribute("aria-label", re.compile("most at 2[0-9.]+ Hz"))
        expect(figures.nth(0).locator(".plot")).to_have_attribute(
            "aria-label", re.compile("between \u22120.400 and 0.400 g")
        )
        expect(page.locator("[data-waveforms] .finding").nth(0)).to_contain_text(
            "Not said of this machine: its bearing"
        )
        for number in range(4):
            canvas = figures.nth(number).locator("canvas")
            expect(canvas).to_be_visible()
            box = canvas.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= page.viewport_size["width"]  # type: ignore[index]


def test_a_block_is_taken_for_healthy_and_no_longer(visitor: Visitor, vibrating: str) -> None:
    with visitor() as visit:
        visit.sign_in("owner@demo.example")
        page = visit.go(f"/machines/{vibrating}")
        expect(page.locator("[data-waveforms] .finding").first).to_be_visible()
        assert page.get_by_role("button", name="Take this block").count() == 0
    with visitor() as visit:
        visit.sign_in("ben@demo.example")
        page = visit.go(f"/machines/{vibrating}")
        section = page.locator("[data-waveforms]")
        section.get_by_role("button", name="Take this block for healthy").first.click()
        said = re.compile(r"was taken for healthy by ben@demo.example: this one is 0\.0 dB from it, no more than")
        expect(section).to_contain_text(said)
        expect(section.get_by_role("button", name="Take this block for healthy")).to_have_count(len(AXES) - 1)
        section.get_by_role("button", name="Compare with none").click()
        expect(section.get_by_role("button", name="Take this block for healthy")).to_have_count(len(AXES))


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everyone_can_use_it_and_a_unit_is_only_ever_a_unit(
    visitor: Visitor, site: Site, vibrating: str, colours: str
) -> None:
    sound = Waveform("demo", vibrating, "sound", microseconds(site.now), 0, 8000.0, None, "<b>1</b>", 1.0, 0.0, RAMP)
    with connect(site.database.url("ingest"), "ingest") as conn, conn.transaction():
        waveforms.append(conn, [sound], microseconds(site.now))
    with visitor(PHONE, color_scheme=colours) as visit:
        visit.sign_in()
        page = visit.go(f"/machines/{vibrating}")
        expect(page.locator("[data-waveforms] figure")).to_have_count(6)
        expect(page.locator("[data-waveforms] figure").nth(4)).to_contain_text("<b>1</b> peak to peak")
        assert page.locator("[data-waveforms] b").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert visit.violations(within="[data-waveforms]") == []


def test_a_machine_without_accelerometers_shows_nothing_of_them(visitor: Visitor) -> None:
    with visitor() as visit:
        visit.sign_in()
        with visit.page.expect_response(re.compile(r"/api/v1/devices/pump-102/waveforms")):
            page = visit.go("/machines/pump-102")
        expect(page.locator("[data-waveforms]")).to_be_hidden()
        assert page.locator("[data-waveforms][data-failed]").count() == 0


def test_a_fault_is_named_and_its_lines_are_marked(visitor: Visitor, site: Site, vibrating: str) -> None:
    shaft, now_us = Shaft(1480.0, 12_800.0, 1.5), microseconds(site.now)
    samples = np.rint(faulty("outer_race", shaft, named("6205")) / 0.0005).astype("<i2")
    blocks = [
        Waveform("demo", vibrating, "bearing", at_us, 0, 12_800.0, 1480.0, "g", 0.0005, 0.0, samples)
        for at_us in (now_us - 60_000_000, now_us)
    ]
    with connect(site.database.url("ingest"), "ingest") as conn, conn.transaction():
        waveforms.append(conn, blocks, now_us)
    with site.database.owner() as conn, conn.transaction():
        machines.set_machine(
            conn, vibrating, {"bearing": "SKF 6205", "group": 2, "support": "rigid"}, "ben@demo.example"
        )
    with connect(site.database.url("notify"), "notify") as conn:
        conn.autocommit = True
        judge = Vibration(site.database.url("notify"))
        while judge.judge(conn, site.now):  # so many at a time, and other tests have sent blocks
            pass
    with visitor() as visit:
        visit.sign_in()
        page = visit.go(f"/machines/{vibrating}")
        finding = page.locator("[data-waveforms] .finding").nth(0)
        expect(finding).to_contain_text("Bearing: outer race. Zone A")
        expect(finding).to_contain_text(re.compile("Last 2 blocks: 2 . zone A with outer race"))
        expect(finding).not_to_contain_text("Not said")
        proof = page.locator("[data-waveforms] figure", has_text="envelope of")
        expect(proof).to_have_count(1)
        expect(proof.locator(".plot")).to_have_attribute("aria-label", re.compile(r"\(BPFO\)"))
        expect(proof.locator("canvas")).to_be_visible()
