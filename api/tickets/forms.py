"""The forms of a ticket's page: which fields each move asks for, and what was typed into them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from alarms.roles import DESK, INSPECTORS, Role
from api.errors import BadValue
from api.tickets.papers import PapersIn
from dashboard.words import ticket_move
from store.tickets import Ticket
from tickets.intake import Service
from tickets.needs import Facts, Need, Paper, Quote, lacks
from tickets.states import MOVES, Move, State, moves_from

# Asked for with the move itself, whatever there is already.
_EACH_TIME = {
    Need.NOTE: "note",
    Need.QUOTE: "quote",
    Need.APPOINTMENT: "appointment",
    Need.TEST: "test",
    Need.SIGNATURE: "signature",
}
# What no form can give: said beside the move instead.
_ELSEWHERE = (
    Need.OPEN_QUOTE,
    Need.APPROVAL,
    Need.PARTS,
    Need.NO_REPAIR,
    Need.STEPS,
    Need.INSPECTIONS,
    Need.WELL,
)
_VALUE = re.compile(r"(.*?\S)\s+([+-]?\d+(?:[.,]\d+)?)\s*(\S*)")


def moves_of(t: Ticket, facts: Facts, role: Role, *, may_assign: bool) -> list[dict[str, Any]]:
    """The moves that this role may make from here, along the road first. Sending somebody is a form of its own."""
    state = State(t.state)
    found = moves_from(state, State(t.held_from) if t.held_from else None, role, is_own=facts.is_own)
    steps = [
        _step(to, MOVES[state][to], facts, role)
        for to in found
        if to is not State.DISPATCHED or not (may_assign or not t.assignee)
    ]
    return sorted(steps, key=lambda step: (step["ends"], bool(step["lacks"]), "failed_test" in step["asks"]))


def _step(to: State, move: Move, facts: Facts, role: Role) -> dict[str, Any]:
    asks = {name for need, name in _EACH_TIME.items() if need in move.needs}
    asks |= {"verdict"} if Need.VERDICT in move.needs and not facts.has_verdict else set()
    asks |= {"diagnosis"} if Need.DIAGNOSIS in move.needs and not facts.diagnosed else set()
    asks |= {"from_afar"} if Need.NO_VISIT in move.needs and facts.service is Service.ON_SITE else set()
    asks |= {"pause_reason"} if to is State.ON_HOLD else set()
    test_failed = Paper.TEST in move.papers and Need.TEST not in move.needs
    asks |= {"failed_test"} if test_failed else set()
    met = set[Need]()
    if Paper.ANSWER in move.papers and role in DESK and facts.quote is Quote.OPEN:
        asks.add("answer" if Need.APPROVAL in move.needs else "refusal")
        met.add(Need.APPROVAL)
    if Paper.INSPECTION in move.papers and role in INSPECTORS and not facts.has_worked and facts.inspections:
        asks.add("failure" if Need.FAILED in move.needs else "inspection")
        met |= {Need.INSPECTIONS} if len(facts.passed_by | {facts.who}) >= facts.inspections else set()
    if Need.WELL in move.needs and role in INSPECTORS and not facts.has_worked and lacks(Need.WELL, facts):
        asks.add("nevertheless")
        met.add(Need.WELL)
    short = [lacks(need, facts) for need in _ELSEWHERE if need in move.needs and need not in met]
    if {Need.PASSED, Need.FAILED} & move.needs and not asks & {"inspection", "failure"}:
        short.append("an inspection by somebody who did not work on it")
    return {
        "to": to.value,
        "name": "Test failed" if test_failed else ticket_move(to),
        "asks": asks,
        "lacks": next((what for what in short if what), ""),
        "ends": to in {State.ON_HOLD, State.CANCELLED},
    }


def papers_of(typed: Mapping[str, str], zone: ZoneInfo, now: datetime) -> dict[Paper, dict[str, Any]]:
    """What was typed for each paper; one of which nothing was typed does not come. BadValue where it cannot be."""
    groups: dict[str, dict[str, Any]] = {}
    for name, text in typed.items():
        paper, dot, field = name.partition(".")
        if dot and text.strip():
            groups.setdefault(paper, {})[field] = text.strip()
    if "hours" in groups.get("diagnosis", {}):
        groups["diagnosis"]["hours"] = groups["diagnosis"]["hours"].replace(",", ".")
    if "amount" in groups.get("quote", {}):
        groups["quote"]["amount"] = groups["quote"]["amount"].replace(",", ".")
    if "values" in groups.get("test", {}):
        groups["test"]["values"] = [_value(line) for line in groups["test"]["values"].splitlines() if line.strip()]
    if "appointment" in groups:
        groups["appointment"] = {name: _local(text, zone) for name, text in groups["appointment"].items()}
    if "signature" in groups:
        groups["signature"]["signed_at"] = now.isoformat()
        groups["signature"]["strokes"] = _strokes(groups["signature"].get("strokes", "[]"))
    try:
        return PapersIn.model_validate(groups).papers()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadValue(where, f"{where.replace('.', ', ')}: {first['msg'].removeprefix('Value error, ')}") from error


def _value(line: str) -> dict[str, str]:
    """`flow 10.1 m3/h`."""
    match = _VALUE.fullmatch(line.strip())
    if match is None:
        raise BadValue("test.values", f"“{line.strip()[:40]}” is no measured value: write it as flow 10.1 m3/h")
    return {"name": match[1], "value": match[2].replace(",", "."), "unit": match[3]}


def _strokes(text: str) -> Any:
    """What the pad of the page has drawn."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadValue("signature.strokes", "this signature cannot be read: draw it again") from None


def _local(text: str, zone: ZoneInfo) -> str:
    """A time on the clock on the wall."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat()
    except ValueError:
        return text
