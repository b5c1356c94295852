"""The table of who may do what is what the routes say."""

from __future__ import annotations

from pathlib import Path

from api.who_may import table

PAGE = Path(__file__).parents[2] / "docs" / "who-may.md"


def test_the_page_says_what_the_routes_say() -> None:
    """Where it does not: `python -m api.who_may > docs/who-may.md`."""
    assert PAGE.read_text() == table()
