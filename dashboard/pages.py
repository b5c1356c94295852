"""Fills templates: one environment, one theme, one time zone for each page.

`Pages.render` never reads the clock or a file that changes: what is on a page follows from its arguments alone. Static
files are named with a hash of what is in them, so that a browser keeps them for ever and never shows an old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from dashboard import figures, words
from dashboard.told import EVENTS

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = ("auto", "light", "dark")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(name: str | None) -> tzinfo:
    """The zone a browser says it is in; UTC for a name that is none."""
    return ZoneInfo(name) if name in _zones() and name is not None else UTC


class Pages:
    """The templates of this folder, ready to be filled."""

    def __init__(self) -> None:
        env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        env.filters |= {
            "number": figures.number,
            "count": figures.count,
            "share": figures.share,
            "chance": figures.chance,
            "duration": figures.duration,
            "spark": figures.spark,
            "plain": words.plain,
            "point": words.point,
            "unit": words.unit,
            "quantity": words.quantity,
            "alarm_state": words.alarm_state,
            "machine_state": words.machine_state,
            "presence": words.presence,
            "detector": words.detector,
            "ticket_paper": words.ticket_paper,
            "look": words.look,
            "way": words.way,
            "moment": datetime.fromisoformat,
            "verdict": words.verdict,
            "urgency": words.urgency,
            "clock_name": words.clock,
            "tier": words.tier,
            "ticket_event": words.ticket_event,
            "part_state": words.part_state,
            "when": _when,
            "ago": _ago,
            "iso": _iso,
        }
        env.globals |= {"static": _static, "link": _link, "own_procedure": own_procedure}
        env.globals["customer_steps"] = words.CUSTOMER_STEPS
        env.globals["live_kinds"] = " ".join(EVENTS)  # a browser hears of a stream only what it asks for by name
        self._env = env

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """`values` must hold `now` (aware), `zone` and `theme`, whatever the page."""
        return self._env.get_template(template).render(values)


@cache
def _static(name: str) -> str:
    """The address of a static file, with a hash of its content."""
    file = STATIC / name
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: run `npm ci && npm run build` in {HERE}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _link(path: str, filters: Mapping[str, str], **changes: str) -> str:
    """`path` with what is filtered by, some of it changed; an empty value drops out. A change starts at page one."""
    wanted = {name: value for name, value in {**filters, **changes}.items() if value}
    if "after" not in changes:
        wanted.pop("after", None)
    return f"{path}?{urlencode(wanted)}" if wanted else path


def own_procedure(id: str, version: str = "") -> str:  # noqa: A002
    """Where a tenant's own procedure is read, by the id that tickets know it by: `own:repair:bearing_wear:NK 80`."""
    _, kind, fault, model = id.split(":", 3)
    said = {"kind": kind, "fault": fault, "model": model, "version": version}
    return "/procedures/own?" + urlencode({name: value for name, value in said.items() if value})


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@pass_context
def _when(context: Context, at: datetime | None) -> Markup:
    """A moment in the browser's zone, with UTC in its title. The year is shown when it is not this one."""
    if at is None:
        return Markup("\N{EN DASH}")
    local, now = at.astimezone(context["zone"]), context["now"].astimezone(context["zone"])
    text = f"{local.day} {local:%b %H:%M}" if local.year == now.year else f"{local.day} {local:%b %Y %H:%M}"
    return _time(at, text, "when")


@pass_context
def _ago(context: Context, at: datetime | None) -> Markup:
    """How long ago, kept up to date by the script, with UTC in its title."""
    return Markup("never") if at is None else _time(at, figures.ago(at, context["now"]), "ago")


def _time(at: datetime, text: str, kind: str) -> Markup:
    return Markup('<time datetime="{}" title="{}" data-{}>{}</time>').format(
        _iso(at), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", kind, text
    )
