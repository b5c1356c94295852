"""A trial of a rule over what is stored: machine after machine, so that a month of a fleet needs the memory of one.

The same function serves a request, `notify` and `bellwether backtest`. Nothing is written. Every query names the
tenant: only the API's connection is held to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from psycopg.rows import class_row

from alarms.lessons import UNTAUGHT, Patience, by_subject
from alarms.policy import DEFAULT_POLICY, Policy
from alarms.rules import Rule, rule_from_json, rule_to_json
from alarms.trials import SPAN_US, Fault, Figures, Span, Tally, figures, missed, why_not
from alarms.trials_gentler import changes, gentler
from alarms.trials_played import TRIED, Machine, lead_days, machine_wide, subjects
from alarms.watch import UNSCORED
from store import alarm_policy, lessons, site_people
from store.connection import Session
from store.queries import queries
from store.rules import rules_of_all
from store.trials import KeptTrial
from telemetry import Batch, Stream, instant, microseconds
from tickets.calendar import Calendar
from tickets.terms import HOUSE_TERMS, terms_of

_SQL = queries("trials")
# A row of COPY's binary format, as `store.telemetry` writes them: time since 2000, stream and value.
_ROW = np.dtype([
    ("fields", ">i2"),
    ("l0", ">i4"), ("time", ">i8"),
    ("l1", ">i4"), ("stream", ">i4"),
    ("l2", ">i4"), ("value", ">f8"),
])  # fmt: skip
_HEADER_BYTES, _TRAILER_BYTES = 19, 2
_EPOCH_US = 946_684_800_000_000
# A rule is tried where there is a day to try it on, if no more.
FEWEST = timedelta(days=1)
_OLDEST = timedelta(days=90)
# Readings that are tried while somebody waits: of fixed limits, and of what learns.
_SMALL, _SMALL_LEARNING = 300_000, 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be tried, and for whom."""

    tenant: str
    rule: Rule
    days: int
    devices: Sequence[str] | None
    people: int
    engineers: int

    @classmethod
    def of(cls, kept: KeptTrial) -> Asked:
        """What a trial that was asked for is about."""
        return cls(kept.tenant, rule_from_json(kept.rule), kept.days, kept.devices, kept.people, kept.engineers)


def untried(conn: Session, tenant: str, rule: Rule, now: datetime) -> str:
    """Why there is nothing to try a rule on; empty where there is."""
    if rule.detector not in TRIED:
        return f"{rule.detector} scores more than readings: it cannot be tried over them"
    about = subjects(rule, _with(_rules(conn, tenant), rule), _streams(conn, tenant, None))
    if not about:
        return "it decides over nothing that there is"
    asked = {"streams": [s.id for s in about], "oldest": now - _OLDEST, "before": now - FEWEST}
    row = conn.execute(_SQL["older"], asked).fetchone()
    return "" if row and row[0] else "what it decides over has a history of less than a day"


def is_small(conn: Session, asked: Asked, now: datetime) -> bool:
    """Whether a trial takes a second or two: for whoever waits for the answer."""
    learns = asked.rule.detector != "limits"
    most = _SMALL_LEARNING if learns else _SMALL
    rules = _with(_rules(conn, asked.tenant), asked.rule)
    streams = _streams(conn, asked.tenant, asked.devices)
    about = subjects(asked.rule, rules, streams)
    heard = {stream.machine for stream in about}
    read = [stream.id for stream in streams if stream.machine in heard] if learns else [stream.id for stream in about]
    since = now - timedelta(days=asked.days + lead_days(asked.rule.detector))
    row = conn.execute(_SQL["amount"], {"streams": read, "since": since, "most": most + 1}).fetchone()
    return row is not None and row[0] <= most


