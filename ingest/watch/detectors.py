"""The detectors that run live, by the rules in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from alarms.rules import Rule, governing
from detectors import DETECTORS
from detectors.compensation import Compensated
from detectors.in_mode import in_mode
from detectors.limits import Limit, Limits
from detectors.scores import Detector
from telemetry import Batch, Stream

# Enough for both to have learnt, and to judge.
_LOAD_ROWS = 600


def detectors_for(rules: Mapping[str, Sequence[Rule]]) -> dict[str, Detector]:
    """Every detector, each with no memory yet; `limits` asks the rules for the limits of a stream."""

    def limit_of(stream: Stream) -> Limit | None:
        rule = governing(rules.get(stream.tenant, ()), "limits", stream, machine_wide=False)
        return rule.limit if rule else None

    return in_mode(
        {name: Limits(limit_of) if detector is Limits else detector() for name, detector in DETECTORS.items()}
    )


def load_compiled() -> None:
    """Have what is compiled in them loaded: a second, which the first batch that is judged would wait for."""
    streams = [
        Stream(number, 0, "", "", "", quantity, "") for number, quantity in enumerate(("temperature", "current"))
    ]
    time_us = np.tile(np.arange(_LOAD_ROWS) * 1_000_000, 2)
    value = np.random.default_rng(0).normal(size=2 * _LOAD_ROWS)
    batch = Batch.of(time_us, np.repeat([0, 1], _LOAD_ROWS), value)
    for detector in (DETECTORS["shift"](), DETECTORS["multivariate"](), Compensated(DETECTORS["drift"]())):
        detector.watch(streams)
        detector.score(batch, 0)
