"""A rule tried over the past: the compiled conditions are those that run live, and what is said of them is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.chatter import Chatter
from alarms.conditions import Condition, Edge, by_the_clock, turn
from alarms.duties import Duties
from alarms.events import Kind, Severity
from alarms.lessons import NO_PATIENCE, Patience
from alarms.policy import DEFAULT_POLICY, Policy
from alarms.rules import DEFAULT_RULES, Rule, rule_from_json, rule_to_json
from alarms.trials import SPAN_US, Fault, Figures, Span, Tally, content_of, figures, why_not
from alarms.trials_edges import Edges, edges
from alarms.trials_gentler import CHANGEABLE, changes, gentler
from alarms.trials_played import Machine
from alarms.watch import Watch
from detectors import Limit, Limits
from detectors.learnt import fresh
from telemetry import Batch, Stream

RULE = Rule("mine", "limits", "condition", ((1.0, Severity.MEDIUM), (2.0, Severity.CRITICAL)))
KINDS = {Kind.RAISED: 0, Kind.ESCALATED: 1, Kind.RETURNED: 2}


def naive_edges(times: list[int], scores: list[float], rule: Rule, patience: Patience) -> list[tuple[int, ...]]:
    """What the annunciator would say: each score when it was measured, and the clock looked at just before."""
    chatter, condition = Chatter(), None
    found: list[tuple[int, ...]] = []

    def told(made: list[Edge]) -> None:
        for edge in made:
            found.append((KINDS[edge.kind], edge.at_us, edge.condition.since_us, edge.severity.rank))
            if edge.kind is Kind.RAISED:
                edge.condition.hold_s = chatter.raised("limits", 1, edge.at_us, DEFAULT_POLICY)
            elif edge.kind is Kind.RETURNED and edge.condition.hold_s:
                chatter.calm("limits", 1, edge.at_us)

    for at, score in zip(times, scores, strict=True):
        if isinstance(condition, Condition):
            told(by_the_clock(condition, at - 1))
        condition, made = turn(condition, rule, patience, at, score, at)
        told(made)
    return found


RULES = st.builds(
    lambda **fields: replace(RULE, **{**fields, "at_least": min(fields["at_least"], fields["of_last"])}),
    deadband=st.sampled_from([0.0, 0.1, 0.5]),
    on_delay_s=st.sampled_from([0.0, 2.0, 10.0]),
    off_delay_s=st.sampled_from([0.0, 3.0, 60.0]),
    weak_below=st.sampled_from([1.0, 1.2, 1.6]),
    weak_delay_s=st.sampled_from([0.0, 5.0]),
    at_least=st.integers(1, 4),
    of_last=st.integers(1, 5),
)
SCORES = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 5, 30, 100_000]),
        st.sampled_from([0.0, 0.45, 0.85, 0.95, 1.0, 1.1, 1.5, 2.0, 3.0, float("nan")]),
    ),
    max_size=120,
)
PATIENCE = st.sampled_from([NO_PATIENCE, Patience(1.55, 20.0)])


@given(RULES, SCORES, PATIENCE)
def test_compiled_conditions_are_those_that_run_live(
    rule: Rule, given_scores: list[tuple[int, float]], patience: Patience
) -> None:
    times = (np.cumsum([step for step, _ in given_scores], dtype=np.int64) * 1_000_000).tolist()
    scores = [score for _, score in given_scores]
    made = edges(np.array(times, np.int64), np.array(scores, np.float64), rule, patience)
    as_rows = list(
        zip(made.kind.tolist(), made.at_us.tolist(), made.since_us.tolist(), made.rank.tolist(), strict=True)
    )
    assert as_rows == naive_edges(times, scores, rule, patience)


HOUR_US = 3_600_000_000


def tally_of(raised_us: list[int], faults: list[Fault], spans: int = 6 * 24 * 30, site: str = "") -> Tally:
    at_us, zeros = np.array(raised_us, np.int64), np.zeros(len(raised_us), np.int64)
    made = Edges(kind=zeros, at_us=at_us, since_us=at_us, rank=zeros)
    tally = Tally(spans)
    tally.add(0, "pump-1", [(RULE, made)], faults, site)
    return tally


def span_of(faults: list[Fault], machine_days: float = 30.0, people: int = 1) -> Span:
    spans = 6 * 24 * 30
    return Span(0, spans * SPAN_US, machine_days, people, np.zeros(spans, np.bool_), faults)


def test_an_alarm_is_false_where_no_fault_was_found_and_none_is_looked_for() -> None:
    known = Fault("a", "pump-1", 1, "condition", 10 * HOUR_US, 12 * HOUR_US, known=True)
    looked_for = Fault("b", "pump-1", 1, "condition", 30 * HOUR_US, 40 * HOUR_US, known=False)
    faults = [known, looked_for]
    found = figures(tally_of([n * HOUR_US for n in (3, 5, 11, 13, 35)], faults), span_of(faults))
    assert (found.alarms, found.false_alarms) == (5, 2)  # six hours before a fault count as of it
    assert found.faults == [-5 * 3600.0]


def test_both_budgets_are_held_and_one_false_alarm_is_borne() -> None:
    policy = Policy(alarms_per_10min=0.05, false_per_month=1.0)
    once = figures(tally_of([HOUR_US], []), span_of([], machine_days=3.0))
    assert once.false_per_month > policy.false_per_month
    assert why_not(once, span_of([], machine_days=3.0), policy) == []
    assert why_not(once, span_of([], machine_days=3.0), replace(policy, false_per_month=0.0))
    busy = figures(tally_of([n * HOUR_US for n in range(10)], []), span_of([]))
    assert [reason.split()[1] for reason in why_not(busy, span_of([]), policy)] == ["alarms", "false"]
    two = span_of([], 400.0, people=2)
    assert why_not(figures(tally_of([n * HOUR_US for n in range(10)], []), two), two, policy) == []


def test_all_rules_alarms_together_are_held_against_the_budget_of_whoever_answers() -> None:
    """Ten alarms of the rule at the mill, which kim alone answers for; of other rules ninety more on the same day."""
    policy, day = Policy(alarms_per_10min=0.5, false_per_month=99.0), np.zeros(30, np.int64)
    others = day.copy()
    others[0] = 90
    tally = tally_of([n * HOUR_US for n in range(10)], [], site="mill")
    duties = Duties({"mill": ["kim"]}, 4)

    def found(mill: int = 1, whose: Duties = duties) -> tuple[Figures, Span]:
        span = replace(span_of([], people=4), duties=whose, others={"mill": mill * others})
        return figures(tally, span), span

    alone, span = found(0)
    assert (alone.person_per_10min, alone.with_others_per_10min) == (10 / 144, 10 / 144)
    assert why_not(alone, span, policy) == []
    together, span = found()
    assert together.with_others_per_10min == 100 / 144
    assert "together with those of all other rules" in why_not(together, span, policy)[0]
    assert why_not(together, span, policy, before=together) == [], "no worse than what is in force"
    shared, span = found(whose=Duties({}, 4))
    assert shared.with_others_per_10min == 25 / 144
    assert why_not(shared, span, policy) == []


def test_what_is_written_beside_a_rule_is_no_other_content() -> None:
    assert content_of(replace(RULE, enabled=False, fault="wear", latch=True)) == content_of(RULE)
    for changed in (replace(RULE, deadband=0.2), replace(RULE, device="pump-1"), replace(RULE, opens_ticket=False)):
        assert content_of(changed) != content_of(RULE)


LIMITED = replace(RULE, limit=Limit(hihi=20.0, hi=10.0, lo=2.0))


def test_gentler_rules_come_limit_first_and_each_once() -> None:
    found = list(gentler(LIMITED))
    assert [tuple(changes(LIMITED, rule)) for rule in found[:5]] == [
        ("limit",),
        ("deadband",),
        ("on_delay_s",),
        ("at_least", "of_last"),
        CHANGEABLE,
    ]
    assert found[0].limit == Limit(hihi=20.0, hi=10.5, lo=1.8)
    assert len(set(found)) == len(found) == 20
    assert LIMITED not in found
    slow = replace(RULE, on_delay_s=3600.0, deadband=0.7, at_least=8, of_last=12)
    assert list(gentler(slow)) == []


@settings(max_examples=25)
@given(st.lists(st.sampled_from([-5.0, 1.0, 3.0, 8.0]), min_size=2, max_size=4, unique=True), st.data())
def test_a_gentler_limit_is_one_that_a_rule_may_have(bounds: list[float], data: st.DataObject) -> None:
    names = data.draw(
        st.sampled_from([("lo", "hi"), ("lolo", "lo", "hi"), ("lolo", "lo", "hi", "hihi"), ("hi", "hihi")])
    )
    limit = Limit(**dict(zip(names, sorted(bounds), strict=False)))
    for found in gentler(replace(RULE, limit=limit)):
        assert rule_from_json(rule_to_json(found)) == found


@pytest.mark.parametrize("detector", ["limits", "shift", "multivariate"])
def test_a_machine_that_is_played_tells_what_the_watch_tells(detector: str) -> None:
    """Minutes without gaps, all of a machine: the same alarms at the same times."""
    streams = [Stream(n, 7, "demo", "pump-1", f"p{n}", "temperature", "°C") for n in (1, 2)]
    rng, rows = np.random.default_rng(3), 1500
    times = 1_700_000_000_000_000 + np.arange(rows) * 60_000_000
    values = 5.0 + rng.normal(0, 0.1, (2, rows))
    values[:, 1200:1350] += 4.0
    batch = Batch.of(np.tile(times, 2), np.repeat([1, 2], rows), values.ravel())
    rules = [LIMITED] if detector == "limits" else [rule for rule in DEFAULT_RULES if rule.detector == detector]
    rules = [replace(rule, limit=Limit(hi=7.0)) if rule.limit else rule for rule in rules]
    detectors = {"limits": Limits(lambda _: rules[0].limit)} if detector == "limits" else fresh()
    watch = Watch(detectors, {"demo": rules})
    watch.watch(streams)
    events = [event for part in batch.cut(times[300::300]) for event in watch.step(part, 0)]
    live = sorted((e.subject, KINDS[e.kind], e.at_us) for e in events if e.detector == detector and e.kind in KINDS)
    told = Machine(detector, streams, batch).told(streams, rules, {}, DEFAULT_POLICY)
    numbers = [7] if detector == "multivariate" else [1, 2]
    assert live
    assert live == sorted(
        (number, kind, at_us)
        for number, (_, made) in zip(numbers, told, strict=True)
        for kind, at_us in zip(made.kind.tolist(), made.at_us.tolist(), strict=True)
    )
