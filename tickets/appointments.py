"""What a customer says to an appointment, and how it stands for those who wait for their word."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from tickets.links import progress

# How often one appointment may be answered by whoever has the code. Too low: who changes their mind twice has to call.
# Too high: a story of a ticket that nobody can read.
MOST_ANSWERS = 10


class Reply(StrEnum):
    """The customer's last word."""

    CONFIRMED = "confirmed"
    ANOTHER_TIME = "another_time"


class Standing(StrEnum):
    """How an appointment stands."""

    AGREED = "agreed"  # nobody was reminded yet
    NOT_ANSWERED = "not_answered"  # reminded, and silent
    CONFIRMED = "confirmed"
    ANOTHER_TIME = "another_time"


def standing(reply: Reply | None, reminded_at: datetime | None) -> Standing:
    """An answer counts whether or not anybody was reminded."""
    if reply is not None:
        return Standing(reply.value)
    return Standing.AGREED if reminded_at is None else Standing.NOT_ANSWERED


def why_not(ends_at: datetime, answers: int, now: datetime) -> str:
    """Why an answer comes too late, or once too often; empty: it does not."""
    if now >= ends_at:
        return "the appointment is over"
    if answers >= MOST_ANSWERS:
        return "this appointment was answered too often: call the service desk"
    return ""


def too_late(ends_at: datetime, answered_at: datetime | None, said_at: datetime, now: datetime) -> str:
    """Why what somebody was told is not taken down; empty: it is."""
    if now >= ends_at:
        return "the appointment is over"
    if said_at > now:
        return "that has not been said yet"
    if answered_at is not None and answered_at > said_at:
        return "the customer has answered since"
    return ""


def reminder(device: str, title: str, begins_at: datetime, ends_at: datetime, code: str, pages: str) -> tuple[str, str]:
    """Subject and words of what the customer is sent; times as the clock on the service's wall shows them. `pages` is
    where the pages are reached; empty: only the code is named."""
    same_day = begins_at.date() == ends_at.date()
    until = f"{ends_at:%H:%M}" if same_day else f"{ends_at:%A %d %B %Y, %H:%M}"
    when = f"{begins_at:%A %d %B %Y, %H:%M} to {until} ({begins_at.tzname()})"
    where = progress(pages, code) if pages else f"where you follow your ticket, with the code {code}"
    return f"Appointment for {device}: {when}", (
        f"This is to remind you of the appointment for {device} ({title}):\n\n{when}\n\n"
        f"Please confirm it, or ask for another time: {where}\n"
    )
