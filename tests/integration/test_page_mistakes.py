"""What a page answers when what was asked of it cannot be: a page that says why, and never that it is our fault."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from serving import SECRET, RunningApi, alarm_event, ok

from alarms.roles import Role
from api.access.tokens import issue

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


@pytest.mark.parametrize(
    "content",
    ["begins=9999-12-31T23%3A59&hours=8", "begins=0001-01-01T00%3A00&hours=8", "hours=" + "9" * 30, "hours=-1"],
)
def test_work_that_can_never_be_is_not_planned(api: RunningApi, content: str) -> None:
    device = api.plant.device()
    answer = sent(api.client(), "/maintenance", f"device={device}&reason=worn&{content}")
    assert answer.status_code < 500, answer.text
    planned = api.client().get("/api/v1/maintenance", params={"device": device}).json()
    assert planned["items"] == []


def test_a_report_that_is_too_long_is_shown_again(api: RunningApi) -> None:
    said = {"machine": api.plant.device(), "symptom": "leakage", "words": "drip " * 4000}
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = api.client().post("/report", data=said, files={"none": ("", b"")}, headers=headers)
    assert answer.status_code == 200
    assert "at most 8000 characters" in answer.text
    assert "drip drip" in answer.text


@pytest.mark.parametrize("number", [-1, 0, 2**40])
def test_a_step_that_no_work_order_has_is_not_there(api: RunningApi, number: int) -> None:
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(api.plant.device())), 201)
    answer = sent(api.client(), f"/tickets/{ticket['id']}/steps/1/{number}", "state=done")
    assert answer.status_code in {404, 422}


@pytest.mark.parametrize("month", ["0001-01", "9999-12", "2026-W1", "x"])
def test_a_month_that_nobody_had_is_not_there(api: RunningApi, month: str) -> None:
    assert api.client(Role.MANAGER).get("/month", params={"month": month}).status_code == 404


def test_an_answer_with_control_characters_is_said_to_be_none(api: RunningApi) -> None:
    event = alarm_event(api.plant.device())
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    answer = sent(api.client(None), f"/track/{ticket['code']}/appointment", "answer=confirmed&note=%1B%5B31m")
    assert answer.status_code == 200
    assert "control characters" in answer.text or "Not taken" in answer.text


def test_what_was_typed_of_a_rota_a_chain_and_a_shift_is_there_to_be_mended(api: RunningApi) -> None:
    client = api.client(Role.MANAGER)
    layer = "members=jo&starts_on=2026-01-05&hand_over=08%3A00&shift_days=7&from=&to=&days=moonday"
    page = sent(client, "/on-call/rota", f"zone=Mars&name=Weeks&{layer}").text
    assert "Not kept" in page
    for typed in ('value="Mars"', 'value="Weeks"', 'value="jo"', 'value="moonday"'):
        assert typed in page
    chain = "alarms_from=high&tickets_from=&rounds=2&whom=role+manager&wait_min=soon"
    page = sent(client, "/on-call/chain", chain).text
    assert "Not kept" in page
    assert '<option value="role manager" selected>' in page
    assert 'value="soon"' in page
    page = sent(client, "/on-call/overrides", "login=jo&begins=2026-01-05T08%3A00&ends=").text
    assert 'value="2026-01-05T08:00"' in page


def test_a_preference_that_cannot_be_stands_in_its_form_and_an_address_does_not(api: RunningApi) -> None:
    user = {"login": "pat", "name": "Pat", "role": "engineer", "password": "long enough, surely"}
    made = ok(api.client().post("/api/v1/users", json=user), 201)
    client = api.client(None)
    token = issue(SECRET, f"user:{made['id']}", "demo", Role.ENGINEER, 600, "pat")
    client.headers["Authorization"] = f"Bearer {token}"
    page = sent(client, "/channels/preferences", "alarms_from=high&zone=Mars&quiet_from=22%3A00&quiet_to=").text
    assert "Not kept" in page
    for typed in ('value="Mars"', 'value="22:00"', '<option value="high" selected>'):
        assert typed in page
    page = sent(client, "/channels", "name=My+phone&url=file%3A%2F%2Fa-secret").text
    assert "Not kept" in page
    assert 'value="My phone"' in page
    assert "a-secret" not in page


def test_who_is_refused_at_the_door_is_counted(api: RunningApi) -> None:
    answer = sent(api.client(None), "/login", "login=nobody&password=guessed")
    assert answer.status_code == 401
    assert 'bellwether_sign_ins_total{outcome="refused"} 1.0' in api.client(None).get("/metrics").text
