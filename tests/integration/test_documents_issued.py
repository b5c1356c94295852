"""Documents that were issued: with which move, under which number, frozen; who sees them; what an erasure leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import JSON, RunningApi, alarm_event, ok, refused

from alarms.roles import Role

DIAGNOSIS = {"located": "Worn shaft seal, as Jo Novak saw", "plan": "Replace it", "hours": 2.5}
QUOTE = {"amount": "480.00", "currency": "EUR", "covers": "Shaft seal and two hours"}
TEST = {"passed": True, "note": "Dry", "values": [{"name": "flow", "value": 10.1, "unit": "m3/h"}]}
SIGNATURE = {"name": "A. Dairy", "signed_at": "2026-11-22T12:00:00Z", "strokes": [[10, 10, 400, 250], [500, 20]]}


def move(client: httpx.Client, ticket: JSON, to: str, **fields: object) -> httpx.Response:
    return client.post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields})


def diagnosing(api: RunningApi, by: httpx.Client) -> JSON:
    event = alarm_event(api.plant.device())
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=event), 201)
    ok(move(by, ticket, "accepted"))
    return ok(move(by, ticket, "diagnosing"))


def issued(client: httpx.Client, path: str) -> list[tuple[str, int, bool]]:
    found = ok(client.get(f"{path}/documents"))["items"]
    return [(one["kind"], one["version"], one["is_latest"]) for one in found]


def clock_of(client: httpx.Client, ticket: JSON, name: str) -> JSON:
    clocks = ok(client.get(f"/api/v1/tickets/{ticket['id']}"))["clocks"]
    (found,) = (clock for clock in clocks if clock["clock"] == name)
    return dict(found)


def test_documents_come_with_the_moves_of_a_road_and_stay_as_they_were(api: RunningApi) -> None:
    engineer, nobody = api.client(Role.ENGINEER), api.client(None)
    ticket = diagnosing(api, engineer)
    path, tracked = f"/api/v1/tickets/{ticket['id']}", f"/api/v1/tickets/track/{ticket['code']}"
    assert clock_of(engineer, ticket, "diagnosis_report")["stopped_at"] is None
    ok(move(engineer, ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=QUOTE))
    assert clock_of(engineer, ticket, "diagnosis_report")["stopped_at"]
    ok(move(engineer, ticket, "awaiting_approval", quote={**QUOTE, "amount": "450.00"}))
    assert sorted(issued(engineer, path)) == [("diagnosis", 1, True), ("quote", 1, False), ("quote", 2, True)]
    offer = ok(engineer.get(f"{path}/documents"))["items"][0]
    ok(nobody.post(f"{tracked}/quote", json={"accepted": True, "name": "A. Dairy"}))
    agreed = ok(nobody.get(f"{tracked}/documents"))["items"][0]
    assert (agreed["number"], agreed["version"]) == (offer["number"], 3)
    said, offered = (ok(nobody.get(f"{tracked}/documents/{one['id']}"))["content"] for one in (agreed, offer))
    assert said["sections"][:-1] == offered["sections"][:-1]
    assert [name for name, _ in said["sections"][-1]["facts"]] == ["Accepted", "Heard"]
    assert b"QU-" in engineer.get(f"{path}/documents/{agreed['id']}/pdf").content
    ok(move(engineer, ticket, "repairing", service="remote"))
    ok(move(engineer, ticket, "testing"))
    ok(move(engineer, ticket, "quality_check", verdict="confirmed", test=TEST))
    assert clock_of(engineer, ticket, "service_report")["stopped_at"] is None
    with api.database.owner() as conn:  # whatever was drawn
        conn.execute("""UPDATE ticket_papers SET body = jsonb_set(body, '{looks}', '["own"]') WHERE paper = 'check'""")
    ok(move(engineer, ticket, "handed_over"))
    assert clock_of(engineer, ticket, "service_report")["stopped_at"]
    first = ok(engineer.get(f"{path}/documents"))["items"][0]
    unsigned = engineer.get(f"{path}/documents/{first['id']}/pdf").content
    refused(move(engineer, ticket, "follow_up", signature={**SIGNATURE, "strokes": [[1, 2, 3]]}), 422)
    ok(move(engineer, ticket, "follow_up", signature=SIGNATURE))

    latest = ok(engineer.get(f"{path}/documents"))["items"][0]
    assert (latest["number"], latest["version"], latest["kind"]) == (first["number"], 2, "service")
    whole = ok(engineer.get(f"{path}/documents/{latest['id']}"))
    assert whole["is_as_issued"]
    told = {section["heading"]: section for section in whole["content"]["sections"]}
    assert told["Signature"]["strokes"] == SIGNATURE["strokes"]
    assert told["Values before and after"]["table"]["rows"] == [["Flow", "3.9", "10.1", "–", "m³/h"]]  # noqa: RUF001
    assert ["Accepted", told["Quote"]["facts"][1][1]] == told["Quote"]["facts"][1]
    with api.database.owner() as conn:
        sealed = "SELECT changes::jsonb ->> 'sha256' FROM audit_acts WHERE resource = 'document' AND subject = %s"
        assert conn.execute(sealed, [f"{latest['number']} 2"]).fetchall() == [(whole["sha256"],)]

    # The same bytes for whoever has the code; those of the version before are what they were.
    pdf = nobody.get(f"{tracked}/documents/{latest['id']}/pdf")
    assert pdf.headers["content-disposition"] == f'attachment; filename="{latest["number"]}-v2.pdf"'
    assert pdf.content == engineer.get(f"{path}/documents/{latest['id']}/pdf").content
    assert engineer.get(f"{path}/documents/{first['id']}/pdf").content == unsigned != pdf.content
    assert issued(nobody, tracked) == issued(engineer, path)
    assert "issued_by" not in ok(nobody.get(f"{tracked}/documents/{latest['id']}"))

    # Nothing of it through another ticket, another tenant, or a role that it does not concern.
    other = diagnosing(api, engineer)
    refused(nobody.get(f"/api/v1/tickets/track/{other['code']}/documents/{latest['id']}"), 404)
    refused(engineer.get(f"/api/v1/tickets/{other['id']}/documents/{latest['id']}/pdf"), 404)
    refused(api.client(Role.ENGINEER, "other").get(f"{path}/documents"), 404)
    refused(api.client(Role.DEPOT).get(f"{path}/documents"), 403)


def test_an_answer_that_somebody_was_told_is_a_version_too_and_says_by_which_way(api: RunningApi) -> None:
    engineer, desk = api.client(Role.ENGINEER), api.client(Role.DISPATCHER)
    ticket = diagnosing(api, engineer)
    path = f"/api/v1/tickets/{ticket['id']}"
    ok(move(engineer, ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=QUOTE))
    answer = {"accepted": True, "name": "A. Dairy", "way": "telephone"}
    window = {"begins_at": "2026-11-24T08:00:00Z", "ends_at": "2026-11-24T10:00:00Z"}
    refused(move(desk, ticket, "scheduled", appointment=window, answer={**answer, "way": "page"}), 422)
    ok(move(desk, ticket, "scheduled", appointment=window, answer=answer))
    assert issued(desk, path)[0] == ("quote", 2, True)
    latest = ok(desk.get(f"{path}/documents"))["items"][0]
    told = ok(desk.get(f"{path}/documents/{latest['id']}"))["content"]["sections"][-1]
    assert "by telephone, written down by" in dict(told["facts"])["Heard"]
    page = desk.get(f"/tickets/{ticket['id']}", headers={"Accept": "text/html"}).text
    assert "Accepted by A. Dairy, by telephone" in page
    refused(api.client(None).post(f"/api/v1/tickets/track/{ticket['code']}/quote", json=answer), 422)


def test_sent_in_goods_leave_by_a_clock_that_outlives_the_ticket(api: RunningApi) -> None:
    engineer, desk, nobody = api.client(Role.ENGINEER), api.client(Role.DISPATCHER), api.client(None)
    ticket = diagnosing(api, engineer)
    path = f"/api/v1/tickets/{ticket['id']}/sent-back"
    parcel = {"carrier": "DHL", "tracking": "0034 0434"}
    assert "nothing was sent in" in refused(desk.post(path, json=parcel), 409)["detail"]
    ok(move(engineer, ticket, "repairing", service="send_in", diagnosis=DIAGNOSIS))
    ok(move(engineer, ticket, "testing"))
    ok(move(engineer, ticket, "quality_check", verdict="confirmed", test=TEST))
    assert clock_of(engineer, ticket, "sent_back")["left_s"] == pytest.approx(48 * 3600, abs=60)
    assert "handed over" in refused(desk.post(path, json=parcel), 409)["detail"]
    with api.database.owner() as conn:
        conn.execute("""UPDATE ticket_papers SET body = jsonb_set(body, '{looks}', '["own"]') WHERE paper = 'check'""")
    ok(move(engineer, ticket, "handed_over"))
    ok(move(engineer, ticket, "follow_up", signature=SIGNATURE))
    ok(move(desk, ticket, "closed"))
    clock = clock_of(desk, ticket, "sent_back")
    assert clock["stopped_at"] is None
    page = {"Accept": "text/html"}
    assert "Goods have left" in desk.get(f"/tickets/{ticket['id']}", headers=page).text

    assert "not happened" in refused(desk.post(path, json={**parcel, "left_at": "2999-01-01T00:00:00Z"}), 409)["detail"]
    refused(api.client(Role.DISPATCHER, "other").post(path, json=parcel), 404)
    # Written down late: it ends when they left, and never before it began.
    left_at = "2020-01-01T00:00:00Z"
    ok(desk.post(path, json={**parcel, "left_at": left_at}), 201)
    assert clock_of(desk, ticket, "sent_back")["stopped_at"] == clock["started_at"]
    assert ok(nobody.get(f"/api/v1/tickets/track/{ticket['code']}"))["sent_back"] == {**parcel, "left_at": left_at}
    assert "0034 0434" in nobody.get(f"/track/{ticket['code']}").text
    whole = desk.get(f"/tickets/{ticket['id']}", headers=page).text
    assert "Goods have left" not in whole
    assert "DHL 0034 0434" in whole
    corrected = desk.post(f"/tickets/{ticket['id']}/sent-back", data={"carrier": "UPS"}, headers=page)
    assert "with UPS" in corrected.text


def test_numbers_have_no_gap_whatever_comes_at_once_or_fails(api: RunningApi) -> None:
    engineer = api.client(Role.ENGINEER)
    tickets = [diagnosing(api, engineer) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda one: move(engineer, one, "on_site", diagnosis=DIAGNOSIS), tickets):
            ok(answer)
    # Issued, and taken back with the rest of its move.
    failing = diagnosing(api, engineer)
    with api.database.owner() as conn:
        conn.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation; END $$;"
            " CREATE TRIGGER fail BEFORE INSERT ON ticket_events FOR EACH ROW WHEN (NEW.to_state = 'on_site')"
            " EXECUTE FUNCTION fail()"
        )
    assert move(engineer, failing, "on_site", diagnosis=DIAGNOSIS).status_code >= 409
    with api.database.owner() as conn:
        conn.execute("DROP TRIGGER fail ON ticket_events; DROP FUNCTION fail()")
    ok(move(engineer, failing, "on_site", diagnosis=DIAGNOSIS))
    with api.database.owner() as conn:
        numbers = conn.execute(
            "SELECT number FROM documents WHERE kind = 'diagnosis' AND tenant = 'demo' AND version = 1 ORDER BY number"
        ).fetchall()
    assert [int(number.rpartition("-")[2]) for (number,) in numbers] == list(range(1, len(numbers) + 1))


def test_a_name_that_is_taken_out_is_gone_and_the_document_says_so(api: RunningApi) -> None:
    administrator = api.client()
    asked = {"login": "jo.novak", "name": "Jo Novak", "role": "engineer", "password": "long enough, surely"}
    ok(administrator.post("/api/v1/users", json=asked), 201)
    jo = api.client(None)
    token = ok(jo.post("/api/v1/token", json={"login": asked["login"], "password": asked["password"]}))
    jo.headers["Authorization"] = f"Bearer {token['access_token']}"
    ticket = diagnosing(api, jo)
    ok(move(jo, ticket, "on_site", diagnosis=DIAGNOSIS))
    (listed,) = ok(administrator.get(f"/api/v1/tickets/{ticket['id']}/documents"))["items"]
    path = f"/api/v1/tickets/{ticket['id']}/documents/{listed['id']}"
    before = administrator.get(path)
    assert "by Jo Novak" in before.text
    held = ok(jo.get("/api/v1/users/jo.novak/personal-data"))["held"]
    assert ("documents", "content") in {(place["table_name"], place["column_name"]) for place in held}
    ok(administrator.post("/api/v1/users/jo.novak/erasure", json={"note": "asked for"}))
    after = administrator.get(path)
    assert "novak" not in after.text.lower()
    assert "Worn shaft seal" in after.text
    assert (ok(before)["is_as_issued"], ok(after)["is_as_issued"]) == (True, False)
    with api.database.owner() as conn:
        assert conn.execute("SELECT salt FROM documents WHERE id = %s", [listed["id"]]).fetchall() == [(None,)]
