"""The page of customers, and the file of a device on its machine's page: read by whom it concerns, written by staff."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from alarms.roles import DESK, STAFF, Role
from api.access.auth import Caller, Desk, Staff
from api.page_frame import PageRoute, answer, filters_of, head_of, reasons, wants_part
from api.tickets.customers import Concerned, CustomerChange, CustomerIn, FileIn
from store import customers
from store.errors import Conflict, NotFound
from store.transactions import Transaction
from tickets.priority import Criticality, Tier

ROWS = 200

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class SaidOfCustomer(BaseModel):
    """The form as it comes."""

    model_config = ConfigDict(extra="forbid", str_max_length=8000, str_strip_whitespace=True)

    number: str = ""
    name: str = ""
    contact: str = ""
    tier: str = ""
    notes: str = ""


class SaidOfDevice(BaseModel):
    """The form as it comes: text, empty where nothing is said."""

    model_config = ConfigDict(extra="forbid", str_max_length=128, str_strip_whitespace=True)

    serial: str = ""
    customer: str = ""
    purchased_on: str = ""
    warranty_until: str = ""
    criticality: str = ""
    safety_equipment: str = ""

    def fields(self) -> dict[str, Any]:
        """What was said, for `FileIn` to judge."""
        said = {name: text for name, text in self.model_dump().items() if text}
        return {**said, "safety_equipment": bool(self.safety_equipment)}


@router.get("/customers")
def customers_page(request: Request, caller: Concerned) -> Response:
    with caller.transaction() as conn:
        return _customers(request, conn, caller)


@router.post("/customers")
def add(request: Request, caller: Desk, said: Annotated[SaidOfCustomer, Form()]) -> Response:
    who, wrong = caller.principal, dict[str, str]()
    with caller.transaction() as conn:
        try:
            asked = CustomerIn.model_validate({**said.model_dump(), "tier": said.tier or Tier.REGULAR})
            customers.create(conn, who.tenant, **asked.model_dump(), who=who.name)
        except ValidationError as error:
            wrong = reasons(error)
        except Conflict as error:
            wrong = {"number": str(error)}
        return _customers(request, conn, caller, typed=said if wrong else None, wrong=wrong)


@router.post("/customers/{customer_id}")
def change(request: Request, caller: Desk, customer_id: UUID, said: Annotated[SaidOfCustomer, Form()]) -> Response:
    """All of it but the number; what cannot be leaves it as it was, and is said."""
    wrong = dict[str, str]()
    with caller.transaction() as conn:
        try:
            asked = CustomerChange.model_validate(said.model_dump(exclude={"number"}))
            customers.change(conn, customer_id, **asked.model_dump(), who=caller.principal.name)
        except ValidationError as error:
            wrong = reasons(error)
        except Conflict as error:
            wrong = {"": str(error)}
        return _customers(request, conn, caller, wrong=wrong)


@router.post("/machines/{device}/file")
def write_file(request: Request, caller: Staff, device: str, said: Annotated[SaidOfDevice, Form()]) -> Response:
    wrong = dict[str, str]()
    with caller.transaction() as conn:
        try:
            asked = FileIn.model_validate(said.fields())
            customers.keep_file(conn, device, **asked.model_dump(), who=caller.principal.name)
        except ValidationError as error:
            wrong = reasons(error)
        except Conflict as error:
            wrong = {"serial": str(error)}
        except NotFound as error:
            wrong = {"customer": str(error)}
        shown = file_of(conn, caller, device)
        names = head_of(conn, caller, "fleet")["names"]
    if wrong and shown is not None:
        shown |= {"typed": said.model_dump(), "wrong": wrong}
    return answer(request, "machine_file.html", {"file": shown, "names": names})


def file_of(conn: Transaction, caller: Caller, device: str) -> dict[str, Any] | None:
    """What the section shows of a device's file; None for whom it does not concern. NotFound: no such device."""
    role = caller.principal.role
    if role not in STAFF | {Role.OWNER}:
        return None
    kept = customers.file(conn, device)
    return {
        "kept": kept,
        "path": f"/machines/{quote(device)}/file",
        "may_say": role in STAFF,
        "typed": {
            "serial": kept.serial,
            "customer": kept.customer or "",
            "purchased_on": kept.purchased_on or "",
            "warranty_until": kept.warranty_until or "",
            "criticality": kept.criticality,
            "safety_equipment": "yes" if kept.safety_equipment else "",
        },
        "criticalities": [one.value for one in Criticality],
        "wrong": {},
    }


def _customers(
    request: Request,
    conn: Transaction,
    caller: Caller,
    *,
    typed: SaidOfCustomer | None = None,
    wrong: dict[str, str] | None = None,
) -> Response:
    filters = filters_of(request, "name", "after")
    rows = customers.customers(conn, limit=ROWS + 1, like=filters["name"] or None, after=filters["after"] or None)
    values = {
        **head_of(conn, caller, "tickets"),
        "filters": {"name": filters["name"]},
        "customers": rows[:ROWS],
        "next_page": rows[ROWS - 1].number if len(rows) > ROWS else None,
        "may_change": caller.principal.role in DESK,
        "may_erase": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
        "tiers": [tier.value for tier in Tier],
        "typed": (typed or SaidOfCustomer(tier=Tier.REGULAR)).model_dump(),
        "wrong": wrong or {},
    }
    part = wants_part(request) or request.method == "POST"
    return answer(request, "customers_live.html" if part else "customers.html", values)