def run(conn: Session, asked: Asked, now: datetime, *, by_api: bool = False) -> tuple[bool, dict[str, Any]]:
    """Try a rule: whether it fits the budgets, and all that is to be said about it, as plain values.

    Some 2 µs a reading where limits are tried, 6 of detectors that learn.
    """
    rule, policy = replace(asked.rule, enabled=True), alarm_policy.of_all(conn).get(asked.tenant, DEFAULT_POLICY)
    before = [one for one in _rules(conn, asked.tenant) if one.detector == rule.detector]
    sets = [before, *(_with(before, one) for one in (rule, *gentler(rule)))]
    start = now - timedelta(days=asked.days)
    start_us, end_us = microseconds(start), microseconds(now)
    tallies = [Tally(max(-(-(end_us - start_us) // SPAN_US), 1)) for _ in sets]
    about = _about(rule, before, _streams(conn, asked.tenant, asked.devices))
    faults = _faults(conn, asked.tenant, set(about), start, now)
    patience = _patience(conn, asked.tenant, rule.detector, about, now)
    sites: dict[int, str] = dict(conn.execute(_SQL["sites"], {"tenant": asked.tenant}).fetchall())
    machine_days, readings = 0.0, 0
    for machine, (points, own_about) in about.items():
        read = own_about if rule.detector == "limits" else points
        lead = start - timedelta(days=lead_days(rule.detector))
        batch = _readings(conn, "copied_for_tenant" if by_api else "copied", read, lead, now)
        heard = batch.time_us[batch.time_us >= start_us]
        if not len(heard):
            continue
        machine_days += (int(heard.max()) - int(heard.min())) / 86_400e6
        readings += len(heard)
        played = Machine(rule.detector, points, batch)
        own_faults = [fault for fault in faults if fault.machine == machine]
        for tally, rules in zip(tallies, sets, strict=True):
            told = played.told(own_about, rules, patience, policy)
            tally.add(start_us, points[0].device, told, own_faults, sites[machine])
    hours = _out_of_hours(conn, asked, start_us, tallies[0].spans)
    duties, others = site_people.duties(conn, asked.tenant), _others(conn, asked, [*before, rule], about, start, now)
    span = Span(start_us, end_us, machine_days, asked.people, hours, faults, duties, others)
    found = _found(rule, [figures(tally, span) for tally in tallies], span, policy)
    counted = {"machines": len(about), "readings": readings, "engineers": asked.engineers}
    return bool(found["fits"]), {**found, **counted}


def _found(rule: Rule, each: Sequence[Figures], span: Span, policy: Policy) -> dict[str, Any]:
    """What is to be said: of what is in force, of the rule as it would be, and of those that are gentler."""
    now_is, asked_for, *others = each
    reasons = why_not(asked_for, span, policy, now_is)
    return {
        "from": instant(span.start_us).isoformat(),
        "to": instant(span.end_us).isoformat(),
        "machine_days": span.machine_days,
        "people": span.people,
        "fits": not reasons,
        "why_not": reasons,
        "asked": _shown(asked_for),
        "in_force": _shown(now_is),
        "faults": _compared([fault for fault in span.faults if fault.known], asked_for, now_is),
        "missed": len(missed(asked_for, now_is)),
        "proposal": None if not reasons else _proposal(rule, asked_for, now_is, others, span, policy),
    }


def _about(
    rule: Rule, before: Sequence[Rule], streams: Sequence[Stream]
) -> dict[int, tuple[list[Stream], list[Stream]]]:
    """By machine its points, and those that the rule decides over, as it would be or as it is."""
    own = next((one for one in before if one.id == rule.id), None)
    decided = subjects(rule, _with(before, rule), streams) + ([] if own is None else subjects(own, before, streams))
    ids = {stream.id for stream in decided}
    machines = {machine: list(points) for machine, points in groupby(streams, key=lambda stream: stream.machine)}
    found = {machine: (points, [s for s in points if s.id in ids]) for machine, points in machines.items()}
    return {machine: both for machine, both in found.items() if both[1]}


def _others(
    conn: Session,
    asked: Asked,
    played: Sequence[Rule],
    about: Mapping[int, tuple[list[Stream], list[Stream]]],
    start: datetime,
    end: datetime,
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """By site, what people were called for on each day, but by the rules that are played here, of what they decide."""
    # A rule over a whole machine names whichever point leads: all of the machine's are its own.
    own = [s for both in about.values() for s in both[0 if machine_wide(asked.rule) else 1]]
    wanted = {
        "tenant": asked.tenant,
        "start": start,
        "end": end,
        "rules": sorted({rule.id for rule in played}),
        "machines": [stream.machine for stream in own],
        "points": [stream.point for stream in own],
    }
    days = -(-(end - start) // timedelta(days=1))
    found: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for site, day, calls in conn.execute(_SQL["called"], wanted):
        found.setdefault(site, np.zeros(days, np.int64))[min(day, days - 1)] = calls
    return found


def _patience(
    conn: Session, tenant: str, detector: str, about: Mapping[int, tuple[list[Stream], list[Stream]]], now: datetime
) -> Mapping[tuple[str, int], Patience]:
    """What verdicts have taught until now."""
    if detector in UNTAUGHT:
        return {}
    own = [one for one in lessons.judged(conn, now) if one.tenant == tenant]
    return by_subject(own, [stream for points, _ in about.values() for stream in points])


def _proposal(
    rule: Rule, asked_for: Figures, now_is: Figures, others: Sequence[Figures], span: Span, policy: Policy
) -> dict[str, Any] | None:
    """The first gentler rule that fits and tells what this one tells; None where there is none."""
    for other, found in zip(gentler(rule), others, strict=True):
        if not why_not(found, span, policy, now_is) and not missed(found, asked_for):
            return {"changes": changes(rule, other), "rule": rule_to_json(other), "figures": _shown(found)}
    return None


def _shown(found: Figures) -> dict[str, Any]:
    fields = asdict(found)
    del fields["faults"]
    worst_at_us = fields.pop("worst_at_us")
    return {**fields, "worst_at": instant(worst_at_us).isoformat() if found.alarms else None}


def _compared(known: Sequence[Fault], asked_for: Figures, now_is: Figures) -> list[dict[str, Any]]:
    return [
        {
            "ticket": fault.ticket,
            "device": fault.device,
            "fault": fault.name,
            "since": instant(fault.since_us).isoformat(),
            "after_s": after_s,
            "in_force_after_s": before_s,
        }
        for fault, after_s, before_s in zip(known, asked_for.faults, now_is.faults, strict=True)
    ]


def _rules(conn: Session, tenant: str) -> list[Rule]:
    return rules_of_all(conn).get(tenant, [])


def _with(rules: Sequence[Rule], rule: Rule) -> list[Rule]:
    return [*(one for one in rules if one.id != rule.id), rule]


def _streams(conn: Session, tenant: str, devices: Sequence[str] | None) -> list[Stream]:
    asked = {"tenant": tenant, "devices": None if devices is None else list(devices)}
    with conn.cursor(row_factory=class_row(Stream)) as cursor:
        return cursor.execute(_SQL["streams"], asked).fetchall()


def _readings(conn: Session, query: str, own: Sequence[Stream], start: datetime, end: datetime) -> Batch:
    """What one machine said, by binary COPY: as objects of Python a month of it costs ten times as much."""
    asked = {"streams": [s.id for s in own], "start": start, "end": end, "unscored": int(UNSCORED)}
    with conn.cursor() as cursor, cursor.copy(_SQL[query], asked) as copy:
        data = b"".join(bytes(part) for part in copy)
    rows = np.frombuffer(data[_HEADER_BYTES:-_TRAILER_BYTES], _ROW)
    time_us = rows["time"].astype(np.int64) + _EPOCH_US
    return Batch.of(time_us, rows["stream"].astype(np.int32), rows["value"].astype(np.float64))


def _faults(conn: Session, tenant: str, machines: set[int], start: datetime, end: datetime) -> list[Fault]:
    asked = {"tenant": tenant, "machines": sorted(machines), "start": start, "end": end}
    return [
        Fault(ticket, device, machine, name, microseconds(since), microseconds(until), known)
        for ticket, device, machine, name, since, until, known in conn.execute(_SQL["faults"], asked)
    ]


def _out_of_hours(conn: Session, asked: Asked, start_us: int, spans: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Of each ten minutes, whether it begins when nobody works."""
    row = conn.execute(_SQL["terms"], {"tenant": asked.tenant}).fetchone()
    calendar: Calendar = (terms_of(row[1], row[0]) if row else HOUSE_TERMS).calendar
    found = np.ones(spans, np.bool_)
    until_us, working = start_us, False
    for number in range(spans):
        at_us = start_us + number * SPAN_US
        if at_us >= until_us:
            working, until = calendar.standing(instant(at_us))
            until_us = microseconds(until)
        found[number] = not working
    return found
