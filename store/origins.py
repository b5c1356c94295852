"""What alarms rest on: copied from what was saved before them as they are raised, and read back to be played again.

Costs nothing where nothing is raised. Where something is, the memory of the detectors that raised it is read once, a
tenth of what saving all of it costs; machines that raise something together are kept together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from psycopg.rows import class_row

from alarms.events import AlarmEvent, Kind
from alarms.replay import REPLAYED, copied, rests_on
from alarms.watch import UNSCORED, Cuts, Watch
from detectors.scores import Snapshot
from store import learnt, occurrences, provenance
from store.connection import Session
from store.errors import NotFound
from store.provenance import Origin
from store.queries import queries
from store.transactions import Transaction
from telemetry import Batch, Stream, instant, microseconds

Span = tuple[int, int, int]
"""A stream, and the times in µs after and until which its readings are meant."""

# In a copy, beside the detectors: which streams were watched, up to when each was scored then and at the raise, and in
# which parts.
ABOUT = "about"

# Points of machines that are kept in one copy: as many as `learnt.MOST_BYTES` is for. Lower, and a site whose machines
# all raise something at once waits for a copy of each.
_POINTS_TOGETHER = 200

_SQL = queries("origins")


@dataclass(frozen=True, slots=True)
class Kept:
    """An alarm as it was raised, and what it rests on.

    `arrays` is None where there is no copy, or none any more. `quiet_since`: of silence, when something came last.
    """

    id: UUID
    tenant: str
    device_id: int
    device: str
    stream_id: int | None
    point: str
    rule: str
    detector: str
    raised_at: datetime
    quiet_since: datetime
    score: float | None
    provenance: Mapping[str, Any]
    hash: str | None
    arrays: bytes | None


# As alarms are raised -------------------------------------------------------------------------------------------------


def origins(conn: Session, events: Sequence[AlarmEvent], watch: Watch) -> dict[UUID, Origin]:
    """What the raises among some events rest on, by occurrence, where their scores follow from readings.

    Called before the watch's memory is saved: what was saved last is what they began from.
    """
    raised = [event for event in events if event.kind is Kind.RAISED and event.detector in REPLAYED]
    if not raised:
        return {}
    before, saved_at = _before(conn)
    points = {event.machine: watch.points(event.machine) for event in raised}
    until = watch.latest([stream for own in points.values() for stream in own])
    model = _models(conn, raised, points, before, until, watch)
    spans = [
        [
            (stream.id, before.get(stream.id, 0), until[stream.id])
            for stream in rests_on(event.detector, points[event.machine], event.subject)
            if stream.id in until
        ]
        for event in raised
    ]
    said = digests(conn, spans)
    return {
        event.occurrence_id: provenance.of(
            event,
            watermark={
                "after_us": max((after_us for _, after_us, _ in own), default=0),
                "until_us": max((until_us for _, _, until_us in own), default=0),
                "readings": said[place][0],
                "sha256": said[place][1],
            },
            model={**model[event.machine], "saved_us": microseconds(saved_at) if saved_at else 0},
        )
        for place, (event, own) in enumerate(zip(raised, spans, strict=True))
    }


def _before(conn: Session) -> tuple[dict[int, int], datetime | None]:
    """Up to when each stream was scored, in µs, as saved last; and when that was."""
    watch = occurrences.load_one(conn, "watch")
    row = conn.execute(_SQL["saved"]).fetchone()
    if watch is None or row is None:
        return {}, None
    return dict(zip(watch["last_stream"].tolist(), watch["last_us"].tolist(), strict=True)), row[0]


def _models(
    conn: Session,
    raised: Sequence[AlarmEvent],
    points: Mapping[int, Sequence[Stream]],
    before: Mapping[int, int],
    until: Mapping[int, int],
    watch: Watch,
) -> dict[int, dict[str, Any]]:
    """What was remembered of each machine, kept: which copy it is in, and what it came of."""
    cuts = watch.cuts()
    # From the whole fleet's to that of these machines once, then from theirs to those of a copy.
    theirs = copied(
        [stream for own in points.values() for stream in own],
        lambda name: occurrences.load_one(conn, name),
        {event.detector for event in raised},
    )
    champions: dict[int, str] = dict(conn.execute(_SQL["champions"], {"machines": list(points)}).fetchall())
    found: dict[int, dict[str, Any]] = {}
    for machines in _together(points):
        own = [stream for machine in machines for stream in points[machine]]
        names = {event.detector for event in raised if event.machine in machines}
        arrays = learnt.pack({**copied(own, theirs.get, names), ABOUT: _about(own, before, until, cuts)})
        kept = {"tenant": own[0].tenant, "hash": learnt.hash_of(arrays), "arrays": arrays}
        for (number,) in conn.execute(_SQL["keep_memory"], kept):
            for machine in machines:
                found[machine] = {"memory_id": number, "hash": kept["hash"], "champion": champions.get(machine)}
    return found


def _together(points: Mapping[int, Sequence[Stream]]) -> list[set[int]]:
    """Machines by the copies that they are in, each of one tenant."""
    copies: list[set[int]] = []
    room = 0
    for machine in sorted(points, key=lambda machine: points[machine][0].tenant):
        own = points[machine]
        apart = not copies or points[min(copies[-1])][0].tenant != own[0].tenant
        if apart or len(own) > room:
            copies.append(set())
            room = _POINTS_TOGETHER
        copies[-1].add(machine)
        room -= len(own)
    return copies


def _about(own: Sequence[Stream], before: Mapping[int, int], until: Mapping[int, int], cuts: Cuts) -> Snapshot:
    ids = [stream.id for stream in own]
    ours = np.isin(cuts.stream, ids)
    return {
        "stream": np.array(ids, np.int32),
        "after_us": np.array([before.get(stream, 0) for stream in ids], np.int64),
        "until_us": np.array([until.get(stream, 0) for stream in ids], np.int64),
        **{f"cut_{name}": column[ours] for name, column in cuts._asdict().items()},
    }


# Played again ---------------------------------------------------------------------------------------------------------


def kept(conn: Session, alarm_id: UUID) -> Kept:
    """An alarm and what it rests on, or NotFound."""
    with conn.cursor(row_factory=class_row(Kept)) as cursor:
        row = cursor.execute(_SQL["kept"], {"id": alarm_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no alarm {alarm_id}")
    return row


def shown(conn: Transaction, alarm_id: UUID) -> tuple[Mapping[str, Any], bool]:
    """What an alarm rests on, and whether there is a copy to play it again from; ({}, False) where nothing was kept."""
    row = conn.execute(_SQL["shown"], {"id": alarm_id}).fetchone()
    return (row[0], row[1]) if row else ({}, False)


def spans_of(about: Snapshot, streams: Collection[int]) -> list[Span]:
    """The spans of a copy, of these streams."""
    columns = (about[name].tolist() for name in ("stream", "after_us", "until_us"))
    return [span for span in zip(*columns, strict=True) if span[0] in streams and span[2] > 0]


def cuts_of(about: Snapshot) -> Cuts:
    """How the readings after a copy came, of the machines in it."""
    return Cuts(*(about[f"cut_{name}"] for name in Cuts._fields))


def digests(conn: Session, spans: Sequence[Sequence[Span]]) -> list[tuple[int, str]]:
    """How many readings were scored in each of some sets of spans, and a hash of them."""
    flat = [(place, *span) for place, own in enumerate(spans) for span in own]
    wanted = {"place": [place for place, *_ in flat], **_asked([span for own in spans for span in own])}
    found = {place: (count, sha256) for place, count, sha256 in conn.execute(_SQL["digests"], wanted)}
    return [found.get(place, (0, "")) for place in range(len(spans))]


def scored(conn: Session, spans: Sequence[Span]) -> Batch:
    """The readings that were scored in some spans."""
    rows = conn.execute(_SQL["scored"], _asked(spans)).fetchall()
    return Batch.of(*zip(*rows, strict=True)) if rows else Batch.empty()


def rule_versions(conn: Session, tenant: str, rule: str) -> list[Mapping[str, Any]]:
    """What a rule has been, as plain values, the newest first; without the default of the house."""
    return [fields for (fields,) in conn.execute(_SQL["rule_versions"], {"tenant": tenant, "rule": rule})]


def joined(conn: Session, streams: Collection[int], since: datetime) -> list[str]:
    """Which of these points their machine has since then only."""
    wanted = {"streams": list(streams), "since": since}
    return [point for (point,) in conn.execute(_SQL["joined"], wanted)]


def heard(conn: Session, machine: int, after: datetime, until: datetime) -> tuple[int, int]:
    """How many readings a machine has in a span, and how many of them came too late, or were not fit to be scored."""
    wanted = {"machine": machine, "after": after, "until": until, "unscored": int(UNSCORED)}
    row = conn.execute(_SQL["heard"], wanted).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def forget(conn: Session, most: int) -> int:
    """Remove at most so many copies whose readings are over; how many went."""
    return conn.execute(_SQL["forget"], {"most": most}).rowcount


def _asked(spans: Sequence[Span]) -> dict[str, Any]:
    return {
        "stream": [stream for stream, _, _ in spans],
        "after": [instant(after_us) for _, after_us, _ in spans],
        "until": [instant(until_us) for _, _, until_us in spans],
        "unscored": int(UNSCORED),
    }
