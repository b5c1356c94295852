"""A certificate authority of one's own: for the broker's TLS, and for devices that show a certificate.

    FOLDER/ca.crt        what devices and people trust
    FOLDER/ca.key        makes certificates; for its owner alone, needed by no process that runs
    FOLDER/server.crt    the broker's, for the names that it is reached by; server.key beside it
    FOLDER/devices/      NAME.crt and NAME.key of each device made here

Run again, it makes what is missing and renews what is near its end; an authority is never made anew, since every device
trusts it. Files are replaced whole, and keys are never readable by others. Elliptic curves (P-256) throughout: small
enough for a microcontroller's handshake.
"""

from __future__ import annotations

import ipaddress
import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from store.errors import Misconfigured

# As long as the machines that trust it may stand: a new authority means touching each of them.
AUTHORITY_LIFE = timedelta(days=7305)
# What many clients accept at most. Low: a broker that runs for long must be given a new one more often.
SERVER_LIFE = timedelta(days=397)
DEVICE_LIFE_DAYS = 825
# Renewed with a third of its life left: a broker restarted once a season never shows one that is over.
RENEW_BELOW = SERVER_LIFE / 3
# A device whose clock is a little slow must find it valid already.
_BACKDATED = timedelta(days=1)
# What the API names credentials: at most as long as a common name may be, and nobody that is a service of ours.
_USERNAME = re.compile(r"bw-[a-z0-9-]{1,61}\Z")
# How a container's broker is given its files, in base64: an env file has no lines within a value.
ENV_NAMES = {"MQTT_TLS_AUTHORITY": "ca.crt", "MQTT_TLS_CERTIFICATE": "server.crt", "MQTT_TLS_KEY": "server.key"}
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Authority:
    """Who vouches for broker and devices."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Issued:
    """Where a certificate and its key are; `made`: whether they are new."""

    certificate: Path
    key: Path
    made: bool


def ensure_authority(folder: Path, now: datetime | None = None) -> Authority:
    """The authority of a folder, made where there is none.

    Raises
    ------
    Misconfigured
        Its files cannot be read, or half of them are missing.
    """
    certificate_file, key_file = folder / "ca.crt", folder / "ca.key"
    if certificate_file.exists() or key_file.exists():
        try:
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except (OSError, ValueError) as error:
            raise Misconfigured(f"{folder}: the authority is incomplete or unreadable: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Misconfigured(f"{folder}: ca.key is not the key of ca.crt")
        return Authority(certificate, key)
    now = now or datetime.now(UTC)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: two authorities of one name confuse clients that know both.
    name = _name(f"Bellwether authority {x509.random_serial_number() % 0xFFFFFF:06x}")
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _key_pem(key))
    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(certificate, key)


def ensure_server(
    folder: Path, authority: Authority, names: Sequence[str] | None = None, now: datetime | None = None
) -> Issued:
    """A broker's certificate for these host names and addresses beside `LOCAL_NAMES`; None: for those that it has.

    It is made anew when it is near its end, of another authority, or for other names.

    Raises
    ------
    Misconfigured
        A name is none.
    """
    now = now or datetime.now(UTC)
    files = folder / "server.crt", folder / "server.key"
    names = sorted({*LOCAL_NAMES, *(_names_of(files[0]) if names is None else names)})
    if _serves(*files, authority, names, now):
        return Issued(*files, made=False)
    issued = _issue(authority, "bellwether broker", now, SERVER_LIFE, ExtendedKeyUsageOID.SERVER_AUTH, names)
    _keep(files, issued)
    return Issued(*files, made=True)


def issue_device(
    folder: Path, authority: Authority, username: str, days: int = DEVICE_LIFE_DAYS, now: datetime | None = None
) -> Issued:
    """A device's certificate, whose common name is the username of its credential; a new one each time.

    Raises
    ------
    Misconfigured
        It is no name of a credential.
    """
    if not _USERNAME.match(username):
        raise Misconfigured(f"{username} is no username of a credential: bw-…, from POST /api/v1/credentials")
    (folder / "devices").mkdir(mode=0o700, exist_ok=True)
    files = folder / "devices" / f"{username}.crt", folder / "devices" / f"{username}.key"
    life = timedelta(days=days)
    _keep(files, _issue(authority, username, now or datetime.now(UTC), life, ExtendedKeyUsageOID.CLIENT_AUTH, ()))
    return Issued(*files, made=True)


def env_of(folder: Path) -> dict[str, str]:
    """What the broker's container is given of a folder, by variable."""
    return {name: b64encode((folder / file).read_bytes()).decode() for name, file in ENV_NAMES.items()}


def write_env(env_file: Path, folder: Path) -> None:
    """Set the broker's variables in an env file; its other lines stay."""
    kept = env_file.read_text().splitlines() if env_file.exists() else []
    kept = [line for line in kept if line.partition("=")[0] not in ENV_NAMES]
    lines = [*kept, *(f"{name}={value}" for name, value in env_of(folder).items())]
    env_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(env_file, "".join(f"{line}\n" for line in lines).encode())


def _names_of(certificate_file: Path) -> list[str]:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return []
    return [str(name.value) for name in known]


def _serves(certificate_file: Path, key_file: Path, authority: Authority, names: Sequence[str], now: datetime) -> bool:
    """Whether there is a certificate of this authority for these names that holds for a while yet."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        certificate.verify_directly_issued_by(authority.certificate)
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, it is made anew
        return False
    return (
        key.public_key() == certificate.public_key()
        and certificate.not_valid_after_utc - now > RENEW_BELOW
        and set(known) == set(_alternative_names(names))
    )


def _issue(
    authority: Authority,
    name: str,
    now: datetime,
    life: timedelta,
    purpose: x509.ObjectIdentifier,
    names: Sequence[str],
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    life = min(life, authority.certificate.not_valid_after_utc - now)  # no chain is longer than its first link
    builder = (
        _builder(_name(name), authority.certificate.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
    return builder.sign(authority.key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                found.append(x509.DNSName(name))
            except ValueError as error:
                raise Misconfigured(f"{name} is no name of a host: {error}") from error
    return found


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _keep(files: tuple[Path, Path], issued: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]) -> None:
    certificate, key = issued
    _write(files[1], _key_pem(key))
    _write(files[0], certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
