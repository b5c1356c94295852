"""The authority of one's own: what it makes is what TLS accepts, keys are nobody else's, renewal happens in time."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bellwether.certs import (
    ENV_NAMES,
    RENEW_BELOW,
    SERVER_LIFE,
    Authority,
    ensure_authority,
    ensure_server,
    issue_device,
    write_env,
)
from store.errors import Misconfigured
from telemetry import Broker, Trust

DEVICE = "bw-3f2a9c-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certs"


@pytest.fixture
def authority(folder: Path) -> Authority:
    return ensure_authority(folder)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> dict[str, object] | None:
    """What the server knows of the client after a handshake and a word each way."""
    ours, theirs = socket.socketpair()
    seen: list[dict[str, object] | None] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                seen.append(connection.getpeercert())
                connection.sendall(b"!")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            assert connection.recv(1) == b"!"
    finally:
        ours.close()
        thread.join()
    return seen[0]


def serving(folder: Path) -> ssl.SSLContext:
    """A server that asks for certificates, as the broker does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def showing(folder: Path, username: str = DEVICE) -> ssl.SSLContext:
    trust = Trust(folder / "ca.crt", folder / f"devices/{username}.crt", folder / f"devices/{username}.key")
    return Broker.parse("mqtts://localhost", trust=trust).encryption()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "broker.plant.example", "10.0.0.7"])
def test_both_sides_accept_what_was_made(folder: Path, authority: Authority, name: str) -> None:
    ensure_server(folder, authority, ["broker.plant.example", "10.0.0.7"])
    issue_device(folder, authority, DEVICE)
    client = showing(folder)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    peer = shake_hands(serving(folder), client, name)
    assert peer is not None
    assert peer["subject"] == ((("commonName", DEVICE),),)


def test_a_name_that_was_not_given_is_refused(folder: Path, authority: Authority) -> None:
    ensure_server(folder, authority)
    issue_device(folder, authority, DEVICE)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(serving(folder), showing(folder), "broker.plant.example")


def test_a_device_is_no_server_and_a_server_no_device(folder: Path, authority: Authority) -> None:
    ensure_server(folder, authority)
    issued = issue_device(folder, authority, DEVICE)
    posing = serving(folder)
    posing.load_cert_chain(issued.certificate, issued.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(posing, showing(folder))
    client = showing(folder)
    client.load_cert_chain(folder / "server.crt", folder / "server.key")
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        shake_hands(serving(folder), client)


def test_a_device_of_another_authority_is_refused(folder: Path, authority: Authority, tmp_path: Path) -> None:
    ensure_server(folder, authority)
    other = tmp_path / "other"
    issued = issue_device(other, ensure_authority(other), DEVICE)
    client = ssl.create_default_context(cafile=folder / "ca.crt")
    client.load_cert_chain(issued.certificate, issued.key)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        shake_hands(serving(folder), client)


def test_a_device_cannot_vouch_for_another(folder: Path, authority: Authority) -> None:
    issued = issue_device(folder, authority, DEVICE)
    certificate = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert not limits.value.ca
    assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_keys_are_their_owners_alone(folder: Path, authority: Authority) -> None:
    ensure_server(folder, authority)
    issue_device(folder, authority, DEVICE)
    keys = list(folder.rglob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "devices")} == {0o700}
    assert not list(folder.rglob("*.new"))


def test_again_nothing_changes_until_it_is_near_its_end(folder: Path, authority: Authority) -> None:
    now = datetime.now(UTC)
    assert ensure_server(folder, authority, ["plant.example"], now).made
    first = (folder / "server.crt").read_bytes(), (folder / "ca.crt").read_bytes()
    again = ensure_authority(folder)
    assert not ensure_server(folder, again, ["plant.example"], now + SERVER_LIFE - RENEW_BELOW - timedelta(days=1)).made
    assert not ensure_server(folder, again, None, now).made, "it keeps the names that it has"
    assert ((folder / "server.crt").read_bytes(), (folder / "ca.crt").read_bytes()) == first
    assert ensure_server(folder, again, None, now + SERVER_LIFE - RENEW_BELOW + timedelta(days=1)).made
    names = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes()).extensions
    assert "plant.example" in str(names.get_extension_for_class(x509.SubjectAlternativeName).value)
    assert ensure_server(folder, again, ["another.example"], now).made
    assert (folder / "ca.crt").read_bytes() == first[1]


@pytest.mark.parametrize("damage", ["missing", "empty", "of another"])
def test_a_broken_server_certificate_is_made_anew(folder: Path, authority: Authority, damage: str) -> None:
    ensure_server(folder, authority)
    key = folder / "server.key"
    if damage == "missing":
        key.unlink()
    elif damage == "empty":
        key.write_text("")
    else:
        key.write_bytes((folder / "ca.key").read_bytes())
    assert ensure_server(folder, authority).made


@pytest.mark.parametrize("damage", ["no key", "no certificate", "rubbish", "of another"])
def test_an_authority_is_never_made_anew(folder: Path, authority: Authority, damage: str) -> None:
    ensure_server(folder, authority)
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if damage == "no key":
        key.unlink()
    elif damage == "no certificate":
        certificate.unlink()
    elif damage == "rubbish":
        key.write_text("rubbish")
    else:
        key.write_bytes((folder / "server.key").read_bytes())
    with pytest.raises(Misconfigured, match=str(folder)):
        ensure_authority(folder)


@pytest.mark.parametrize("name", ["gate", "operator", "bellwether", "", "bw-", "bw-../../x", "bw-" + "a" * 62, "bw-ü"])
def test_a_certificate_is_made_for_no_service_and_no_path(folder: Path, authority: Authority, name: str) -> None:
    with pytest.raises(Misconfigured, match="no username"):
        issue_device(folder, authority, name)


def test_the_containers_env_file_keeps_its_other_lines(folder: Path, authority: Authority, tmp_path: Path) -> None:
    ensure_server(folder, authority)
    env = tmp_path / "compose.env"
    env.write_text("MQTT_GATE_PASSWORD=x\nMQTT_TLS_KEY=old\n")
    write_env(env, folder)
    write_env(env, folder)
    lines = env.read_text().splitlines()
    assert lines[0] == "MQTT_GATE_PASSWORD=x"
    assert [line.partition("=")[0] for line in lines[1:]] == list(ENV_NAMES)
    assert "MQTT_TLS_KEY=old" not in lines
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
