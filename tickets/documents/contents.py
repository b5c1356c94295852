"""What stands in each document, from what is kept of a ticket. The same facts give the same document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tickets.customers_word import CUSTOMER, WAYS, Way
from tickets.documents.after_repair import judged
from tickets.documents.facts import Case, Entries, Issue, Measured, PartLine, StepLine, Work
from tickets.documents.form import TITLES, Document, Facts, Kind, Section, Table
from tickets.documents.writing import NONE, amount, day, folded, moment, number, paragraphs, plain, rounded, unit
from tickets.needs import Paper
from tickets.states import Verdict
from tickets.steps import StepState

_HOW_TO_ANSWER, _ANSWER = "How to answer", "Answer"

_CAUSES: Mapping[str, str] = {
    Verdict.CONFIRMED: "The fault that was reported was found.",
    Verdict.OTHER_FAULT: "Another fault than the one that was reported was found.",
    Verdict.SENSOR_FAULT: "A sensor was at fault, not the machine.",
    Verdict.NO_FAULT: "No fault was found.",
}

_STATES: Mapping[StepState, str] = {
    StepState.OPEN: "Open",
    StepState.DONE: "Done",
    StepState.LEFT_OUT: "Left out",
}


def diagnosis(case: Case, issue: Issue, said: Entries, parts: Sequence[PartLine]) -> Document:
    """Where the fault is, what is to be done, with which parts, in how much time."""
    body = said[Paper.DIAGNOSIS].body
    return _document(
        Kind.DIAGNOSIS,
        case,
        issue,
        _reported(case),
        Section("Where the fault is", paragraphs(body["located"])),
        Section("What is to be done", paragraphs(body["plan"])),
        Section("What could be done instead", paragraphs(body.get("alternative", ""))),
        Section("Time and parts", facts=[("Estimated work", f"{number(body['hours'])} h")], table=_wanted(parts)),
    )


def quote(case: Case, issue: Issue, said: Entries, parts: Sequence[PartLine]) -> Document:
    """What a repair costs, for what, and why the customer is asked."""
    body = said[Paper.QUOTE].body
    found = said[Paper.DIAGNOSIS].body if Paper.DIAGNOSIS in said else {"located": "", "plan": ""}
    warranty = [("Warranty of the machine", f"until {day(case.warranty_until)}")] if case.warranty_until else []
    return _document(
        Kind.QUOTE,
        case,
        issue,
        Section("Amount", facts=[("All in", amount(body)), *warranty]),
        Section("What it is for", paragraphs(body["covers"]), table=_wanted(parts)),
        Section("Where the fault is", paragraphs(found["located"])),
        Section("What is to be done", paragraphs(found["plan"])),
        Section(
            _HOW_TO_ANSWER,
            [f"The repair begins once you have accepted: on the page of the ticket, with its code {case.code}."],
        ),
    )


def answered(offer: Document, case: Case, issue: Issue, said: Entries) -> Document:
    """A quote as it was issued, word for word, with the customer's answer in the place of how to give one."""
    kept = [section for section in offer.sections if section.heading not in {_HOW_TO_ANSWER, _ANSWER}]
    noted = paragraphs(said[Paper.ANSWER].body.get("note", ""))
    facts = [("Number", _version(issue)) if name == "Number" else (name, text) for name, text in offer.facts]
    return Document(offer.title, offer.number, facts, [*kept, Section(_ANSWER, noted, _answered(case, said))])


def service(case: Case, issue: Issue, said: Entries, work: Work) -> Document:
    """What was found and done, with which parts, what it came to, and what holds from now on."""
    located = said[Paper.DIAGNOSIS].body["located"] if Paper.DIAGNOSIS in said else ""
    test = said.get(Paper.TEST)
    return _document(
        Kind.SERVICE,
        case,
        issue,
        _reported(case),
        Section("Cause", [_CAUSES[work.verdict], *paragraphs(located)] if work.verdict else paragraphs(located)),
        Section("Work", _done(said), [(name, moment(at, case.zone)) for name, at in work.stages]),
        Section("Steps", table=_steps(work.steps)),
        _fitted(work.parts),
        _values(work.before, test.body.get("values", []) if test else []),
        _tested(case, said),
        judged(work.judged, _nevertheless(said), case.zone),
        _agreed(case, said),
        Section("Advice", paragraphs(test.body.get("advice", "") if test else "")),
        _guarantee(case, work.handed_over_at),
        _signed(case, said),
    )


def _document(kind: Kind, case: Case, issue: Issue, *sections: Section) -> Document:
    facts = [
        ("Number", _version(issue)),
        ("Issued", f"{moment(issue.at, case.zone)}, by {issue.by}"),
        ("Ticket", case.code),
        ("Customer", case.customer),
        ("Machine", f"{case.device}, {case.model}" if case.model else case.device),
        ("Serial number", case.serial),
        ("Site", case.site),
    ]
    return Document(
        TITLES[kind],
        issue.number,
        [(name, text) for name, text in facts if text],
        [section for section in sections if not section.is_empty],
    )


