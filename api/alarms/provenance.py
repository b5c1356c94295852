"""What an alarm rests on, beside the alarm: which readings, which rule, what was learnt, which code."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from alarms.provenance import rule_hash
from alarms.replay import REPLAYED
from api.models import Answered, Instant, example
from store import origins, rules, source
from store.errors import NotFound
from store.transactions import Transaction
from telemetry import instant


class ProvenanceOut(Answered):
    """What the score of an alarm's raise was found from; hashes are SHA-256."""

    model_config = Answered.model_config | example(
        scored_at="2026-11-21T22:31:20Z",
        readings_until="2026-11-21T22:31:20Z",
        readings_after="2026-11-21T22:31:05Z",
        readings=28,
        readings_hash="a1a337d51067e8291c9fbee4b7ea5e8bf4380250d18ab142359304bd324555e8",
        rule_hash="6e542fce7abe74b7bf1f1d0508026566d162249df2ad9a017f652a20ad4bc1eb",
        rule_unchanged=True,
        model_hash="8c181e493f841a522c870ef7555e01ccb38fabc212292b427a28050d8b278c2b",
        champion=None,
        code_version="1.0.0",
        code_hash="0cd6fc324ffa6d3f4a1abe1d873d5110626b46c527edd5542ba505e8d17fd814",
        code_unchanged=True,
        replayable=True,
    )

    scored_at: Instant | None = Field(description="The time of the reading that completed the score; null: of none")
    readings_until: Instant = Field(description="The newest reading that had been scored: the data watermark")
    readings_after: Instant | None = Field(description="The newest reading that is in what was learnt")
    readings: int | None = Field(description="How many came between the two; null: the score is of no readings")
    readings_hash: str | None = Field(description="Of them: streams, times and values in order")
    rule_hash: str
    rule_unchanged: bool = Field(description="Whether the rule is still the same")
    model_hash: str | None = Field(description="Of what was learnt of the machine before; null: nothing is learnt")
    champion: UUID | None = Field(description="The training that it comes of; null: learnt as it went")
    code_version: str
    code_hash: str = Field(description="Of the source of what scores and raises")
    code_unchanged: bool = Field(description="Whether it is the source that runs now")
    replayable: bool = Field(description="Whether `bellwether replay --alarm` can find the score again")


def provenance_of(conn: Transaction, alarm_id: UUID, rule_id: str, detector: str) -> ProvenanceOut | None:
    """For the `provenance` of an answer; None of an alarm from before there was any."""
    said, is_copied = origins.shown(conn, alarm_id)
    if not said:
        return None
    mark, model = said["watermark"], said["model"] or {}
    return ProvenanceOut(
        scored_at=_instant(said["scored_us"] if detector in REPLAYED else 0),
        readings_until=instant(mark["until_us"]),
        readings_after=_instant(mark.get("after_us", 0)),
        readings=mark.get("readings"),
        readings_hash=mark.get("sha256"),
        rule_hash=said["rule"],
        rule_unchanged=_rule_now(conn, rule_id) == said["rule"],
        model_hash=model.get("hash"),
        champion=model.get("champion"),
        code_version=said["code"]["version"],
        code_hash=said["code"]["hash"],
        code_unchanged=said["code"]["hash"] == source.running()["hash"],
        replayable=is_copied,
    )


def _rule_now(conn: Transaction, rule_id: str) -> str:
    try:
        return rule_hash(rules.rule(conn, rule_id).rule)
    except NotFound:
        return ""


def _instant(time_us: int) -> Any:
    return instant(time_us) if time_us else None
