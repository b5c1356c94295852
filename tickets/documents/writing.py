"""How what is known is written in a document: times in the tenant's zone, amounts, figures, names of points."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from telemetry.units import SPELLED

NONE = "\N{EN DASH}"


def paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def amount(body: Mapping[str, Any]) -> str:
    return f"{Decimal(body['amount']):,.2f} {body['currency']}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def moment(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%B %Y, %H:%M} {local:%Z}"


def day(of: date) -> str:
    return f"{of.day} {of:%B %Y}"


def number(value: float) -> str:
    """As it was typed."""
    return f"{value:.12g}"


def rounded(value: float) -> str:
    """As a sensor can know it."""
    return f"{value:.4g}"


def unit(name: str) -> str:
    return SPELLED.get(name, name)


def folded(name: str) -> str:
    return name.replace("_", " ").strip().casefold()


def plain(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
