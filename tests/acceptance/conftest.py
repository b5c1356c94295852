"""A seeded fleet, the pages that show it, and browsers to look at them with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
import seed
from playwright.sync_api import Browser, sync_playwright
from visiting import served, visiting

from bellwether.stack import packages

if TYPE_CHECKING:
    from visiting import Database, Site, Visitor


@pytest.fixture(scope="module")
def site(module_database: Database) -> Iterator[Site]:
    """The seeded fleet of tenant `demo`, and one user of tenant `other`, which has none."""
    now = datetime.now(UTC)
    seed.seed(module_database.owner_url, "demo", now)
    with module_database.owner() as conn:
        seed.user(conn, "other", "eve@other.example", "Eve", "dispatcher")
    with served(module_database, now) as site:
        yield site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = packages.ensure_browser(print)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=packages.BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(site: Site, browser: Browser) -> Visitor:
    """Opens browsers of people: `with visitor() as visit`."""
    return partial(visiting, browser, site)
