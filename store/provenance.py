"""What is stored with each alarm of what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alarms.events import AlarmEvent
from store import source


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an alarm comes from.

    Attributes
    ----------
    provenance
        As `of` makes it.
    memory_id
        The copy of what was remembered of its machine; None where its score does not follow from readings alone.
    """

    provenance: Mapping[str, Any]
    memory_id: int | None = None


def of(event: AlarmEvent, watermark: Mapping[str, Any] | None = None, model: Mapping[str, Any] | None = None) -> Origin:
    """The origin of a raise.

    Parameters
    ----------
    watermark
        `after_us` and `until_us`, the newest readings in the copy and in the score, 0 where there were none; how many
        `readings` came between them, and their `sha256`.
    model
        `memory_id`, `hash` of the copy, `saved_us` when it was saved, `champion` the training it came of, or None.
    """
    model = dict(model or {})
    memory_id = model.pop("memory_id", None)
    provenance = {
        "rule": event.rule_hash,
        "code": source.running(),
        "scored_us": event.scored_us,
        "watermark": dict(watermark or {"until_us": event.at_us}),
        "model": model or None,
    }
    return Origin(provenance, memory_id)
