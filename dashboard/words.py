"""The words of the pages: what the store's terms are called where a person reads them.

A term that is not in a table is shown as it is with its underscores taken out: a new state of a ticket appears on the
page in its own name before anybody has thought of a better one.
"""

from __future__ import annotations

from dashboard import figures
from telemetry.units import SPELLED
from tickets.customers_word import WAYS, Way

ALARM_STATES: dict[str, str] = {
    "normal": "Normal",
    "unacknowledged": "Unacknowledged",
    "acknowledged": "Acknowledged",
    "returned_unacknowledged": "Returned to normal, unacknowledged",
    "latched_unacknowledged": "Returned, latched, unacknowledged",
    "latched": "Latched until it is reset",
    "shelved": "Shelved",
    "suppressed": "Suppressed by design",
    "out_of_service": "Out of service",
}
MACHINE_STATES: dict[str, str] = {
    "fault": "Fault",
    "attention": "Attention",
    "offline": "Offline",
    "learning": "Learning",
    "healthy": "Healthy",
}
PRESENCES: dict[str, str] = {
    "silent": "Silent",
    "lost": "Connection lost",
    "site_lost": "Lost with its site",
    "stopped": "Stopped",
}
# What a detector looks for, to whoever has never heard its name.
DETECTORS: dict[str, str] = {
    "silence": "How often it is heard",
    "flatline": "How long a value may stay",
    "sensors": "How each sensor behaves",
    "shift": "Usual level and scatter",
    "novelty": "A week as it is",
    "drift": "Level over days and weeks",
    "multivariate": "How its points move together",
}
URGENCIES: dict[str, str] = {
    "now": "stop it now",
    "day": "within a day",
    "week": "within a week",
    "month": "at the next planned stop, within a month",
}
CLOCKS: dict[str, str] = {
    "assignment": "Assignment",
    "response": "Response",
    "on_site": "On site",
    "resolution": "Resolution",
    "expert": "Expert's answer",
    "second_handling": "Second handling",
    "call_back": "Call back",
    "diagnosis_report": "Diagnosis report",
    "service_report": "Service report",
    "sent_back": "Sent back",
}
TICKET_EVENTS: dict[str, str] = {
    "opened": "Opened",
    "alarm": "Alarm joined",
    "reopened": "Reopened",
    "raised_priority": "Priority raised",
    "moved": "Moved",
    "assigned": "Assigned",
    "planned": "Due again",
    "comment": "Comment",
    "reported": "More was reported",
    "file_added": "File added",
    "file_removed": "File taken out",
    "clock_warned": "Clock runs short",
    "clock_breached": "Clock breached",
    "survey_answered": "Survey answered",
    "customer_called": "Customer called",
    "second_handling_opened": "Customer not satisfied",
    "second_handling_started": "Second handling begun",
    "customer_called_back": "Customer called back",
    "second_handling_closed": "Second handling closed",
    "quote_accepted": "Quote accepted",
    "quote_declined": "Quote declined",
    "after_repair": "Compared after its repair",
    "parts_there": "Its parts are there",
    "procedure_chosen": "Another procedure",
    "step_taken_back": "Step taken back",
    "document_issued": "Document issued",
    "document_sent": "Document sent to the customer",
    "sent_back": "Sent back to the customer",
    "appointment_reminded": "Customer reminded of the appointment",
    "appointment_confirmed": "Appointment confirmed",
    "appointment_another_time": "Customer asks for another time",
    "part_reserved": "Part held",
    "part_waiting": "Part not to be had yet",
    "part_taken": "Part taken away",
    "part_released": "Part not needed",
    "part_expired": "Part set free",
    "part_issued": "Part put in",
    "part_returned": "Part came out",
}
PART_STATES: dict[str, str] = {
    "waiting": "Waits",
    "held": "Held",
    "issued": "Put in",
    "released": "Not needed",
    "expired": "Set free: nobody came for it",
}
# Where parts are that lie in no depot.
PART_PLACES: dict[str, str] = {
    "transit": "On its way",
    "repair": "Repair",
    "scrap": "Scrap",
    "recycling": "Recycling",
    "supplier": "Supplier",
    "customer": "Customer's machine",
    "difference": "Counted",
}
# What a state means to the customer who follows a ticket by its code: six steps of the long road.
CUSTOMER_STEPS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Reported", frozenset({"new", "triaged", "reopened"})),
    ("Engineer assigned", frozenset({"dispatched", "accepted"})),
    ("Finding the cause", frozenset({"diagnosing", "escalated"})),
    ("Agreeing on the repair", frozenset({"awaiting_approval", "awaiting_parts", "scheduled"})),
    ("Repair under way", frozenset({"on_site", "repairing", "testing", "quality_check"})),
    ("Done", frozenset({"handed_over", "follow_up", "closed"})),
)
# What moving a ticket to a state is called on a button: what the person does, not what the ticket becomes.
TICKET_MOVES: dict[str, str] = {
    "triaged": "Triage",
    "dispatched": "Dispatch",
    "accepted": "Accept",
    "diagnosing": "Start diagnosis",
    "escalated": "Ask an expert",
    "awaiting_approval": "Send a quote",
    "awaiting_parts": "Wait for parts",
    "scheduled": "Make an appointment",
    "on_site": "Arrived on site",
    "repairing": "Start repair",
    "testing": "Start test",
    "quality_check": "Test passed",
    "handed_over": "Hand over",
    "follow_up": "Signed by the customer",
    "on_hold": "Put on hold",
    "closed": "Close",
    "cancelled": "Cancel",
    "reopened": "Reopen",
}
TICKET_PAPERS: dict[str, str] = {
    "diagnosis": "Diagnosis",
    "quote": "Quote",
    "answer": "Customer's answer",
    "appointment": "Appointment",
    "test": "Function test",
    "check": "Quality check",
    "inspection": "Inspection",
    "signature": "Signature",
    "sent_back": "Sent back",
}
# Who looks at a repair.
LOOKS: dict[str, str] = {"own": "the engineer", "site": "an inspector", "sample": "the head office (drawn)"}
VERDICTS: dict[str, str] = {
    "confirmed": "Fault confirmed",
    "other_fault": "Another fault",
    "sensor_fault": "Faulty sensor",
    "no_fault": "No fault found",
}
_SHORT = frozenset({"rms", "rpm", "dc", "ac", "co2", "ph", "id", "de", "nde"})


