"""Work orders over HTTP: given when work begins, ticked off, taken back; and what holds a repair back."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import httpx
from psycopg.types.json import Jsonb
from serving import JSON, SECRET, RunningApi, alarm_event, ok, refused

from alarms.roles import Role
from api.access.tokens import issue
from prognosis.diagnosis import Suspect, suspect_to_json
from prognosis.faults import built_in_procedures, library

DIAGNOSIS = {"located": "Outer race", "plan": "Replace the bearing", "hours": 3}
TEST = {"passed": True, "note": "Ran an hour"}


def ask(api: RunningApi, ticket: JSON, path: str, body: JSON, role: Role = Role.ENGINEER, **to: str) -> httpx.Response:
    return api.client(role, **to).put(f"/api/v1/tickets/{ticket['id']}/{path}", json=body)


def move(api: RunningApi, ticket: JSON, to: str, **fields: object) -> httpx.Response:
    return api.client(Role.ENGINEER).post(f"/api/v1/tickets/{ticket['id']}/move", json={"to": to, **fields})


def whole(api: RunningApi, ticket: JSON) -> JSON:
    return ok(api.client().get(f"/api/v1/tickets/{ticket['id']}"))


def diagnosing(api: RunningApi, mode: str = "bearing_wear", probability: float = 0.8, model: str = "") -> JSON:
    """A ticket that an engineer looks into, and what its readings say is probably wrong."""
    device = api.plant.device()
    ticket = ok(api.client(Role.SERVICE).post("/api/v1/tickets", json=alarm_event(device)), 201)
    found = next(one for one in library() if one.id == mode)
    assert found.procedure is not None
    suspect = suspect_to_json(Suspect(found, probability, ()))
    with api.database.owner() as conn:
        conn.execute("UPDATE devices SET model = %s WHERE device = %s", [model, device])
        conn.execute(
            "INSERT INTO diagnoses (ticket_id, tenant, until, abstains, other, suspects)"
            " VALUES (%s, 'demo', now(), '', 0.1, %s)",
            [ticket["id"], Jsonb([suspect])],
        )
    ok(move(api, ticket, "accepted"))
    return ok(move(api, ticket, "diagnosing"))


def repairing(api: RunningApi, **made: Any) -> tuple[JSON, JSON]:
    """A ticket that is being repaired, and its work order."""
    ticket = diagnosing(api, **made)
    ok(move(api, ticket, "on_site"))
    ok(move(api, ticket, "repairing", diagnosis=DIAGNOSIS))
    return ticket, next((one for one in whole(api, ticket)["work"] if one["kind"] == "repair"), {})


def mark_of(step: JSON) -> JSON:
    """What a step asks for."""
    value = {"value": step["high"] if step["high"] is not None else 2.5} if step["measure"] else {}
    return {"state": "done", **value, **({"new_serial": f"N-{uuid4().hex[:6]}"} if step["replaces"] else {})}


def finish(api: RunningApi, ticket: JSON, work: JSON) -> JSON:
    for step in work["steps"]:
        if step["state"] == "open":
            work = ok(ask(api, ticket, f"steps/{work['id']}/{step['number']}", mark_of(step)))
    return work


def test_a_repair_is_checked_only_when_its_steps_are_done_or_left_out_with_a_reason(api: RunningApi) -> None:
    ticket, work = repairing(api)
    assert (work["procedure"], work["source"], work["left"]) == ("bearing.replace", "library", 8)
    assert work["version"] == built_in_procedures()["bearing.replace"].fingerprint
    path = f"steps/{work['id']}"
    assert "shaft seat" in refused(ask(api, ticket, f"{path}/4", {"state": "done"}), 422)["detail"]
    assert "the reason why" in refused(ask(api, ticket, f"{path}/3", {"state": "left_out"}), 422)["detail"]
    refused(ask(api, ticket, f"{path}/9", {"state": "done"}), 404)
    refused(ask(api, ticket, f"{path}/1", {"state": "done"}, Role.DISPATCHER), 403)
    ok(ask(api, ticket, f"{path}/7", {"state": "done", "value": 0.14}))
    ok(ask(api, ticket, f"{path}/3", {"state": "left_out", "note": "The old one is in pieces"}))
    ok(move(api, ticket, "testing"))
    short = refused(move(api, ticket, "quality_check", verdict="confirmed", test=TEST), 422)["detail"]
    assert "its steps: 6 of 8 are neither done nor left out" in short
    done = finish(api, ticket, next(one for one in whole(api, ticket)["work"] if one["id"] == work["id"]))
    assert done["left"] == 0
    assert [(s["beyond"], s["who"]) for s in done["steps"] if s["number"] == 7] == [("above 0.1", "a-engineer")]

    back = ok(ask(api, ticket, f"{path}/7", {"state": "open", "note": "measured cold"}))
    assert (back["left"], back["steps"][6]["value"]) == (1, None)
    event = whole(api, ticket)["events"][-1]
    assert (event["kind"], event["note"]) == ("step_taken_back", "7. Align the coupling. measured cold")
    assert "1 of 8 is" in refused(move(api, ticket, "quality_check", verdict="confirmed", test=TEST), 422)["detail"]
    assert ok(ask(api, ticket, f"{path}/7", {"state": "done", "value": 0.04}))["steps"][6]["beyond"] == ""
    ok(move(api, ticket, "quality_check", verdict="confirmed", test=TEST))
    refused(ask(api, ticket, f"{path}/7", {"state": "open"}), 409)
    with api.database.owner() as conn:
        said = conn.execute(
            "SELECT state, value FROM ticket_step_marks WHERE procedure_id = %s AND step = 7 ORDER BY id", [work["id"]]
        ).fetchall()
        acts = conn.execute(
            "SELECT changes FROM audit_acts WHERE resource = 'ticket_step' AND subject = %s ORDER BY id",
            [f"{work['id']} 7"],
        ).fetchall()
    assert said == [("done", 0.14), ("open", None), ("done", 0.04)], "nothing that was said goes"
    assert ['"state": "done"' in one for (one,) in acts] == [True, False, True]


def test_key_parts_are_in_the_history_of_their_machine_once_each(api: RunningApi) -> None:
    ticket, work = repairing(api)
    serials = {"state": "done", "new_serial": "B-2211", "old_serial": "B-0907"}
    ok(ask(api, ticket, f"steps/{work['id']}/5", serials))
    manager, part = api.client(Role.MANAGER), f"seal-{uuid4().hex[:6]}"
    ok(manager.post("/api/v1/depots", json={"name": (depot := f"d-{uuid4().hex[:6]}"), "kind": "city"}), 201)
    ok(manager.post("/api/v1/parts", json={"number": part, "name": "Seal", "serialised": True}), 201)
    receipt = {"kind": "receipt", "part": part, "depot": depot, "serials": ["S-1", "B-2211"]}
    ok(manager.post("/api/v1/parts/moves", json=receipt), 201)

    def history() -> list[tuple[str, str, str]]:
        found = ok(api.client(Role.OWNER).get(f"/api/v1/devices/{ticket['device']}/replacements"))["items"]
        return [(one["part"], one["new_serial"], one["old_serial"]) for one in found]

    assert history() == [("bearing", "B-2211", "B-0907")]
    issue = {"part": part, "depot": depot, "serials": [{"new": "S-1", "old": "S-0"}]}
    ok(manager.post(f"/api/v1/tickets/{ticket['id']}/parts/issue", json=issue), 201)
    assert history() == [(part, "S-1", "S-0"), ("bearing", "B-2211", "B-0907")]
    issue["serials"] = [{"new": "B-2211", "old": "B-0907"}]
    ok(manager.post(f"/api/v1/tickets/{ticket['id']}/parts/issue", json=issue), 201)
    assert sorted(new for _, new, _ in history()) == ["B-2211", "S-1"], "the ledger and the step tell of one part"
    back = {"part": part, "fate": "unused", "depot": depot, "serials": ["S-1"]}
    ok(manager.post(f"/api/v1/tickets/{ticket['id']}/parts/return", json=back), 201)
    assert [new for _, new, _ in history()] == ["B-2211"]


def test_a_tenants_own_procedure_goes_before_the_librarys_and_a_later_version_changes_nothing(api: RunningApi) -> None:
    manager, model = api.client(Role.MANAGER), f"NK {uuid4().hex[:6]}"
    sop = {"kind": "repair", "fault": "bearing_wear", "model": model, "name": "As we do it", "reason": "new",
           "steps": [{"do": "Call Jo."}, {"do": "Press it on.", "replaces": "bearing"}], "version": 0}  # fmt: skip
    ok(manager.put("/api/v1/sops", json=sop))
    refused(manager.put("/api/v1/sops", json=sop), 409)
    ticket, work = repairing(api, model=model)
    assert (work["source"], work["version"], [s["do"] for s in work["steps"]]) == (
        "own",
        "1",
        ["Call Jo.", "Press it on."],
    )
    ok(manager.put("/api/v1/sops", json={**sop, "steps": [{"do": "Call Kim."}], "version": 1}))
    assert next(one for one in whole(api, ticket)["work"] if one["kind"] == "repair")["steps"][0]["do"] == "Call Jo."
    asked = {"kind": "repair", "fault": "bearing_wear", "model": model}
    assert [one["version"] for one in ok(manager.get("/api/v1/sops/versions", params=asked))["items"]] == [2, 1]
    assert repairing(api, model=model)[1]["version"] == "2"
    ok(manager.put("/api/v1/sops", json={**sop, "steps": [], "version": 2, "reason": "the library's is better"}))
    assert repairing(api, model=model)[1]["source"] == "library"
    assert ok(manager.get("/api/v1/sops", params={"model": model, "kind": "repair"}))["items"] == []
    refused(manager.put("/api/v1/sops", json={**sop, "steps": [{"do": "x", "unit": "mm"}], "version": 3}), 422)


def test_where_nothing_is_likely_somebody_chooses_and_what_was_done_before_stays(api: RunningApi) -> None:
    ticket, none = repairing(api, probability=0.3)
    assert none == {}
    remote = whole(api, ticket)["work"]
    assert [one["procedure"] for one in remote] == ["remote.machine"]
    refused(ask(api, ticket, f"steps/{remote[0]['id']}/1", {"state": "done"}), 409)  # not while it is repaired
    offered = ok(api.client(Role.ENGINEER).get(f"/api/v1/tickets/{ticket['id']}/procedures"))["items"]
    ids = [one["id"] for one in offered]
    assert ids[:2] == ["remote.machine", "bearing.replace"]
    assert set(built_in_procedures()) <= set(ids)
    refused(ask(api, ticket, "procedures", {"procedure": "none.such", "note": "why"}), 404)
    first = ok(ask(api, ticket, "procedures", {"procedure": "base.tighten", "note": "a foot is loose"}))
    ok(ask(api, ticket, f"steps/{first['id']}/1", mark_of(first["steps"][0])))
    second = ok(ask(api, ticket, "procedures", {"procedure": "filter.change", "note": "and it is clogged"}))
    refused(ask(api, ticket, f"steps/{first['id']}/2", {"state": "done"}), 409)
    work = {one["procedure"]: one for one in whole(api, ticket)["work"]}
    assert [work[name]["in_force"] for name in ("base.tighten", "filter.change")] == [False, True]
    assert work["base.tighten"]["steps"][0]["state"] == "done"
    refused(ask(api, ticket, "procedures", {"procedure": "filter.change", "note": "again"}), 409)
    finish(api, ticket, second)
    ok(move(api, ticket, "testing"))
    ok(move(api, ticket, "quality_check", verdict="other_fault", test=TEST))


def test_without_a_procedure_or_where_the_terms_do_not_ask_nothing_is_held_back(own_api: RunningApi) -> None:
    ticket, none = repairing(own_api, probability=0.3)
    assert none == {}
    ok(move(own_api, ticket, "testing"))
    ok(move(own_api, ticket, "quality_check", verdict="confirmed", test=TEST))
    other, work = repairing(own_api)
    assert work["left"] == 8
    ok(move(own_api, other, "testing"))
    refused(move(own_api, other, "quality_check", verdict="confirmed", test=TEST), 422)
    terms = {**ok(own_api.client().get("/api/v1/terms"))["terms"], "steps_needed": False}
    ok(own_api.client(Role.MANAGER).put("/api/v1/terms", json={"terms": terms, "version": 0, "reason": "by hand"}))
    ok(move(own_api, other, "quality_check", verdict="confirmed", test=TEST))


def owner_of(api: RunningApi, device: str) -> httpx.Client:
    """A client of an owner to whose company a machine belongs."""
    number, administrator = uuid4().hex, api.client(Role.ADMINISTRATOR)
    ok(administrator.post("/api/v1/customers", json={"number": number, "name": "Dairy"}), 201)
    ok(administrator.put(f"/api/v1/devices/{device}/file", json={"customer": number}))
    body = {"login": number, "name": "Ola", "role": "owner", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=body), 201)
    ok(administrator.patch(f"/api/v1/users/{user['id']}", json={"customer": number}))
    client = api.client(None)
    token = issue(SECRET, f"user:{user['id']}", "demo", Role.OWNER, 600, number)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def test_a_step_keeps_its_picture_and_an_owner_sees_that_of_their_machine_alone(api: RunningApi) -> None:
    manager, model = api.client(Role.MANAGER), f"NK {uuid4().hex[:6]}"
    pictures, png = "/api/v1/sops/pictures", b"\x89PNG\r\n\x1a\n" + uuid4().bytes
    refused(manager.post(pictures, content=b"<svg onload='x'/>"), 415)
    refused(manager.post(pictures, content=b"%PDF-1.7"), 415)
    refused(manager.post(pictures, content=b"\xff\xd8\xff" + bytes(8 * 1024 * 1024)), 413)
    added = ok(manager.post(pictures, content=png), 201)
    assert ok(manager.post(pictures, content=png), 201) == added
    assert (added["picture"], added["media_type"]) == (hashlib.sha256(png).hexdigest(), "image/png")
    step = {"do": "As it is shown.", "picture": added["picture"]}
    sop = {"kind": "repair", "model": model, "name": "Ours", "reason": "new", "steps": [step], "version": 0}
    refused(manager.put("/api/v1/sops", json=sop | {"steps": [step | {"picture": "0" * 64}]}), 404)
    refused(manager.put("/api/v1/sops", json=sop | {"steps": [step | {"picture": "../x"}]}), 422)
    ok(manager.put("/api/v1/sops", json=sop))
    ticket, work = repairing(api, probability=0.1, model=model)
    assert work["steps"][0]["picture"] == added["picture"]
    ok(manager.put("/api/v1/sops", json=sop | {"steps": [{"do": "Otherwise."}], "version": 1}))
    address = f"{pictures}/{added['picture']}"
    given = api.client(Role.ENGINEER).get(address)
    assert (given.content, given.headers["content-type"]) == (png, "image/png")
    assert given.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in given.headers["content-security-policy"]
    whose, nobodys = owner_of(api, ticket["device"]), owner_of(api, api.plant.device())
    assert whose.get(address).content == png
    refused(nobodys.get(address), 404)
