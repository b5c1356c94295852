"""The ledger: what became of every message, by device and hour of arrival, and which sequence numbers have come.

Each delivery adds one row to the journal, in the transaction that stores it; `settle` brings ledger and sequences up to
date with what the journal holds and empties it. What the journal holds after a crash is what they do not know yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from psycopg.types.json import Jsonb
from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from alarms.events import Severity
from alarms.losses import Losing
from store.connection import Session
from store.queries import queries
from telemetry import instant, microseconds

COUNTS = (
    "messages",
    "messages_stored",
    "messages_duplicate",
    "messages_rejected",
    "messages_dropped",
    "stored",
    "duplicates",
    "late",
    "contested",
    "dropped",
    "rejected",
    "missing",
    "found",
    "played",
)
"""What is counted, in the order of a tally: the columns of the table."""

COUNTED = np.dtype([("device", "<i4"), ("boot", "<i8"), ("seq", "<i8"), ("fresh", "?")])
"""A sequence number that was spent, by whom, and whether its message brought something new."""

_TALLY = np.dtype([("device", "<i4"), ("counts", "<i8", (len(COUNTS),))])
Tally = npt.NDArray[np.int64]
"""Counts in the order of `COUNTS`. Shape (14,)."""


def tally(**counts: int) -> Tally:
    """A tally of what is named; the rest is 0."""
    return np.array([counts.get(name, 0) for name in COUNTS], np.int64)


@dataclass(slots=True)
class Entry:
    """What one delivery adds to the ledger.

    Attributes
    ----------
    at_us
        When it arrived.
    tallies
        By the number of the device.
    others
        Of messages whose sender is no device of ours, by tenant; without one, by "".
    counted : structured array of `COUNTED`
        Sequence numbers, in the order in which they came.
    held
        Device, boot, and the number from which on it still holds its messages, of those that said so. Not kept in the
        journal: a status is retained.
    reasons
        Why something was rejected, one a reject. Not kept in the journal either: the rejects have them.
    """

    at_us: int
    tallies: dict[int, Tally] = field(default_factory=dict)
    others: dict[str, Tally] = field(default_factory=dict)
    counted: npt.NDArray[Any] = field(default_factory=lambda: np.empty(0, COUNTED))
    held: list[tuple[int, int, int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, machine: int | None, tenant: str, counts: Tally) -> None:
        """Count more for a device; without a number, for whoever of the tenant's is none of ours."""
        if machine is not None:
            self.tallies[machine] = self.tallies.get(machine, 0) + counts
        else:
            self.others[tenant] = self.others.get(tenant, 0) + counts

    def total(self) -> Tally:
        """All of it together."""
        together = tally()
        for counts in (*self.tallies.values(), *self.others.values()):
            together += counts
        return together


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """A run of sequence numbers as it is kept; spans are (first, end)."""

    device: int
    boot: int
    tenant: str
    begins: int
    below: int
    above: Sequence[tuple[int, int]]
    lost: Sequence[tuple[int, int]]
    missing: int
    found: int
    restarts: int
    heard_us: int


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A device whose ledger and tables differ: `what` says in which figure."""

    tenant: str
    device: str
    what: str
    ledger: int
    tables: int


def note(conn: Session, entry: Entry) -> None:
    """Add a delivery's entry to the journal, in the transaction that stores it."""
    if not (entry.tallies or entry.others or len(entry.counted)):
        return
    tallies = np.empty(len(entry.tallies), _TALLY)
    tallies["device"] = list(entry.tallies)
    if entry.tallies:
        tallies["counts"] = np.stack(list(entry.tallies.values()))
    others = [[tenant, counts.tolist()] for tenant, counts in entry.others.items()]
    conn.execute(
        queries("ledger")["note"],
        [instant(entry.at_us), tallies.tobytes(), entry.counted.tobytes(), Jsonb(others, dumps=orjson.dumps)],
    )


def journal(conn: Session) -> Iterator[Entry]:
    """The entries that ledger and sequences do not know yet, the oldest first."""
    for at, tallies, counted, others in conn.execute(queries("ledger")["journal"]):
        rows = np.frombuffer(tallies, _TALLY)
        yield Entry(
            at_us=microseconds(at),
            tallies=dict(zip(rows["device"].tolist(), rows["counts"].astype(np.int64), strict=True)),
            others={tenant: np.array(counts, np.int64) for tenant, counts in others},
            counted=np.frombuffer(counted, COUNTED),
        )


