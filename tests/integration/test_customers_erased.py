"""Customers' data: listed, exported, erased; machines and what was done to them stay, and so does the chain."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from serving import JSON, SECRET, RunningApi, ok, refused
from test_documents_issued import DIAGNOSIS, QUOTE, SIGNATURE, TEST, move
from test_personal_data import everything

from alarms.roles import Role
from api.access.tokens import issue
from store import audit, retention
from store.connection import connect

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
ADA = {
    "number": "K-7",
    "name": "Ada Byron",
    "contact": "Ada Byron, +49 30 901820, ada@example.org",
    "notes": "Ring twice",
}
WORDS = {
    "symptom": "leakage",
    "words": "My kitchen is wet",
    "situation": "While I bathed",
    "contact": "my son, 0170 5550",
}
OTHERS = {"symptom": "leakage", "words": "My cellar is wet", "contact": "my wife"}
NEVER = (
    *("ada byron", "30 901820", "ada@example.org", "ring twice", "my kitchen", "i bathed", "0170 5550", "my neighbour"),
    *("neighbour", "carl has", "ada.b", "a. dairy", "[10, 10, 400, 250]", "it drips no more"),
)


@dataclass
class Served:
    """A customer, an owner of theirs, and a ticket on their machine."""

    customer: JSON
    owner: httpx.Client
    ticket: JSON
    device: str

    @property
    def path(self) -> str:
        return f"/api/v1/customers/{self.customer['id']}"


def serving(api: RunningApi, said: JSON, login: str, tenant: str = "demo", words: JSON = WORDS) -> Served:
    """A customer whose owner has reported a fault, in words and with a photo."""
    administrator, device = api.client(tenant=tenant), api.plant.device(tenant)
    customer = ok(administrator.post("/api/v1/customers", json=said), 201)
    ok(administrator.put(f"/api/v1/devices/{device}/file", json={"customer": said["number"]}))
    body = {"login": login, "name": f"{login} B", "role": "owner", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=body), 201)
    ok(administrator.patch(f"/api/v1/users/{user['id']}", json={"customer": said["number"]}))
    owner = api.client(None)
    token = issue(SECRET, f"user:{user['id']}", tenant, Role.OWNER, 600, login)
    owner.headers["Authorization"] = f"Bearer {token}"
    ticket = ok(owner.post("/api/v1/reports", json={"device": device, **words}), 201)["ticket"]
    ok(owner.post(f"/api/v1/tickets/{ticket['id']}/files", content=PNG, params={"name": f"{words['words']}.png"}), 201)
    return Served(customer, owner, ticket, device)


def repaired(api: RunningApi, of: Served) -> None:
    """All the way to the signature, with what engineers wrote and photographed."""
    engineer, ticket = api.client(Role.ENGINEER), of.ticket
    path = f"/api/v1/tickets/{ticket['id']}"
    ok(move(api.client(Role.DISPATCHER), ticket, "triaged"))
    ok(move(engineer, ticket, "accepted"))
    ok(move(engineer, ticket, "diagnosing"))
    ok(engineer.post(f"{path}/comments", json={"note": "Ada Byron let me in; the seal is worn"}), 201)
    ok(engineer.post(f"{path}/files", content=PNG + b"seal", params={"name": "seal.png"}), 201)
    ok(move(engineer, ticket, "awaiting_approval", diagnosis=DIAGNOSIS, quote=QUOTE))
    answer = {"accepted": True, "name": "A. Dairy", "note": "my neighbour has the key"}
    ok(api.client(None).post(f"/api/v1/tickets/track/{ticket['code']}/quote", json=answer))
    window = {"begins_at": "2999-01-01T08:00:00Z", "ends_at": "2999-01-01T10:00:00Z"}
    ok(move(engineer, ticket, "scheduled", appointment=window))
    said = {"answer": "confirmed", "name": "My neighbour Carl", "way": "telephone", "note": "Carl has the key"}
    ok(engineer.post(f"{path}/appointment", json=said))
    ok(move(engineer, ticket, "repairing", service="remote"))
    ok(move(engineer, ticket, "testing"))
    ok(move(engineer, ticket, "quality_check", verdict="confirmed", test=TEST))
    with api.database.owner() as conn:  # whatever was drawn
        conn.execute("""UPDATE ticket_papers SET body = jsonb_set(body, '{looks}', '["own"]') WHERE paper = 'check'""")
    ok(move(engineer, ticket, "handed_over"))
    ok(move(engineer, ticket, "follow_up", signature=SIGNATURE))
    with api.database.owner() as conn:
        conn.execute(
            "INSERT INTO ticket_events (ticket_id, tenant, at, kind, who, detail)"
            """ VALUES (%s, 'demo', now(), 'document_sent', 'bellwether', '{"to": "carl@neighbour.example"}')""",
            [ticket["id"]],
        )
        conn.execute("UPDATE surveys SET comment = 'It drips no more' WHERE ticket_id = %s", [ticket["id"]])


def closed(api: RunningApi, of: Served) -> None:
    with api.database.owner() as conn:
        conn.execute("UPDATE tickets SET state = 'closed', closed_at = now() WHERE id = %s", [of.ticket["id"]])


def test_a_customer_who_is_erased_is_nowhere_but_in_papers_that_must_be_kept(own_api: RunningApi) -> None:
    api = own_api
    ada = serving(api, ADA, "ada.b")
    charles = serving(api, {"number": "K-8", "name": "Charles", "contact": "0170 5551"}, "charles", words=OTHERS)
    repaired(api, ada)
    with connect(api.database.owner_url, "test") as conn:
        audit.seal(conn, 10_000)
    manager = api.client(Role.MANAGER)

    held = ok(manager.get(f"{ada.path}/personal-data"))
    places = {(place["table_name"], place["column_name"]) for place in held["held"]}
    assert held["files"] == 2
    assert places >= {
        *(("customers", "name"), ("customers", "contact"), ("users", "login"), ("ticket_reports", "words")),
        *(("ticket_papers", "body"), ("documents", "content"), ("surveys", "comment"), ("ticket_events", "note")),
        *(("attachments", "name"), ("ticket_reports", "contact"), ("ticket_events", "who")),
    }
    exported = ok(manager.get(f"{ada.path}/personal-data/export"))
    assert "My kitchen is wet" in {trace["value"] for trace in exported["traces"]}
    assert len(exported["traces"]) == sum(place["rows"] for place in held["held"])
    assert {manager.get(one["content"]).content for one in exported["files"]} == {PNG, PNG + b"seal"}

    asked = {"note": "Ada Byron asked for it by letter"}
    assert ada.device in refused(manager.post(f"{ada.path}/erasure", json=asked), 409)["detail"]
    closed(api, ada)
    done = ok(manager.post(f"{ada.path}/erasure", json=asked))
    assert done["papers_kept"] == 5, "diagnosis, quote and its answer, service report unsigned and signed"
    assert done["papers_until"] > "2036"
    left = everything(api.database, but=("documents",))
    assert [never for never in NEVER if never in left] == []
    assert left.count("my cellar is wet.png") == 2, "another customer's: the file, and its event"
    assert "the seal is worn" in left, "the work stays"
    assert ok(manager.get(f"/api/v1/tickets/{charles.ticket['id']}/files"))["items"][0]["removed_at"] is None
    files = ok(manager.get(f"/api/v1/tickets/{ada.ticket['id']}/files"))["items"]
    assert [one["removed_at"] is None for one in files] == [False, True], "the engineer's stays"
    refused(ada.owner.get("/api/v1/users/me"), 401)
    refused(manager.post(f"{ada.path}/erasure", json=asked), 409)
    refused(manager.put(ada.path, json={"name": "Ada Byron"}), 409)
    rest = ok(manager.get(f"{ada.path}/personal-data"))
    assert {place["table_name"] for place in rest["held"]} == {"documents"}

    with connect(api.database.owner_url, "test") as conn:
        audit.seal(conn, 10_000)
        found = audit.verify(conn, "demo")
        (told,) = conn.execute("SELECT changes::jsonb FROM audit_acts WHERE action = 'erased'").fetchall()
    assert found.wrong is None
    assert found.erased == told[0]["salts"] > 0
    assert told[0]["note"] == f"{done['pseudonym']} asked for it by letter"
    papers_end(api, ada)


def papers_end(api: RunningApi, of: Served) -> None:
    """Once they need not be kept any more: number and hash stay, nothing of what stood there."""
    manager, path = api.client(Role.MANAGER), f"/api/v1/tickets/{of.ticket['id']}/documents"
    one = ok(manager.get(path))["items"][0]
    before = ok(manager.get(f"{path}/{one['id']}"))
    assert before["is_as_issued"]
    ok(api.client().put("/api/v1/retention", json={"keep_days": {"papers": 1}}))
    with connect(api.database.url("notify"), "test") as conn:
        assert retention.expire_papers(conn, 100) == 0, "of today"
    with api.database.owner() as conn:
        conn.execute("UPDATE documents SET issued_at = issued_at - INTERVAL '2 days'")
    with connect(api.database.url("notify"), "test") as conn:
        assert [retention.expire_papers(conn, 3) for _ in range(3)] == [3, 2, 0]
    after = ok(manager.get(f"{path}/{one['id']}"))
    assert (after["number"], after["sha256"], after["is_as_issued"]) == (before["number"], before["sha256"], False)
    assert [section["heading"] for section in after["content"]["sections"]] == ["Erased"]
    assert manager.get(f"{path}/{one['id']}/pdf").content.startswith(b"%PDF")
    left = everything(api.database)
    assert not [never for never in ("ada byron", "a. dairy", "[10, 10, 400, 250]") if never in left]


def test_nobody_else_and_nothing_of_another_tenant(api: RunningApi) -> None:
    ada, other = serving(api, ADA, "ada.c"), serving(api, ADA, "ada.d", "other")
    closed(api, ada)
    closed(api, other)
    asked = {"note": "asked for", "also": ["my neighbour"]}
    for role in set(Role) - {Role.MANAGER, Role.ADMINISTRATOR}:
        refused(api.client(role).get(f"{ada.path}/personal-data"), 403)
    for by, of in ((api.client(Role.MANAGER, "other"), ada), (api.client(Role.MANAGER), other)):
        refused(by.get(f"{of.path}/personal-data"), 404)
        refused(by.get(f"{of.path}/personal-data/export"), 404)
        refused(by.post(f"{of.path}/erasure", json=asked), 404)
    manager = api.client(Role.MANAGER)
    refused(manager.post(f"{ada.path}/erasure", json={"note": " "}), 422)
    done = ok(manager.post(f"{ada.path}/erasure", json={**asked, "all_files": True}))
    assert (done["papers_kept"], done["papers_until"]) == (0, None)
    theirs = api.client(tenant="other")
    assert ok(theirs.get(other.path))["name"] == "Ada Byron"
    assert ok(theirs.get(f"{other.path}/personal-data"))["files"] == 1
    assert WORDS["words"] in theirs.get(f"{other.path}/personal-data/export").text
    assert ok(other.owner.get("/api/v1/users/me"))["name"] == "ada.d"


def test_on_the_page_whoever_erases_types_the_number(api: RunningApi) -> None:
    grace = serving(api, {**ADA, "number": "K-9", "name": "Grace H."}, "grace")
    page = f"/customers/{grace.customer['id']}"

    def send(role: Role, **typed: str) -> tuple[int, str]:
        cookies = {"bw_session": api.token(role)}
        with httpx.Client(base_url=api.url, cookies=cookies, headers={"Origin": api.url}, trust_env=False) as client:
            answer = client.post(f"{page}/erasure", data=typed) if typed else client.get(f"{page}/personal-data")
        return answer.status_code, answer.text

    assert send(Role.DISPATCHER)[0] == 403
    status, shown = send(Role.MANAGER)
    assert (status, "ticket_reports.words" in shown, "ada@example.org" in shown) == (200, True, True)
    status, shown = send(Role.MANAGER, note="asked", number="K-8")
    assert (status, "K-8 is not their number" in shown) == (422, True)
    status, shown = send(Role.MANAGER, note="asked", number="K-9")
    assert (status, "a ticket of theirs is open" in shown) == (422, True)
    closed(api, grace)
    status, shown = send(Role.MANAGER, note="asked", number="K-9", also="Grace\nHopper")
    assert (status, "Nothing is held about this customer any more" in shown, "Grace" in shown) == (200, True, False)
