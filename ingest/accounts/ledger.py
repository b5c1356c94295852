"""What became of every message: counted by device and hour, and by the sequence numbers that devices give.

The journal in the database is the truth. What is held here follows from it: taken when a delivery is committed, brought
into the ledger once in a while, read from the journal again after a crash or a lost connection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

import store.ledger as rows
from alarms.events import AlarmEvent
from alarms.losses import Losses
from alarms.rules import Rule
from ingest.accounts.kept import Kept
from ingest.accounts.sequences import Run, Sequences
from ingest.decoding import NOBODY, Decoded
from store.connection import Session
from store.ledger import COUNTED, Entry, SequenceRow, Tally, hour_of, tally
from store.telemetry import Fate

# Devices that are told what is stored, each second: in a larger fleet each has its turn later, so that it costs little.
ACKNOWLEDGEMENTS_A_SECOND = 2000

Names = Mapping[int, tuple[str, str]]
"""Tenant and device by the number of the machine."""


class Ledger:
    """The ledger of one ingest."""

    def __init__(self) -> None:
        self.sequences = Sequences()
        self._losses = Losses({})
        self._hours: dict[tuple[str, str, int], Tally] = {}
        self.unsettled = False  # whether there is anything that the database's ledger does not say

    def take(self, entry: Entry, names: Names) -> None:
        """An entry of the journal, committed."""
        hour_us = hour_of(entry.at_us)
        for machine, counts in entry.tallies.items():
            self._add((*names[machine], hour_us), counts)
        for tenant, counts in entry.others.items():
            self._add((tenant, NOBODY, hour_us), counts)
        take = self.sequences.take
        for machine, boot, seq, fresh in entry.counted.tolist():
            take(machine, boot, seq, fresh, entry.at_us)
        for machine, boot, seq in entry.held:
            self.sequences.holds_from(machine, boot, seq, entry.at_us)
        self.unsettled = True

    def restore(self, conn: Session, names: Names) -> None:
        """Begin anew from what the database holds."""
        self.sequences = Sequences()
        self._losses = Losses(rows.losing(conn))
        self._hours = {}
        for row in rows.runs(conn):
            self.sequences.learn(row.device, row.boot, _run(row))
        for entry in rows.journal(conn):
            self.take(entry, names)

    def settle(
        self, conn: Session, now_us: int, names: Names, rules: Mapping[str, Sequence[Rule]], *, patient: bool
    ) -> list[AlarmEvent]:
        """Bring the database's ledger up to date, and give up what has been missing for long enough.

        Returns the alarms that follow, for the same transaction; `settled` must follow its commit. While `patient`
        nothing is given up.
        """
        events = self._losses.quiet(rules, now_us)
        for loss in [] if patient else self.sequences.tend():
            tenant, device = names[loss.machine]
            self._add((tenant, device, hour_of(now_us)), tally(missing=loss.missing))
            events += self._losses.lost(rules.get(tenant, ()), loss.machine, tenant, device, loss.missing, now_us)
        for machine, found in self.sequences.take_found().items():
            self._add((*names[machine], hour_of(now_us)), tally(found=found))
        if self.unsettled:
            changed, gone = self.sequences.changed()
            runs = [_row(machine, boot, run, names[machine][0]) for machine, boot, run in changed]
            rows.settle(conn, self._hours, runs, gone)
        return events

    def settled(self) -> None:
        """What `settle` wrote is committed."""
        self._hours.clear()
        self.sequences.kept()
        self.unsettled = False

    def _add(self, key: tuple[str, str, int], counts: Tally) -> None:
        held = self._hours.get(key)
        if held is None:
            self._hours[key] = counts.copy()
        else:
            held += counts
        self.unsettled = True


def entry_of(
    decoded: Decoded,
    kept: Kept,
    machine_of: Callable[[str, str], int | None],
    again: Collection[int],
    at_us: int,
) -> tuple[Entry, npt.NDArray[np.bool_]]:
    """What a delivery adds to the ledger; and which of its messages are copies, shape (M,): their rejects are no news.

    A message counts as stored when it brought anything new, else as duplicate, dropped or rejected by what was in it;
    one with nothing in it to take or refuse was understood, and counts as stored. A message of several devices counts
    for the first of them, its readings and the refused parts of it for the device that each is of.

    Parameters
    ----------
    machine_of
        The number of a device, None where it has none.
    again
        Messages that are known to have been rejected before.
    """
    messages, parties = len(decoded.party), len(decoded.parties)

    def any_is(fate: Fate) -> npt.NDArray[np.bool_]:
        return np.bincount(decoded.message[kept.fate == fate], minlength=messages) > 0

    fresh = kept.fresh(decoded)
    known = any_is(Fate.DUPLICATE)
    known[list(again)] = True
    known[[message for message, is_new in kept.blocks.items() if not is_new]] = True
    rejected = np.bincount(np.array([index for index, _ in decoded.rejected], np.int64), minlength=messages)
    is_duplicate = ~fresh & known
    is_dropped = ~fresh & ~is_duplicate & any_is(Fate.DROPPED)
    is_rejected = ~fresh & ~is_duplicate & ~is_dropped & (rejected > 0)
    rejected[is_duplicate] = 0  # what is wrong in a copy is known
    by_message = {
        "messages": np.ones(messages, bool),
        "messages_stored": ~is_duplicate & ~is_dropped & ~is_rejected,
        "messages_duplicate": is_duplicate,
        "messages_rejected": is_rejected,
        "messages_dropped": is_dropped,
        "rejected": rejected,
    }
    totals = np.zeros((parties, len(rows.COUNTS)), np.int64)
    for name, counts in by_message.items():
        totals[:, rows.COUNTS.index(name)] = np.bincount(decoded.party, counts, parties)
    entry = Entry(at_us, tallies=kept.tallies())
    for (tenant, device), total in zip(decoded.parties, totals, strict=True):
        entry.add(machine_of(tenant, device), tenant, total)
    _share_out(entry, decoded, machine_of, is_duplicate)
    entry.counted = _counted(decoded, fresh | is_rejected, machine_of)
    for status in decoded.statuses:
        machine = machine_of(status.tenant, status.device)
        if machine is not None and status.boot is not None and status.seq is not None:
            entry.held.append((machine, status.boot, status.seq))
    return entry, is_duplicate


def _share_out(
    entry: Entry,
    decoded: Decoded,
    machine_of: Callable[[str, str], int | None],
    is_copy: npt.NDArray[np.bool_],
) -> None:
    """Give the refused parts of messages of several devices to the device that each is of."""
    for index, reject in decoded.rejected:
        if index in decoded.several and not is_copy[index]:
            first, whose = decoded.parties[decoded.party[index]], (reject.tenant or NOBODY, reject.device or NOBODY)
            entry.add(machine_of(*first), first[0], tally(rejected=-1))
            entry.add(machine_of(*whose), whose[0], tally(rejected=1))


def copies(
    decoded: Decoded,
    fate: npt.NDArray[np.uint8],
    sequences: Sequences,
    machine_of: Callable[[str, str], int | None],
    rejected_before: Callable[[list[int]], set[int]],
    again: Callable[[int], bool],
) -> set[int]:
    """Messages with nothing in them but what was rejected before: by their sequence numbers, or by what was kept.

    Parameters
    ----------
    rejected_before
        Which of these places in `decoded.rejected` are in the database already.
    again
        Whether the broker says that it sends a message again.
    """
    if not decoded.rejected:
        return set()
    taken = set(decoded.message[fate != Fate.DROPPED].tolist())
    refused = {index for index, _ in decoded.rejected} - taken
    known: set[int] = set()
    seen: set[tuple[int | None, int, int]] = set()
    for index, tenant, device, boot, seq in decoded.counted:
        machine = machine_of(tenant, device)
        if index in refused and machine is not None and boot >= 0:
            key = (machine, boot, seq)
            if key in seen or sequences.has(*key):
                known.add(index)
            seen.add(key)
    places = [place for place, (index, _) in enumerate(decoded.rejected) if index in refused and again(index)]
    return known | {decoded.rejected[place][0] for place in rejected_before(places)}


def acknowledgements(sequences: Sequences, names: Names) -> Iterator[tuple[str, str, int, int]]:
    """Tenant, device, boot and the highest number of it that is stored with nothing missing below."""
    for machine, boot, seq in sequences.acknowledgements(ACKNOWLEDGEMENTS_A_SECOND):
        yield (*names[machine], boot, seq)


def _counted(
    decoded: Decoded, fresh: npt.NDArray[np.bool_], machine_of: Callable[[str, str], int | None]
) -> npt.NDArray[np.void]:
    found = [
        (machine, boot, seq, fresh[index])
        for index, tenant, device, boot, seq in decoded.counted
        if (machine := machine_of(tenant, device)) is not None
    ]
    return np.array(found, COUNTED)


def _run(row: SequenceRow) -> Run:
    return Run(
        begins=row.begins,
        below=row.below,
        heard_us=row.heard_us,
        above=[[first, end, row.heard_us] for first, end in row.above],
        lost=list(row.lost),
        missing=row.missing,
        found=row.found,
        restarts=row.restarts,
    )


def _row(machine: int, boot: int, run: Run, tenant: str) -> SequenceRow:
    return SequenceRow(
        device=machine,
        boot=boot,
        tenant=tenant,
        begins=run.begins,
        below=run.below,
        above=[(first, end) for first, end, _ in run.above],
        lost=run.lost,
        missing=run.missing,
        found=run.found,
        restarts=run.restarts,
        heard_us=run.heard_us,
    )
