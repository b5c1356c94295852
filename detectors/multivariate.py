"""A machine that behaves unlike itself: all its points together, against how they normally move together.

Rows are laid out on the machine's own grid, each with what every point last said. When enough of them have come in
health, its normal is learnt from them at once (`machine_normal`). From then on a smoothed row is compared with a
baseline; the differences' covariance turns them into one distance (T² and SPE in one: every direction counts by how far
the machine normally goes in it). While a machine has departed, nothing is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors import machine_normal, machine_rows
from detectors.machine_rows import Floats, Mask, Taken, Times
from detectors.memory import Memory, Rows
from detectors.rounds import departed_since, lengths
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# One point alone has nothing to move together with: it is left to `shift`.
_FEWEST_POINTS = 2
# The newest so many rows are learnt from, at most: more add nothing but memory.
_MOST_ROWS = 20_000
# The model is fitted anew when it has seen so many times more rows.
_REFIT = 1.25
# After learning a row counts for half at most, and for less from half the limit on: what drifts in health is followed,
# a weak fault is learnt slowly if at all.
_AFTERWARDS = 0.5
# A departure ends below this score, so that it does not start and stop around the limit; until then it scores 1.
_RETURNED = 0.8
# What follows is for machines that drift in health, whose baseline follows. During a departure the channels farther
# than this from it, in their normal spread, are held; others follow.
_OWN_PART = 4.0
# A departure of less than so many limits that lasts so many rows, three memories of the baseline, is followed as drift.
_WEAK, _HELD_ROWS = 3.0, 450
# A departure that falls below this part of its own mean over so many rows has ended by a step back, though seldom to
# quite where it began. The channels that made it get a new baseline within some rows, and as long there is no opinion:
# after a short departure as long as that was. Too short, and the way back is a departure; too long, and the next fault
# begins unseen.
_STEP_BACK, _HEIGHT_ROWS = 0.4, 60.0
_SETTLE_ROWS, _SETTLE_PACE = 60, 0.1
_ACCEPT_ROWS = 500.0
_LAYOUT = "multivariate 2"
# Differences are counted in a first difference, which may be next to nothing.
_FARTHEST = 1e30
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
        self._learn_rows = max(learn_rows, machine_normal.FEWEST_ROWS)
        self._learn_us = learn_s * 1e6
        self._learn_until_us = learn_until_us
        self._share = false_alarm_rate
        self._memory_rows = max(memory_rows, learn_rows)
        self._accept_us = accept_s * 1e6
        self._streams: dict[int, Stream] = {}
        self._of_machine: dict[int, list[int]] = {}
        self._size_of: dict[int, int] = {}
        self._place = Memory("", {"machine": np.int64(-1), "size": np.int64(0), "slot": np.int64(0)})
        self._memories: dict[int, Memory] = {}
        self._kept: dict[int, _Kept] = {}

    def watch(self, streams: Sequence[Stream]) -> None:
        """A machine that gains a point is learnt afresh: its model knows nothing of how that one moves."""
        fresh = [stream for stream in streams if stream.id not in self._streams]
        self._place.add([stream.id for stream in fresh])
        for stream in fresh:
            self._streams[stream.id] = stream
            self._of_machine.setdefault(stream.machine, []).append(stream.id)
        for machine in dict.fromkeys(stream.machine for stream in fresh):
            members = self._of_machine[machine]
            self._size_of[machine] = len(members)
            self._kept.pop(machine, None)
            memory = self._memories.setdefault(len(members), _memory_of(len(members)))
            memory.add([machine])
            memory["streams"][memory.row(machine)] = members
            for slot, member in enumerate(members):
                row = self._place.row(member)
                self._place["machine"][row], self._place["size"][row] = machine, len(members)
                self._place["slot"][row] = slot

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
            for name, column in memory.snapshot().items()
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
            fresh = memory.snapshot()
            memory.restore(part)
            for machine in memory.subjects:
                row = memory.row(int(machine))
                now, then = fresh["streams"][row], memory["streams"][row]
                if set(now) == set(then):
                    for slot, stream in enumerate(then):
                        self._place["slot"][self._place.row(int(stream))] = slot
                    if f"kept/{machine}" in snapshot:
                        self._kept[int(machine)] = _Kept.of(snapshot[f"kept/{machine}"], self._most_rows)
                else:
                    for name, column in fresh.items():
                        if name not in ("layout", "subject"):
                            memory[name][row] = column[row]

    @property
    def _most_rows(self) -> int:
        return min(self._learn_rows, _MOST_ROWS)

    def _score_size(self, memory: Memory, batch: Batch, place: Rows) -> Taken:
        """Machines of one number of points."""
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        machine, slot = memory.rows(self._place["machine"][place]), self._place["slot"][place]
        machine_rows.hear(memory, batch, starts, counts, machine, slot)
        machine_rows.lay_out(memory, batch, starts, counts, machine)
        took = machine_rows.rows_over(
            memory, batch, counts, machine, slot, lambda *over: self._take_open(memory, *over)
        )
        return self._finish(memory, took)

    def _finish(self, memory: Memory, took: list[Taken]) -> Taken:
        """Rows by machine, with the machine's number and the stream that leads in place of their places in memory."""
        if not took:
            return _NOTHING
        row, time_us, score, lead, known_us = (np.concatenate(column) for column in zip(*took, strict=True))
        order = np.argsort(row, kind="stable")
        row, time_us, score, lead, known_us = (column[order] for column in (row, time_us, score, lead, known_us))
        starts = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
        memory["since_us"][row[starts]] = departed_since(memory["since_us"][row[starts]], time_us, score, starts)
        return memory.subjects[row], time_us, score, memory["streams"][row, lead], known_us

    def _take_open(self, memory: Memory, row: Rows, known_us: Times) -> Taken:
        """Close the open row of these machines: learn from it, and score it."""
        time_us = memory["open_us"][row].copy()
        value = self._close(memory, row, time_us)
        alive = machine_rows.alive_channels(memory, row)
        learning = self._learning(memory, row, time_us)
        for case in np.flatnonzero(~learning & ~memory["learnt"][row]):
            self._learn(memory, int(row[case]), alive[case])
        learnt = memory["learnt"][row]
        for case in np.flatnonzero(~learnt & memory["moved"][row]):
            self._keep(memory, int(row[case]), value[case])
        score, lead = np.full(len(row), np.nan), np.zeros(len(row), np.intp)
        if learnt.any():
            score[learnt], lead[learnt] = self._judge(
                memory, row[learnt], value[learnt], alive[learnt], time_us[learnt]
            )
        return row, time_us, score, lead, known_us

    def _close(self, memory: Memory, row: Rows, time_us: Times) -> Floats:
        """Each channel's last value at the end of the open row, as a multiple of its first difference."""
        value = memory["open_value"][row]
        came = ~np.isnan(value)
        memory["seen_us"][row] = np.where(came, time_us[:, None], memory["seen_us"][row])
        memory["taken"][row], memory["open"][row] = memory["open"][row], -1
        memory["row_us"][row] = time_us
        first = np.where(np.isnan(memory["first"][row]), value, memory["first"][row])
        memory["first"][row] = first
        change = np.where(came, value - first, 0.0)
        unit = np.where(memory["unit"][row] > 0, memory["unit"][row], np.abs(change))
        memory["unit"][row] = unit
        with np.errstate(over="ignore"):
            scaled = np.clip(change / np.where(unit > 0, unit, 1.0), -_FARTHEST, _FARTHEST)
        before = memory["value"][row]
        memory["value"][row] = scaled = np.where(came, scaled, before)
        # A machine that stands still tells nothing of how its points move together.
        moved = (came & (scaled != before)).any(axis=1)
        rows = memory["rows"][row] + moved
        memory["rows"][row], memory["moved"][row] = rows, moved
        memory["began_us"][row] = np.where(rows <= 1, time_us, memory["began_us"][row])
        return scaled

    def _learning(self, memory: Memory, row: Rows, time_us: Times) -> Mask:
        rows = memory["rows"][row]
        learning: Mask = (rows <= self._learn_rows) | (time_us - memory["began_us"][row] < self._learn_us)
        if self._learn_until_us is None:
            return learning
        # A machine that stood still until then has a start of its own.
        return np.where(memory["afresh"][row], learning, time_us <= self._learn_until_us)

    def _keep(self, memory: Memory, row: int, value: Floats) -> None:
        machine = int(memory.subjects[row])
        if machine not in self._kept:
            self._kept[machine] = _Kept(self._most_rows, len(value))
        self._kept[machine].add(value)

    def _learn(self, memory: Memory, row: int, alive: Mask) -> None:
        """Turn the rows that were kept into the machine's normal, or begin anew where they tell none."""
        kept = self._kept.pop(int(memory.subjects[row]), None)
        normal = None
        if kept is not None:
            rows = kept.in_order().astype(np.float64)
            normal = machine_normal.learn(_without_gaps(rows), alive & ~np.isnan(rows).all(axis=0), self._share)
        if normal is None or kept is None:
            memory["rows"][row], memory["afresh"][row] = 0, True
            return
        memory["learnt"][row], memory["steady"][row], memory["slow"][row] = True, normal.steady, normal.slow
        memory["smooth_rows"][row], memory["base_rows"][row] = normal.smooth_rows, normal.base_rows
        memory["fast"][row], memory["base"][row] = normal.fast, normal.base
        memory["covariance"][row], memory["reach"][row] = normal.covariance, normal.reach
        memory["n"][row] = memory["seen"][row] = len(kept)
        self._fit(memory, np.array([row]))

    def _judge(self, memory: Memory, row: Rows, value: Floats, alive: Mask, time_us: Times) -> tuple[Floats, Rows]:
        """Score a row, and the slot that leads; then follow and learn, as far as the machine is well."""
        away = self._follow(memory, row, value, alive)
        distance = self._distance(memory, row, np.where(alive, away, 0.0), alive)
        score = np.minimum(distance / memory["reach"][row], _FARTHEST)
        settling = memory["settle_rows"][row] > 0
        was = memory["departed_us"][row] >= 0
        departed = ~settling & (score >= np.where(was, _RETURNED, 1.0))
        departed &= ~self._stepped_back(memory, row, score, departed)
        self._turn(memory, row, time_us, was, departed)
        self._keep_base(memory, row, away, alive, departed)
        well = ~departed & (memory["settle_rows"][row] <= 0)
        weight = _AFTERWARDS * np.clip(2.0 - 2.0 * score, 0.0, 1.0)
        self._learn_on(memory, row[well], np.where(alive, away, 0.0)[well], weight[well])
        score = np.where(departed, np.maximum(score, 1.0), score)
        score[settling | (was & ~departed & (score >= _RETURNED))] = np.nan
        return score, memory["share"][row].argmax(axis=1)

    def _follow(self, memory: Memory, row: Rows, value: Floats, alive: Mask) -> Floats:
        """Smooth the row and say how far it is from the baseline."""
        fast, base = memory["fast"][row], memory["base"][row]
        fast = np.where(alive, fast + (value - fast) / memory["smooth_rows"][row, None], fast)
        memory["fast"][row] = fast
        memory["n"][row] += 1
        away: Floats = fast - base
        return away

    def _distance(self, memory: Memory, row: Rows, away: Floats, alive: Mask) -> Floats:
        """Distance in the model's own measure and each channel's share of it."""
        spread, inverse = memory["spread"][row], memory["inverse"][row]
        modelled = spread > 0
        z = np.clip(away / np.where(modelled, spread, np.inf), -1e6, 1e6)
        for case in np.flatnonzero((modelled & ~alive).any(axis=1)):
            z[case] = _expected(z[case], inverse[case], modelled[case] & ~alive[case])
        parts = z * np.einsum("nij,nj->ni", inverse, z)
        memory["share"][row] = np.maximum(parts, 0.0)
        distance: Floats = np.sqrt(np.maximum(parts.sum(axis=1), 0.0))
        return distance

    def _stepped_back(self, memory: Memory, row: Rows, score: Floats, departed: Mask) -> Mask:
        rows = np.where(departed, memory["departed_rows"][row] + 1, 0)
        height = memory["height"][row]
        height = np.where(departed, height + (score - height) / np.clip(rows, 1, _HEIGHT_ROWS), 0.0)
        memory["height"][row] = height
        stepped: Mask = departed & ~memory["steady"][row] & (score < _STEP_BACK * height)
        return stepped

    def _turn(self, memory: Memory, row: Rows, time_us: Times, was: Mask, departed: Mask) -> None:
        """Begin, end or accept a departure."""
        ended = was & ~departed
        settle = np.where(memory["steady"][row], 0, np.minimum(memory["departed_rows"][row], _SETTLE_ROWS))
        memory["settle_rows"][row] = np.where(ended, settle, np.maximum(memory["settle_rows"][row] - 1, 0))
        began_us = np.where(was, memory["departed_us"][row], time_us)
        memory["departed_us"][row] = np.where(departed, began_us, -1)
        memory["departed_rows"][row] = np.where(departed, memory["departed_rows"][row] + 1, 0)
        long_us = np.maximum(self._accept_us, _ACCEPT_ROWS * memory["width_us"][row])
        at = row[departed & (time_us - began_us >= long_us)]
        memory["base"][at] = memory["fast"][at]
        memory["departed_us"][at], memory["departed_rows"][at] = -1, 0

    def _keep_base(self, memory: Memory, row: Rows, away: Floats, alive: Mask, departed: Mask) -> None:
        """Let the baseline follow, but hold it for the channels that make the departure."""
        lasting = memory["steady"][row] | (memory["departed_rows"][row] < _HELD_ROWS) | (memory["height"][row] > _WEAK)
        held = (departed & lasting)[:, None] & ~memory["slow"][row]
        held &= np.abs(away) > _OWN_PART * memory["spread"][row]
        settling = memory["settle_rows"][row] > 0
        touched = np.where((departed | settling)[:, None], memory["touched"][row] | held, False)
        memory["touched"][row] = touched
        pace = 1.0 / np.minimum(memory["n"][row, None], memory["base_rows"][row])
        pace = np.where(settling[:, None] & touched, _SETTLE_PACE, pace)
        base = memory["base"][row]
        memory["base"][row] = np.where(alive & ~held, base + (memory["fast"][row] - base) * pace, base)

    def _learn_on(self, memory: Memory, row: Rows, away: Floats, weight: Floats) -> None:
        """Covariance of the differences in health; the model anew when it is due."""
        seen = memory["seen"][row] + weight
        memory["seen"][row] = seen
        pace = (weight / np.minimum(seen, self._memory_rows))[:, None, None]
        covariance = memory["covariance"][row]
        memory["covariance"][row] = covariance + (away[:, :, None] * away[:, None, :] - covariance) * pace
        fitted = memory["fitted"][row]
        due = seen >= np.minimum(_REFIT * fitted, fitted + (_REFIT - 1.0) * self._memory_rows)
        if due.any():
            self._fit(memory, row[due])

    def _fit(self, memory: Memory, row: Rows) -> None:
        memory["inverse"][row], memory["spread"][row] = machine_normal.correlation_of(memory["covariance"][row])
        memory["fitted"][row] = memory["seen"][row]


