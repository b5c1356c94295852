"""Who asks, and whether they may.

Credentials are a bearer token, an API key (`bw_…`), or the session cookie of the pages. The tenant comes from them
alone. A user's token is held against the user in the transaction that it is used in: whoever was disabled, was given
another role or changed the password is out at once, not when the token ends.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from alarms.roles import DESK, FIELD, PEOPLE, STAFF, Role
from api.access.tokens import Claims, issue, verify
from api.errors import NotForYou, NotSignedIn
from api.service import Service, service
from store import access, audit
from store.connection import Actor
from store.errors import Unavailable
from store.transactions import Transaction

COOKIE = "bw_session"
KEY_PREFIX = "bw_"
_KEY_BYTES = 32  # 256 random bits: nobody guesses one, so that a plain hash of it is enough at rest
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_USER = "user:"
_WRONG = "the login or the password is wrong, or too many attempts have failed: wait, then try again"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `name` is what is written beside what they do: a user's login, a key's name."""

    tenant: str
    subject: str
    name: str
    role: Role

    @property
    def user_id(self) -> UUID | None:
        """The user, where it is a person."""
        return UUID(self.subject.removeprefix(_USER)) if self.subject.startswith(_USER) else None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the way to their tenant's rows."""

    principal: Principal
    service: Service
    issued_at_s: int
    expires_at: datetime | None
    network: str
    route: str

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction inside the caller's tenant, committed when the block ends. The audit log names the caller."""
        who = self.principal
        by = Actor(who.subject, who.role.value, self.network, self.route)
        with self.service.transactions.of(who.tenant, by) as conn:
            user_id = self.principal.user_id
            if user_id is not None and not access.stands(conn, user_id, self.principal.role, self.issued_at_s):
                raise NotSignedIn("the account has changed: sign in again")
            if self.principal.role is Role.OWNER:
                access.narrow_to_own(conn, user_id)
            yield conn


class Allow:
    """Lets in who has one of these roles. `roles` is what the matrix of routes and roles is made from."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
        cookie: Annotated[str | None, Depends(APIKeyCookie(name=COOKIE, auto_error=False))],
    ) -> Caller:
        caller = _caller(request, bearer.credentials if bearer else None, cookie)
        if caller.principal.role not in self.roles:
            raise NotForYou(f"this is not for the role {caller.principal.role.value}")
        return caller


def require(*roles: Role) -> Allow:
    """Let in these roles; without any, whoever is signed in."""
    return Allow(frozenset(roles) or frozenset(Role))


Anyone = Annotated[Caller, Depends(require())]
Person = Annotated[Caller, Depends(require(*PEOPLE))]
Desk = Annotated[Caller, Depends(require(*DESK))]
Staff = Annotated[Caller, Depends(require(*STAFF))]
FieldStaff = Annotated[Caller, Depends(require(*FIELD))]
Manager = Annotated[Caller, Depends(require(Role.MANAGER, Role.ADMINISTRATOR))]
Administrator = Annotated[Caller, Depends(require(Role.ADMINISTRATOR))]


def sign_in(request: Request, login: str, password: str) -> Principal:
    """The user with this login and password.

    The answer, and about the time it takes, are the same for a wrong password, an unknown login and an account that
    rests after too many failures.

    Raises
    ------
    NotSignedIn
        There is none.
    TooMany
        Too many attempts from this place.
    """
    parts = service(request)
    parts.sign_ins.take(place_of(request))
    with parts.transactions.of_nobody() as conn:
        account = access.account(conn, login)
    tenant, user_id = (account.tenant, account.id) if account else ("", UUID(int=0))
    subject, network, route = f"{_USER}{user_id}", network_of(place_of(request)), route_of(request)
    with parts.transactions.of(tenant) as conn:
        may_try = access.begin_attempt(conn, user_id)
    matches = parts.passwords.matches(account.password_hash if account else None, password)
    if account is None or not may_try or not matches:
        # Of a login that nobody has nothing is noted but that it came: people type passwords there.
        with parts.transactions.of(tenant, Actor("nobody", "", network, route)) as conn:
            audit.note(conn, "session", str(user_id) if account else "", "refused")
        raise NotSignedIn(_WRONG)
    with parts.transactions.of(tenant, Actor(subject, account.role, network, route)) as conn:
        access.forgive(conn, user_id)
        audit.note(conn, "session", str(user_id), "signed_in")
    return Principal(tenant, subject, account.login, Role(account.role))


def token_of(parts: Service, principal: Principal, lifetime_s: int) -> str:
    """A bearer token for somebody who has signed in."""
    return issue(parts.settings.secret, principal.subject, principal.tenant, principal.role, lifetime_s, principal.name)


def begin_session(request: Request, response: Response, principal: Principal) -> None:
    """Give a browser its session. No script reads it, no other site sends it."""
    settings = service(request).settings
    response.set_cookie(
        COOKIE,
        token_of(service(request), principal, settings.session_lifetime_s),
        max_age=settings.session_lifetime_s,
        path="/",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="strict",
    )


def end_session(request: Request, response: Response) -> None:
    """Take a browser's session away, also while the database is. Nothing is noted of one that was over before."""
    with suppress(NotSignedIn, Unavailable):
        caller = _caller(request, None, request.cookies.get(COOKIE))
        with caller.transaction() as conn:
            audit.note(conn, "session", caller.principal.subject.removeprefix(_USER), "signed_out")
    secure = service(request).settings.cookie_secure
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="strict")


