"""The API of a module's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from serving import RunningApi, served

if TYPE_CHECKING:
    from serving import Database


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[RunningApi]:
    """An API on a database that the tests of a module share."""
    with served(module_database) as running:
        yield running


@pytest.fixture
def own_api(database: Database) -> Iterator[RunningApi]:
    """An API on a database of the test's own."""
    with served(database) as running:
        yield running
