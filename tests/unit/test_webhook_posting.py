"""A webhook's POST over TLS, to the address that was judged: whatever the name means a moment later."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bellwether.certs import ensure_authority, ensure_server
from notify.channels import posting

NAME = "cmms.example"
Found = list[tuple[Any, ...]]


@dataclass
class Receiver:
    """A server with a certificate for `NAME`, at each address of the loopback, and the names it was called by."""

    port: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    ensure_server(folder, ensure_authority(folder), [NAME])
    return folder


@pytest.fixture(scope="module")
def listening(authority: Path) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            receiver.told.append((self.connection.getsockname()[0], self.headers["Host"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who posted did not trust it."""

    server = Server(("0.0.0.0", 0), Handler)  # noqa: S104
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def receiver(listening: Receiver, authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The same, trusted as an operator makes it trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.crt"))
    posting._trust.cache_clear()
    listening.told.clear()
    yield listening
    posting._trust.cache_clear()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let the machine's resolver give each of these answers in turn, the last for good; the names that it was asked."""
    real = socket.getaddrinfo

    def answer(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def look_up(host: str, port: int, *args: Any, **more: Any) -> Found:
            if host.replace(".", "").isdecimal():
                return real(host, port, *args, **more)
            asked.append(host)
            addresses = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return answer


def send(receiver: Receiver, name: str = NAME, *, to_loopback: bool = True) -> posting.Answer:
    return posting.post(f"https://{name}:{receiver.port}/hook", b"{}", {}, to_loopback=to_loopback, within_s=60.0)


def test_over_tls_under_the_name_and_to_the_address_that_was_judged(
    receiver: Receiver, resolver: Callable[..., list[str]]
) -> None:
    """The second answer, which is another machine of ours, is never asked for (DNS rebinding)."""
    asked = resolver(["127.0.0.1"], ["127.0.0.2"])
    assert send(receiver).status == 204
    assert receiver.told == [("127.0.0.1", f"{NAME}:{receiver.port}")]
    assert asked == [NAME]


def test_each_post_is_judged_anew_and_one_closed_address_condemns_all(
    receiver: Receiver, resolver: Callable[..., list[str]]
) -> None:
    resolver(["127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["127.0.0.1", "169.254.169.254"])
    assert send(receiver).taken
    for closed in ("10.0.0.1", "169.254.169.254"):
        assert f"{NAME} is at {closed}, which is no public address" in send(receiver).error
    resolver(["1.1.1.1", "127.0.0.1"])
    assert "127.0.0.1, which is no public address" in send(receiver, to_loopback=False).error
    assert len(receiver.told) == 1


def test_a_certificate_of_another_name_is_told_nothing(receiver: Receiver, resolver: Callable[..., list[str]]) -> None:
    resolver(["127.0.0.1"])
    answer = send(receiver, "erp.example")
    assert answer.status is None
    assert "Hostname mismatch" in answer.error
    assert receiver.told == []


def test_a_certificate_of_an_authority_that_nobody_trusts_is_told_nothing(
    receiver: Receiver, resolver: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(["127.0.0.1"])
    monkeypatch.delenv("SSL_CERT_FILE")
    posting._trust.cache_clear()
    answer = send(receiver)
    assert answer.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert receiver.told == []
