"""The servers of the suite: one real TimescaleDB for the session, one real Mosquitto for each test that asks.

`$TEST_DSN` names another server to use instead, as a superuser of it: a community edition, another version. Every test
or module gets a database of its own, migrated, and signs in to it by role as the processes do.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from running import RunningStack, running_stack
from servers import (
    Database,
    RunningBroker,
    fresh_database,
    migrated_template,
    running_broker,
    served_folder,
    without_syncing,
)

from bellwether.stack import packages, port
from bellwether.stack.account import Account, server_account
from bellwether.stack.postgres import Postgres
from bellwether.stack.supervisor import Supervisor

# How long an example takes says how busy the machine is. The examples are the same everywhere: what passes here passes
# there; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", settings.get_profile("search"), derandomize=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def programs() -> packages.Programs:
    return packages.ensure(print)


@pytest.fixture(scope="session")
def account() -> Account:
    return server_account()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's URL of the suite's TimescaleDB: `$TEST_DSN`, or one started here."""
    if given := os.environ.get("TEST_DSN"):
        yield given
        return
    account: Account = request.getfixturevalue("account")
    with served_folder(account) as folder:
        server = Postgres(
            request.getfixturevalue("programs"), folder, port.choose("PostgreSQL"), secrets.token_urlsafe(), account
        )
        server.create()
        without_syncing(server)
        with Supervisor(folder, lambda *_: None) as supervisor:
            supervisor.start(server.role())
            yield server.url


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """What migrated databases are made from."""
    with migrated_template(server_url) as name:
        yield name


@pytest.fixture
def database(server_url: str, template: str) -> Iterator[Database]:
    """A migrated database for one test."""
    with fresh_database(server_url, template) as database:
        yield database


@pytest.fixture(scope="module")
def module_database(server_url: str, template: str) -> Iterator[Database]:
    """A migrated database that the tests of a module share."""
    with fresh_database(server_url, template) as database:
        yield database


@pytest.fixture
def empty_database(server_url: str) -> Iterator[Database]:
    """A database without a schema."""
    with fresh_database(server_url) as database:
        yield database


@pytest.fixture
def another_database(server_url: str) -> Iterator[Callable[[], Database]]:
    """Makes further databases without a schema."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(fresh_database(server_url))


@pytest.fixture
def broker(programs: packages.Programs, account: Account) -> Iterator[RunningBroker]:
    """A Mosquitto for one test, with nothing retained and no session. Killed, it comes back."""
    with running_broker(programs, account) as broker:
        yield broker


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole stack, as `bellwether up` runs it. Tests share it, each with machines of its own."""
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings, `../shared/data` beside the checkout or `$BELLWETHER_DATA`."""
    folder = Path(os.environ.get("BELLWETHER_DATA", Path(__file__).parents[2] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set BELLWETHER_DATA")
    return folder
