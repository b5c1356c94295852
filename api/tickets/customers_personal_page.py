"""The page of a customer's data: what is held, and the form that erases it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from api.access.auth import Caller, Manager
from api.page_frame import PageRoute, answer, head_of, reasons
from api.tickets.customers_personal import CustomerErasure, erased, looked_at
from store import customers, personal, personal_customers
from store.errors import Conflict
from store.transactions import Transaction

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class SaidOfErasure(BaseModel):
    """The form as it comes."""

    model_config = ConfigDict(extra="forbid", str_max_length=8000, str_strip_whitespace=True)

    note: str = ""
    also: str = ""
    all_files: str = ""
    number: str = ""


@router.get("/customers/{customer_id}/personal-data")
def customer_data_page(request: Request, caller: Manager, customer_id: UUID) -> Response:
    with caller.transaction() as conn:
        looked_at(conn, customer_id, "listed")
        return _page(request, conn, caller, customer_id)


@router.post("/customers/{customer_id}/erasure")
def erase(request: Request, caller: Manager, customer_id: UUID, said: Annotated[SaidOfErasure, Form()]) -> Response:
    """Whoever erases types the customer's number: the wrong page is open sooner than one thinks."""
    wrong = ""
    with caller.transaction() as conn:
        of = customers.customer(conn, customer_id)
        try:
            also = [line.strip() for line in said.also.splitlines() if line.strip()]
            asked = CustomerErasure(note=said.note, also=also, all_files=bool(said.all_files))
            if said.number != of.number:
                wrong = f"{said.number or 'nothing'} is not their number"
            else:
                erased(conn, customer_id, asked)
        except ValidationError as error:
            wrong = "; ".join(f"{field}: {why}" for field, why in reasons(error).items())
        except Conflict as error:
            wrong = str(error)
        return _page(request, conn, caller, customer_id, said, wrong)


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    customer_id: UUID,
    said: SaidOfErasure | None = None,
    wrong: str = "",
) -> Response:
    of = customers.customer(conn, customer_id)
    kept, until = personal_customers.papers_kept(conn, customer_id)
    values = {
        **head_of(conn, caller, "tickets"),
        "of": of,
        "held": personal.held(personal_customers.traces(conn, of)),
        "files": len(personal_customers.files(conn, customer_id)),
        "looked_for": personal_customers.names_of(of),
        "kept": kept,
        "until": until,
        "typed": (said or SaidOfErasure()).model_dump(),
        "wrong": wrong,
    }
    return answer(request, "customer_personal.html", values, 422 if wrong else 200)