def settle(
    conn: Session,
    hours: Mapping[tuple[str, str, int], Tally],
    runs: Sequence[SequenceRow],
    gone: Sequence[tuple[int, int]],
) -> None:
    """Bring the ledger and the sequences up to date, and empty the journal.

    Parameters
    ----------
    hours
        What the journal adds, by tenant, device and hour (µs since 1970).
    runs
        As they are now.
    gone
        Device and boot of those that are forgotten.
    """
    sql = queries("ledger")
    keys = sorted(hours)  # in the order of the key, so that two writers cannot lock each other out
    if keys:
        counts = np.stack([hours[key] for key in keys])
        conn.execute(
            sql["add_hours"],
            [
                [tenant for tenant, _, _ in keys],
                [device for _, device, _ in keys],
                [instant(hour_us) for _, _, hour_us in keys],
                *(counts[:, column].tolist() for column in range(len(COUNTS))),
            ],
        )
    if runs:
        conn.execute(
            sql["keep_runs"],
            [
                [run.device for run in runs],
                [run.boot for run in runs],
                [run.tenant for run in runs],
                [run.begins for run in runs],
                [run.below for run in runs],
                [_multirange(run.above) for run in runs],
                [_multirange(run.lost) for run in runs],
                [run.missing for run in runs],
                [run.found for run in runs],
                [run.restarts for run in runs],
                [instant(run.heard_us) for run in runs],
            ],
        )
    if gone:
        conn.execute(sql["forget_runs"], [[device for device, _ in gone], [boot for _, boot in gone]])
    conn.execute(sql["empty_journal"])


def runs(conn: Session) -> Iterator[SequenceRow]:
    """The runs of all devices, as of the last `settle`."""
    for device, boot, tenant, begins, below, above, lost, missing, found, restarts, heard in conn.execute(
        queries("ledger")["runs"]
    ):
        spans = [[(span.lower, span.upper) for span in each] for each in (above, lost)]
        yield SequenceRow(
            device, boot, tenant, begins, below, spans[0], spans[1], missing, found, restarts, microseconds(heard)
        )


def losing(conn: Session) -> dict[int, Losing]:
    """Devices whose loss of messages is an alarm that has not returned, by the number of the machine."""
    return {
        machine: Losing(
            tenant, device, rule, microseconds(since), microseconds(since), int(missing), Severity(severity)
        )
        for machine, tenant, device, rule, since, severity, missing in conn.execute(queries("ledger")["losing"])
    }


def verify(conn: Session) -> tuple[int, list[Discrepancy]]:
    """Recompute the ledger from the tables, all as of one moment: how many devices, and where the two differ.

    Counts every reading there is. What the journal holds counts as said.
    """
    with conn.transaction():
        conn.execute(queries("ledger")["one_moment"])
        noted: dict[tuple[str, str], Tally] = {}
        names = {machine: (tenant, device) for machine, tenant, device in conn.execute(queries("ledger")["names"])}
        for entry in journal(conn):
            for machine, counts in entry.tallies.items():
                noted[names[machine]] = noted.get(names[machine], 0) + counts
            for tenant, counts in entry.others.items():
                noted[tenant, ""] = noted.get((tenant, ""), 0) + counts
        found = []
        devices = 0
        # By tenant: whom nobody knew when he was rejected may be a device by now.
        refused: dict[str, list[int]] = {}
        for (tenant, _), counts in noted.items():
            refused.setdefault(tenant, [0, 0])[0] += int(counts[COUNTS.index("rejected")])
        for tenant, device, *figures in conn.execute(queries("ledger")["figures"]):
            devices += 1
            adds = dict(zip(COUNTS, noted.get((tenant, device), tally()).tolist(), strict=True))
            told_apart = sum(count for name, count in adds.items() if name.startswith("messages_"))
            says = (
                ("messages, and their fates", figures[0] + adds["messages"], figures[1] + told_apart),
                ("readings stored", figures[2] + adds["stored"], figures[3]),
                ("readings contested", figures[4] + adds["contested"], figures[5]),
            )
            found += [Discrepancy(tenant, device, what, said, there) for what, said, there in says if said != there]
            of_tenant = refused.setdefault(tenant, [0, 0])
            of_tenant[0] += figures[6]
            of_tenant[1] += figures[7]
        found += [Discrepancy(tenant, "", "rejects", *both) for tenant, both in refused.items() if both[0] != both[1]]
    return devices, found


def hour_of(at_us: int) -> int:
    """The beginning of the hour, in µs since 1970."""
    return at_us - at_us % 3_600_000_000


def _multirange(spans: Sequence[tuple[int, int]]) -> Int8Multirange:
    return Int8Multirange([Int8Range(first, end) for first, end in spans])
