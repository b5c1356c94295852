"""Who is on call: layers of shifts, and overrides. A function of the rota and the moment, with no shift written down.

Each layer hands over at its hour, by the clock on the wall of the rota's zone, every so many days: the next of its
members has it then. A layer may be for some hours of some days. Of layers the last that has somebody counts, as a sheet
laid over another; an override counts before all of them, the newest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tickets.local_time import DAY_MIN, BadTime, Hours, moment_of

MOST_LAYERS, MOST_MEMBERS, LONGEST_SHIFT_DAYS = 10, 50, 366
# Too low: next month's rota is not seen. Too high: one look at it works through years.
LONGEST_LOOK = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class Layer:
    """Shifts, one after the other. `starts_on`: the day on which the first of the members takes over."""

    name: str
    members: tuple[str, ...]
    starts_on: date
    hand_over_min: int
    shift_days: int
    hours: Hours | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MOST_MEMBERS or not all(self.members):
            raise BadTime("members", f"1 to {MOST_MEMBERS} people")
        if not 0 <= self.hand_over_min < DAY_MIN:
            raise BadTime("hand_over", "from 00:00 to 23:59")
        if not 1 <= self.shift_days <= LONGEST_SHIFT_DAYS:
            raise BadTime("shift_days", f"1 to {LONGEST_SHIFT_DAYS} days")
        if not 1970 <= self.starts_on.year <= 2200:
            raise BadTime("starts_on", "a day of these times")


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes this time, whosever it was."""

    login: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Duty:
    """Who is on call for a while; `login` empty: nobody. `why` is the layer's name, or `override`."""

    login: str
    begins_at: datetime
    ends_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Rota:
    """Layers, and overrides from the oldest to the newest."""

    zone: ZoneInfo
    layers: Sequence[Layer]
    overrides: Sequence[Override] = ()

    def __post_init__(self) -> None:
        if len(self.layers) > MOST_LAYERS:
            raise BadTime("layers", f"at most {MOST_LAYERS} layers")

    def on_call(self, at: datetime) -> str:
        """Who is, at this moment; empty: nobody."""
        return self._holder(at)[0]

    def duties(self, start: datetime, end: datetime) -> Iterator[Duty]:
        """Who is on call from one moment to another, without a gap: nobody is a duty of nobody's."""
        end = min(end, start + LONGEST_LOOK)
        running: Duty | None = None
        while start < end:
            (login, why), until = self._holder(start), min(self._change_after(start), end)
            if running is not None and (running.login, running.why) == (login, why):
                running = Duty(login, running.begins_at, until, why)
            else:
                if running is not None:
                    yield running
                running = Duty(login, start, until, why)
            start = until
        if running is not None:
            yield running

    def _holder(self, at: datetime) -> tuple[str, str]:
        for override in reversed(self.overrides):
            if override.begins_at <= at < override.ends_at:
                return override.login, "override"
        for layer in reversed(self.layers):
            number, _, _ = _shift(layer, at, self.zone)
            if number >= 0 and (layer.hours is None or layer.hours.around(at, self.zone)):
                return layer.members[number % len(layer.members)], layer.name
        return "", ""

    def _change_after(self, at: datetime) -> datetime:
        """The first moment after this one at which somebody else may be on call."""
        edges = [edge for one in self.overrides for edge in (one.begins_at, one.ends_at)]
        for layer in self.layers:
            edges.append(_shift(layer, at, self.zone)[2])
            if layer.hours is not None:
                around = layer.hours.around(at, self.zone)
                edges.append(around[1] if around else layer.hours.next_after(at, self.zone))
        return min((edge for edge in edges if edge > at), default=at + LONGEST_LOOK)


def _shift(layer: Layer, at: datetime, zone: ZoneInfo) -> tuple[int, datetime, datetime]:
    """Which shift of a layer this moment is in, and from when to when; before the first its number is below 0."""
    day = at.astimezone(zone).date()
    if at < moment_of(day, layer.hand_over_min, zone):
        day -= timedelta(days=1)
    number = (day - layer.starts_on).days // layer.shift_days
    first = layer.starts_on + timedelta(days=number * layer.shift_days)
    last = first + timedelta(days=layer.shift_days)
    return number, moment_of(first, layer.hand_over_min, zone), moment_of(last, layer.hand_over_min, zone)
