"""What a machine is built of, on its page: read by everybody, said by staff, refused with a reason at the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from alarms.roles import STAFF
from api.access.auth import Caller, Staff
from api.fleet.machines import MachineFacts
from api.page_frame import PageRoute, answer, head_of, reasons
from store import machines
from store.transactions import Transaction

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# Name, what it is called, its unit, what helps to fill it in.
FIELDS = (
    ("bearing", "Bearing", "", "its designation, as SKF 6205"),
    ("bpfo", "BPFO", "orders", "or the four orders of its data sheet: outer ring"),
    ("bpfi", "BPFI", "orders", "inner ring"),
    ("bsf", "BSF", "orders", "rolling element"),
    ("ftf", "FTF", "orders", "cage"),
    ("teeth", "Gear teeth", "", "of the wheel on the measured shaft"),
    ("blades", "Blades", "", "of the fan or pump wheel"),
    ("group", "Machine group", "", "of ISO 20816-3: no zone without it"),
    ("support", "Support", "", "of ISO 20816-3: no zone without it"),
    ("rpm", "Shaft speed", "rpm", "where the device does not send it"),
    ("rated_kw", "Rated power", "kW", ""),
)
_CHOICES = {
    "group": (("1", "1: above 300 kW"), ("2", "2: 15 to 300 kW")),
    "support": (("rigid", "Rigid"), ("flexible", "Flexible")),
}


class SaidForm(BaseModel):
    """The form as it comes: text, empty where nothing is said."""

    model_config = ConfigDict(extra="forbid", str_max_length=64, str_strip_whitespace=True)

    bearing: str = ""
    bpfo: str = ""
    bpfi: str = ""
    bsf: str = ""
    ftf: str = ""
    teeth: str = ""
    blades: str = ""
    group: str = ""
    support: str = ""
    rpm: str = ""
    rated_kw: str = ""

    def facts(self) -> dict[str, Any]:
        """What was said, for `MachineFacts` to judge. A comma is the decimal point of half the world."""
        said = {name: text for name, text in self.model_dump().items() if text}
        numbers = {name: text.replace(",", ".") for name, text in said.items() if name not in ("bearing", "support")}
        chosen = {"group": int(said["group"])} if said.get("group", "").isdecimal() else {}
        return {**said, **numbers, **chosen}


@router.post("/machines/{device}/facts")
def say(request: Request, caller: Staff, device: str, said: Annotated[SaidForm, Form()]) -> Response:
    wrong: dict[str, str] = {}
    with caller.transaction() as conn:
        try:
            facts = MachineFacts.model_validate(said.facts())
        except ValidationError as error:
            wrong = reasons(error, together="bearing")
        else:
            machines.set_machine(conn, device, facts.model_dump(exclude_none=True), caller.principal.name)
        built = built_of(conn, caller, device)
        names = head_of(conn, caller, "fleet")["names"]
    if wrong:
        built |= {"typed": said.model_dump(), "wrong": wrong}
    return answer(request, "machine_built.html", {"built": built, "names": names})


def built_of(conn: Transaction, caller: Caller, device: str) -> dict[str, Any]:
    """What the section shows of a machine; NotFound where there is none."""
    facts = machines.machine(conn, device)
    known = [(name, label, unit) for name, label, unit, _ in FIELDS if facts.get(name) is not None]
    return {
        "facts": [(label, _written(name, facts), unit) for name, label, unit in known],
        "by": machines.said_of_machine(conn, device),
        "path": f"/machines/{quote(device)}/facts",
        "may_say": caller.principal.role in STAFF,
        "fields": FIELDS,
        "choices": _CHOICES,
        "typed": {name: "" if facts.get(name) is None else str(facts[name]) for name, *_ in FIELDS},
        "wrong": {},
    }


def _written(name: str, facts: Mapping[str, Any]) -> str:
    text = str(facts[name])
    return dict(_CHOICES.get(name, ())).get(text, text.removesuffix(".0"))
