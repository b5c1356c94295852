"""Who sees to a corrective action is told that it falls due, and managers that it is late: once for each due date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dying import dies
from serving import RunningApi, ok
from telling import channel, somebody

from alarms.roles import Role
from store.connection import Session, connect
from store.follow_up import reminders

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def notify(api: RunningApi) -> Iterator[Session]:
    with closing(connect(api.database.url("notify"), "test")) as conn:
        conn.autocommit = True
        yield conn


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Any]:
    with api.database.owner() as conn:
        conn.execute("DELETE FROM messages")
        conn.execute("DELETE FROM person_channels")
        conn.execute("DELETE FROM corrective_actions")
        yield conn


def decided(api: RunningApi, login: str, due_at: datetime) -> str:
    """An open action of somebody's; the path at which it is moved."""
    manager = api.client(Role.MANAGER)
    made = ok(manager.post("/api/v1/corrective-actions", json={"problem": "Seals leak"}), 201)
    path = f"/api/v1/corrective-actions/{made['id']}/move"
    plan = {"root_cause": "Mounted dry", "action": "Grease in the set", "owner": login, "due_at": due_at.isoformat()}
    ok(manager.post(path, json={"to": "open", **plan}))
    return path


def told(owner: Any) -> list[tuple[str, str, str]]:
    rows = owner.execute("SELECT kind, login, state FROM messages ORDER BY id").fetchall()
    return [tuple(row) for row in rows]


def test_its_owner_is_told_on_the_day_and_managers_when_it_is_late_each_once(
    api: RunningApi, owner: Any, notify: Session
) -> None:
    (kim, hers), (max_, his) = somebody(api), somebody(api, Role.MANAGER)
    channel(hers, "json://plant.example/kim")
    channel(his, "json://plant.example/max")
    due_at = NOW + 3 * DAY
    path = decided(api, kim, due_at)
    reminders.remind(notify, due_at - DAY - timedelta(minutes=1))
    assert told(owner) == []
    for _ in range(2):
        reminders.remind(notify, due_at - timedelta(hours=20))
    assert told(owner) == [("action.due", kim, "waiting")]
    for _ in range(2):
        reminders.remind(notify, due_at + timedelta(minutes=1))
    assert told(owner)[1:] == [("action.overdue", max_, "waiting")]
    due, late = ok(api.client(Role.MANAGER).get("/api/v1/messages"))["items"][::-1]
    assert due["subject"] == f"Is due on {due_at:%d %B %Y}: Seals leak"
    assert f"By: {kim}" in late["body"]
    assert due["page"] == late["page"] == "/corrective-actions"

    later = {"to": "open", "due_at": (due_at + 9 * DAY).isoformat()}
    ok(api.client(Role.MANAGER).post(path, json=later))
    reminders.remind(notify, due_at + 2 * DAY)
    assert len(told(owner)) == 2
    reminders.remind(notify, due_at + 9 * DAY)
    assert told(owner)[2:] == [("action.due", kim, "waiting"), ("action.overdue", max_, "waiting")], "another date"

    other = decided(api, kim, due_at)
    ok(api.client(Role.MANAGER).post(other, json={"to": "done", "note": "All sets have grease"}))
    reminders.remind(notify, due_at + DAY)
    assert len(told(owner)) == 4, "it is done"


def test_who_cannot_be_reached_is_a_line_that_managers_see(api: RunningApi, owner: Any, notify: Session) -> None:
    kim, _ = somebody(api)
    decided(api, kim, NOW + DAY / 2)
    reminders.remind(notify, NOW)
    assert told(owner) == [("action.due", kim, "undeliverable")]
    (lost,) = ok(api.client(Role.MANAGER).get("/api/v1/messages", params={"unseen": True}))["items"]
    assert lost["error"] == f"{kim} has no channel that is switched on"


DIES = """
from datetime import datetime
from store.connection import connect
from store.follow_up import reminders
queue = reminders.queue_staff_message
reminders.queue_staff_message = lambda *a, **k: (queue(*a, **k), die())
with connect(sys.argv[1], "test") as conn:
    conn.autocommit = True
    reminders.remind(conn, datetime.fromisoformat(sys.argv[2]))
"""


def test_killed_between_the_message_and_its_tick_it_tells_once(api: RunningApi, owner: Any, notify: Session) -> None:
    kim, hers = somebody(api)
    channel(hers, "json://plant.example/kim")
    decided(api, kim, NOW + DAY / 2)
    dies(DIES, api.database.url("notify"), NOW.isoformat())
    assert told(owner) == []
    for _ in range(2):
        reminders.remind(notify, NOW)
    assert told(owner) == [("action.due", kim, "waiting")]
