"""The page of the terms: what is promised, when that would be due, and, for who may, the form that changes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from alarms.roles import STAFF, Role
from api.access.auth import Caller, Manager, Person
from api.errors import BadValue
from api.follow_up import terms as follow_up_terms
from api.page_frame import PageRoute, answer, head_of
from api.tickets.terms import TermsChange, change, due_of
from dashboard.figures import exact
from store import terms as term_store
from store.errors import Conflict
from store.transactions import Transaction
from tickets.calendar import WEEKDAYS
from tickets.clocks import PROMISED
from tickets.priority import Criticality, FaultClass, Level, Priority, Tier
from tickets.terms import HOUSE

VERSIONS = 10
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)((?:\s+\d\d:\d\d-\d\d:\d\d)*)\s*(.*)")

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _typed(request: Request) -> dict[str, str]:
    """The form as it came: text by the name of its field, `pauses` of each reason joined."""
    form = await request.form(max_fields=500)
    return {name: " ".join(str(value) for value in form.getlist(name)).replace("\r", "") for name in form}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/terms")
def terms_page(request: Request, caller: Person) -> Response:
    with caller.transaction() as conn:
        return _page(request, conn, caller)


@router.post("/terms")
def change_terms(request: Request, caller: Manager, typed: Typed) -> Response:
    """Keep what was typed, or show it again with what is wrong with it."""
    wrong: dict[str, str] = {}
    try:
        asked = TermsChange.model_validate(
            {"terms": read(typed), "version": typed.get("version", ""), "reason": typed.get("reason", "")}
        )
        with caller.transaction() as conn:
            change(conn, caller.principal.tenant, asked, caller.principal.name)
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(str(part) for part in one["loc"]).removeprefix("terms.")
            wrong.setdefault(where, one["msg"].removeprefix("Value error, "))
    except BadValue as error:
        wrong[error.field.removeprefix("body.terms.")] = str(error)
    except Conflict as error:
        wrong["version"] = str(error)
    with caller.transaction() as conn:
        return _page(request, conn, caller, typed if wrong else None, wrong, kept=not wrong)


def write(terms: Mapping[str, Any]) -> dict[str, str]:
    """Terms as the form shows them: text by the name of its field."""
    calendar, levels = terms["calendar"], terms["levels"]
    found = {"calendar.zone": calendar["zone"]}
    found |= {f"calendar.week.{day}": ", ".join(calendar["week"][day]) for day in WEEKDAYS}
    found["calendar.exceptions"] = "\n".join(
        " ".join([one["date"], *one["hours"], one.get("name", "")]).strip() for one in calendar["exceptions"]
    )
    for level in Level:
        found |= {f"levels.{level}.{name}_min": _hours(levels[level][f"{name}_min"]) for name in PROMISED}
        found[f"levels.{level}.around_the_clock"] = "on" if levels[level]["around_the_clock"] else ""
    found |= {"vip_assignment_min": _hours(terms["vip_assignment_min"])}
    found |= {"warn_at_share": exact(100 * terms["warn_at_share"])}
    found |= {name: str(terms[name]) for name in ("reopens_within_h", "guarantee_days")}
    later = {**HOUSE, **terms}  # a version that is older than these has those of the house
    found |= {name: str(later[name]) for name in ("expert_h", "report_h", "send_back_h")}
    found |= {"inspected": ", ".join(later["inspected"])}
    found |= {"sample_share": exact(100 * later["sample_share"]), "after_repair_h": exact(later["after_repair_h"])}
    found |= {"steps_needed": "yes" if later["steps_needed"] else "no"}
    found |= follow_up_terms.write(later["follow_up"])
    found["remind_h"] = str(later["remind_h"])
    for number, one in enumerate(terms["pause_reasons"]):
        found |= {f"pause_reasons.{number}.{name}": str(one[name]) for name in ("id", "label")}
        found[f"pause_reasons.{number}.pauses"] = " ".join(one["pauses"])
    for fault_class, c, tier in _cells():
        found[f"matrix.{fault_class}.{c}.{tier}"] = terms["matrix"][fault_class][c][tier]
    return found


def read(typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, in the shape of terms, for `TermsIn` to judge."""
    get = {name: text.strip() for name, text in typed.items()}.get
    matrix: dict[str, dict[str, dict[str, str]]] = {}
    for fault_class, c, tier in _cells():
        matrix.setdefault(fault_class, {}).setdefault(c, {})[tier] = get(f"matrix.{fault_class}.{c}.{tier}", "")
    return {
        "calendar": {
            "zone": get("calendar.zone", ""),
            "week": {day: _parts(get(f"calendar.week.{day}", "")) for day in WEEKDAYS},
            "exceptions": [_exception(line) for line in get("calendar.exceptions", "").splitlines() if line.strip()],
        },
        "levels": {
            level.value: {
                "around_the_clock": bool(get(f"levels.{level}.around_the_clock")),
                **{f"{name}_min": _minutes(get(f"levels.{level}.{name}_min", "")) for name in PROMISED},
            }
            for level in Level
        },
        "vip_assignment_min": _minutes(get("vip_assignment_min", "")),
        **{name: _share(get(name, "")) for name in ("warn_at_share", "sample_share")},
        "pause_reasons": _reasons(get),
        "matrix": matrix,
        **{
            name: get(name, "")
            for name in (
                "reopens_within_h",
                "guarantee_days",
                "expert_h",
                "report_h",
                "send_back_h",
                "after_repair_h",
            )
        },
        "remind_h": get("remind_h", ""),
        "inspected": _parts(get("inspected", "").upper()),
        "steps_needed": get("steps_needed", "yes") != "no",
        "follow_up": follow_up_terms.read(typed),
    }


