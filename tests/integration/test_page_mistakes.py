"""What a page answers when what was asked of it cannot be: a page that says why, and never that it is our fault."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from serving import RunningApi

from alarms.roles import Role

FORM = "application/x-www-form-urlencoded"


def sent(client: httpx.Client, path: str, content: str, kind: str = FORM) -> httpx.Response:
    """A form as a browser sends it that runs no script."""
    headers = {"Content-Type": kind, "Sec-Fetch-Site": "same-origin"}
    return client.post(path, content=content.encode(), headers=headers)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("reason=a%00b", FORM),  # no database keeps a zero byte
        ("reason=", FORM),
        ("reason=" + "x" * 4000, FORM),
        ("garbage", "multipart/form-data; boundary=x"),
        ("garbage", "multipart/form-data"),
    ],
)
def test_a_form_that_cannot_be_taken_says_so(api: RunningApi, content: str, kind: str) -> None:
    alarm = api.plant.alarm(api.plant.device())
    answer = sent(api.client(Role.MANAGER), f"/alarms/{alarm}/out-of-service", content, kind)
    assert answer.status_code in {400, 422}, answer.text
    assert "Nothing was changed" in answer.text
    assert f'href="/alarms/{alarm}"' in answer.text


def test_what_cannot_be_done_twice_says_so(api: RunningApi) -> None:
    alarm, client = api.plant.alarm(api.plant.device()), api.client(Role.MANAGER)
    assert sent(client, f"/alarms/{alarm}/out-of-service", "reason=worn").status_code == 303
    again = sent(client, f"/alarms/{alarm}/out-of-service", "reason=worn")
    assert again.status_code == 409
    assert "Nothing was changed" in again.text


def test_a_form_for_what_is_not_there_says_so(api: RunningApi) -> None:
    answer = sent(api.client(Role.MANAGER), f"/alarms/{uuid4()}/out-of-service", "reason=worn")
    assert answer.status_code == 404
