"""All entries of `[[mapping]]` together: what to subscribe to for them, and by which one a topic is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.mapping.entries import Understood, understood
from ingest.mapping.routes import Route
from ingest.mapping.topics import TopicPattern, covers, overlap
from store.errors import Misconfigured

MAX_ENTRIES = 200
# A fleet says the same topics again and again. Bounded, since they come from outside.
_REMEMBERED = 1 << 16


class Mappings:
    """All entries, in their order: of those that match a topic, the first is its route."""

    def __init__(self, mappings: Sequence[Understood] = ()) -> None:
        self._mappings = tuple(mappings)
        self._heard = [TopicPattern.parse(one) for one in self.heard()]
        self._routes: dict[str, Route | None] = {}

    @classmethod
    def from_settings(cls, entries: Sequence[Mapping[str, Any]]) -> Mappings:
        """Understand the entries of `bellwether.toml`.

        Raises
        ------
        Misconfigured
            One of them is wrong: the message names it.
        """
        if len(entries) > MAX_ENTRIES:
            raise Misconfigured(f"mapping: more than {MAX_ENTRIES} entries")
        mappings = [understood(number, entry) for number, entry in enumerate(entries, 1)]
        # A filter cannot say `switch:{n}`: what it brings beside that, nobody has asked for.
        rest = [understood(0, {"topic": one, "drop": True}) for one in {m.pattern.filter for m in mappings}]
        return cls([*mappings, *rest])

    def __len__(self) -> int:
        return sum(not m.entry.drop for m in self._mappings)

    def filters(self) -> list[str]:
        """What to subscribe to for telemetry. None of it twice: a broker may bring a message for each."""
        return _widest([m.pattern.filter for m in self._mappings if m.online is None and not m.entry.drop])

    def status_filters(self) -> list[str]:
        """What to subscribe to for what devices say of themselves, which is news even when it was retained."""
        told = _widest([m.pattern.filter for m in self._mappings if m.online is not None])
        return [one for one in told if not any(covers(other, one) for other in self.filters())]

    def heard(self) -> list[str]:
        """All that is subscribed to."""
        return [*self.filters(), *self.status_filters()]

    def undated(self) -> list[str]:
        """Those of `filters` whose messages say no time of their own: heard twice, they would be two readings."""
        without = [m.pattern.filter for m in self._mappings if m.time is None and m.points]
        return [one for one in self.filters() if any(overlap(one, other) for other in without)]

    def match(self, topic: str) -> Route | None:
        """The route of a topic; None where no entry is about it."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        if len(self._routes) >= _REMEMBERED:
            self._routes.clear()
        route = self._routes[topic] = next(
            (
                Route(m, captures, sum(heard.match(topic) is not None for heard in self._heard))
                for m in self._mappings
                if (captures := m.pattern.match(topic)) is not None
            ),
            None,
        )
        return route


def _widest(filters: Sequence[str]) -> list[str]:
    """The filters without those that another covers, in their order."""
    distinct = list(dict.fromkeys(filters))
    return [one for one in distinct if not any(other != one and covers(other, one) for other in distinct)]
