"""Intake: what a report says of a fault in standard terms, how complete that is, and what is still to be asked.

A symptom is what can be seen without knowing the cause, in the words of ISO 14224. It says what is lost, and which
fault of the machine it belongs to: what telemetry shows too (`condition`, `instrument`, `communication`) has the name
that alarms give it, so that a report and an alarm of one fault meet in one ticket.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from tickets.priority import FaultClass, Nature

COMPLETE = 0.95
"""Of the weights: a record that has so much is complete enough to send somebody."""


class Service(StrEnum):
    """How the customer wants to be helped."""

    ON_SITE = "on_site"
    SEND_IN = "send_in"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One standard term. `code` is ISO 14224's; `fault` empty: each report of it is a fault of its own."""

    says: str
    code: str
    fault_class: FaultClass
    fault: str
    nature: Nature = Nature.HARDWARE


SYMPTOMS: dict[str, Symptom] = {
    "breakdown": Symptom("It has broken down", "BRD", FaultClass.FUNCTION_LOST, "breakdown"),
    "fails_to_start": Symptom("It does not start", "FTS", FaultClass.FUNCTION_LOST, "breakdown"),
    "spurious_stop": Symptom("It stops by itself", "UST", FaultClass.FUNCTION_LOST, "breakdown"),
    "fails_to_stop": Symptom("It does not stop", "STP", FaultClass.SAFETY, "fails_to_stop"),
    "smoke": Symptom("Smoke, sparks, or it smells burnt", "OHE", FaultClass.SAFETY, "smoke"),
    "vibration": Symptom("It shakes", "VIB", FaultClass.DEGRADED, "condition"),
    "noise": Symptom("It makes a noise", "NOI", FaultClass.DEGRADED, "condition"),
    "overheating": Symptom("It gets too hot", "OHE", FaultClass.DEGRADED, "condition"),
    "low_output": Symptom("It gives too little", "LOO", FaultClass.DEGRADED, "condition"),
    "high_output": Symptom("It gives too much", "HIO", FaultClass.DEGRADED, "condition"),
    "erratic_output": Symptom("It runs unevenly", "ERO", FaultClass.DEGRADED, "condition"),
    "plugged": Symptom("It is clogged", "PLU", FaultClass.DEGRADED, "condition"),
    "internal_leakage": Symptom("It leaks within", "INL", FaultClass.DEGRADED, "condition"),
    "parameter_deviation": Symptom("A value is beyond its limits", "PDE", FaultClass.DEGRADED, "condition"),
    "leakage": Symptom("It leaks what it pumps or holds", "ELP", FaultClass.DEGRADED, "leakage"),
    "oil_leakage": Symptom("It leaks oil or coolant", "ELU", FaultClass.DEGRADED, "oil_leakage"),
    "structure": Symptom("A crack, rust, or something is loose", "STD", FaultClass.DEGRADED, "structure"),
    "abnormal_reading": Symptom("A display or sensor shows nonsense", "AIR", FaultClass.COSMETIC, "instrument"),
    "no_connection": Symptom("It is not connected", "FTF", FaultClass.COSMETIC, "communication", Nature.SOFTWARE),
    "software": Symptom("Its software fails", "CTR", FaultClass.DEGRADED, "software", Nature.SOFTWARE),
    "minor": Symptom("Something small", "SER", FaultClass.COSMETIC, ""),
    "other": Symptom("Something else", "OTH", FaultClass.DEGRADED, ""),
}
"""In the order in which a page offers them. Two reports of `other` may be of two faults: they share no ticket."""

# What an alarm shows is named by the first symptom of that code; one that names no mode, by its fault.
_BY_CODE = {symptom.code: name for name, symptom in reversed(SYMPTOMS.items()) if name != "smoke"}
_BY_FAULT = {"instrument": "abnormal_reading", "communication": "no_connection", "site": "no_connection"}


