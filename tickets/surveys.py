"""What a customer is asked after a repair, what the answers come to, and when somebody has to see to it again.

Each question of the kind `scale` is answered from 1 to 5, the one of the kind `recommend` from 0 to 10, the one of the
kind `text` in the customer's own words, or not at all.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from statistics import fmean
from typing import Any

FEWEST_QUESTIONS, MOST_QUESTIONS = 5, 8
# A mean of fewer is a whim.
_FEWEST_SCALES = 3
_LINK_BYTES = 18  # 144 random bits: nobody guesses one, so that a plain hash of it is enough at rest
_PROMOTES_FROM, _DETRACTS_TO = 9, 6  # as the score is defined


class Kind(StrEnum):
    """How a question is answered."""

    SCALE = "scale"
    RECOMMEND = "recommend"
    TEXT = "text"


RANGES: Mapping[str, range] = {Kind.SCALE: range(1, 6), Kind.RECOMMEND: range(11)}

HOUSE_FOLLOW_UP: Mapping[str, Any] = {
    "questions": [
        {"id": "reached", "kind": "scale", "text": "How easily did you reach us?"},
        {"id": "time", "kind": "scale", "text": "How well did we keep to the time that we had promised?"},
        {"id": "told", "kind": "scale", "text": "How well were you told what was going on?"},
        {"id": "people", "kind": "scale", "text": "How competent and friendly were the people who came?"},
        {"id": "result", "kind": "scale", "text": "How well does the machine run now?"},
        {"id": "recommend", "kind": "recommend", "text": "How likely are you to recommend us to somebody you know?"},
        {"id": "comment", "kind": "text", "text": "What should we have done better?"},
    ],
    # Where these pages are reached: messages lead there. Without it nobody is sent a survey, and all are called.
    "page_address": "",
    # By then the customer is asked, or called.
    "survey_h": 24,
    # After that a link opens nothing: who answers later speaks of something else.
    "answer_days": 14,
    # Below either of them somebody sees to it again. Too low: only fury counts. Too high: everybody is called.
    "csat_from": 70,
    "nps_from": _DETRACTS_TO + 1,
    # Working time until somebody is at it, and until the customer was called back.
    "second_start_h": 4,
    "call_back_h": 48,
    # So often within so many days, and the problem is proposed for the ledger.
    "frequent_times": 3,
    "frequent_days": 90,
}


class BadQuestions(ValueError):
    """No survey can be made of them."""


class BadAnswers(ValueError):
    """No answers to these questions: `field` says to which not."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `id` is what its answer is called."""

    id: str
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a tenant's terms say of the time after a repair. `frequent` problems come so often within `frequent_in`."""

    questions: tuple[Question, ...]
    page_address: str
    survey: timedelta
    answer: timedelta
    csat_from: float
    nps_from: int
    second_start: timedelta
    call_back: timedelta
    frequent: int
    frequent_in: timedelta


@dataclass(frozen=True, slots=True)
class Scores:
    """What answers come to. `csat`: 0 to 100; `nps`: the rating from 0 to 10 that the net promoter score counts."""

    csat: float
    nps: int


def follow_up_of(fields: Mapping[str, Any]) -> FollowUp:
    """From plain values of the shape of `HOUSE_FOLLOW_UP`.

    Raises
    ------
    BadQuestions
    """
    questions = tuple(Question(one["id"], Kind(one["kind"]), one["text"]) for one in fields["questions"])
    _check(questions)
    return FollowUp(
        questions,
        fields["page_address"],
        timedelta(hours=fields["survey_h"]),
        timedelta(days=fields["answer_days"]),
        fields["csat_from"],
        fields["nps_from"],
        timedelta(hours=fields["second_start_h"]),
        timedelta(hours=fields["call_back_h"]),
        fields["frequent_times"],
        timedelta(days=fields["frequent_days"]),
    )


def scores(questions: Sequence[Question], answers: Mapping[str, int]) -> Scores:
    """What the numbers come to: the mean of the scales, 1 as 0 and 5 as 100, and the rating.

    Raises
    ------
    BadAnswers
        One is missing, is beyond its range, or answers nothing that was asked.
    """
    asked = {one.id: RANGES[one.kind] for one in questions if one.kind in RANGES}
    for name in answers.keys() - asked.keys():
        raise BadAnswers(name, "nobody asked that")
    for name, allowed in asked.items():
        if answers.get(name) not in allowed:
            raise BadAnswers(name, f"a whole number from {allowed[0]} to {allowed[-1]}")
    scale = [answers[one.id] for one in questions if one.kind is Kind.SCALE]
    (rating,) = (answers[one.id] for one in questions if one.kind is Kind.RECOMMEND)
    return Scores(25 * (fmean(scale) - 1), rating)


def needs_second_handling(terms: FollowUp, found: Scores) -> bool:
    """Whether somebody has to see to it again."""
    return found.csat < terms.csat_from or found.nps < terms.nps_from


def net_promoter_score(ratings: Collection[int]) -> float | None:
    """Per cent that promote less per cent that detract, -100 to 100; None where nobody has answered."""
    if not ratings:
        return None
    promote, detract = sum(one >= _PROMOTES_FROM for one in ratings), sum(one <= _DETRACTS_TO for one in ratings)
    return 100 * (promote - detract) / len(ratings)


def new_link() -> str:
    """What opens a survey without an account."""
    return secrets.token_urlsafe(_LINK_BYTES)


def link_hash(link: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(link.encode()).digest()


def _check(questions: Sequence[Question]) -> None:
    kinds = [one.kind for one in questions]
    if not FEWEST_QUESTIONS <= len(questions) <= MOST_QUESTIONS:
        raise BadQuestions(f"{FEWEST_QUESTIONS} to {MOST_QUESTIONS} questions")
    if len({one.id for one in questions}) < len(questions):
        raise BadQuestions("a question is there twice")
    if kinds.count(Kind.RECOMMEND) != 1:
        raise BadQuestions("one question of the kind recommend: the net promoter score rests on it")
    if kinds.count(Kind.SCALE) < _FEWEST_SCALES:
        raise BadQuestions(f"{_FEWEST_SCALES} questions of the kind scale, at least: satisfaction is their mean")
    if kinds.count(Kind.TEXT) > 1:
        raise BadQuestions("one question of the kind text, at most")