class _Kept:
    """The newest rows of a machine that is being learnt, float32: half the memory, and no less is known of a sensor."""

    def __init__(self, most: int, points: int) -> None:
        self._rows = np.empty((most, points), np.float32)
        self._count = 0

    @classmethod
    def of(cls, rows: npt.NDArray[np.float32], most: int) -> _Kept:
        kept = cls(most, rows.shape[1])
        for row in rows:
            kept.add(row)
        return kept

    def __len__(self) -> int:
        return min(self._count, len(self._rows))

    def add(self, row: npt.NDArray[np.floating]) -> None:
        self._rows[self._count % len(self._rows)] = row
        self._count += 1

    def in_order(self) -> npt.NDArray[np.float32]:
        """Rows (N, C), the oldest first; NaN where a channel had not spoken yet."""
        if self._count <= len(self._rows):
            return self._rows[: self._count].copy()
        return np.roll(self._rows, -(self._count % len(self._rows)), axis=0)


def _without_gaps(rows: Floats) -> Floats:
    """A channel that began later was before what it was first."""
    known = ~np.isnan(rows)
    began = known.argmax(axis=0)
    return np.where(known, rows, np.nan_to_num(rows[began, np.arange(rows.shape[1])]))


def _memory_of(points: int) -> Memory:
    """Memory of machines with so many points. Values are counted in `unit` from `first`."""
    return Memory(
        f"{_LAYOUT}, {points} points",
        {
            "streams": np.zeros(points, np.int32),
            **machine_rows.columns(points),
            "first": np.full(points, np.nan),
            "unit": np.zeros(points),
            "value": np.full(points, np.nan),
            "row_us": np.int64(-1),
            "began_us": np.int64(-1),
            "rows": np.int64(0),
            "moved": np.bool_(False),
            "afresh": np.bool_(False),
            "learnt": np.bool_(False),
            "steady": np.bool_(False),
            "slow": np.zeros(points, bool),
            "smooth_rows": 1.0,
            "base_rows": np.ones(points),
            "n": 0.0,
            "seen": 0.0,
            "fast": np.full(points, np.nan),
            "base": np.full(points, np.nan),
            "covariance": np.zeros((points, points)),
            "fitted": 0.0,
            "spread": np.zeros(points),
            "inverse": np.zeros((points, points)),
            "reach": np.inf,
            "share": np.zeros(points),
            "departed_us": np.int64(-1),
            "departed_rows": np.int64(0),
            "height": 0.0,
            "settle_rows": np.int64(0),
            "touched": np.zeros(points, bool),
            "since_us": np.int64(-1),
        },
    )


def _expected(z: Floats, inverse: Floats, missing: Mask) -> Floats:
    """`z` with its missing channels where the others say they should be: they then add nothing to the distance."""
    filled = z.copy()
    filled[missing] = -np.linalg.solve(
        inverse[np.ix_(missing, missing)], inverse[np.ix_(missing, ~missing)] @ z[~missing]
    )
    return filled


def _in_order(parts: Sequence[Taken]) -> tuple[Scores, Rows, Times]:
    machine, time_us, score, lead, known_us = (np.concatenate(column) for column in zip(_NOTHING, *parts, strict=True))
    order = np.lexsort((time_us, machine))
    return Scores(time_us[order], machine[order].astype(np.int32), score[order]), lead[order], known_us[order]
