"""`bellwether audit`: chains verified in the database or from an export, and exports to be kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bellwether.findings import Finding
from bellwether.rejects import address_of
from bellwether.settings import Settings
from store.audit import Place, Verified, verification, verify, verify_end
from store.audit.chain import Link, followed
from store.connection import Session, connect, look_only, unavailable
from store.errors import Misconfigured

# Rows that the doctor looks at, of all chains together: two seconds. `verify` looks at all.
_AT_THE_ENDS = 20_000


@contextmanager
def snapshot(settings: Settings) -> Iterator[Session]:
    """The database at one moment: what is written meanwhile is not seen."""
    with unavailable(), connect(address_of(settings), "audit") as conn:
        look_only(conn)
        yield conn


def verified(conn: Session, tenant: str | None, head: str | None) -> Sequence[Verified]:
    """One chain, or every one.

    Raises
    ------
    Misconfigured
        `head` is no hash, or it is not said of which chain; this role sees no salts.
    """
    if head is not None and tenant is None:
        raise Misconfigured("--head: of which --tenant?")
    if not verification.may_verify(conn):
        raise Misconfigured("BELLWETHER_DATABASE_URL: as the owner of the database, or as bellwether_reader")
    return [verify(conn, one, _hash(head)) for one in ([tenant] if tenant is not None else verification.chains(conn))]


def chains_finding(conn: Session) -> Finding | None:
    """How the chains end, in a transaction of the caller's; None where there is none that this role sees."""
    tenants = verification.chains(conn) if verification.may_look(conn) else []
    if not tenants:
        return None
    ends = {tenant: verify_end(conn, tenant, max(_AT_THE_ENDS // len(tenants), 1)) for tenant in tenants}
    bad = [
        f"{tenant or '(logins that nobody has)'}, {one.what}: {one.reason}" for tenant, (_, one) in ends.items() if one
    ]
    if bad:
        return Finding("audit", "failed", "; ".join(bad), "see `bellwether audit verify` and docs/audit.md")
    rows = sum(count for count, _ in ends.values())
    return Finding("audit", "ok", f"the last {rows} acts follow on one another, {len(tenants)} chains")


def shown(one: Verified) -> dict[str, Any]:
    """A verified chain for a program."""
    return {
        "tenant": one.tenant,
        "right": one.wrong is None,
        "begins_after": one.begin.seq,
        "rows": one.head.seq - one.begin.seq,
        "head": {"seq": one.head.seq, "hash": one.head.hash.hex()},
        "unsealed": one.unsealed,
        "erased": one.erased,
        "wrong": None if one.wrong is None else asdict(one.wrong),
    }


def line(one: Verified) -> str:
    """A verified chain for a person."""
    whose = one.tenant or "(logins that nobody has)"
    if one.wrong is not None:
        return f"{whose}: {one.wrong.what} at row {one.wrong.seq}: {one.wrong.reason}"
    waiting = f", {one.unsealed} not sealed yet" if one.unsealed else ""
    return f"{whose}: rows {one.begin.seq + 1} to {one.head.seq} are right{waiting}; head {one.head.hash.hex()}"


def exported(conn: Session, tenant: str) -> Iterator[str]:
    """A chain as JSON lines: what it begins upon, then each row as it was hashed."""
    begin, links = verification.links(conn, tenant)
    yield json.dumps({"tenant": tenant, "after": begin.seq, "hash": begin.hash.hex()}, ensure_ascii=False)
    for link in links:
        fields = asdict(link) | {"at": link.at.isoformat(), "hash": link.hash.hex()}
        yield json.dumps(fields, ensure_ascii=False)


def verified_file(file: Path, head: str | None) -> Verified:
    """An export, without a database.

    Raises
    ------
    Misconfigured
        The file is no export.
    """
    known = _hash(head)
    try:
        with file.open(encoding="utf-8") as lines:
            first = json.loads(next(lines))
            begin = Place(int(first["after"]), bytes.fromhex(first["hash"]))
            at, wrong = followed(map(_link, lines), begin, known)
            return Verified(str(first["tenant"]), begin, at, 0, 0, wrong)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise Misconfigured(f"{file}: no export of the audit log") from error


def _link(text: str) -> Link:
    fields = json.loads(text)
    return Link(**{**fields, "at": datetime.fromisoformat(fields["at"]), "hash": bytes.fromhex(fields["hash"])})


def _hash(text: str | None) -> bytes | None:
    try:
        known = None if text is None else bytes.fromhex(text)
    except ValueError:
        known = b""
    if known is not None and len(known) != 32:
        raise Misconfigured("--head: the 64 digits that `verify` or the page has shown")
    return known
