"""One subject's scores against one rule, as `alarms.conditions` and `alarms.chatter` would have it, compiled.

A trial asks some twenty rules about a month of minutes: row by row in Python that is minutes where a rule is bad, which
is when it matters. `tests/unit/test_trials.py` holds it to what runs live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alarms.chatter import HOLD_FIRST_S, HOLD_MOST_S
from alarms.lessons import NO_PATIENCE, Patience
from alarms.policy import DEFAULT_POLICY, Policy
from alarms.rules import Rule
from detectors.compiled import compiled

RAISED, ESCALATED, RETURNED = 0, 1, 2
_FORGET_US = 86_400_000_000
_LONG_AGO_US = -(1 << 62)

Times = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """What a rule makes of scores, in order of time.

    Attributes
    ----------
    kind : int64 (N,)
        `RAISED`, `ESCALATED` or `RETURNED`.
    at_us, since_us : int64 (N,)
        The moment, and when the departure began.
    rank : int64 (N,)
        Of the severity then.
    """

    kind: Times
    at_us: Times
    since_us: Times
    rank: Times


def edges(
    time_us: Times, score: Scores, rule: Rule, patience: Patience = NO_PATIENCE, policy: Policy = DEFAULT_POLICY
) -> Edges:
    """The edges of one subject's scores, as if each had come when it was measured. 10 ns a score."""
    made = _edges(
        time_us,
        score,
        np.array([step for step, _ in rule.severities]),
        np.array([severity.rank for _, severity in rule.severities]),
        rule.deadband,
        int(rule.on_delay_s * 1e6),
        int(rule.off_delay_s * 1e6),
        rule.weak_below,
        int(max(rule.on_delay_s, rule.weak_delay_s) * 1e6),
        patience.level,
        int(patience.lasting_s * 1e6),
        rule.at_least,
        rule.of_last,
        policy.chatter_raises,
        policy.chatter_s * 1_000_000,
        int(HOLD_FIRST_S * 1e6),
        int(HOLD_MOST_S * 1e6),
    )
    return Edges(*made)


@compiled
def _edges(  # noqa: PLR0912, PLR0915 - compiled: what it called would be compiled with it, or not at all
    time_us: Times,
    score: Scores,
    steps: Scores,
    ranks: Times,
    deadband: float,
    on_us: int,
    off_us: int,
    weak_below: float,
    weak_us: int,
    patient_below: float,
    patient_us: int,
    at_least: int,
    of_last: int,
    chatter_raises: int,
    chatter_us: int,
    hold_first_us: int,
    hold_most_us: int,
) -> Times:
    # A reading makes two edges at most: the raise that the clock brought before it, and its own.
    found = np.empty((4, 2 * len(time_us)), np.int64)
    n = 0
    is_open = False
    since_us, below_us, raised, hits, hold_us, last = 0, -1, -1, 0, 0, 0.0
    raises = np.zeros(chatter_raises, np.int64)  # the latest last
    n_raises, held_us, calm_us = 0, 0, _LONG_AGO_US
    mask = (1 << of_last) - 1
    for i in range(len(time_us)):
        now_us, value = time_us[i], score[i]
        for by_clock in (True, False):
            if by_clock:
                if not is_open or raised >= 0 or last < 1.0:
                    continue
                waits_us = weak_us if last < weak_below else on_us
                if last < patient_below and patient_us > waits_us:
                    waits_us = patient_us
                at_us, level = since_us + waits_us, last
                if at_us >= now_us:
                    continue
            else:
                if np.isnan(value) or (not is_open and value < 1.0):
                    continue
                if not is_open:
                    is_open, since_us, below_us, raised, hits, hold_us = True, now_us, -1, -1, 0, 0
                hits = (hits << 1 | (1 if value >= 1.0 else 0)) & mask
                last = value
                if value < 1.0:
                    if value < 1.0 - deadband:
                        if raised < 0:
                            is_open = hits != 0
                            continue
                        if below_us < 0:
                            below_us = now_us
                    if below_us >= 0 and now_us >= below_us + max(off_us, hold_us):
                        found[0, n], found[1, n], found[2, n], found[3, n] = 2, now_us, since_us, raised
                        n += 1
                        is_open = False
                        if hold_us:
                            calm_us = now_us
                    continue
                below_us = -1
                waits_us = on_us
                if raised < 0:
                    waits_us = weak_us if value < weak_below else on_us
                    if value < patient_below and patient_us > waits_us:
                        waits_us = patient_us
                if now_us < since_us + waits_us:
                    continue
                at_us, level = now_us, value
            if raised < 0:
                count, left = 0, hits
                while left:
                    count += left & 1
                    left >>= 1
                if count < at_least:
                    continue
            rank = -1
            for k in range(len(steps)):
                if level >= steps[k]:
                    rank = max(rank, ranks[k])
            if rank <= raised:
                continue
            found[0, n], found[1, n], found[2, n], found[3, n] = 1 if raised >= 0 else 0, at_us, since_us, rank
            n += 1
            if raised < 0:
                if n_raises and at_us - max(raises[n_raises - 1], calm_us) > _FORGET_US:
                    n_raises, held_us = 0, 0
                if n_raises == chatter_raises:
                    for k in range(1, chatter_raises):
                        raises[k - 1] = raises[k]
                    n_raises -= 1
                raises[n_raises] = at_us
                n_raises += 1
                often = n_raises == chatter_raises and at_us - raises[0] <= chatter_us
                if often or (held_us > 0 and at_us - calm_us <= held_us):
                    held_us = min(2 * held_us, hold_most_us) if held_us else hold_first_us
                    raises[0], n_raises = at_us, 1
                    hold_us = held_us
            raised = rank
    return found[:, :n].copy()
