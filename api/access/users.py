"""Users: people who may sign in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from alarms.roles import Role
from api import ROOT
from api.access.auth import Administrator, Anyone, Person, Staff, sign_in
from api.access.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, hash_password
from api.errors import BadValue, NotForYou
from api.models import Answered, Asked, Instant, Name, example
from api.once import OnceOnly
from api.paging import Cursor, Limit, Page, after_text, page
from store import access

router = APIRouter(prefix=f"{ROOT}/users", tags=["access"])


def _a_persons(role: Role) -> Role:
    if role is Role.SERVICE:
        raise ValueError("a program has an API key")
    return role


PersonRole = Annotated[Role, AfterValidator(_a_persons)]
Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@+-]{1,254}$")]
NewPassword = Annotated[SecretStr, Field(min_length=LEAST_CHARACTERS, max_length=MOST_CHARACTERS)]


class UserOut(Answered):
    """A user."""

    model_config = Answered.model_config | example(
        id="7c0d8a53-12a5-4a5e-8f6e-57b1b3ac2f10",
        login="jo",
        name="Jo Novak",
        role="engineer",
        created_at="2026-08-02T06:00:00Z",
        disabled_at=None,
        customer=None,
    )

    id: UUID
    login: str
    name: str
    role: Role
    created_at: Instant
    disabled_at: Instant | None
    customer: str | None = Field(description="The number of the customer that an owner belongs to, and sees alone")


class Me(Answered):
    """Who asks."""

    model_config = Answered.model_config | example(tenant="demo", name="jo", role="engineer")

    tenant: str
    name: str
    role: Role


class UserIn(Asked):
    """Somebody new."""

    model_config = Asked.model_config | example(
        {"login": "jo", "name": "Jo Novak", "role": "engineer", "password": "a long one of their own"}
    )

    login: Login
    name: Name
    role: PersonRole
    password: NewPassword


class UserChange(Asked):
    """What is left out stays. A new password ends every session and token of before."""

    model_config = Asked.model_config | example(role="dispatcher", disabled=False)

    name: Name | None = None
    role: PersonRole | None = None
    password: NewPassword | None = None
    disabled: bool | None = None
    customer: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] | None = Field(
        None, description="A customer's number; empty: of none"
    )


class NewOwnPassword(Asked):
    """The password of now, and the one from now on."""

    password: SecretStr = Field(min_length=1, max_length=MOST_CHARACTERS)
    new_password: NewPassword


@router.get("", summary="Users")
def list_users(caller: Staff, limit: Limit = 50, cursor: Cursor = None) -> Page[UserOut]:
    """Users by login, disabled ones too."""
    with caller.transaction() as conn:
        rows = access.users(conn, limit=limit + 1, after=after_text(cursor))
    return page(rows, limit, UserOut.model_validate, lambda row: (row.login,))


@router.get("/me", summary="Who asks")
def get_me(caller: Anyone) -> Me:
    """Who these credentials are."""
    who = caller.principal
    with caller.transaction():  # whoever has been disabled is told so here
        return Me(tenant=who.tenant, name=who.name, role=who.role)


@router.post("", response_model=UserOut, status_code=201, summary="Create a user")
def create_user(caller: Administrator, once: OnceOnly, asked: UserIn) -> JSONResponse:
    """Let somebody in. Logins are unique on the whole server."""
    password_hash = hash_password(asked.password.get_secret_value())
    with caller.transaction() as conn:
        return once.answer(
            caller,
            conn,
            lambda: (
                201,
                UserOut.model_validate(
                    access.create_user(
                        conn,
                        caller.principal.tenant,
                        login=asked.login,
                        name=asked.name,
                        role=asked.role,
                        password_hash=password_hash,
                    )
                ),
            ),
        )


@router.post("/me/password", status_code=204, summary="Change one's own password")
def change_own_password(request: Request, caller: Person, asked: NewOwnPassword) -> None:
    """Change it, which ends every session and token of before."""
    user_id = caller.principal.user_id
    if user_id is None:
        raise NotForYou("an API key has no password")
    sign_in(request, caller.principal.name, asked.password.get_secret_value())
    with caller.transaction() as conn:
        access.change_user(conn, user_id, password_hash=hash_password(asked.new_password.get_secret_value()))


@router.patch("/{user_id}", summary="Change a user")
def change_user(caller: Administrator, user_id: UUID, asked: UserChange) -> UserOut:
    """Change name, role or password, or keep somebody out. In force from their next request on."""
    if user_id == caller.principal.user_id and (asked.disabled or asked.role not in {None, Role.ADMINISTRATOR}):
        raise BadValue("body", "nobody locks themselves out: ask another administrator")
    password = asked.password
    with caller.transaction() as conn:
        return UserOut.model_validate(
            access.change_user(
                conn,
                user_id,
                name=asked.name,
                role=asked.role,
                password_hash=hash_password(password.get_secret_value()) if password else None,
                disabled=asked.disabled,
                customer=asked.customer,
            )
        )
