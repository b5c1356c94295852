"""Bearer tokens: signed with HS256 and nothing else, for one tenant and one role, soon over."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from alarms.roles import Role
from api.errors import NotSignedIn

_ALGORITHM = "HS256"
_ISSUER = "bellwether"
_AUDIENCE = "bellwether-api"
# Clocks of two machines that agree by NTP differ by less.
_LEEWAY_S = 5
_REQUIRED = ["iss", "aud", "sub", "tenant", "role", "name", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are in seconds since 1970."""

    subject: str
    tenant: str
    name: str
    role: Role
    issued_at_s: int
    expires_at_s: int


def issue(secret: str, subject: str, tenant: str, role: str, lifetime_s: int, name: str | None = None) -> str:
    """A token. `subject` is `user:` and the user's id, or the name of a program of ours; `name` is what people read."""
    now_s = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": subject,
        "tenant": tenant,
        "role": Role(role).value,
        "name": name or subject,
        "iat": now_s,
        "exp": now_s + lifetime_s,
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def verify(secret: str, token: str) -> Claims:
    """What a token says, or NotSignedIn where it is not ours, is over, or was changed."""
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            leeway=_LEEWAY_S,
            options={"require": _REQUIRED},
        )
        return Claims(
            subject=str(claims["sub"]),
            tenant=str(claims["tenant"]),
            name=str(claims["name"]),
            role=Role(claims["role"]),
            issued_at_s=int(claims["iat"]),
            expires_at_s=int(claims["exp"]),
        )
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise NotSignedIn("the token is not ours, or it is over: sign in again") from error
