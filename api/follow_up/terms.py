"""What the terms say of the time after a repair: what customers are asked, and when somebody sees to it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from api.models import Asked, Line
from dashboard.figures import exact
from tickets.links import LONGEST_ADDRESS, address_of
from tickets.surveys import FEWEST_QUESTIONS, HOUSE_FOLLOW_UP, MOST_QUESTIONS, Kind

NUMBERS = tuple(name for name in HOUSE_FOLLOW_UP if name not in {"questions", "page_address"})
"""The fields that are one number each."""

_LINE = re.compile(r"\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|\s*(.*?)\s*")


class QuestionIn(Asked):
    """One question: `scale` is answered from 1 to 5, `recommend` from 0 to 10, `text` in words."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    kind: Kind
    text: Line


class FollowUpIn(Asked):
    """The survey, and what follows from it."""

    questions: Annotated[list[QuestionIn], Field(min_length=FEWEST_QUESTIONS, max_length=MOST_QUESTIONS)]
    page_address: Annotated[
        str,
        StringConstraints(max_length=LONGEST_ADDRESS),
        AfterValidator(address_of),
        Field(
            description="Where these pages are reached, as https://service.example: messages lead there, those to"
            " customers by their code; empty: they lead nowhere, and nobody is sent a survey"
        ),
    ]
    survey_h: int = Field(ge=1, le=720, description="Working time by which the customer is asked, or called")
    answer_days: int = Field(ge=1, le=90, description="For so long a survey can be answered")
    csat_from: float = Field(ge=0, le=100, description="Satisfaction below this is handled a second time")
    nps_from: int = Field(ge=0, le=10, description="So is a rating below this")
    second_start_h: int = Field(ge=1, le=720, description="Working time until the second handling begins")
    call_back_h: int = Field(ge=1, le=720, description="Working time until the customer is called back")
    frequent_times: int = Field(ge=2, le=100, description="A problem that comes so often is proposed for the ledger")
    frequent_days: int = Field(ge=7, le=366, description="Within so many days")


HOUSE = FollowUpIn.model_validate(HOUSE_FOLLOW_UP)


def write(fields: Mapping[str, Any]) -> dict[str, str]:
    """As the page of the terms shows it: text by the name of its field."""
    found = {f"follow_up.{name}": exact(fields[name]) for name in NUMBERS}
    lines = (f"{one['id']} | {one['kind']} | {one['text']}" for one in fields["questions"])
    found["follow_up.page_address"] = fields["page_address"]
    return {**found, "follow_up.questions": "\n".join(lines)}


def read(typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, for `FollowUpIn` to judge; what a page without these fields has not sent is the house's."""
    if "follow_up.questions" not in typed:
        return dict(HOUSE_FOLLOW_UP)
    found: dict[str, Any] = {name: typed.get(f"follow_up.{name}", "").strip() for name in NUMBERS}
    lines = [line for line in typed["follow_up.questions"].splitlines() if line.strip()]
    found["page_address"] = typed.get("follow_up.page_address", "")
    return {**found, "questions": [_question(line) for line in lines]}


def _question(line: str) -> dict[str, str]:
    match = _LINE.fullmatch(line)
    return {"id": match[1], "kind": match[2], "text": match[3]} if match else {"text": line.strip()}
