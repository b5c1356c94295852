"""Pictures of the pages of a running stack, for the documentation and for looking at.

    BELLWETHER_PASSWORD=… python docs/screenshots.py http://127.0.0.1:8080 --login ada@demo.example

writes `docs/images/*.png`: the fleet, a machine and a ticket on a desk. `--every` takes each page in both colours, on a
desk and on a phone. Ends with 1 where a page complains (a script fails, the content policy is violated) or is wider
than the screen.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from bellwether.stack import packages

SHOWN = ("fleet", "machine", "ticket")  # without --every
DESK, PHONE = (1440, 900), (390, 844)


@dataclass(frozen=True, slots=True)
class Look:
    """One way of looking: how large the screen is, which colours."""

    name: str
    size: tuple[int, int]
    colours: str


LOOKS = tuple(
    Look(f"{device}-{colours}", size, colours)
    for device, size in (("desk", DESK), ("phone", PHONE))
    for colours in ("light", "dark")
)


def main() -> int:
    """Take the pictures; returns how many complaints there were, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the stack answers: http://127.0.0.1:8080")
    parser.add_argument("--login", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--every", action="store_true", help="each page in both colours, on a desk and on a phone")
    options = parser.parse_args()
    password = os.environ.get("BELLWETHER_PASSWORD", "")
    options.out.mkdir(parents=True, exist_ok=True)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=packages.ensure_browser(print), args=packages.BROWSER_FLAGS
        )
        for look in LOOKS if options.every else LOOKS[:1]:
            taken = None if options.every else SHOWN
            for complaint in _look(browser, look, options.url, options.login, password, options.out, taken):
                complaints.append(f"{look.name}: {complaint}")
        browser.close()
    for complaint in complaints:
        print(complaint, file=sys.stderr)  # noqa: T201
    return 1 if complaints else 0


def _look(
    browser: Browser, look: Look, url: str, login: str, password: str, out: Path, taken: tuple[str, ...] | None
) -> Iterator[str]:
    """Take the pictures named in `taken`, all for None; gives what the pages complain of."""
    width, height = look.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if look.colours == "dark" else "light",
        has_touch=look.size == PHONE,
        is_mobile=look.size == PHONE,
        device_scale_factor=2 if look.size == PHONE else 1,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(urljoin(url, "/login"))
    if taken is None:
        _shoot(page, out / f"login-{look.name}.png")
    page.fill("#login", login)
    page.fill("#password", password)
    page.click("button.main")
    page.wait_for_url("**/fleet*")
    for name, address in _pages(page, url).items():
        if taken is not None and name not in taken:
            continue
        page.goto(urljoin(url, address))
        _settle(page)
        page.mouse.move(0, 0)
        _shoot(page, out / f"{name}-{look.name}.png", whole=taken is None and name != "error")
        page.set_viewport_size({"width": width, "height": height})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            yield f"{name} is {wide} px wider than the screen"
    # The page that is not there says so in the console: that one is asked for.
    yield from (text for text in said if "404" not in text)
    context.close()


def _pages(page: Page, url: str) -> dict[str, str]:
    """What to look at: the pages of the menu, those that they lead to, and the machine and ticket that stand first."""
    found = {"fleet": "/fleet?view=cards", "fleet-table": "/fleet?view=table"}
    for address in _linked(page):
        page.goto(urljoin(url, address))
        found |= {name.strip("/"): name for name in (address, *_linked(page)) if name != "/fleet"}
    found["rule"] = "/rules/limits"
    page.goto(urljoin(url, "/fleet?status=fault"))
    machine = page.locator("#fleet .name a").first
    if machine.count():
        found["machine"] = f"{machine.get_attribute('href')}"
    page.goto(urljoin(url, "/tickets"))
    ticket = page.locator("#tickets a.lead").first
    if ticket.count():
        found["ticket"] = f"{ticket.get_attribute('href')}"
        page.goto(urljoin(url, found["ticket"]))
        track = page.locator("a[href^='/track/']").first
        found["track"] = f"{track.get_attribute('href')}"
    return found | {"empty": "/fleet?q=nothing-of-this-name", "error": "/nothing/here"}


def _linked(page: Page) -> list[str]:
    """Addresses of one word that a page leads to."""
    links = [urlsplit(f"{link.get_attribute('href')}").path for link in page.locator("a[href^='/']").all()]
    return sorted({path for path in links if re.fullmatch("/[a-z-]+", path)})


def _settle(page: Page) -> None:
    """Wait until every chart is drawn and the fonts are there. A chart out of sight is not: the screen grows first."""
    page.evaluate("document.fonts.ready.then(() => true)")
    if page.locator("[data-charts]").count():
        width = page.evaluate("innerWidth")
        page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
        for chart in page.locator(".trace").all():
            chart.and_(page.locator("[data-bucket]:not([aria-busy])")).wait_for()


def _shoot(page: Page, path: Path, *, whole: bool = False) -> None:
    page.screenshot(path=path, full_page=whole)


if __name__ == "__main__":
    sys.exit(main())
