"""How long machines have, said once an hour of each whose normal is known: from its health, and from its like's."""

from __future__ import annotations

from datetime import datetime, timedelta

from prognosis.outlook import Fleet, prognose
from store import prognosis
from store.connection import Session

_HOUR = timedelta(hours=1)


class Prognoses:
    """What was said of which machine, and what their kinds have told by then: asked of the database once an hour."""

    def __init__(self) -> None:
        self._end: datetime | None = None
        self._fleets: dict[tuple[str, str], Fleet] = {}
        self._said: set[int] = set()

    def say(self, conn: Session, machine: int, end: datetime) -> bool:
        """Say how long a machine has as of `end`, the end of an hour; whether it had not been said."""
        if end != self._end:
            self._end, self._fleets, self._said = end, {}, set()
        if machine in self._said:
            return False
        self._said.add(machine)
        asked = prognosis.asked(conn, machine, end)
        if asked is None:
            return False
        kind = (asked.tenant, asked.kind)
        if kind not in self._fleets:
            self._fleets[kind] = prognosis.fleet(conn, *kind, end)
        said = prognose(prognosis.course(conn, machine, asked, end), self._fleets[kind])
        prognosis.keep(conn, machine, asked.tenant, end - _HOUR, said)
        return True
