"""Files of tickets: judged by their content, held to a budget, given to whom the ticket concerns, gone for good."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psycopg
import pytest
from serving import JSON, SECRET, RunningApi, ok, refused, served

from alarms.roles import Role
from api.access.tokens import issue
from api.tickets import uploads
from store import attachments
from store.connection import act_for, connect

if TYPE_CHECKING:
    from serving import Database

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(12) + os.urandom(3_000_000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[RunningApi]:
    """A ticket may have 4 MiB, a tenant 9."""
    with served(module_database, file_mib=3, ticket_files_mib=4, tenant_files_mib=9) as running:
        yield running


def opened(api: RunningApi, tenant: str = "demo", customer: str | None = None) -> str:
    """The address of a new ticket's files."""
    device, desk = api.plant.device(tenant), api.client(Role.DISPATCHER, tenant)
    if customer:
        ok(desk.put(f"/api/v1/devices/{device}/file", json={"customer": customer}))
    said = {"device": device, "symptom": "leakage"}
    return f"/api/v1/tickets/{ok(desk.post('/api/v1/reports', json=said), 201)['ticket']['id']}/files"


def send(client: httpx.Client, files: str, content: bytes, name: str = "seal.jpg", **more: str) -> httpx.Response:
    return client.post(files, content=content, params={"name": name, **more})


def emptied(api: RunningApi) -> None:
    with api.database.owner() as conn:
        conn.execute("UPDATE attachments SET removed_at = now(), removed_by = 'x' WHERE removed_at IS NULL")


def test_a_photo_is_kept_bit_for_bit_and_given_back_for_keeping(api: RunningApi) -> None:
    files, client = opened(api), api.client(Role.ENGINEER)
    added = ok(send(client, files, JPEG, "../../Dichtung \u00fc.html", shows="before"), 201)
    assert (added["name"], added["kind"], added["media_type"]) == ("Dichtung \u00fc.html.jpg", "jpeg", "image/jpeg")
    assert (added["bytes"], added["sha256"]) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())
    answer = client.get(f"{files}/{added['id']}")
    assert answer.content == JPEG
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Dichtung%20%C3%BC.html.jpg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"
    assert ok(client.get(files))["items"] == [added]
    story = ok(client.get(files.removesuffix("/files")))["events"][-1]
    assert (story["kind"], story["detail"]["name"]) == ("file_added", added["name"])
    # Of a photo that says where it was taken, what is kept is hashed.
    told = b"\xff\xd8\xff\xe1\0\x10Exif\0\0Warsaw!!"
    kept = ok(send(client, files, told + b"\xff\xd9 and a film", "told.jpg"), 201)
    bare = client.get(f"{files}/{kept['id']}").content
    assert bare == told.replace(b"Exif\0\0Warsaw!!", bytes(14)) + b"\xff\xd9"
    assert (kept["bytes"], kept["sha256"]) == (len(bare), hashlib.sha256(bare).hexdigest())
    # The same content again is the same file, with or without a key.
    once = {"Idempotency-Key": uuid4().hex}
    for headers in ({}, once, once):
        again = client.post(files, content=JPEG, params={"name": "x.jpg"}, headers=headers)
        assert ok(again, 201)["id"] == added["id"]
    refused(client.post(files, content=PNG, params={"name": "x.png"}, headers=once), 422)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", 415),
        (b"<html><script>alert(1)</script></html>", 415),
        (b"a first line of text\n" + b"x" * attachments.PIECE_BYTES + b"\0", 415),
        (b"\xff\xd8\xff" + b"\0" * (3 * uploads.MIB), 413),
    ],
)
def test_what_is_not_taken_leaves_nothing(api: RunningApi, content: bytes, status: int) -> None:
    files, client = opened(api), api.client(Role.ENGINEER)
    refused(send(client, files, content), status)

    def dripping() -> Iterator[bytes]:  # its length is not said
        for start in range(0, len(content), 65536):
            yield content[start : start + 65536]

    refused(client.post(files, content=dripping(), params={"name": "x.jpg"}), status)
    assert ok(client.get(files))["items"] == []


def test_the_budget_holds_for_many_at_once(api: RunningApi) -> None:
    emptied(api)
    files, client = [opened(api) for _ in range(2)], api.client(Role.ENGINEER)

    def put(number: int) -> int:
        # A megabyte each: four fit to a ticket, but not beside what makes them differ.
        content = JPEG[:1_040_000] + str(number).encode()
        answer = send(client, files[number % 2], content)
        while answer.status_code in {429, 503}:
            answer = send(client, files[number % 2], content)
        return answer.status_code

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(put, range(12)))
    assert sorted(answers) == [201] * 8 + [413] * 4
    third = opened(api)
    ok(send(client, third, JPEG[:1_000_000]), 201)
    refused(send(client, third, JPEG[:1_000_001]), 413)  # of the tenant
    ok(send(api.client(Role.ENGINEER, "other"), opened(api, "other"), JPEG[:1_000_000]), 201)


def test_too_many_at_once_are_told_to_wait(api: RunningApi) -> None:
    files, client = opened(api), api.client(Role.ENGINEER)
    taken = [uploads._places.acquire(blocking=False) for _ in range(uploads.UPLOADS_AT_ONCE)]
    try:
        answer = send(client, files, PNG)
        refused(answer, 429)
        assert int(answer.headers["retry-after"]) > 0
    finally:
        for _ in filter(None, taken):
            uploads._places.release()