def urgency(name: str) -> str:
    """How long a failure mode may wait."""
    return URGENCIES.get(name, plain(name))


def plain(term: object) -> str:
    """`awaiting_parts` → `Awaiting parts`."""
    text = str(term or "").replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def point(name: str) -> str:
    """`bearing_temperature` → `Bearing temperature`; the field's own spelling stays where it has one."""
    words = name.replace("_", " ").split()
    if not words:
        return name
    spoken = [word.upper() if word.lower() in _SHORT and word.islower() else word for word in words]
    return " ".join([spoken[0][:1].upper() + spoken[0][1:], *spoken[1:]])


def unit(name: str) -> str:
    return SPELLED.get(name, name)


def quantity(value: float | None, of_unit: str) -> str:
    """A number with its unit; a time as a person says it: `5.21 mm/s`, `30 min`."""
    if of_unit == "s" and value is not None and value >= 60:
        return figures.duration(value)
    return f"{figures.number(value)} {unit(of_unit)}".rstrip()


def alarm_state(name: str) -> str:
    return ALARM_STATES.get(name, plain(name))


def machine_state(name: str) -> str:
    return MACHINE_STATES.get(name, plain(name))


def presence(name: str) -> str:
    return PRESENCES.get(name, plain(name))


def detector(name: str) -> str:
    return DETECTORS.get(name, plain(name))


def ticket_move(name: str) -> str:
    return TICKET_MOVES.get(name, plain(name))


def ticket_paper(name: str) -> str:
    return TICKET_PAPERS.get(name, plain(name))


def way(name: str) -> str:
    """How a customer's word came."""
    return WAYS[Way(name)]


def look(name: str) -> str:
    return LOOKS.get(name, plain(name))


def verdict(name: str) -> str:
    return VERDICTS.get(name, plain(name))


def clock(name: str) -> str:
    return CLOCKS.get(name, plain(name))


def tier(name: str) -> str:
    return "VIP" if name == "vip" else plain(name)


def ticket_event(name: str) -> str:
    return TICKET_EVENTS.get(name, plain(name))


def part_state(name: str) -> str:
    return PART_STATES.get(name, plain(name))


def part_place(kind: str, name: str) -> str:
    return PART_PLACES.get(kind, name)


def customer_step(state: str) -> int | None:
    """Where on the customer's short road a ticket is; None where it left the road (on hold, cancelled)."""
    return next((index for index, (_, states) in enumerate(CUSTOMER_STEPS) if state in states), None)
