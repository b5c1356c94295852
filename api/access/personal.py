"""People's data: listed, exported, erased."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import Field

from alarms.roles import Role
from api import ROOT
from api.access.auth import Administrator, Caller, Person
from api.models import Answered, Asked, Instant, Name, Reason, example
from store import audit, personal
from store.errors import NotFound
from store.transactions import Transaction

router = APIRouter(prefix=f"{ROOT}/users/{{login}}", tags=["access"])

LoginPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.@+-]{1,254}$", description="A login", examples=["jo"])]


class AccountOut(Answered):
    """What the account itself holds, beside the password's hash."""

    id: UUID
    login: str
    name: str
    role: Role
    created_at: Instant
    password_at: Instant
    failed_logins: int
    locked_until: Instant | None
    disabled_at: Instant | None
    acts: int = Field(description="Rows of the audit log by this id; they hold no name")


class HeldOut(Answered):
    """A place where somebody is named."""

    model_config = Answered.model_config | example(
        table_name="ticket_events",
        column_name="who",
        what="who took a step of a ticket",
        why="the history of the equipment",
        how_long="with the ticket",
        rows=12,
    )

    table_name: str
    column_name: str
    what: str
    why: str = Field(description="What for")
    how_long: str
    rows: int


class PersonalDataOut(Answered):
    """What is held about a person, and where."""

    account: AccountOut
    held: list[HeldOut]


class TraceOut(Answered):
    """One value that speaks of a person; `key` tells which row of the table it is in."""

    table_name: str
    column_name: str
    key: str
    value: str


class PersonalExportOut(Answered):
    """All that is held about a person."""

    account: AccountOut
    traces: list[TraceOut]


class Erasure(Asked):
    """Why, and by which other names the person may be found."""

    model_config = Asked.model_config | example(note="Asked for by letter on 3 November", also=["J. Novak"])

    note: Reason = Field(description="Kept in the audit log, without the person's names")
    also: list[Annotated[Name, Field(min_length=2)]] = Field(
        default_factory=list, max_length=20, description="Other spellings to be taken out of notes"
    )


class ErasedOut(Answered):
    """What stands in the person's place, and in how many rows of which table."""

    model_config = Answered.model_config | example(
        pseudonym="erased-5f0c9d2ab1e4", rows={"ticket_events": 12, "tickets": 2, "users": 1}
    )

    pseudonym: str
    rows: dict[str, int]


@router.get("/personal-data", summary="What is held about a person")
def list_personal_data(caller: Person, login: LoginPath) -> PersonalDataOut:
    """Where a person is named, what for and for how long. For oneself, and for administrators."""
    with caller.transaction() as conn:
        person = _looked_at(caller, conn, login, "listed")
        held = personal.held(personal.traces(conn, person))
    return PersonalDataOut(
        account=AccountOut.model_validate(person), held=[HeldOut.model_validate(place) for place in held]
    )


@router.get("/personal-data/export", summary="All that is held about a person")
def export_personal_data(caller: Person, login: LoginPath, response: Response) -> PersonalExportOut:
    """Every value that speaks of a person, as a file. For oneself, and for administrators."""
    response.headers["Content-Disposition"] = 'attachment; filename="personal-data.json"'
    with caller.transaction() as conn:
        person = _looked_at(caller, conn, login, "exported")
        traces = personal.traces(conn, person)
    return PersonalExportOut(
        account=AccountOut.model_validate(person),
        traces=[
            TraceOut(table_name=one.table_name, column_name=one.column_name, key=one.key, value=one.value)
            for one in traces
        ],
    )


@router.post("/erasure", summary="Take a person out of everything")
def erase_person(caller: Administrator, login: LoginPath, asked: Erasure) -> ErasedOut:
    """Put a pseudonym in the person's place, wherever they are named, and end the account. It can't be undone.

    What was done to machines, alarms and tickets stays. Asked for again, there is no such user any more (404).
    """
    with caller.transaction() as conn:
        return ErasedOut.model_validate(personal.erase(conn, login, also=asked.also, note=asked.note))


def _looked_at(caller: Caller, conn: Transaction, login: str, how: str) -> personal.Account:
    """The account of somebody whose data this caller may see; that they looked is an act.

    Who may not see it learns not even whether there is such a login.
    """
    who = caller.principal
    person = personal.account(conn, login)
    if who.role is not Role.ADMINISTRATOR and who.user_id != person.id:
        raise NotFound(f"there is no user {login}")
    audit.note(conn, "personal_data", str(person.id), how)
    return person