def owner_of(api: RunningApi, customer: str | None) -> httpx.Client:
    login, administrator = f"mia-{uuid4().hex[:6]}", api.client()
    account = {"login": login, "name": "Mia", "role": "owner", "password": "long enough, surely"}
    user = ok(administrator.post("/api/v1/users", json=account), 201)["id"]
    if customer:
        ok(administrator.patch(f"/api/v1/users/{user}", json={"customer": customer}))
    client = api.client(None)
    client.headers["Authorization"] = f"Bearer {issue(SECRET, f'user:{user}', 'demo', Role.OWNER, 600)}"
    return client


def test_only_whom_the_ticket_concerns_sees_its_files(api: RunningApi) -> None:
    emptied(api)
    for number in ("K-mine", "K-other"):
        ok(api.client().post("/api/v1/customers", json={"number": number, "name": number}), 201)
    files, mine, others = opened(api, customer="K-mine"), owner_of(api, "K-mine"), owner_of(api, "K-other")
    added = ok(send(mine, files, PNG, "leak.png"), 201)
    address, intake = f"{files}/{added['id']}", files.replace("/files", "/intake")
    assert mine.get(address).content == PNG
    for stranger in (others, owner_of(api, None), api.client(Role.MANAGER, "other")):
        for refusal in (stranger.get(files), stranger.get(address), send(stranger, files, PNG), stranger.get(intake)):
            refused(refusal, 404)
        refused(stranger.post(intake, json={"words": "hm"}), 404)
    refused(api.client().get(f"{opened(api)}/{added['id']}"), 404)  # of another ticket
    refused(api.client(Role.DEPOT).get(address), 403)
    refused(api.client(None).get(address), 401)
    refused(mine.delete(address), 403)


def test_the_database_alone_keeps_them_apart(api: RunningApi) -> None:
    """The second wall with the first one off."""
    with api.database.owner() as conn:
        ticket, customer = conn.execute(
            "SELECT a.ticket_id, f.customer_id FROM attachments a JOIN tickets t ON t.id = a.ticket_id"
            " JOIN device_files f USING (device_id) WHERE a.name = 'leak.png'"
        ).fetchall()[0]
    counts = (
        "SELECT (SELECT count(*) FROM attachments a WHERE a.ticket_id = %(t)s),"
        " (SELECT count(*) FROM attachment_pieces p JOIN attachments a ON a.id = p.attachment_id"
        " WHERE a.ticket_id = %(t)s), (SELECT count(*) FROM ticket_reports r WHERE r.ticket_id = %(t)s)"
    )
    for tenant, whose, seen in (
        ("demo", "", (1, 1, 1)),
        ("demo", str(customer), (1, 1, 1)),
        ("demo", str(uuid4()), (0, 0, 0)),
        ("demo", "none", (0, 0, 0)),
        ("other", "", (0, 0, 0)),
    ):
        with connect(api.database.url("api"), "test") as conn:
            act_for(conn, tenant)
            conn.execute("SELECT set_config('bellwether.customer', %s, true)", [whose])
            assert conn.execute(counts, {"t": ticket}).fetchall() == [seen]
    smuggled = (
        "INSERT INTO attachments (tenant, ticket_id, name, kind, shows, bytes, sha256, added_at, added_by)"
        " VALUES ('other', %s, 'x', 'png', 'fault', 1, '', now(), 'eve')"
    )
    with connect(api.database.url("api"), "test") as conn:
        act_for(conn, "other")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(smuggled, [ticket])


def test_what_is_taken_out_is_gone_and_that_it_was_there_stays(api: RunningApi) -> None:
    emptied(api)
    files, manager = opened(api), api.client(Role.MANAGER)
    added: JSON = ok(send(manager, files, PNG), 201)
    assert manager.delete(f"{files}/{added['id']}").status_code == 204
    refused(manager.get(f"{files}/{added['id']}"), 404)
    refused(manager.delete(f"{files}/{added['id']}"), 409)
    (left,) = ok(manager.get(files))["items"]
    assert (left["removed_by"], left["sha256"]) == ("a-manager", added["sha256"])
    with api.database.owner() as conn:
        kept = "SELECT count(*) FROM attachment_pieces WHERE attachment_id = %s"
        assert conn.execute(kept, [added["id"]]).fetchall() == [(0,)]
    # It may come again, and then it is another.
    assert ok(send(manager, files, PNG), 201)["id"] != added["id"]


def test_files_go_when_their_ticket_has_ended_long_enough_ago(api: RunningApi) -> None:
    emptied(api)
    old, young, client = opened(api), opened(api), api.client(Role.ENGINEER)
    for files in (old, young):
        ok(send(client, files, PNG), 201)
        ok(send(client, files, JPEG[:1_100_000]), 201)
    ended = "UPDATE tickets SET state = 'closed', closed_at = now(), updated_at = now() - %s WHERE id::text = %s"
    with api.database.owner() as conn:
        for files, ago in ((old, timedelta(days=31)), (young, timedelta(days=29))):
            conn.execute(ended, [ago, files.split("/")[4]])
    with connect(api.database.url("notify"), "notify") as conn:
        conn.autocommit = True
        assert attachments.expire(conn, 100) == 0, "nobody has said so"
        ok(api.client().put("/api/v1/retention", json={"keep_days": {"files": 30}}))
        assert [attachments.expire(conn, 1) for _ in range(3)] == [1, 1, 0]
    assert {one["removed_by"] for one in ok(client.get(old))["items"]} == {"bellwether"}
    assert {one["removed_by"] for one in ok(client.get(young))["items"]} == {None}
    with api.database.owner() as conn:
        lost = (
            "SELECT count(*) FROM attachment_pieces p JOIN attachments a ON a.id = attachment_id WHERE a.ticket_id = %s"
        )
        assert conn.execute(lost, [old.split("/")[4]]).fetchall() == [(0,)]
