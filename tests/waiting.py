"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

T = TypeVar("T")

# Beside two other workers, on a machine that does something else, what takes a second has taken twenty. Too low: what
# comes late counts as what never comes. Too high: a test that fails takes that long.
PATIENCE_S = 60.0


def until(condition: Callable[[], T], within_s: float = PATIENCE_S, every_s: float = 0.02) -> T:
    """Ask until the answer is true; the answer. Fails after `within_s`, with the last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s; last answer: {answer!r}"
        time.sleep(every_s)
    return answer


def waits_for_lock(database_url: str) -> bool:
    """Whether a connection of this database waits for what another holds."""
    with psycopg.connect(database_url) as conn:
        query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return conn.execute(query).rowcount > 0
