"""Sequence numbers of devices: which have come, which are missing, and what can be acknowledged.

A device counts its messages from 0 (or 1) on with each boot. A number that is missing may still come: another order, a
copy after a reconnect. It is given up when the device says that it holds it no more, or when it has gone on talking for
`PATIENCE_US` without sending it; then it counts as missing, and as found should it come after all.

Numbers that begin anew within a boot - or without any, for devices that give none - are told from copies by what they
bring: a copy brings nothing new.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

# How long a device may go on without sending what is missing. Too low: what is merely late alarms somebody. Too high: a
# loss is told late, and a device whose buffer has lost the number waits for its acknowledgement all that time.
PATIENCE_US = 300_000_000
# The very first numbers of a run are waited for less: a run may begin at 1, or in the middle when we are new.
BEGIN_PATIENCE_US = 60_000_000
# A run that is first heard at a higher number is joined in its middle; at a lower one, what is below it is missing.
BEGINS_WITHIN = 1000
# A jump by more is no loss but a device that lost count.
MAX_JUMP = 100_000_000
# Holes of one run that are remembered. Too low: a device whose messages come in any order loses some for good.
MAX_HOLES = 512
MAX_LOST = 64
# Boots of a device that are remembered: a buffer on disk may still send those of earlier ones.
MAX_BOOTS = 4


@dataclass(slots=True)
class Run:
    """One boot of one device.

    Attributes
    ----------
    begins
        The first number that counts.
    below
        Of all numbers below this it is known what became of them: they have come, or were given up.
    above
        What has come beyond, as [first, end, noticed_us) in order, apart from one another.
    lost
        What was given up last, as (first, end).
    first_of_device
        Whether nothing was heard of the device before this run: what is missing at its beginning was never ours.
    held_from
        What the device says it still holds begins here; None where it has not said.
    """

    begins: int
    below: int
    heard_us: int
    above: list[list[int]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    missing: int = 0
    found: int = 0
    restarts: int = 0
    first_of_device: bool = False
    held_from: int | None = None

    def has(self, seq: int) -> bool:
        """Whether the number has come."""
        if seq < self.below:
            return seq >= self.begins and not any(first <= seq < end for first, end in self.lost)
        at = bisect_right(self.above, seq, key=lambda span: span[0]) - 1
        return at >= 0 and seq < self.above[at][1]

    def add(self, seq: int, now_us: int) -> None:
        """The number has come; not called for one that has come before."""
        if seq == self.below:
            self.below += 1
            self.close_up()
            return
        at = bisect_right(self.above, seq, key=lambda span: span[0])
        if at and self.above[at - 1][1] == seq:
            self.above[at - 1][1] += 1
            if at < len(self.above) and self.above[at][0] == seq + 1:
                self.above[at - 1][1] = self.above.pop(at)[1]
        elif at < len(self.above) and self.above[at][0] == seq + 1:
            self.above[at][0] = seq
        else:
            self.above.insert(at, [seq, seq + 1, now_us])

    def give_up_to(self, seq: int) -> int:
        """Give up what is missing below `seq`; returns how many numbers that are."""
        missing = 0
        while self.below < seq:
            end = min(seq, self.above[0][0]) if self.above else seq
            missing += end - self.below
            self.lost.append((self.below, end))
            self.below = end
            self.close_up()
        del self.lost[:-MAX_LOST]
        return missing

    def close_up(self) -> None:
        """What has come up to now without a hole is known."""
        while self.above and self.above[0][0] <= self.below:
            self.below = max(self.below, self.above.pop(0)[1])


@dataclass(frozen=True, slots=True)
class Loss:
    """Sequence numbers of a device that were given up."""

    machine: int
    boot: int
    first: int
    end: int
    missing: int


class Sequences:
    """The runs of all devices, by the number of their machine."""

    def __init__(self) -> None:
        self.runs: dict[int, dict[int, Run]] = {}
        self._changed: set[tuple[int, int]] = set()
        self._gone: set[tuple[int, int]] = set()
        self._holed: set[tuple[int, int]] = set()
        self._to_acknowledge: dict[tuple[int, int], None] = {}  # in the order of their turn
        self._found: dict[int, int] = {}

    def has(self, machine: int, boot: int, seq: int) -> bool:
        """Whether that message has come before."""
        run = self.runs.get(machine, {}).get(boot)
        return run is not None and run.has(seq)

    def take(self, machine: int, boot: int, seq: int, fresh: bool, now_us: int) -> None:
        """A message has come, and is stored; `fresh`: it brought something new."""
        runs = self.runs.get(machine)
        if runs is None:
            runs = self.runs[machine] = {}
        run = runs.get(boot)
        if run is None:
            run = self._begin(machine, boot, seq, now_us)
        key = (machine, boot)
        run.heard_us = now_us
        self._changed.add(key)
        if boot >= 0:
            self._to_acknowledge[key] = None
        if seq == run.below and not run.above:  # nearly always
            run.below += 1
            return
        self._out_of_turn(key, run, seq, fresh, now_us)

    def holds_from(self, machine: int, boot: int, seq: int, now_us: int) -> None:
        """A device says that it holds nothing of that boot below `seq`: what is missing there will not come."""
        run = self.runs.get(machine, {}).get(boot)
        if run is None:
            run = self._begin(machine, boot, seq, now_us)
            run.begins = run.below = seq
            self._changed.add((machine, boot))
        if seq - run.below <= MAX_JUMP:
            run.held_from = seq
            self._holed.add((machine, boot))

    def tend(self) -> list[Loss]:
        """Give up what has been waited for long enough while its device went on talking, and what will not come.

        Not called while a backlog waits at the broker: what is missing may be in it.
        """
        losses = []
        for key in list(self._holed):
            machine, boot = key
            run = self.runs.get(machine, {}).get(boot)
            if run is None or not (run.above or (run.held_from or 0) > run.below):
                self._holed.discard(key)
                continue
            heard_us = max(each.heard_us for each in self.runs[machine].values())
            patience_us = BEGIN_PATIENCE_US if _may_begin_later(run) else PATIENCE_US
            given_up = [span[0] for span in run.above if heard_us - span[2] >= patience_us]
            if len(run.above) > MAX_HOLES:
                given_up.append(run.above[len(run.above) - MAX_HOLES][0])
            if loss := self._give_up(key, run, max([*given_up, run.held_from or 0])):
                losses.append(loss)
        return losses

    def acknowledgements(self, at_most: int) -> Iterator[tuple[int, int, int]]:
        """Machine, boot and the highest number with nothing missing below it, of those heard since their last turn."""
        for key in list(self._to_acknowledge)[:at_most]:
            del self._to_acknowledge[key]
            machine, boot = key
            run = self.runs.get(machine, {}).get(boot)
            if run is not None and run.below > run.begins:
                yield machine, boot, run.below - 1

    def changed(self) -> tuple[list[tuple[int, int, Run]], list[tuple[int, int]]]:
        """The runs that are not as they were, and those that are gone, since `kept`."""
        return [(m, b, self.runs[m][b]) for m, b in sorted(self._changed) if b in self.runs.get(m, {})], sorted(
            self._gone
        )

    def take_found(self) -> dict[int, int]:
        """How many numbers came after they had been given up, by machine, since this was last asked."""
        found, self._found = self._found, {}
        return found

    def kept(self) -> None:
        """All changes are in the database."""
        self._changed.clear()
        self._gone.clear()

    def learn(self, machine: int, boot: int, run: Run) -> None:
        """A run as the database knows it."""
        self.runs.setdefault(machine, {})[boot] = run
        if run.above:
            self._holed.add((machine, boot))

    def _begin(self, machine: int, boot: int, seq: int, now_us: int) -> Run:
        runs = self.runs.setdefault(machine, {})
        begins = 0 if seq <= BEGINS_WITHIN else seq
        run = Run(begins, begins, now_us, first_of_device=not runs)
        runs[boot] = run
        self._gone.discard((machine, boot))
        if len(runs) > MAX_BOOTS:
            oldest = min(runs, key=lambda each: runs[each].heard_us)
            del runs[oldest]
            self._gone.add((machine, oldest))
        return run

    def _out_of_turn(self, key: tuple[int, int], run: Run, seq: int, fresh: bool, now_us: int) -> None:
        if seq < run.begins:
            return
        if run.has(seq):
            if fresh:
                self._restart(run, seq)
        elif seq < run.below:
            run.lost = [part for span in run.lost for part in _without(span, seq)]
            run.found += 1
            self._found[key[0]] = self._found.get(key[0], 0) + 1
        elif seq - run.below > MAX_JUMP:
            self._restart(run, seq)
        else:
            run.add(seq, now_us)
            if run.above:
                self._holed.add(key)

    def _restart(self, run: Run, seq: int) -> None:
        run.begins = run.below = seq
        run.below += 1
        run.above.clear()
        run.lost.clear()
        run.restarts += 1

    def _give_up(self, key: tuple[int, int], run: Run, seq: int) -> Loss | None:
        machine, boot = key
        if _may_begin_later(run) and run.above and run.above[0][0] <= seq:
            run.begins = run.below = run.above[0][0]  # before our time, or a device that counts from 1: never ours
            run.close_up()
        first = run.below
        missing = run.give_up_to(seq)
        self._changed.add(key)
        if boot >= 0:
            self._to_acknowledge[key] = None
        if not missing:
            return None
        run.missing += missing
        return Loss(machine, boot, first, run.below, missing)


def _may_begin_later(run: Run) -> bool:
    """Whether what is missing at the beginning of a run may never have been sent to us."""
    at_begin = run.below == run.begins and run.held_from is None and bool(run.above)
    return at_begin and (run.first_of_device or run.above[0][0] == run.begins + 1 == 1)


def _without(span: tuple[int, int], seq: int) -> Iterator[tuple[int, int]]:
    """What is left of a span without one number."""
    first, end = span
    if not first <= seq < end:
        yield span
        return
    if first < seq:
        yield first, seq
    if seq + 1 < end:
        yield seq + 1, end
