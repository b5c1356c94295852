"""Signing in: a token for programs that act for a person, a session for browsers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field, SecretStr, StringConstraints

from api import ROOT
from api.access.auth import Principal, begin_session, check_same_origin, end_session, sign_in, token_of
from api.access.passwords import MOST_CHARACTERS
from api.errors import NotSignedIn, TooMany
from api.models import Answered, Asked, example
from api.service import service

router = APIRouter(prefix=ROOT, tags=["access"])


class Credentials(Asked):
    """A login and its password."""

    model_config = Asked.model_config | example({"login": "jo", "password": "a long one of their own"})

    login: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,254}$")]
    password: Annotated[SecretStr, Field(min_length=1, max_length=MOST_CHARACTERS)]


class TokenOut(Answered):
    """A bearer token."""

    access_token: str
    token_type: Literal["Bearer"] = Field(default="Bearer")
    expires_in: int = Field(description="Seconds")


@router.post("/token", summary="A token for a login and a password")
def create_token(request: Request, asked: Credentials) -> TokenOut:
    """Sign in. After five failures in a row an account rests for a minute, then for twice as long each time."""
    parts = service(request)
    lifetime_s = parts.settings.token_lifetime_s
    token = token_of(parts, signed_in(request, asked.login, asked.password.get_secret_value()), lifetime_s)
    return TokenOut(access_token=token, expires_in=lifetime_s)


@router.post("/session", status_code=204, summary="Sign a browser in")
def create_session(request: Request, response: Response, asked: Credentials) -> None:
    """Set the session cookie. Only for pages of this very server."""
    check_same_origin(request)
    begin_session(request, response, signed_in(request, asked.login, asked.password.get_secret_value()))


@router.delete("/session", status_code=204, summary="Sign a browser out")
def delete_session(request: Request, response: Response) -> None:
    """Take the session cookie away."""
    check_same_origin(request)
    end_session(request, response)


def signed_in(request: Request, login: str, password: str) -> Principal:
    """`auth.sign_in`, counted."""
    attempts = service(request).figures.sign_ins
    try:
        principal = sign_in(request, login, password)
    except (NotSignedIn, TooMany):
        attempts.labels("refused").inc()
        raise
    attempts.labels("accepted").inc()
    return principal
