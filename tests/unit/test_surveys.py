"""What answers come to, when somebody sees to it again, and whether an action helped."""

from __future__ import annotations

from typing import Any

import pytest

from tickets.improvement import STEPS, NoSuchStep, NotShown, Recurrence, State, judge, step
from tickets.surveys import (
    HOUSE_FOLLOW_UP,
    BadAnswers,
    BadQuestions,
    Scores,
    follow_up_of,
    link_hash,
    needs_second_handling,
    net_promoter_score,
    new_link,
    scores,
)
from tickets.terms import HOUSE, BadTerms, terms_of

RULES = follow_up_of(HOUSE_FOLLOW_UP)
SCALES = ("reached", "time", "told", "people", "result")


def answers(scale: int, recommend: int, **other: int) -> dict[str, int]:
    return {**dict.fromkeys(SCALES, scale), "recommend": recommend, **other}


def asked(*kinds: str) -> dict[str, Any]:
    questions = [{"id": f"q{n}", "kind": kind, "text": "How?"} for n, kind in enumerate(kinds)]
    return {**HOUSE_FOLLOW_UP, "questions": questions}


def test_satisfaction_is_the_mean_of_the_scales_alone() -> None:
    assert scores(RULES.questions, answers(1, 0)) == Scores(0.0, 0)
    assert scores(RULES.questions, answers(5, 10)) == Scores(100.0, 10)
    assert scores(RULES.questions, answers(3, 10, time=5)).csat == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (answers(3, 11), "recommend"),
        (answers(0, 5), "reached"),
        (answers(3, 5, comment=3), "comment"),
        (dict.fromkeys(SCALES, 3), "recommend"),
    ],
)
def test_answers_that_are_none_are_refused_at_their_question(said: dict[str, int], field: str) -> None:
    with pytest.raises(BadAnswers) as refused:
        scores(RULES.questions, said)
    assert refused.value.field == field


def test_either_score_below_its_limit_is_enough() -> None:
    assert not needs_second_handling(RULES, Scores(70.0, 7))
    assert needs_second_handling(RULES, Scores(69.9, 10))
    assert needs_second_handling(RULES, Scores(100.0, 6))


def test_the_net_promoter_score_counts_both_ends() -> None:
    assert net_promoter_score([]) is None
    assert net_promoter_score([9, 10, 8, 7, 6]) == pytest.approx(20.0)
    assert net_promoter_score([0, 6]) == -100.0


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        (["scale"] * 3 + ["recommend"], "5 to 8"),
        (["scale"] * 8 + ["recommend"], "5 to 8"),
        (["scale"] * 5, "net promoter"),
        (["scale"] * 3 + ["recommend"] * 2, "net promoter"),
        (["scale"] * 2 + ["recommend", "text", "text"], "3 questions"),
        (["scale"] * 3 + ["recommend", "text", "text"], "at most"),
    ],
)
def test_a_survey_that_says_nothing_is_refused(kinds: list[str], why: str) -> None:
    with pytest.raises(BadQuestions, match=why):
        follow_up_of(asked(*kinds))
    with pytest.raises(BadTerms) as refused:
        terms_of({**HOUSE, "follow_up": asked(*kinds)}, 1)
    assert refused.value.field == "follow_up.questions"


def test_terms_of_before_have_the_houses_follow_up_and_no_link_is_like_another() -> None:
    before = {name: value for name, value in HOUSE.items() if name != "follow_up"}
    assert terms_of(before, 1).follow_up == RULES
    first, second = new_link(), new_link()
    assert first != second
    assert len(first) == 24
    assert link_hash(first) == link_hash(first) != link_hash(second)


def test_an_action_goes_its_road_and_no_other() -> None:
    for to in (State.OPEN, State.DONE, State.EFFECTIVE):
        step(next(state for state in State if to in STEPS[state] and state is not to), to)
    for state, to in ((State.PROPOSED, State.DONE), (State.OPEN, State.EFFECTIVE), (State.EFFECTIVE, State.OPEN)):
        with pytest.raises(NoSuchStep):
            step(state, to)


def test_an_action_helped_where_the_problem_is_rarer_a_day_after_a_month() -> None:
    judge(State.EFFECTIVE, Recurrence(3, 90, 0, 30))
    judge(State.EFFECTIVE, Recurrence(3, 90, 2, 90))
    judge(State.EFFECTIVE, None)
    judge(State.NOT_EFFECTIVE, Recurrence(3, 90, 0, 1))
    with pytest.raises(NotShown, match="not sooner"):
        judge(State.EFFECTIVE, Recurrence(3, 90, 0, 29))
    for as_often in (Recurrence(3, 90, 1, 30), Recurrence(0, 90, 0, 60)):
        with pytest.raises(NotShown, match="as often"):
            judge(State.EFFECTIVE, as_often)
