"""`bellwether replay --alarm`: the score at which an alarm was raised, found again from what is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from alarms.provenance import rule_hash
from alarms.replay import REPLAYED, in_parts, rescored, rests_on
from alarms.rules import DEFAULT_RULES, BadRule, Rule, rule_from_json
from detectors.learnt import Learnt, Unfit
from store import learnt, origins, source
from store.connection import Session
from store.origins import ABOUT, Kept
from store.telemetry import streams_numbered
from telemetry import instant

# Scores are of the order of 1 and kept as they were computed: what differs by more has another cause than rounding.
MOST_OFF = 1e-9


class Outcome(StrEnum):
    """What came of it."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_REPLAYED = "not replayed"


EXIT = {Outcome.SAME: 0, Outcome.DIFFERENT: 1, Outcome.NOT_REPLAYED: 2}


@dataclass(frozen=True, slots=True)
class Replayed:
    """An alarm played again.

    Attributes
    ----------
    stored, again, difference : float or None
        The score at its raise, the same found again, and how far they are apart.
    scored_at
        The time of the reading that completed the score.
    readings
        How many the score was found from, after those that are in the copy of the detector's memory.
    reason
        Why it is not the same, or could not be played.
    since
        What is not any more as it was at the raise: code, rule.
    """

    alarm: UUID
    device: str
    point: str
    detector: str
    rule: str
    raised_at: datetime
    outcome: Outcome
    stored: float | None
    again: float | None = None
    difference: float | None = None
    scored_at: datetime | None = None
    readings: int | None = None
    reason: str = ""
    since: tuple[str, ...] = ()


def replayed(conn: Session, alarm_id: UUID) -> Replayed:
    """Play an alarm again.

    Raises
    ------
    NotFound
        There is no such alarm.
    """
    kept = origins.kept(conn, alarm_id)
    rules = _rules(conn, kept)
    since = _since(kept, rules[0] if rules else None)
    if kept.detector not in REPLAYED:
        return _answer(kept, since, Outcome.NOT_REPLAYED, _without_score(conn, kept))
    if not kept.provenance:
        return _answer(kept, since, Outcome.NOT_REPLAYED, "it was raised before alarms kept what they rest on")
    if kept.arrays is None or kept.hash is None:
        return _answer(
            kept, since, Outcome.NOT_REPLAYED, "the copy of what was learnt of the machine is over by its retention"
        )
    try:
        memory = learnt.unpack(kept.arrays, kept.hash)
    except Unfit as error:
        return _answer(kept, since, Outcome.DIFFERENT, f"what was learnt of the machine: {error}")
    return _played(conn, kept, memory, rules, since)


def line(one: Replayed) -> str:
    """The outcome for a person."""
    said = (
        f"{one.device} {one.point}".strip()
        + f", {one.detector} by rule {one.rule}, raised {one.raised_at:%Y-%m-%d %H:%M:%S}Z: "
    )
    if one.again is not None:
        said += f"score {one.stored!r} stored, {one.again!r} again, {one.difference:.1e} apart"
        said += f", of {one.readings} readings up to {one.scored_at:%H:%M:%S.%f}Z. {one.outcome.capitalize()}"
    else:
        said += one.outcome.value
    if one.reason:
        said += f": {one.reason}"
    return said + "".join(f"; {change}" for change in one.since)