@dataclass(frozen=True, slots=True)
class Intake:
    """All that is known of a fault before anybody has looked. Empty text, None: nobody has said.

    `error_code` is empty where the device shows none, `windows` how many were named, `evidence` how many files, alarms
    and measurements lie with it.
    """

    device: str = ""
    serial: str = ""
    customer: str = ""
    contact: str = ""
    symptom: str = ""
    words: str = ""
    began_at: datetime | None = None
    situation: str = ""
    error_code: str | None = None
    service: str = ""
    windows: int = 0
    evidence: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing: its field, the question that would fill it, how much of the whole it is."""

    field: str
    question: str
    weight: int


# A hundred together. Whose it is, which, what and since when decide who goes with what; the rest spares a call.
WEIGHTS: dict[str, int] = {
    "device": 15,
    "symptom": 15,
    "customer": 10,
    "contact": 10,
    "words": 10,
    "began_at": 10,
    "serial": 5,
    "situation": 5,
    "error_code": 5,
    "service": 5,
    "windows": 5,
    "evidence": 5,
}
QUESTIONS: dict[str, str] = {
    "device": "Which device is it?",
    "symptom": "What is it that you see, hear or smell?",
    "customer": "Whose device is it? Its file does not say.",
    "contact": "Whom may we call, and how?",
    "words": "What happened, in your own words?",
    "began_at": "Since when?",
    "serial": "What is the serial number on its plate? Its file does not say.",
    "situation": "What was it doing when it happened?",
    "error_code": "Does it show an error code? None is an answer too.",
    "service": "Shall somebody come, will you send it in, or can we help from afar?",
    "windows": "When may we come, or call?",
    "evidence": "Is there a photo, a video or a log of it?",
}
OF_THE_FILE = frozenset({"customer", "serial"})
"""What the device's file says, not a report."""


def missing(record: Intake) -> list[Gap]:
    """What is to be asked, what weighs most first."""
    gaps = [Gap(name, QUESTIONS[name], weight) for name, weight in WEIGHTS.items() if not _said(record, name)]
    return sorted(gaps, key=lambda gap: -gap.weight)


def completeness(record: Intake) -> float:
    """How much of the whole is there, 0 to 1."""
    return 1.0 - sum(gap.weight for gap in missing(record)) / sum(WEIGHTS.values())


def merged(record: Intake, later: Intake) -> Intake:
    """What was said first with what came later: a later word counts, silence takes nothing back. Evidence adds up."""
    said = {one.name: getattr(later, one.name) for one in fields(Intake) if _said(later, one.name)}
    return replace(record, **{**said, "evidence": record.evidence + later.evidence})


def symptom_of(fault: str, failure_mode: str = "", quantity: str = "", *, is_low: bool = False) -> str:
    """What telemetry shows, as a symptom: by the failure mode that is probable, else by what of the machine departs.

    `failure_mode` is a code of ISO 14224, `quantity` that of the point that leads, `is_low` whether it fell.
    """
    if fault in _BY_FAULT:
        return _BY_FAULT[fault]
    if failure_mode in _BY_CODE:
        return _BY_CODE[failure_mode]
    if quantity.startswith("vibration"):
        return "vibration"
    if quantity == "temperature" and not is_low:
        return "overheating"
    return "low_output" if is_low and quantity in {"flow", "pressure", "speed"} else "parameter_deviation"


def fault_class_of(symptom: str, said: FaultClass | None) -> FaultClass:
    """What is lost: the worse of what the symptom means and what the reporter says."""
    known = list(FaultClass)  # from the most to the least
    return min(SYMPTOMS[symptom].fault_class, said or known[-1], key=known.index)


def title_of(device: str, symptom: str, error_code: str = "") -> str:
    """One line for a ticket: the machine, what is the matter, its error code."""
    says = SYMPTOMS[symptom].says
    code = f" (error {error_code})" if error_code else ""
    return f"{device}: {says[:1].lower()}{says[1:]}{code}"


def _said(record: Intake, name: str) -> bool:
    value = getattr(record, name)
    if name == "error_code":
        return value is not None
    # Where nobody comes, no window is needed but to call: one who wants help from afar is called back at once.
    return bool(value) or (name == "windows" and record.service == Service.REMOTE)
