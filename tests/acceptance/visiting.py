"""People at browsers: where they go, what they see, what their browsers complain of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import seed
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from waiting import until

from api import live
from api.app import ApiSettings, create_app
from store.connection import Session

AXE = Path(__file__).parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
"""Finds what keeps people from using a page; `npm ci` in dashboard/ brings it."""
live.LOOK_AGAIN_S = 0.1  # a stop waits for it
PATIENCE_MS = 60_000  # a busy machine may take longer than the five seconds that are usual
expect.set_options(timeout=PATIENCE_MS)
# What is said where a machine is slow and nothing is wrong: a font that was fetched early is drawn late, a request is
# given up since a newer one takes its place.
SLOWNESS = ("was preloaded using link preload", "htmx:afterRequest", "htmx:sendAbort")
SECRET = "only for the tests, 32 characters and more"
DESK, PHONE = (1440, 900), (390, 844)


class Database(Protocol):
    """The suite's database, see `tests/conftest.py`."""

    @property
    def owner_url(self) -> str: ...

    def url(self, role: str) -> str: ...

    def owner(self) -> Session: ...


@dataclass(frozen=True)
class Site:
    """The pages, served. The seeded fleet ends at `now`."""

    url: str
    database: Database
    now: datetime
    cookies: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    """Of who has signed in, by login and password."""

    def rows(self, query: Any, *values: Any) -> list[Any]:
        """What the database holds, as its owner."""
        with self.database.owner() as conn:
            return conn.execute(query, values).fetchall()

    def change(self, query: Any, *values: Any) -> None:
        with self.database.owner() as conn:
            conn.execute(query, values)

    def ticket(self, device: str) -> str:
        """The address of a machine's newest ticket."""
        found = self.rows("SELECT id FROM tickets WHERE device = %s ORDER BY opened_at DESC LIMIT 1", device)
        return f"/tickets/{found[0][0]}"


@dataclass
class Visit:
    """A browser of one person. `complaints` are errors of scripts and of the content policy."""

    site: Site
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> Page:
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        ours = urlsplit(self.site.url).netloc
        page.on("request", lambda r: None if urlsplit(r.url).netloc == ours else self.strangers.append(r.url))
        return page

    def _note(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"} and not any(slow in said.text for slow in SLOWNESS):
            self.complaints.append(said.text)

    def refused(self, address: str, form: str = "") -> int:
        """What a script of the page is answered that posts where it may not: Chromium notes that, and we do not."""
        with self.page.expect_console_message(lambda said: "403" in said.text) as noted:
            status = self.page.evaluate(
                """([address, form]) => fetch(address, { method: "POST", headers: { "HX-Request": "true" },
                    body: new URLSearchParams(form) }).then((answer) => answer.status)""",
                [address, form],
            )
        self.complaints.remove(noted.value.text)
        return int(status)

    def violations(self, options: str = "{resultTypes: ['violations']}", within: str = "") -> list[str]:
        """What axe finds on the page, or `within` a part of it, and finds again: buttons are pale while they ask."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        where = f"'{within}'" if within else "document"
        for _ in range(4):
            found = self.page.evaluate(f"axe.run({where}, {options})")["violations"]
            if not found:
                break
            expect(self.page.locator(".htmx-request")).to_have_count(0)
        return [f"{one['id']}: {one['nodes'][0]['html'][:120]} ({len(one['nodes'])})" for one in found]

    def violations_in_both(self) -> list[str]:
        """What axe finds on the page as it is, and what its other colours make hard to read."""
        dark = self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        found = self.violations()
        self.page.emulate_media(color_scheme="light" if dark else "dark")
        found += [f"in the other colours: {one}" for one in self.violations("{runOnly: ['color-contrast']}")]
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        return found

    def go(self, address: str) -> Page:
        self.page.goto(self.site.url + address)
        return self.page

    def sign_in(self, login: str = seed.LOGIN, password: str = seed.PASSWORD) -> Page:
        """The fleet's page: by the form at first, and when what it gave holds no more; else by that."""
        if (login, password) in self.site.cookies:
            self.context.add_cookies(self.site.cookies[login, password])
            page = self.go("/fleet")
            if urlsplit(page.url).path == "/fleet":
                return page
        page = self.go("/login")
        page.fill("#login", login)
        page.fill("#password", password)
        page.click("button.main")
        page.wait_for_url("**/fleet")
        self.site.cookies[login, password] = self.context.cookies()
        return page


Visitor = Callable[..., AbstractContextManager[Visit]]


@contextmanager
def served(database: Database, now: datetime) -> Iterator[Site]:
    """The pages on a free port of the loopback."""
    app = create_app(ApiSettings(database.url("api"), SECRET, cookie_secure=False))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Site(f"http://127.0.0.1:{port}", database, now)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def visiting(
    browser: Browser, site: Site, size: tuple[int, int] = DESK, *, complains: bool = False, **options: Any
) -> Iterator[Visit]:
    """A browser of one person. At the end nothing may have complained, and nothing asked another host."""
    phone = size[0] < 600
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, has_touch=phone, is_mobile=phone, **options
    )
    visit = Visit(site, context, context.new_page())
    visit.listen(visit.page)
    try:
        yield visit
    finally:
        context.close()
    assert visit.strangers == []
    if not complains:
        assert visit.complaints == []