def _played(conn: Session, kept: Kept, memory: Learnt, rules: list[Rule], since: tuple[str, ...]) -> Replayed:
    said = kept.provenance
    about = memory[ABOUT]
    watched = sorted(streams_numbered(conn, about["stream"].tolist()), key=lambda stream: stream.id)
    streams = [stream for stream in watched if stream.machine == kept.device_id]
    subject = kept.device_id if kept.stream_id is None else kept.stream_id
    spans = origins.spans_of(about, {stream.id for stream in rests_on(kept.detector, streams, subject)})
    ((readings, sha256),) = origins.digests(conn, [spans])
    gone = said["watermark"]["readings"] - readings
    if gone > 0:
        reason = f"{gone} of {said['watermark']['readings']} readings are gone"
        return _answer(kept, since, Outcome.NOT_REPLAYED, reason, readings=readings)
    rule = next((one for one in rules if rule_hash(one) == said["rule"]), None)
    if rule is None and kept.detector == "limits":
        return _answer(kept, since, Outcome.NOT_REPLAYED, "no version of its rule is the one that raised it")
    again = rescored(
        streams,
        kept.detector,
        rule.limit if rule else None,
        memory,
        in_parts(origins.scored(conn, spans), origins.cuts_of(about)),
        subject,
        said["scored_us"],
    )
    stored = math.nan if kept.score is None else kept.score
    same = abs(again - stored) <= MOST_OFF
    outcome, reason = (Outcome.SAME if same else Outcome.DIFFERENT), ""
    if math.isnan(again):
        reason = "the detector has no opinion now"
        if said["scored_us"] <= said["watermark"]["after_us"]:
            outcome, reason = (
                Outcome.NOT_REPLAYED,
                "its delay ended by the clock: the score is older than what was copied",
            )
    if sha256 != said["watermark"]["sha256"]:
        outcome, reason = Outcome.DIFFERENT, "the readings are not those that were scored"
    elif not same and (
        new := origins.joined(conn, [stream.id for stream in streams], instant(said["model"]["saved_us"]))
    ):
        outcome = Outcome.NOT_REPLAYED
        reason = f"the machine gained {', '.join(new)} just before: from when on it was heard with it is not known"
    return _answer(
        kept,
        since,
        outcome,
        reason,
        readings=readings,
        again=None if math.isnan(again) else again,
        difference=None if math.isnan(again) else abs(again - stored),
    )


def _answer(
    kept: Kept,
    since: tuple[str, ...],
    outcome: Outcome,
    reason: str,
    *,
    readings: int | None = None,
    again: float | None = None,
    difference: float | None = None,
) -> Replayed:
    return Replayed(
        alarm=kept.id,
        device=kept.device,
        point=kept.point,
        detector=kept.detector,
        rule=kept.rule,
        raised_at=kept.raised_at,
        outcome=outcome,
        stored=kept.score,
        again=again,
        difference=difference,
        scored_at=instant(kept.provenance["scored_us"]) if kept.provenance else None,
        readings=readings,
        reason=reason,
        since=since,
    )


def _rules(conn: Session, kept: Kept) -> list[Rule]:
    """What the alarm's rule has been, the newest first; a version that can't be read any more is left out."""
    found = []
    for fields in origins.rule_versions(conn, kept.tenant, kept.rule):
        try:
            found.append(rule_from_json(fields))
        except BadRule:
            continue
    return [*found, *(rule for rule in DEFAULT_RULES if rule.id == kept.rule)]


def _since(kept: Kept, rule: Rule | None) -> tuple[str, ...]:
    """What has changed since the raise."""
    if not kept.provenance:
        return ()
    changes = []
    was, runs = kept.provenance["code"], source.running()
    if was["hash"] != runs["hash"]:
        before, now = (f"{code['version']} {code['hash'][:12]}" for code in (was, runs))
        changes.append(f"the code has changed since: {before}, now {now}")
    if was["numpy"] != runs["numpy"]:
        changes.append(f"NumPy was {was['numpy']}, now {runs['numpy']}")
    if rule is None or rule_hash(rule) != kept.provenance["rule"]:
        changes.append("the rule has changed since" if rule else "the rule is gone")
    return tuple(changes)


def _without_score(conn: Session, kept: Kept) -> str:
    """Of an alarm whose score does not follow from readings: why, and of silence the gap itself."""
    if kept.detector not in ("silence", "site"):
        return f"the score of {kept.detector} is not found from readings"
    count, unfit = origins.heard(conn, kept.device_id, kept.quiet_since, kept.raised_at)
    gap = (
        f"from {kept.quiet_since:%H:%M:%S}Z to {kept.raised_at:%H:%M:%S}Z {count} readings of {kept.device} are stored"
    )
    came = f", {unfit} of them came late or were unfit" if unfit else ""
    return f"the score of {kept.detector} goes by when something arrived; {gap}{came}"
