"""A machine that behaves unlike itself: all its points together, against how they normally move together.

Rows are laid out on the machine's own grid, each with what every point last said. When enough of them have come in
health, its normal is learnt from them at once (`machine_normal`). From then on a smoothed row is compared with a
baseline; the differences' covariance turns them into one distance (T² and SPE in one: every direction counts by how far
the machine normally goes in it). While a machine has departed, nothing is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors import machine_entry, machine_learning, machine_maturity, machine_normal, machine_rows
from detectors.machine_entry import Entered, Learning, enter
from detectors.machine_learning import Kept
from detectors.machine_rows import Floats, Mask, Over, Times
from detectors.machine_steps import Columns, Settings, judge
from detectors.memory import Memory, Rows
from detectors.rounds import departed_since, lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream
from telemetry.quantities import slight_change

# One point alone has nothing to move together with: it is left to `shift`.
_FEWEST_POINTS = 2
# The newest so many rows are learnt from, at most: more add nothing but memory.
_MOST_ROWS = 20_000
_LAYOUT = "multivariate 6"
Taken = tuple[Rows, Times, Floats, Rows, Times]
"""Rows that are over: the machine, time, score, the stream that leads, and the time of the reading that showed it."""
_NOTHING: Taken = (
    np.empty(0, np.intp),
    np.empty(0, np.int64),
    np.empty(0),
    np.empty(0, np.intp),
    np.empty(0, np.int64),
)


class Multivariate:
    """Score = distance / limit, where a share `false_alarm_rate` of healthy rows is expected at 1 or more.

    Says nothing of a machine with fewer than two points, and nothing for a while after a departure has ended.

    Parameters
    ----------
    learn_rows, learn_s : int, float
        There is an opinion after so many rows of the machine's grid and so much time. Too low, and what the machine did
        not happen to do at first alarms; too high, and a new machine goes unwatched.
    learn_until_us : int or None
        Ends learning at this time instead (recordings with a known healthy start).
    false_alarm_rate : float
        Share of healthy rows at or above 1.
    memory_rows : int
        Rows that the covariance remembers in health.
    accept_s : float
        A departure that lasts so long, and 500 rows at least, is the new normal.
    """

    scope = Scope.MACHINE

    def __init__(
        self,
        learn_rows: int = 380,
        learn_s: float = 300.0,
        learn_until_us: int | None = None,
        false_alarm_rate: float = 0.0005,
        memory_rows: int = 4000,
        accept_s: float = 259_200.0,
    ) -> None:
        self._learning = Learning(
            learn_rows=max(learn_rows, machine_normal.FEWEST_ROWS),
            learn_us=learn_s * 1e6,
            learn_until_us=-1 if learn_until_us is None else learn_until_us,
        )
        self._settings = Settings(
            memory_rows=float(max(memory_rows, learn_rows)),
            accept_us=accept_s * 1e6,
            matures=learn_until_us is None,
        )
        self._share = false_alarm_rate
        self._streams: dict[int, Stream] = {}
        self._of_machine: dict[int, list[int]] = {}
        self._size_of: dict[int, int] = {}
        self._place = Memory("", {"machine": np.int64(-1), "size": np.int64(0), "slot": np.int64(0)})
        self._memories: dict[int, Memory] = {}
        self._kept: dict[int, Kept] = {}

    def watch(self, streams: Sequence[Stream]) -> None:
        """A machine that gains a point is learnt afresh: its model knows nothing of how that one moves."""
        fresh = [stream for stream in streams if stream.id not in self._streams]
        self._place.add([stream.id for stream in fresh])
        for stream in fresh:
            self._streams[stream.id] = stream
            self._of_machine.setdefault(stream.machine, []).append(stream.id)
        machines = list(dict.fromkeys(stream.machine for stream in fresh))
        for points in {len(self._of_machine[machine]) for machine in machines}:
            if points not in self._memories:
                self._memories[points] = _memory_of(points, self._past_rows)
            self._memories[points].add([machine for machine in machines if len(self._of_machine[machine]) == points])
        for machine in machines:
            members = self._of_machine[machine]
            self._size_of[machine] = len(members)
            self._kept.pop(machine, None)
            memory = self._memories[len(members)]
            memory["streams"][memory.row(machine)] = members
            row = self._place.rows(np.array(members))
            self._place["machine"][row], self._place["size"][row] = machine, len(members)
            self._place["slot"][row] = np.arange(len(members))

    def score(self, batch: Batch, now_us: int) -> Scores:
        return self.trace(batch)[0]

    def trace(self, batch: Batch) -> tuple[Scores, Rows, Times]:
        """The scores, the stream that leads in each, as `explain` would have said then, and since when each is known.

        A row that lacks a reading is known to be over when the next one begins.
        """
        if not len(batch):
            return _in_order([])
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        place = self._place.rows(batch.stream[starts])
        size = self._place["size"][place]
        parts: list[Taken] = []
        for points in np.unique(size):
            if points < _FEWEST_POINTS:
                continue
            chosen = size == points
            readings = batch.where(np.repeat(chosen, counts))
            parts.append(self._score_size(self._memories[int(points)], readings, place[chosen]))
        return _in_order(parts)

    def explain(self, subject: int) -> Evidence:
        memory = self._memories[self._size_of[subject]]
        row = memory.row(subject)
        share = memory["share"][row]
        names = [self._streams[int(stream)].point for stream in memory["streams"][row]]
        lead = int(share.argmax())
        unit = float(memory["unit"][row, lead])
        expected = float(memory["first"][row, lead] + memory["base"][row, lead] * unit)
        # How far it alone could go before the machine is at its limit.
        alone = float(memory["spread"][row, lead] / np.sqrt(max(memory["inverse"][row, lead, lead], 1.0)))
        margin = float(alone * memory["reach"][row] * unit) if memory["learnt"][row] else np.nan
        since_us = memory["since_us"][row] if memory["since_us"][row] >= 0 else memory["row_us"][row]
        total = share.sum()
        return Evidence(
            point=names[lead],
            observed=float(memory["first"][row, lead] + memory["fast"][row, lead] * unit),
            expected=expected,
            low=expected - margin,
            high=expected + margin,
            since_us=int(since_us),
            contributions={
                name: float(part / total) if total > 0 else 1.0 / len(names)
                for name, part in zip(names, share, strict=True)
            },
        )

    def snapshot(self) -> Snapshot:
        columns = {
            f"{points}/{name}": column
            for points, memory in self._memories.items()
            for name, column in machine_maturity.packed(memory).items()
        }
        kept = {f"kept/{machine}": rows.in_order() for machine, rows in self._kept.items()}
        return {"layout": np.array(_LAYOUT), **columns, **kept}

    def restore(self, snapshot: Snapshot) -> None:
        """A machine whose points are other ones now is learnt afresh."""
        if "layout" not in snapshot or str(snapshot["layout"]) != _LAYOUT:
            raise ValueError(f"not a memory of the layout {_LAYOUT}")
        for points, memory in self._memories.items():
            part = {key.partition("/")[2]: snapshot[key] for key in snapshot if key.partition("/")[0] == str(points)}
            if not part:
                continue
            fresh = memory.snapshot(without=["past"])  # of which nothing counts where no rows are said to be there
            machine_maturity.unpack(memory, part)
            for machine in memory.subjects:
                row = memory.row(int(machine))
                now, then = fresh["streams"][row], memory["streams"][row]
                if set(now) == set(then):
                    for slot, stream in enumerate(then):
                        self._place["slot"][self._place.row(int(stream))] = slot
                    if f"kept/{machine}" in snapshot:
                        self._kept[int(machine)] = Kept.of(snapshot[f"kept/{machine}"], self._most_rows)
                else:
                    for name, column in fresh.items():
                        if name not in ("layout", "subject"):
                            memory[name][row] = column[row]

    @property
    def _most_rows(self) -> int:
        return min(self._learning.learn_rows, _MOST_ROWS)

    @property
    def _past_rows(self) -> int:
        return self._most_rows if self._settings.matures else 0

    def _score_size(self, memory: Memory, batch: Batch, place: Rows) -> Taken:
        """Machines of one number of points."""
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        machine, slot = memory.rows(self._place["machine"][place]), self._place["slot"][place]
        machine_rows.hear(memory, batch, starts, counts, machine, slot)
        machine_rows.lay_out(memory, batch, starts, counts, machine)
        over = machine_rows.rows_over(memory, batch, counts, machine, slot)
        return self._take(memory, over) if len(over.machine) else _NOTHING

    def _take(self, memory: Memory, over: Over) -> Taken:
        """Learn from rows that are over, and score them."""
        moved, known = np.zeros(len(over.machine), bool), np.zeros(len(over.machine), bool)
        self._enter(memory, over, moved, known)
        score, lead = self._judge(memory, over, moved, known)
        starts = np.flatnonzero(np.concatenate(([True], over.machine[1:] != over.machine[:-1])))
        row = over.machine[starts]
        memory["since_us"][row] = departed_since(memory["since_us"][row], over.time_us, score, starts)
        return (
            memory.subjects[over.machine],
            over.time_us,
            score,
            memory["streams"][over.machine, lead],
            over.known_us,
        )

    def _enter(self, memory: Memory, over: Over, moved: Mask, known: Mask) -> None:
        """Learn the normal of each machine of which enough has been seen."""
        columns, at, asked = memory.columns(Entered), 0, False
        while at < len(over.machine):
            begin = at
            at = enter(columns, self._learning, over.machine, over.time_us, over.value, begin, asked, moved, known)
            self._keep(memory, over, begin + np.flatnonzero(moved[begin:at] & ~known[begin:at]))
            if at < len(over.machine):
                self._learn(memory, int(over.machine[at]), over.alive[at])
                asked = True

    def _judge(self, memory: Memory, over: Over, moved: Mask, known: Mask) -> tuple[Floats, Rows]:
        """Scores, and the place of the channel that leads in each."""
        columns, total, at = memory.columns(Columns), len(over.machine), 0
        score, lead = np.full(total, np.nan), np.zeros(total, np.intp)
        rows = (over.machine, over.time_us, over.value, over.alive, moved, known)
        while at < total:
            at, due = judge(columns, self._settings, *rows, at, score, lead)
            if due and self._settings.matures:
                row = int(over.machine[at - 1])
                machine_learning.mature(memory, row, over.alive[at - 1], self._share, self._slight(memory, row))
            elif due:
                machine_learning.fit(memory, int(over.machine[at - 1]))
        return score, lead

    def _keep(self, memory: Memory, over: Over, at: Rows) -> None:
        """Keep rows of machines whose normal is to be learnt from them."""
        machines = memory.subjects[over.machine[at]]
        for machine, value in zip(machines.tolist(), over.value[at], strict=True):
            if machine not in self._kept:
                self._kept[machine] = Kept(self._most_rows, len(value))
            self._kept[machine].add(value)

    def _learn(self, memory: Memory, row: int, alive: Mask) -> None:
        """Turn the rows that were kept into the machine's normal, or begin anew where they tell none."""
        kept = self._kept.pop(int(memory.subjects[row]), None)
        if kept is None or not self._begin(memory, row, kept.in_order().astype(np.float64), alive):
            memory["rows"][row], memory["afresh"][row] = 0, True
            return
        memory["learnt"][row] = True

    def _begin(self, memory: Memory, row: int, rows: Floats, alive: Mask) -> bool:
        if self._settings.matures:
            return machine_learning.begin(memory, row, rows, alive, self._share, self._slight(memory, row))
        return machine_learning.learn_for_good(memory, row, rows, alive, self._share)

    def _slight(self, memory: Memory, row: int) -> Floats:
        """The change of each channel, in its unit, that nobody opens a ticket for."""
        of = [self._streams[stream] for stream in memory["streams"][row].tolist()]
        return np.array([slight_change(stream.quantity, stream.unit) for stream in of])


def _memory_of(points: int, past_rows: int) -> Memory:
    """Memory of machines with so many points."""
    return Memory(
        f"{_LAYOUT}, {points} points",
        {
            "streams": np.zeros(points, np.int32),
            **machine_rows.columns(points),
            **machine_maturity.columns(points, past_rows),
            **machine_entry.columns(points),
            **machine_learning.columns(points),
            "share": np.zeros(points),
            "departed_us": np.int64(-1),
            "departed_rows": np.int64(0),
            "height": 0.0,
            "settle_rows": np.int64(0),
            "touched": np.zeros(points, bool),
            "since_us": np.int64(-1),
        },
    )


def _in_order(parts: Sequence[Taken]) -> tuple[Scores, Rows, Times]:
    machine, time_us, score, lead, known_us = (np.concatenate(column) for column in zip(_NOTHING, *parts, strict=True))
    order = np.lexsort((time_us, machine))
    return Scores(time_us[order], machine[order].astype(np.int32), score[order]), lead[order], known_us[order]