def check_same_origin(request: Request) -> None:
    """Refuse a change that another site's page has asked for. A browser says where a request comes from; what does not
    say it is no browser, and has no business with cookies."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        same = site == "same-origin"
    else:
        same = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise NotForYou("this came from another site")


def place_of(request: Request) -> str:
    """Where a request comes from: the peer's address, or what the server in front of us says it is."""
    return request.client.host if request.client else ""


def network_of(address: str) -> str:
    """An address as far as the audit log keeps it: the network of an office or a provider, not a person's own."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((known, 24 if known.version == 4 else 48), strict=False))


def route_of(request: Request) -> str:
    """What was asked, without ids: `PATCH /api/v1/users/{user_id}`."""
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', request.url.path)}"


def new_key() -> tuple[str, bytes]:
    """A new API key and what is stored of it."""
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    return key, key_hash(key)


def _caller(request: Request, bearer: str | None, cookie: str | None) -> Caller:
    parts = service(request)
    if bearer is not None and bearer.startswith(KEY_PREFIX):
        return _key_holder(request, parts, bearer)
    if bearer is not None:
        return _token_holder(request, parts, verify(parts.settings.secret, bearer))
    if cookie is not None:
        caller = _token_holder(request, parts, verify(parts.settings.secret, cookie))
        if request.method not in _SAFE_METHODS:
            check_same_origin(request)
        return caller
    raise NotSignedIn("this needs a token, an API key or a session")


def _token_holder(request: Request, parts: Service, claims: Claims) -> Caller:
    principal = Principal(claims.tenant, claims.subject, claims.name, claims.role)
    until = datetime.fromtimestamp(claims.expires_at_s, UTC)
    return Caller(principal, parts, claims.issued_at_s, until, network_of(place_of(request)), route_of(request))


def _key_holder(request: Request, parts: Service, key: str) -> Caller:
    with parts.transactions.of_nobody() as conn:
        holder = access.key_holder(conn, key_hash(key))
    if holder is None:
        raise NotSignedIn("the key opens nothing: it is unknown, over or revoked")
    principal = Principal(holder.tenant, f"key:{holder.id}", holder.name, Role(holder.role))
    return Caller(principal, parts, 0, None, network_of(place_of(request)), route_of(request))


def key_hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
