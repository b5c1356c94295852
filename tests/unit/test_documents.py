"""Documents: what stands in them, the same bytes each time, and the two clocks that wait for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.paper_pdf import pdf_of
from prognosis.after_repair import Outcome
from tickets.clocks import Clock, ClockName, Effect
from tickets.documents import signature
from tickets.documents.after_repair import HEADING, Judged
from tickets.documents.contents import answered, diagnosis, quote, service
from tickets.documents.facts import Case, Entry, Issue, Measured, PartLine, StepLine, Work
from tickets.documents.form import Document, Kind, Section, from_plain, number_of, to_plain
from tickets.intake import Service
from tickets.needs import Facts, Paper
from tickets.report_clocks import effects
from tickets.states import State
from tickets.steps import StepState

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CASE = Case(
    code="ABCDEFGH23456723",
    title="pump-103: flow 61 % below normal",
    reported="It leaks.\n\nPlease be quick.",
    opened_at=NOON - timedelta(hours=5),
    device="pump-103",
    model="CR 32",
    serial="SN-42",
    site="",
    customer="Mleczarnia Łódź · Ελληνική · Молоко",
    warranty_until=date(2026, 3, 1),
    zone=ZoneInfo("Europe/Warsaw"),
    guarantee=timedelta(days=30),
)
SAID = {
    Paper.DIAGNOSIS: Entry(
        NOON, "Ben", {"located": "Worn seal", "plan": "Replace it", "alternative": "", "hours": 2.5}
    ),
    Paper.QUOTE: Entry(NOON, "Ben", {"amount": "1480.5", "currency": "PLN", "covers": "Seal, two hours"}),
    Paper.ANSWER: Entry(NOON + timedelta(minutes=1), "customer", {"accepted": True, "name": "A. Dairy"}),
    Paper.TEST: Entry(
        NOON,
        "Ben",
        {
            "passed": True,
            "note": "Dry for an hour",
            "values": [{"name": "Bearing temperature", "value": 41.25, "unit": "degC"}],
            "advice": "Look for drops weekly",
        },
    ),
}
WORK = Work(
    verdict="confirmed",
    parts=[PartLine("seal-12", "Shaft seal", 1, "S-9", "S-1")],
    before=[Measured("bearing_temperature", 88.1234, "degC", 35.0, 45.0)],
    stages=[("Accepted", NOON)],
    steps=[StepLine("Lock it out", StepState.DONE), StepLine("Measure the gap", StepState.DONE, 0.25, "mm", "both")],
    handed_over_at=NOON,
)
STROKES = [[0, 0, 500, 150, 1000, 300], [20, 20]]


def section(document: Document, heading: str) -> Section:
    (found,) = (one for one in document.sections if one.heading == heading)
    return found


def rows(document: Document, heading: str) -> list[tuple[str, ...]]:
    table = section(document, heading).table
    assert table is not None
    return [tuple(row) for row in table.rows]


def test_a_service_report_says_what_was_found_and_done_and_what_it_came_to() -> None:
    written = service(CASE, Issue("SR-2026-000007", 1, NOON, "Ben"), SAID, WORK)
    assert dict(written.facts)["Issued"] == "22 November 2026, 13:00 CET, by Ben"
    assert "Site" not in dict(written.facts), "what is not known is not there"
    assert section(written, "Cause").paragraphs == ["The fault that was reported was found.", "Worn seal"]
    assert section(written, "Work").paragraphs == ["Replace it"]
    assert rows(written, "Values before and after") == [("Bearing temperature", "88.12", "41.25", "35 to 45", "°C")]
    assert rows(written, "Parts") == [("seal-12", "Shaft seal", "1", "S-9", "S-1")]
    assert rows(written, "Steps")[1] == ("2", "Measure the gap", "Done", "0.25 mm", "both")
    assert dict(section(written, "Quote").facts)["All in"] == "1\N{NARROW NO-BREAK SPACE}480.50 PLN"
    assert "at least until 22 December 2026" in section(written, "Warranty on this repair").paragraphs[0]
    assert section(written, "Signature").paragraphs == ["Not signed yet."]

    more = {**SAID[Paper.TEST].body, "work": "Replaced the seal and both O-rings"}
    signed = {"name": "A. Dairy", "signed_at": "2026-11-22T12:30:00Z", "strokes": STROKES}
    said = {
        **SAID,
        Paper.TEST: replace(SAID[Paper.TEST], body=more),
        Paper.SIGNATURE: Entry(NOON, "Ben", signed),
    }
    again = service(CASE, Issue("SR-2026-000007", 2, NOON, "Ben"), said, replace(WORK, parts=[], steps=[]))
    assert dict(again.facts)["Number"] == "SR-2026-000007, version 2"
    assert section(again, "Work").paragraphs == ["Replaced the seal and both O-rings"]
    assert section(again, "Parts").paragraphs == ["No part was replaced."]
    assert "Steps" not in {one.heading for one in again.sections}
    assert section(again, "Signature").strokes == STROKES


COMPARED = {
    "point": "bearing_temperature",
    "unit": "degC",
    "mode": "full load",
    "low": 35.0,
    "high": 45.0,
    "before": 88.1234,
    "now": None,
    "swing_usual": 0.2,
    "swing_before": None,
    "swing_now": 0.0,
    "why": "",
}


def test_a_service_report_says_how_the_machine_does_as_far_as_it_is_known() -> None:
    def told(check: Judged | None) -> Document:
        return service(CASE, Issue("SR-2026-000007", 1, NOON, "Ben"), SAID, replace(WORK, judged=check))

    assert HEADING not in {one.heading for one in told(None).sections}
    unknown = section(told(Judged(Outcome.CANNOT_SAY, "it has to run first", None, 0.0, [COMPARED], 9)), HEADING)
    assert unknown.facts == [("Judgement", "None when this report was issued: it has to run first")]
    assert unknown.table is None, "what was seen of too little running is no value"

    points = [{**COMPARED, "now": 41.0, "why": "still"}, COMPARED, {**COMPARED, "now": 41.0, "mode": ""}]
    known = told(Judged(Outcome.NOT_WELL, "it rests", NOON, 4.0, points, 9))
    assert dict(section(known, HEADING).facts)["Looked at"] == "22 November 2026, 13:00 CET, after 4 h of running"
    assert "these are the 2" in section(known, HEADING).paragraphs[-1]
    assert rows(known, HEADING) == [
        ("Bearing temperature, full load, swing within ten minutes", "–", "0", "0.2", "°C", "Not well"),  # noqa: RUF001
        ("Bearing temperature", "88.12", "41", "35 to 45", "°C", "As in health"),
    ]


def test_a_signature_without_strokes_and_a_quote_without_an_answer_are_as_good() -> None:
    said = {paper: entry for paper, entry in SAID.items() if paper is not Paper.ANSWER}
    said[Paper.SIGNATURE] = Entry(NOON, "Ben", {"name": "A. Dairy", "signed_at": "2026-11-22T12:30:00Z"})
    written = service(CASE, Issue("SR-2026-000007", 1, NOON, "Ben"), said, WORK)
    assert dict(section(written, "Signature").facts)["Signed"] == "22 November 2026, 13:30 CET"
    assert "Quote" not in {one.heading for one in written.sections}


def test_a_diagnosis_and_a_quote_say_where_the_fault_is_and_what_it_takes() -> None:
    parts = [PartLine("seal-12", "Shaft seal", 2)]
    report = diagnosis(CASE, Issue("DR-2026-000001", 1, NOON, "Ben"), SAID, parts)
    assert section(report, "Where the fault is").paragraphs == ["Worn seal"]
    assert section(report, "Time and parts").facts == [("Estimated work", "2.5 h")]
    assert rows(report, "Time and parts") == [("seal-12", "Shaft seal", "2")]
    assert "What could be done instead" not in {one.heading for one in report.sections}
    offer = quote(CASE, Issue("QU-2026-000001", 1, NOON, "Ben"), SAID, [])
    assert dict(section(offer, "Amount").facts)["Warranty of the machine"] == "until 1 March 2026"
    assert CASE.code in section(offer, "How to answer").paragraphs[0]


def test_a_quote_that_was_answered_says_what_it_said_and_how_it_was_answered() -> None:
    offer = quote(CASE, Issue("QU-2026-000001", 1, NOON, "Ben"), SAID, [PartLine("seal-12", "Shaft seal", 2)])
    later = Issue("QU-2026-000001", 2, NOON + timedelta(hours=1), "Dana")
    said = {**SAID[Paper.ANSWER].body, "accepted": False, "way": "telephone", "note": "Too dear"}
    told = answered(offer, CASE, later, {**SAID, Paper.ANSWER: Entry(NOON, "Dana", said, "dana")})
    assert told.sections[:-1] == [one for one in offer.sections if one.heading != "How to answer"]
    assert dict(told.facts) == {**dict(offer.facts), "Number": "QU-2026-000001, version 2"}
    assert told.sections[-1].paragraphs == ["Too dear"]
    assert told.sections[-1].facts == [
        ("Declined", "22 November 2026, 13:00 CET, by A. Dairy"),
        ("Heard", "by telephone, written down by Dana"),
    ]
    # Who changes their mind has answered once.
    by_code = {**SAID, Paper.ANSWER: replace(SAID[Paper.ANSWER], who="customer")}
    again = answered(told, CASE, replace(later, version=3), by_code)
    assert [one.heading for one in again.sections].count("Answer") == 1
    assert again.sections[-1].facts[1] == ("Heard", "on the page of the ticket, with its code")


def test_what_was_frozen_is_printed_in_the_same_bytes_each_time() -> None:
    said = {**SAID, Paper.SIGNATURE: Entry(NOON, "B", {"name": "漢", "signed_at": "2026-11-22T12:30:00Z"})}
    said[Paper.SIGNATURE] = replace(said[Paper.SIGNATURE], body={**said[Paper.SIGNATURE].body, "strokes": STROKES})
    written = service(CASE, Issue("SR-2026-000007", 1, NOON, "Grażyna Żółć"), said, WORK)
    thawed = from_plain(json.loads(json.dumps(to_plain(written))))
    assert to_plain(thawed) == json.loads(json.dumps(to_plain(written)))
    first = pdf_of(thawed, NOON)
    assert first.startswith(b"%PDF-")
    assert first == pdf_of(thawed, NOON)
    assert first != pdf_of(thawed, NOON, "A name was taken out.")


def test_numbers_tell_the_kind_and_the_year() -> None:
    assert [number_of(kind, 2026, 123) for kind in Kind] == ["DR-2026-000123", "QU-2026-000123", "SR-2026-000123"]


@pytest.mark.parametrize(
    "strokes",
    [
        [[1, 2, 3]],
        [[]],
        [[1001, 0]],
        [[0, 301]],
        [[-1, 0]],
        [[0, 0]] * (signature.MOST_STROKES + 1),
        [[1, 1] * (signature.MOST_POINTS + 1)],
    ],
)
def test_what_no_pen_drew_in_the_box_is_no_signature(strokes: list[list[int]]) -> None:
    signature.check(STROKES)
    with pytest.raises(signature.BadSignature):
        signature.check(strokes)


REPORT, SERVICE, SENT = ClockName.DIAGNOSIS_REPORT, ClockName.SERVICE_REPORT, ClockName.SENT_BACK
RUNS = {REPORT: Clock(REPORT, NOON, NOON, NOON)}
DONE = {REPORT: Clock(REPORT, NOON, NOON, NOON, stopped_at=NOON)}


@pytest.mark.parametrize(
    ("move", "diagnosed", "present", "expected"),
    [
        ("accepted diagnosing", False, {}, {REPORT: Effect.START}),
        ("accepted on_site", False, {}, {REPORT: Effect.START}),
        ("diagnosing on_site", False, RUNS, {}),
        ("on_site diagnosing", True, DONE, {}),
        ("diagnosing escalated", False, RUNS, {REPORT: Effect.STOP}),
        ("escalated diagnosing", False, DONE, {REPORT: Effect.START}),
        ("on_hold diagnosing", False, RUNS, {}),
        ("diagnosing on_hold", False, RUNS, {}),
        ("testing quality_check", True, DONE, {SERVICE: Effect.START}),
        ("quality_check reopened", True, DONE, {SERVICE: Effect.STOP, SENT: Effect.STOP}),
        ("quality_check handed_over", True, DONE, {}),
    ],
)
def test_the_clock_of_a_report_runs_while_it_is_awaited(
    move: str, diagnosed: bool, present: dict[ClockName, Clock], expected: dict[ClockName, Effect]
) -> None:
    state, to = map(State, move.split())
    assert effects(state, to, Facts(diagnosed=diagnosed), {}, present) == expected


@pytest.mark.parametrize(
    ("move", "service", "expected"),
    [
        ("testing quality_check", Service.SEND_IN, {SERVICE: Effect.START, SENT: Effect.START}),
        ("testing quality_check", Service.ON_SITE, {SERVICE: Effect.START}),
        ("quality_check handed_over", Service.SEND_IN, {}),
        ("quality_check on_hold", Service.SEND_IN, {}),
        ("follow_up closed", Service.SEND_IN, {}),
        ("handed_over reopened", Service.SEND_IN, {SENT: Effect.STOP, SERVICE: Effect.STOP}),
        ("on_hold cancelled", Service.SEND_IN, {SENT: Effect.STOP}),
    ],
)
def test_what_was_sent_in_is_awaited_until_it_has_left(
    move: str, service: Service, expected: dict[ClockName, Effect]
) -> None:
    state, to = map(State, move.split())
    assert effects(state, to, Facts(diagnosed=True, service=service), {}, DONE) == expected


def test_a_diagnosis_that_comes_with_a_move_stops_its_clock() -> None:
    found = effects(State.DIAGNOSING, State.ON_SITE, Facts(diagnosed=True), {Paper.DIAGNOSIS}, RUNS)
    assert found == {REPORT: Effect.STOP}
