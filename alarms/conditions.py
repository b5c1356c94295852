"""One subject's condition: by its rule, from scores to the edges at which something is to be said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from alarms.events import Kind, Severity
from alarms.lessons import NO_PATIENCE, Patience
from alarms.rules import Rule
from detectors.scores import Snapshot

# A delay ends by the clock, without a further reading, only where the stream lives in the present.
_PRESENT_US = 120_000_000
_NEVER = np.iinfo(np.int64).min

Conditions = Mapping[str, Mapping[int, "Condition"]]
"""By detector and subject."""


@dataclass(slots=True)
class Condition:
    """A subject that is above its limit, or was raised and has not returned."""

    rule: Rule
    since_us: int  # the departure's beginning
    seen_us: int  # the latest score's time
    noticed_us: int  # by the clock
    score: float
    peak: float
    below_since_us: int | None = None
    raised: Severity | None = None
    fault: str = ""  # from the raise on
    hits: int = 0  # which of its rule's last scores were above the limit, a bit each, the latest lowest
    rises: int = 1  # how often it rose above the limit
    hold_s: float = 0.0  # how long it must be below to return, while it chatters
    patience: Patience = NO_PATIENCE


@dataclass(frozen=True, slots=True)
class Edge:
    """A moment at which a condition is raised, gets worse or has returned."""

    kind: Kind
    at_us: int
    severity: Severity
    score: float
    condition: Condition
    rises: int = 1  # as of this moment: the condition goes on
    scored_us: int = 0  # of a raise: when its score was, a delay may have ended since


def turn(
    condition: Condition | None, rule: Rule, patience: Patience, time_us: int, score: float, now_us: int
) -> tuple[Condition | None, list[Edge]]:
    """One score of one subject: the condition after it, and the edges it makes. NaN changes nothing."""
    if math.isnan(score) or (condition is None and score < 1.0):
        return condition, []
    if condition is None:
        condition = Condition(rule, since_us=time_us, seen_us=time_us, noticed_us=now_us, score=score, peak=score)
    condition.rule = rule
    condition.patience = patience
    condition.seen_us = time_us
    condition.score = score
    condition.hits = (condition.hits << 1 | (score >= 1.0)) & ((1 << rule.of_last) - 1)
    condition.peak = max(condition.peak, score)
    if score >= 1.0:
        condition.rises += condition.below_since_us is not None
        condition.below_since_us = None
        return condition, _worse(condition, time_us) if time_us >= condition.since_us + _delay_us(condition) else []
    if score < 1.0 - rule.deadband:
        if condition.raised is None:
            return (condition if condition.hits else None), []
        if condition.below_since_us is None:
            condition.below_since_us = time_us
    if condition.below_since_us is not None and time_us >= condition.below_since_us + _off_delay_us(condition):
        return None, [Edge(Kind.RETURNED, time_us, condition.raised or Severity.LOW, score, condition, condition.rises)]
    return condition, []


def abandoned(condition: Condition) -> list[Edge]:
    """The end of an occurrence whose rule governs no more: it was disabled, or a more specific one stands above it."""
    if condition.raised is None:
        return []
    return [Edge(Kind.RETURNED, condition.seen_us, condition.raised, condition.score, condition, condition.rises)]


def _worse(condition: Condition, at_us: int) -> list[Edge]:
    """The edge to a severity that the condition has not had yet, if its score is that bad."""
    if condition.raised is None and condition.hits.bit_count() < condition.rule.at_least:
        return []
    severity = condition.rule.severity(condition.score)
    if condition.raised is not None and severity.rank <= condition.raised.rank:
        return []
    kind = Kind.RAISED if condition.raised is None else Kind.ESCALATED
    condition.raised = severity
    return [Edge(kind, at_us, severity, condition.score, condition, condition.rises, condition.seen_us)]


def by_the_clock(condition: Condition, now_us: int) -> list[Edge]:
    """The raise that is due though no further reading has come, where the stream lives in the present."""
    delay_us = _delay_us(condition)
    present = abs(condition.noticed_us - condition.since_us) < _PRESENT_US
    if condition.raised is None and present and condition.score >= 1.0 and now_us - condition.noticed_us >= delay_us:
        return _worse(condition, condition.since_us + delay_us)
    return []


def _delay_us(condition: Condition) -> int:
    """How long a condition must have lasted to be raised, or to get worse."""
    if condition.raised is not None:
        return _us(condition.rule.on_delay_s)
    return _us(max(waits.delay_s(condition.score) for waits in (condition.rule, condition.patience)))


def _off_delay_us(condition: Condition) -> int:
    return _us(max(condition.rule.off_delay_s, condition.hold_s))


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


def excuse(condition: Condition, by_us: int, *, by_the_clock: bool) -> None:
    """So much time counts for nothing; nor does it in what is judged `by_the_clock`."""
    condition.noticed_us += by_us
    if not by_the_clock:
        return
    if condition.below_since_us is not None:
        condition.below_since_us += by_us
    if condition.raised is None:
        condition.since_us += by_us


def packed(conditions: Conditions) -> Snapshot:
    """All conditions as columns."""
    each = [(name, subject, condition) for name, of in conditions.items() for subject, condition in of.items()]
    return {
        "detector": np.array([name for name, _, _ in each], "U64"),
        "subject": np.array([subject for _, subject, _ in each], np.int32),
        "rule": np.array([c.rule.id for _, _, c in each], "U128"),
        "since_us": np.array([c.since_us for _, _, c in each], np.int64),
        "seen_us": np.array([c.seen_us for _, _, c in each], np.int64),
        "noticed_us": np.array([c.noticed_us for _, _, c in each], np.int64),
        "score": np.array([c.score for _, _, c in each], np.float64),
        "peak": np.array([c.peak for _, _, c in each], np.float64),
        "below_since_us": np.array(
            [_NEVER if c.below_since_us is None else c.below_since_us for _, _, c in each], np.int64
        ),
        "raised": np.array([c.raised or "" for _, _, c in each], "U16"),
        "fault": np.array([c.fault for _, _, c in each], "U128"),
        "hits": np.array([c.hits for _, _, c in each], np.int64),
        "rises": np.array([c.rises for _, _, c in each], np.int64),
        "hold_s": np.array([c.hold_s for _, _, c in each], np.float64),
    }


def unpacked(snapshot: Snapshot) -> Iterator[tuple[str, int, Condition]]:
    """What `packed` made columns of. Of a rule no more than its name is known: enough to end what it began."""
    columns = ("since_us", "seen_us", "noticed_us", "score", "peak", "below_since_us", "raised")
    since_then = {"fault": "", "hits": 1, "rises": 1, "hold_s": 0.0}  # columns that older snapshots lack
    newer = (
        snapshot[column].tolist() if column in snapshot else [default] * len(snapshot["subject"])
        for column, default in since_then.items()
    )
    for name, subject, rule, since, seen, noticed, score, peak, below, raised, fault, hits, rises, hold_s in zip(
        *(snapshot[column].tolist() for column in ("detector", "subject", "rule", *columns)), *newer, strict=True
    ):
        yield (
            name,
            subject,
            Condition(
                rule=Rule(rule, name, "", ((1.0, Severity.LOW),)),
                since_us=since,
                seen_us=seen,
                noticed_us=noticed,
                score=score,
                peak=peak,
                below_since_us=None if below == _NEVER else below,
                raised=Severity(raised) if raised else None,
                fault=fault,
                hits=hits,
                rises=rises,
                hold_s=hold_s,
            ),
        )
