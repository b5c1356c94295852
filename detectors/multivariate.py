"""A machine that behaves unlike itself: all its points together, against how they normally move together.

Rows are laid out on the machine's own grid, each with what every point last said. A smoothed row is compared with a
slow baseline, so that drift common to health cancels; the differences' covariance, learnt in health, turns them into
one distance (T² and SPE in one: every direction counts by how far the machine normally goes in it). Its limit comes
from distances of rows that the model had not yet seen. While a machine has departed, nothing is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from detectors import rhythm
from detectors.memory import Memory, Rows
from detectors.rounds import departed_since, lengths, rounds
from detectors.scores import Evidence, Scope, Scores, Snapshot
from telemetry import Batch, Stream

# One point alone has nothing to move together with: it is left to `shift`.
_FEWEST_POINTS = 2
# Memory of the smoothed row and of the baseline, in rows. Six rows see a change that lasts without the noise of single
# readings; 150 follow a daily temperature sampled every ten minutes, and not a valve that closes within two.
_FAST_ROWS = 6.0
_BASE_ROWS = 150.0
# So many rows tell as much as one: they are averages over the same readings.
_ALIKE_ROWS = 2 * _FAST_ROWS
# Correlations are drawn towards none, for with few rows to a channel the smallest directions are mostly chance: by so
# much for each channel to a row, and by at least and at most so much.
_SHRINKAGE_PER_CHANNEL = 5.0
_LEAST_SHRINKAGE = 0.05
_MOST_SHRINKAGE = 0.1
# The share of the learning rows after which the first model stands; the others are scored by it to find the limit.
_FIT_SHARE = 0.5
# The model is fitted anew when it has seen so many times more rows.
_REFIT = 1.25
# After learning a row counts for half at most, and for less from half the limit on: what drifts in health is followed,
# a weak fault is learnt slowly if at all.
_AFTERWARDS = 0.5
# During a departure the channels farther than this from their baseline, in their normal spread, are held; others
# follow.
_OWN_PART = 2.0
# A channel that has said nothing for so many of its own intervals is left out until it speaks again.
_LOST_INTERVALS = 10
# A channel that speaks more seldom than once in so many rows is left out for good: it would hold one value for most of
# what the baseline remembers, and how such steps move with the others is learnt from a handful. Lower, and a
# temperature read now and then has no say; higher, and each new value of a figure read by the minute is a departure.
_SLOWEST_ROWS = 10
# Faster streams are sampled: a machine's state is not told by the millisecond.
_SHORTEST_ROW_US = 1_000_000
# A departure ends below this score, so that learning does not start and stop around the limit.
_RETURNED = 0.8
_ACCEPT_ROWS = 500.0
_LAYOUT = "multivariate 1"
# Squares of these still are finite numbers.
_HUGE = 1e140
_FAR = np.iinfo(np.int64).max

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_Taken = tuple[Times, Times, Floats]
"""Rows that are over: their time, machine and score."""


class Multivariate:
    """Score = distance / limit, where a share `false_alarm_rate` of healthy rows is expected at 1 or more.

    The limit is a prediction bound on the logarithm of the distance: with few rows to go by it is wide, and it comes
    nearer as they add up. Says nothing of a machine with fewer than two points.

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
        Rows that the covariance and the limit remember in health.
    accept_s : float
        A departure that lasts so long, and 500 rows at least, is the new normal.
    """

    scope = Scope.MACHINE

    def __init__(
        self,
        learn_rows: int = 380,
        learn_s: float = 300.0,
        learn_until_us: int | None = None,
        false_alarm_rate: float = 0.001,
        memory_rows: int = 4000,
        accept_s: float = 259_200.0,
    ) -> None:
        self._learn_rows = learn_rows
        self._learn_us = learn_s * 1e6
        self._learn_until_us = learn_until_us
        self._fit_rows = max(2, round(_FIT_SHARE * learn_rows))
        self._memory_rows = max(memory_rows, learn_rows)
        self._accept_us = accept_s * 1e6
        self._z = NormalDist().inv_cdf(1.0 - false_alarm_rate)
        self._streams: dict[int, Stream] = {}
        self._of_machine: dict[int, list[int]] = {}
        self._size_of: dict[int, int] = {}
        self._place = Memory("", {"machine": np.int64(-1), "size": np.int64(0), "slot": np.int64(0)})
        self._memories: dict[int, Memory] = {}

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
            memory = self._memories.setdefault(len(members), _memory_of(len(members)))
            memory.add([machine])
            memory["streams"][memory.row(machine)] = members
            for slot, member in enumerate(members):
                row = self._place.row(member)
                self._place["machine"][row], self._place["size"][row] = machine, len(members)
                self._place["slot"][row] = slot

    def score(self, batch: Batch, now_us: int) -> Scores:
        if not len(batch):
            return _as_scores([])
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        place = self._place.rows(batch.stream[starts])
        size = self._place["size"][place]
        parts: list[_Taken] = []
        for points in np.unique(size):
            if points < _FEWEST_POINTS:
                continue
            chosen = size == points
            readings = batch.where(np.repeat(chosen, counts))
            parts.append(self._score_size(self._memories[int(points)], readings, place[chosen]))
        return _as_scores(parts)

    def explain(self, subject: int) -> Evidence:
        memory = self._memories[self._size_of[subject]]
        row = memory.row(subject)
        share = memory["share"][row]
        names = [self._streams[int(stream)].point for stream in memory["streams"][row]]
        lead = int(share.argmax())
        expected = float(memory["base"][row, lead])
        margin = float(memory["spread"][row, lead] * self._reach(memory, np.array([row]))[0])
        since_us = memory["since_us"][row] if memory["since_us"][row] >= 0 else memory["row_us"][row]
        total = share.sum()
        return Evidence(
            point=names[lead],
            observed=float(memory["fast"][row, lead]),
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
        return {"layout": np.array(_LAYOUT), **columns}

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
                else:
                    for name, column in fresh.items():
                        if name not in ("layout", "subject"):
                            memory[name][row] = column[row]

    def _score_size(self, memory: Memory, batch: Batch, place: Rows) -> _Taken:
        """Machines of one number of points."""
        starts = batch.starts()
        counts = lengths(starts, len(batch))
        machine, slot = memory.rows(self._place["machine"][place]), self._place["slot"][place]
        self._hear(memory, batch, starts, counts, machine, slot)
        self._lay_out(memory, batch, starts, counts, machine)
        return self._rows(memory, batch, counts, machine, slot)

    def _hear(self, memory: Memory, batch: Batch, starts: Rows, counts: Rows, machine: Rows, slot: Rows) -> None:
        """Learn each channel's interval; a channel is ready with the reading that completes it."""
        last_us = memory["heard_us"]
        gap_us = rhythm.gaps(batch.time_us, starts, last_us[machine, slot])
        last_us[machine, slot] = batch.time_us[starts + counts - 1]
        points = last_us.shape[1]
        flat = machine * points + slot
        known = rhythm.remember(
            memory["gaps_us"].reshape(-1, rhythm.GAPS), memory["gaps_seen"].reshape(-1), flat, gap_us, starts, counts
        )
        # `argmax` of a column of booleans within segments: the first reading at which all gaps were known.
        unready = np.flatnonzero((memory["ready_us"][machine, slot] == _FAR) & known[starts + counts - 1])
        for segment in unready:
            first = starts[segment] + int(known[starts[segment] : starts[segment] + counts[segment]].argmax())
            channel = machine[segment], slot[segment]
            memory["ready_us"][channel] = batch.time_us[first]
            memory["interval_us"][channel] = rhythm.interval_us(memory["gaps_us"][channel])

    def _lay_out(self, memory: Memory, batch: Batch, starts: Rows, counts: Rows, machine: Rows) -> None:
        """Fix the grid of machines that have outlived the wait for their other channels."""
        for row in np.unique(machine[memory["width_us"][machine] < 0]):
            ready_us = memory["ready_us"][row]
            lead = int(ready_us.argmin())
            if ready_us[lead] == _FAR:
                continue
            interval_us = memory["interval_us"][row]
            origin_us = ready_us[lead] + 2 * interval_us[lead]
            newest_us = batch.time_us[(starts + counts - 1)[machine == row]].max()
            if newest_us > origin_us:
                memory["origin_us"][row] = origin_us
                middle_us = int(np.median(interval_us[ready_us <= origin_us]))
                memory["width_us"][row] = max(_SHORTEST_ROW_US, middle_us)

    def _rows(self, memory: Memory, batch: Batch, counts: Rows, machine: Rows, slot: Rows) -> _Taken:
        """Lay readings out in rows and take those that are complete or over."""
        each, each_slot = np.repeat(machine, counts), np.repeat(slot, counts)
        origin_us, width_us = memory["origin_us"][each], memory["width_us"][each]
        item = np.flatnonzero((width_us > 0) & (batch.time_us > origin_us))
        each, each_slot, width_us = each[item], each_slot[item], width_us[item]
        time_us = batch.time_us[item]
        number = (time_us - origin_us[item] + width_us // 2) // width_us
        # The first reading of a channel stands for it in a row; what comes for a row already taken is too late.
        repeated = np.zeros(len(item), bool)
        same_stream = (each[1:] == each[:-1]) & (each_slot[1:] == each_slot[:-1])
        repeated[1:] = same_stream & (number[1:] == number[:-1])
        use = np.flatnonzero(~repeated & (number > memory["taken"][each]))
        if not len(use):
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        item, each, each_slot, time_us, number = item[use], each[use], each_slot[use], time_us[use], number[use]
        order = np.lexsort((number, each))
        opens = np.ones(len(order), bool)
        opens[1:] = np.diff(each[order]).astype(bool) | np.diff(number[order]).astype(bool)
        group = np.empty(len(order), np.intp)
        group[order] = np.cumsum(opens) - 1
        at = order[opens]
        points = memory["heard_us"].shape[1]
        value = np.full((len(at), points), np.nan)
        value[group, each_slot] = np.clip(batch.value[item], -_HUGE, _HUGE)
        newest_us = np.zeros(len(at), np.int64)
        np.maximum.at(newest_us, group, time_us)
        return self._take_rows(memory, each[at], number[at], value, newest_us)

    def _take_rows(self, memory: Memory, machine: Rows, number: Times, value: Floats, newest_us: Times) -> _Taken:
        """Rows in order of machine and number, the last of each machine perhaps not over yet."""
        starts = np.flatnonzero(np.concatenate(([True], machine[1:] != machine[:-1])))
        counts = lengths(starts, len(machine))
        final = np.ones(len(machine), bool)
        final[starts + counts - 1] = False
        took: list[tuple[Rows, Times, Floats]] = []
        for segment, at in rounds(counts):
            row = machine[starts[segment]]
            # An open row of an earlier batch is either this one, or over.
            over = (memory["open"][row] >= 0) & (memory["open"][row] < number[at])
            if over.any():
                took.append(self._take_open(memory, row[over]))
            opened = memory["open"][row] == number[at]
            ours = np.where(np.isnan(memory["open_value"][row]), value[at], memory["open_value"][row])
            now = np.where(opened[:, None], ours, value[at])
            memory["open"][row], memory["open_value"][row] = number[at], now
            memory["open_us"][row] = np.maximum(newest_us[at], np.where(opened, memory["open_us"][row], -1))
            take = final[at] | self._complete(memory, row)
            if take.any():
                took.append(self._take_open(memory, row[take]))
        return self._finish(memory, took)

    def _finish(self, memory: Memory, took: list[tuple[Rows, Times, Floats]]) -> _Taken:
        if not took:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        row = np.concatenate([part[0] for part in took])
        order = np.argsort(row, kind="stable")
        row = row[order]
        time_us = np.concatenate([part[1] for part in took])[order]
        score = np.concatenate([part[2] for part in took])[order]
        starts = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
        memory["since_us"][row[starts]] = departed_since(memory["since_us"][row[starts]], time_us, score, starts)
        return time_us, memory.subjects[row], score

    def _alive(self, memory: Memory, row: Rows) -> Mask:
        interval_us = memory["interval_us"][row]
        reach_us = _LOST_INTERVALS * np.maximum(interval_us, memory["width_us"][row, None])
        open_us = memory["open_us"][row, None]
        seen_us = memory["seen_us"][row]
        heard = (memory["ready_us"][row] <= open_us) & (seen_us >= 0) & (open_us - seen_us <= reach_us)
        alive: Mask = heard & (interval_us <= _SLOWEST_ROWS * memory["width_us"][row, None])
        return alive

    def _complete(self, memory: Memory, row: Rows) -> Mask:
        """Whether every channel that reports in each row has reported in the open one."""
        interval_us = memory["interval_us"][row]
        expected = self._alive(memory, row) & (interval_us * 2 <= memory["width_us"][row, None] * 3)
        came = ~np.isnan(memory["open_value"][row])
        complete: Mask = expected.any(axis=1) & (came | ~expected).all(axis=1)
        return complete

    def _take_open(self, memory: Memory, row: Rows) -> tuple[Rows, Times, Floats]:
        """Close the open row of these machines: learn from it, and score it."""
        time_us = memory["open_us"][row].copy()
        alive = self._alive(memory, row)
        value = memory["open_value"][row]
        came = ~np.isnan(value)
        value = np.where(came, value, memory["value"][row])
        memory["value"][row] = value
        memory["seen_us"][row] = np.where(came, time_us[:, None], memory["seen_us"][row])
        memory["taken"][row], memory["open"][row] = memory["open"][row], -1
        memory["row_us"][row] = time_us

        rows = memory["rows"][row] + 1
        memory["rows"][row] = rows
        memory["began_us"][row] = np.where(rows == 1, time_us, memory["began_us"][row])
        departed = memory["departed_us"][row] >= 0
        away = self._follow(memory, row, value, alive)
        distance = self._distance(memory, row, away, alive)
        learning = self._learning(memory, row, rows, time_us)
        with np.errstate(over="ignore"):
            score = np.minimum(distance / self._reach(memory, row), _HUGE)
        score = np.where(learning | (memory["log_n"][row] < _ALIKE_ROWS), np.nan, score)
        out = departed | (score >= 1.0)
        self._keep_base(memory, row, away, alive, out)
        weight = np.where(learning, 1.0, _AFTERWARDS * np.clip(2.0 - 2.0 * np.nan_to_num(score), 0.0, 1.0))
        self._learn(memory, row[~out], away[~out], distance[~out], weight[~out])
        self._turn(memory, row, score, time_us, departed)
        return row, time_us, score

    def _learning(self, memory: Memory, row: Rows, rows: Times, time_us: Times) -> Mask:
        if self._learn_until_us is not None:
            return time_us <= self._learn_until_us
        learning: Mask = (rows <= self._learn_rows) | (time_us - memory["began_us"][row] < self._learn_us)
        return learning

    def _follow(self, memory: Memory, row: Rows, value: Floats, alive: Mask) -> Floats:
        """Smooth the row and say how far it is from the baseline; 0 for channels without a say."""
        n = memory["n"][row] + alive
        memory["n"][row] = n
        fast = memory["fast"][row]
        fast = np.where(np.isnan(fast), value, fast + (value - fast) / np.clip(n, 1, _FAST_ROWS))
        memory["fast"][row] = np.where(alive, fast, memory["fast"][row])
        base = memory["base"][row]
        base = np.where(np.isnan(base) & alive, fast, base)
        memory["base"][row] = base
        return np.where(alive & (n > _FAST_ROWS), fast - base, 0.0)

    def _keep_base(self, memory: Memory, row: Rows, away: Floats, alive: Mask, departed: Mask) -> None:
        """Let the baseline follow, but hold it for the channels that make the departure."""
        base, n = memory["base"][row], memory["n"][row]
        held = departed[:, None] & (np.abs(away) > _OWN_PART * memory["spread"][row])
        pace = np.where(held, 0.0, 1.0) / np.clip(n, 1.0, _BASE_ROWS)
        memory["base"][row] = np.where(alive, base + (memory["fast"][row] - base) * pace, base)

    def _distance(self, memory: Memory, row: Rows, away: Floats, alive: Mask) -> Floats:
        """Distance in the model's own measure and each channel's share of it; NaN without a model."""
        spread, inverse = memory["spread"][row], memory["inverse"][row]
        modelled = spread > 0
        z = np.where(modelled, away / np.where(modelled, spread, 1.0), 0.0)
        z = np.clip(z, -1e6, 1e6)
        for case in np.flatnonzero((modelled & ~alive).any(axis=1) & (memory["fitted"][row] > 0)):
            z[case] = _expected(z[case], inverse[case], modelled[case] & ~alive[case])
        pull = np.einsum("nij,nj->ni", inverse, z)
        parts = z * pull
        memory["share"][row] = np.maximum(parts, 0.0)
        distance = np.sqrt(np.maximum(parts.sum(axis=1), 0.0))
        return np.where((memory["fitted"][row] > 0) & (modelled.sum(axis=1) > 1), distance, np.nan)

    def _reach(self, memory: Memory, row: Rows) -> Floats:
        """The limit of the distance."""
        n = np.maximum(memory["log_n"][row] / _ALIKE_ROWS, 4.0)
        deviation = np.sqrt(np.maximum(memory["log_variance"][row], 0.0))
        reach: Floats = np.exp(
            memory["log_mean"][row] + _t_quantile(self._z, n - 1.0) * deviation * np.sqrt(1.0 + 1.0 / n)
        )
        return reach

    def _learn(self, memory: Memory, row: Rows, away: Floats, distance: Floats, weight: Floats) -> None:
        """Covariance of the differences and spread of the distances, in health; the model anew when it is due."""
        if not len(row):
            return
        seen = memory["seen"][row] + weight
        memory["seen"][row] = seen
        pace = (weight / np.clip(seen, 1.0, self._memory_rows))[:, None, None]
        covariance = memory["covariance"][row]
        memory["covariance"][row] = covariance + (away[:, :, None] * away[:, None, :] - covariance) * pace
        self._learn_reach(memory, row[distance > 0], np.log(distance[distance > 0]), weight[distance > 0])
        fitted = memory["fitted"][row]
        longest_wait = (_REFIT - 1.0) * self._memory_rows
        due = seen >= np.maximum(self._fit_rows, np.minimum(_REFIT * fitted, fitted + longest_wait))
        if due.any():
            self._fit(memory, row[due])

    def _learn_reach(self, memory: Memory, row: Rows, log: Floats, weight: Floats) -> None:
        """Mean and variance of the logarithm of the distance, by Welford's recursion."""
        n = np.minimum(memory["log_n"][row] + weight, self._memory_rows)
        pace = weight / np.maximum(n, 1.0)
        change = log - memory["log_mean"][row]
        variance = memory["log_variance"][row]
        memory["log_n"][row] = n
        memory["log_mean"][row] += change * pace
        memory["log_variance"][row] = variance + (change * change * (1.0 - pace) - variance) * pace

    def _fit(self, memory: Memory, row: Rows) -> None:
        covariance = memory["covariance"][row]
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        spread = np.sqrt(variance)
        scale = np.where(spread > 0, spread, 1.0)
        points = np.arange(covariance.shape[1])
        rows = np.minimum(memory["seen"][row], self._memory_rows)
        drawn = np.clip(_SHRINKAGE_PER_CHANNEL * len(points) / rows, _LEAST_SHRINKAGE, _MOST_SHRINKAGE)
        correlation = covariance / scale[:, :, None] / scale[:, None, :] * (1.0 - drawn[:, None, None])
        correlation[:, points, points] = 1.0
        memory["spread"][row] = spread
        memory["inverse"][row] = np.linalg.inv(correlation)
        memory["fitted"][row] = memory["seen"][row]

    def _turn(self, memory: Memory, row: Rows, score: Floats, time_us: Times, departed: Mask) -> None:
        """Begin, end or accept a departure."""
        began = ~departed & (score >= 1.0)
        memory["departed_us"][row[began]] = time_us[began]
        ended = departed & ~(score >= _RETURNED)
        memory["departed_us"][row[ended]] = -1
        long_us = np.maximum(self._accept_us, _ACCEPT_ROWS * memory["width_us"][row])
        accepted = departed & ~ended & (time_us - memory["departed_us"][row] >= long_us)
        at = row[accepted]
        memory["base"][at] = memory["fast"][at]
        memory["departed_us"][at] = -1


def _memory_of(points: int) -> Memory:
    """Memory of machines with so many points."""
    times = np.full(points, -1, np.int64)
    return Memory(
        f"multivariate 1, {points} points",
        {
            "streams": np.zeros(points, np.int32),
            "gaps_us": np.tile(rhythm.NO_GAPS, (points, 1)),
            "gaps_seen": np.zeros(points, np.int64),
            "heard_us": times,
            "interval_us": times,
            "ready_us": np.full(points, _FAR),
            "origin_us": np.int64(-1),
            "width_us": np.int64(-1),
            "taken": np.int64(0),
            "open": np.int64(-1),
            "open_us": np.int64(-1),
            "open_value": np.full(points, np.nan),
            "value": np.zeros(points),
            "seen_us": times,
            "row_us": np.int64(-1),
            "began_us": np.int64(-1),
            "rows": np.int64(0),
            "seen": 0.0,
            "n": np.zeros(points),
            "fast": np.full(points, np.nan),
            "base": np.full(points, np.nan),
            "covariance": np.zeros((points, points)),
            "fitted": 0.0,
            "spread": np.zeros(points),
            "inverse": np.zeros((points, points)),
            "share": np.zeros(points),
            "log_n": 0.0,
            "log_mean": 0.0,
            "log_variance": 0.0,
            "departed_us": np.int64(-1),
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


def _t_quantile(z: float, freedom: Floats) -> Floats:
    """Student's t from the normal quantile, by Fisher's expansion: within 3 % from 4 degrees of freedom on."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    quantile: Floats = z + first / freedom + second / freedom**2 + third / freedom**3
    return quantile


def _as_scores(parts: Sequence[_Taken]) -> Scores:
    if not parts:
        return Scores(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    time_us = np.concatenate([part[0] for part in parts])
    machine = np.concatenate([part[1] for part in parts]).astype(np.int32)
    order = np.lexsort((time_us, machine))
    return Scores(time_us[order], machine[order], np.concatenate([part[2] for part in parts])[order])
