"""The pages of what is learnt: the ledger of corrective actions, and the month."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from alarms.roles import Role
from api.access.auth import Caller, Manager, Staff
from api.follow_up.reviews import FiguresOut, first_day
from api.page_frame import PageRoute, answer, head_of, wants_part
from api.paging import after_time_id, beyond
from store import overview
from store import terms as term_store
from store.errors import Conflict, NotFound
from store.follow_up import actions, reviews
from store.follow_up.actions import Action, Decision
from store.transactions import Transaction
from tickets.improvement import STEPS, NoSuchStep, NotShown, State
from tickets.quality import month_after

# More problems at once than these nobody sees to.
MOST_AT_WORK = 500
ENDED_PER_PAGE = 50
_LINE = 200
_TEXT = 2000
_CENTURY = range(2000, 2100)  # as the API takes months

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_AT_WORK = [state for state in State if STEPS[state]]
_ENDED = [state for state in State if not STEPS[state]]
MANAGERS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})
Line = Annotated[str, Form(max_length=_LINE)]
Text = Annotated[str, Form(max_length=_TEXT)]
Month = Annotated[str, Form(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


@router.get("/corrective-actions")
def actions_page(request: Request, caller: Staff) -> Response:
    with caller.transaction() as conn:
        return _actions(request, conn, caller)


@router.post("/corrective-actions")
def write_problem(
    request: Request,
    caller: Staff,
    problem: Annotated[str, Form(min_length=1, max_length=_LINE)],
    model: Line = "",
    fault: Line = "",
) -> Response:
    who = caller.principal
    said = {"model": model.strip(), "fault": fault.strip()}
    with caller.transaction() as conn:
        actions.write(conn, who.tenant, problem.strip(), **said, who=who.name, now=datetime.now(UTC))
        return _actions(request, conn, caller)


@router.post("/corrective-actions/{action_id}/move")
def move(
    request: Request,
    caller: Manager,
    action_id: UUID,
    to: Annotated[State, Form()],
    root_cause: Text = "",
    action: Text = "",
    owner: Line = "",
    due_on: Annotated[date | None, Form()] = None,
    note: Text = "",
) -> Response:
    """A step of an action; what cannot be is said above the list."""
    with caller.transaction() as conn:
        due_at = None if due_on is None else _end_of(conn, due_on)
        said = Decision(note.strip(), root_cause.strip(), action.strip(), owner.strip(), due_at)
        try:
            actions.decide(conn, action_id, to, said, who=caller.principal.name, now=datetime.now(UTC))
        except (Conflict, NoSuchStep, NotShown) as error:
            return _actions(request, conn, caller, str(error))
        return _actions(request, conn, caller)


@router.get("/month")
def month_page(request: Request, caller: Staff) -> Response:
    now = datetime.now(UTC)
    with caller.transaction() as conn:
        asked = request.query_params.get("month", "")
        return _month(request, conn, caller, _month_of(asked) or reviews.month_now(conn, now))


@router.post("/month")
def sign(
    request: Request, caller: Manager, month: Month, notes: Annotated[str, Form(min_length=1, max_length=_TEXT)]
) -> Response:
    who, of = caller.principal, first_day(month)
    with caller.transaction() as conn:
        reviews.sign(conn, who.tenant, of, notes.strip(), who=who.name, now=datetime.now(UTC))
        return _month(request, conn, caller, of)


def _actions(request: Request, conn: Transaction, caller: Caller, wrong: str = "") -> Response:
    now = datetime.now(UTC)
    cursor = request.query_params.get("after") or None
    ended = actions.actions(conn, limit=ENDED_PER_PAGE + 1, states=_ENDED, after=after_time_id(cursor))
    values = {
        **head_of(conn, caller, "tickets"),
        "at_work": [_shown(one, now) for one in actions.actions(conn, limit=MOST_AT_WORK, states=_AT_WORK)],
        "ended": [_shown(one, now) for one in ended[:ENDED_PER_PAGE]],
        "is_later": cursor is not None,
        "next_page": beyond(ended, ENDED_PER_PAGE, lambda one: (one.made_at, one.id)),
        "people": [one for one in overview.people(conn) if one.role != Role.OWNER],
        "may_decide": caller.principal.role in MANAGERS,
        "wrong": wrong,
    }
    return answer(request, "corrective_actions_live.html" if wants_part(request) else "corrective_actions.html", values)


def _shown(of: Action, now: datetime) -> dict[str, Any]:
    """An action, and where it may go from here: what it is already is only changed."""
    steps = [state.value for state in State if state in STEPS[State(of.state)]]
    return {"of": of, "overdue": of.is_overdue(now), "steps": steps}


def _month(request: Request, conn: Transaction, caller: Caller, month: date) -> Response:
    now = datetime.now(UTC)
    found = reviews.review(conn, month, now)
    values = {
        **head_of(conn, caller, "tickets"),
        "r": found,
        "f": FiguresOut.model_validate(found.figures),
        "before": month - timedelta(days=1),
        "after": month_after(month) if found.ends_at <= now else None,
        "may_sign": caller.principal.role in MANAGERS and found.ends_at <= now and found.signed is None,
        "is_over": found.ends_at <= now,
    }
    return answer(request, "month.html", values)


def _month_of(text: str) -> date | None:
    try:
        found = date.fromisoformat(f"{text}-01") if text else None
    except ValueError as error:
        raise NotFound("a month is written 2026-10") from error
    if found is not None and found.year not in _CENTURY:
        raise NotFound("a month of this century")
    return found


def _end_of(conn: Transaction, day: date) -> datetime:
    """The last moment of a day, on the tenant's clock."""
    zone = term_store.in_force(conn).calendar.zone
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC) - timedelta(seconds=1)
