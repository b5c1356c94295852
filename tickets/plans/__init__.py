"""Preventive plans: when work on a machine falls due, by what it hangs on.

Five kinds: every so many days, weeks or months (`Recurrence`); every so many hours of running or cycles (`Use`); a
point or the health beyond a limit for a time (`Beyond`); the probability that it fails within 30 days (`Risk`). All
but the first rest on what the machine says; where it says nothing nothing is due, and `unknown` says why.
"""

from __future__ import annotations

from tickets.plans.conditions import beyond_for
from tickets.plans.counting import Count, counted
from tickets.plans.dates import moment, moments
from tickets.plans.due import RISK_WITHIN, Due, Standing, ahead, due, put_off, times_after, unknown, until_due
from tickets.plans.triggers import HEALTH, Beyond, Every, Of, Recurrence, Risk, Side, Trigger, Use, said, trigger_of

__all__ = [
    "HEALTH",
    "RISK_WITHIN",
    "Beyond",
    "Count",
    "Due",
    "Every",
    "Of",
    "Recurrence",
    "Risk",
    "Side",
    "Standing",
    "Trigger",
    "Use",
    "ahead",
    "beyond_for",
    "counted",
    "due",
    "moment",
    "moments",
    "put_off",
    "said",
    "times_after",
    "trigger_of",
    "unknown",
    "until_due",
]
