"""The detectors that run live, by the rules in force."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from alarms.rules import Rule, governing
from detectors import DETECTORS
from detectors.in_mode import in_mode
from detectors.limits import Limit, Limits
from detectors.scores import Detector
from telemetry import Stream

log = logging.getLogger("bellwether.ingest")


def detectors_for(rules: Mapping[str, Sequence[Rule]]) -> dict[str, Detector]:
    """Every detector, each with no memory yet; `limits` asks the rules for the limits of a stream."""

    def limit_of(stream: Stream) -> Limit | None:
        rule = governing(rules.get(stream.tenant, ()), "limits", stream, machine_wide=False)
        return rule.limit if rule else None

    return in_mode(
        {name: Limits(limit_of) if detector is Limits else detector() for name, detector in DETECTORS.items()}
    )