def _version(issue: Issue) -> str:
    return f"{issue.number}, version {issue.version}" if issue.version > 1 else issue.number


def _reported(case: Case) -> Section:
    said = [case.title, *paragraphs(case.reported)]
    return Section("What was reported", said, [("Reported", moment(case.opened_at, case.zone))])


def _done(said: Entries) -> list[str]:
    """What the engineer says was done; where nothing is said of it, what was to be done."""
    done = said[Paper.TEST].body.get("work", "") if Paper.TEST in said else ""
    planned = said[Paper.DIAGNOSIS].body["plan"] if Paper.DIAGNOSIS in said else ""
    return paragraphs(done or planned)


def _steps(steps: Sequence[StepLine]) -> Table:
    rows = []
    for place, step in enumerate(steps, 1):
        measured = f"{number(step.value)} {unit(step.unit)}".rstrip() if step.value is not None else NONE
        rows.append((str(place), step.text, _STATES[step.state], measured, step.note or NONE))
    return Table(("No.", "Step", "State", "Measured", "Note"), rows)


def _wanted(parts: Sequence[PartLine]) -> Table | None:
    rows = [(one.number, one.name, str(one.quantity)) for one in parts]
    return Table(("Part", "Name", "Quantity"), rows) if rows else None


def _fitted(parts: Sequence[PartLine]) -> Section:
    if not parts:
        return Section("Parts", ["No part was replaced."])
    rows = [(one.number, one.name, str(one.quantity), one.serial or NONE, one.replaces or NONE) for one in parts]
    return Section("Parts", table=Table(("Part", "Name", "Quantity", "Put in", "Taken out"), rows))


def _values(before: Sequence[Measured], after: Sequence[Mapping[str, Any]]) -> Section:
    """Side by side where a point has the same name in both, however it is written."""
    lines: dict[str, list[str]] = {}
    for one in before:
        low, high = one.low, one.high
        normal = f"{rounded(low)} to {rounded(high)}" if low is not None and high is not None else NONE
        lines[folded(one.point)] = [plain(one.point), rounded(one.value), NONE, normal, unit(one.unit)]
    for value in after:
        line = lines.setdefault(folded(value["name"]), [plain(value["name"]), NONE, NONE, NONE, unit(value["unit"])])
        line[2] = number(value["value"])
    head = ("Value", "Before", "After", "Normal", "Unit")
    return Section("Values before and after", table=Table(head, list(lines.values())))


def _tested(case: Case, said: Entries) -> Section:
    test, look = said.get(Paper.TEST), said.get(Paper.INSPECTION)
    facts: list[tuple[str, str]] = []
    if test:
        result = "Passed" if test.body["passed"] else "Not passed"
        facts.append(("Function test", f"{result}, {moment(test.at, case.zone)}, by {test.by}"))
    if look and look.body["passed"]:
        facts.append(("Inspection", f"Passed, {moment(look.at, case.zone)}, by {look.by}"))
    return Section("Test", paragraphs(test.body["note"]) if test else [], facts)


def _nevertheless(said: Entries) -> str:
    look = said.get(Paper.INSPECTION)
    return str(look.body.get("nevertheless", "")) if look else ""


def answers(said: Entries) -> bool:
    """Whether the last quote was answered."""
    return Paper.QUOTE in said and Paper.ANSWER in said and said[Paper.ANSWER].at >= said[Paper.QUOTE].at


def _answered(case: Case, said: Entries) -> Facts:
    """How the last quote was answered, and how that was heard; empty: it is open, or there is none."""
    if not answers(said):
        return []
    answer = said[Paper.ANSWER]
    word = "Accepted" if answer.body["accepted"] else "Declined"
    way = Way(answer.body.get("way") or (Way.PAGE if answer.who == CUSTOMER else Way.TOLD))
    heard = WAYS[way] if way is Way.PAGE else f"{WAYS[way]}, written down by {answer.by}"
    return [(word, f"{moment(answer.at, case.zone)}, by {answer.body['name']}"), ("Heard", heard)]


def _agreed(case: Case, said: Entries) -> Section:
    answered = _answered(case, said)
    return Section("Quote", facts=[("All in", amount(said[Paper.QUOTE].body)), *answered] if answered else [])


def _guarantee(case: Case, handed_over_at: datetime) -> Section:
    days = case.guarantee.days
    until = (handed_over_at + case.guarantee).astimezone(case.zone).date()
    text = (
        f"Should the fault come back, the repair is taken up again under its own warranty: for {days} days from the day"
        f" on which the ticket is closed, at least until {day(until)}. Say the ticket's code, {case.code}."
    )
    return Section("Warranty on this repair", [text])


def _signed(case: Case, said: Entries) -> Section:
    signature = said.get(Paper.SIGNATURE)
    if signature is None:
        return Section("Signature", ["Not signed yet."])
    signed_at = moment(datetime.fromisoformat(signature.body["signed_at"]), case.zone)
    facts = [("Taken back by", signature.body["name"]), ("Signed", signed_at)]
    return Section("Signature", facts=facts, strokes=signature.body.get("strokes", ()))