def _page(
    request: Request,
    conn: Transaction,
    caller: Caller,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    *,
    kept: bool = False,
) -> Response:
    latest = term_store.kept(conn)
    shown = {**write(latest.terms), "version": str(latest.version), "reason": "", **(typed or {})}
    if typed is not None:  # a box that is not ticked is not sent
        shown |= {name: "" for name in shown if name.endswith((".around_the_clock", ".pauses")) and name not in typed}
    labels = [name for name, text in shown.items() if text and re.fullmatch(r"pause_reasons\.\d+\.label", name)]
    reasons = 1 + max((int(name.split(".")[1]) for name in labels), default=-1)
    due = due_of(term_store.in_force(conn), datetime.now(UTC))
    values = {
        **head_of(conn, caller, "tickets"),
        "latest": latest,
        "versions": term_store.versions(conn, limit=VERSIONS) if caller.principal.role in STAFF else [],
        "due": {level.value: {one.clock.value: one.due_at for one in due if one.level is level} for level in Level},
        "form": shown,
        "wrong": _at_fields(wrong or {}, [*shown, *(f"pause_reasons.{reasons}.{name}" for name in ("id", "label"))]),
        "kept": kept,
        "may_change": caller.principal.role in {Role.MANAGER, Role.ADMINISTRATOR},
        "weekdays": WEEKDAYS,
        "levels": [level.value for level in reversed(Level)],
        "clock_names": [name.value for name in PROMISED],
        "classes": [one.value for one in FaultClass],
        "criticalities": [one.value for one in Criticality],
        "tiers": [one.value for one in Tier],
        "priorities": [one.value for one in reversed(Priority)],
        "reasons": range(reasons + 1),  # one more, to add to
    }
    return answer(request, "terms.html", values, 422 if wrong else 200)


def _at_fields(wrong: Mapping[str, str], fields: Sequence[str]) -> dict[str, str]:
    """What is wrong, by the field of the form that it is typed into; what belongs to none under an empty name."""
    found: dict[str, str] = {}
    for where, why in wrong.items():
        at = next((name for name in sorted(fields, key=len, reverse=True) if f"{where}.".startswith(f"{name}.")), "")
        found.setdefault(at or next((name for name in fields if name.startswith(f"{where}.")), ""), why)
    return found


def _cells() -> list[tuple[str, str, str]]:
    return [(f.value, c.value, t.value) for f in FaultClass for c in Criticality for t in Tier]


def _hours(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes // 60}:{minutes % 60:02d}"


def _minutes(text: str) -> int | str | None:
    """`1:30` is ninety; nothing is no promise; anything else is for the model to refuse."""
    match = re.fullmatch(r"(\d{1,5}):([0-5]\d)", text)
    return 60 * int(match[1]) + int(match[2]) if match else text or None


def _share(per_cent: str) -> float | str:
    """A comma is the decimal point of half the world."""
    text = per_cent.replace(",", ".")
    return float(text) / 100 if re.fullmatch(r"\d{1,3}(\.\d+)?", text) else text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _exception(line: str) -> dict[str, Any]:
    match = _DAY.fullmatch(line.strip())
    if match is None:
        return {"date": line.strip()[:40]}
    return {"date": match[1], "hours": match[2].split(), "name": match[3]}


def _reasons(get: Any) -> list[dict[str, Any]]:
    """Each row that has a label; a new one is called by its label."""
    found = []
    number = 0
    while (label := get(f"pause_reasons.{number}.label")) is not None:
        name = get(f"pause_reasons.{number}.id") or re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:40]
        if label:
            found.append({"id": name, "label": label, "pauses": get(f"pause_reasons.{number}.pauses", "").split()})
        number += 1
    return found
