"""What a stream never did in the last week: a value unlike those at that time of day, or a shape unlike any before.

A diary holds the means of the half hours of seven days. Each span of five minutes is measured by its distance from the
nearest of the same half hour's means; each half hour by the distance of the last 1½, 3 and 6 hours from the nearest
such stretch in the diary, and by how far its spans lie apart. How rare each distance is among those before it, in
decades, adds up to the score: so the daily and the weekly rhythm are found without being looked for, and no unit, shape
or scale has to be known.

What is novel is said once: for sixteen hours only what is more novel still is said. It tells that something began,
when, and how unheard-of it is; `shift` and `drift` tell how long it lasts. Silent for a stream's first 28 hours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors import diary, rhythm, spans, tails
from detectors.each_stream import OwnRhythm
from detectors.memory import Memory, Rows, part, restore_part
from detectors.rounds import began_us, lengths, since_or_last
from detectors.scores import Evidence, Snapshot
from telemetry import Batch

# Of the day: five minutes, over which readings of fast streams are averaged. One in ten thousand is then once in a
# month, not once in three hours. A slower stream's span is its interval.
_SPANS_A_DAY = 288
# A page of the diary: half an hour, or two spans of a slow stream. A quarter of an hour needs twice the room and finds
# no more; an hour finds less.
_PAGES_A_DAY = 48
_PAGE_SPANS = 2
_DAYS = 7
# Lengths of the stretches compared, in pages.
_STRETCHES = (3, 6, 12)
# Kinds of distances: of a value, of the spans within a page from each other, of stretches.
_VALUE, _APART, _SHAPE = 0, 1, 2
# Distances before there is an opinion, and those after which an old one weighs no less than a new one.
_LEARN_SPANS, _LEARN_PAGES = 50, 20
_MEMORY_SPANS, _MEMORY_PAGES = 4000, 1000
# No kind counts for more: a week tells little of what is rarer than one in ten thousand.
_MOST_DECADES = 4.0
# Spans that lie apart are seen in the value too; alone they are no alarm.
_APART_WEIGHT = 0.3
# What was said is not said again for so many spans. Half as many or twice as many find the same.
_SAID_SPANS = 200
# Squares of differences of these are finite, and they fit a diary of single precision.
_HUGE = 1e37
# A diary of single precision can't tell less, as a share of the value.
_ROUNDING = 1e-6
# Streams whose diaries are searched together: more need more room than a processor's cache has.
_TOGETHER = 64
# Before the names of what diaries hold, in a snapshot.
_DIARY = "diary"

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


class Novelty(OwnRhythm):
    """Score 1.0 = distances as rare, together, as one in `10 ** limit`, by what the stream did before.

    Parameters
    ----------
    limit : float
        In decades, all kinds together. Each kind counts for four at most: up to 4 a value alone is an alarm, beyond
        it has to come with a shape. Healthy streams of simulated machines, drifting with weather and load, come to 4
        once a week, to 5 once in two months, to 6 once in two years.
    day_s : float
        Of what rhythm the diary holds seven rounds. A process of shifts repeats itself sooner than the day.
    from_interval_s : float
        Streams that report more often have no diary and no opinion: 0.5 KB is much for each of thousands, and what
        is sudden in them `shift` sees. A minute's jitter is allowed for. 0 gives one to all.
    """

    def __init__(self, limit: float = 7.0, day_s: float = 86_400.0, from_interval_s: float = 50.0) -> None:
        self._limit = limit
        self._day_us = int(day_s * 1e6)
        self._from_us = int(from_interval_s * 1e6)
        # Of slow streams alone; what is remembered of each is its rhythm.
        super().__init__("novelty rhythm 3", {})
        self._diaries = Memory(
            "novelty 3",
            {
                **rhythm.COLUMNS,
                **spans.COLUMNS,
                "page": np.int64(-1),
                "page_sum": np.float32(0),
                "page_n": np.uint8(0),
                "page_low": np.float32(np.inf),
                "page_high": np.float32(-np.inf),
                **diary.empty(),
                **tails.empty(_SHAPE + len(_STRETCHES)),
                "observed": np.float32(np.nan),
                "nearest": np.float32(np.nan),
                "said": np.float32(0),
                "said_us": np.int64(-1),
                "score": np.float32(np.nan),
                "since_us": np.int64(-1),
            },
        )

    def _scores(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> Floats:
        taken = self._known(batch, starts, counts, rows)
        score = np.full(len(batch), np.nan)
        if taken.any():
            score[taken] = self._step(batch.where(taken))
        return score

    def explain(self, subject: int) -> Evidence:
        point = self._streams[subject].point
        if subject not in self._diaries:
            unknown = float("nan")
            return Evidence(point, unknown, unknown, unknown, unknown, -1, {point: 1.0})
        memory, row = self._diaries, self._diaries.row(subject)
        expected = float(memory["nearest"][row])
        reach = tails.reach(memory, row, _VALUE, min(self._limit, _MOST_DECADES))
        return Evidence(
            point=point,
            observed=float(memory["observed"][row]),
            expected=expected,
            low=expected - reach,
            high=expected + reach,
            since_us=began_us(int(memory["since_us"][row])),
            contributions={point: 1.0},
        )

    def snapshot(self) -> Snapshot:
        return {**super().snapshot(), **part(_DIARY, self._diaries)}

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        restore_part(_DIARY, self._diaries, self._memory, snapshot)

    def _known(self, batch: Batch, starts: Rows, counts: Rows, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which readings to take: those of slow streams whose interval is known. Their first one begins a diary."""
        ids = batch.stream[starts]
        known = self._gaps.known(batch, starts, counts, rows)
        interval_us = self._gaps.interval_us(rows)
        slow = (interval_us >= self._from_us) & (interval_us > 0)
        if slow.any():
            fresh = [int(each) for each in ids[slow] if int(each) not in self._diaries]
            self._diaries.add(fresh)
            self._diaries["interval_us"][self._diaries.rows(ids[slow])] = interval_us[slow]
        return known & np.repeat(slow, counts)

    def _step(self, batch: Batch) -> Floats:
        """Gather readings into spans, take each span that is over: a score for each reading."""
        memory, starts = self._diaries, batch.starts()
        rows = memory.rows(batch.stream[starts])
        row = np.repeat(rows, lengths(starts, len(batch)))
        value = np.clip(batch.value, -_HUGE, _HUGE)
        gathered = spans.gather(memory, row, batch.time_us, value, self._span_us(row))
        mean = gathered.total / gathered.count
        after = np.full(len(gathered.row), np.nan)
        after[gathered.leads] = memory["score"][gathered.row[gathered.leads]]
        for taken, closed in gathered.turns():
            opened = gathered.opened_by[closed]
            after[opened] = self._take(taken, mean[closed], batch.time_us[gathered.first_item[opened]])
        score: Floats = after[gathered.of_item]
        memory["since_us"][rows] = since_or_last(memory["since_us"][rows], batch.time_us, score, starts)
        return score

    def _take(self, row: Rows, mean: Floats, now_us: Numbers) -> Floats:
        """One span of each of these streams: the new scores. `now_us` is when the next one began."""
        memory = self._diaries
        span_us = self._span_us(row)
        page_us = self._page_us(span_us)
        next_page = now_us // page_us
        page = np.where(memory["page"][row] >= 0, memory["page"][row], next_page)
        total = self._value(row, mean, page, page_us)
        self._write(row, mean)
        over = next_page != page
        if over.any():
            total[over] += self._turn_page(row[over], page[over], next_page[over])
        memory["page"][row] = next_page
        score = self._say(row, total, now_us, span_us) / self._limit
        memory["score"][row] = np.where(memory["tail_n"][row, _VALUE] >= _LEARN_SPANS, score, np.nan)
        return memory["score"][row]

    def _value(self, row: Rows, mean: Floats, page: Numbers, page_us: Numbers) -> Floats:
        """How rare it is to be so far from each of the last days' means of this time of day."""
        memory = self._diaries
        a_day = np.maximum(1, np.round(self._day_us / page_us)).astype(np.int64)
        before = (page[:, None] - a_day[:, None] * np.arange(1, _DAYS + 1)) % diary.PAGES
        then = diary.at(memory, row, before)
        away = _distance(then, mean[:, None])
        nearest = np.where(np.isnan(away), np.inf, away).argmin(axis=1)
        each = np.arange(len(row))
        memory["observed"][row], memory["nearest"][row] = mean, then[each, nearest]
        rarity = tails.decades(memory, row, _VALUE, away[each, nearest], _LEARN_SPANS, _MEMORY_SPANS)
        decades: Floats = np.minimum(rarity, _MOST_DECADES)
        return decades

    def _write(self, row: Rows, mean: Floats) -> None:
        memory = self._diaries
        memory["page_sum"][row] += mean
        memory["page_n"][row] += 1
        memory["page_low"][row] = np.minimum(memory["page_low"][row], mean)
        memory["page_high"][row] = np.maximum(memory["page_high"][row], mean)

    def _turn_page(self, row: Rows, page: Numbers, next_page: Numbers) -> Floats:
        """Enter a page that is full in the diary: how rare its shape and its unrest are."""
        memory = self._diaries
        diary.enter(memory, row, page % diary.PAGES, memory["page_sum"][row] / memory["page_n"][row])
        apart = _distance(memory["page_low"][row], memory["page_high"][row])
        rarity = tails.decades(memory, row, _APART, apart, _LEARN_PAGES, _MEMORY_PAGES)
        total: Floats = _APART_WEIGHT * np.minimum(rarity, _MOST_DECADES)
        kinds = np.repeat(np.arange(_SHAPE, _SHAPE + len(_STRETCHES)), len(row))
        away, each = self._stretches(row, page).ravel(), np.tile(row, len(_STRETCHES))
        shape = tails.decades(memory, each, kinds, away, _LEARN_PAGES, _MEMORY_PAGES).reshape(len(_STRETCHES), -1)
        for skipped in np.flatnonzero(next_page > page + 1):
            blank = np.arange(page[skipped] + 1, min(next_page[skipped], page[skipped] + 1 + diary.PAGES))
            diary.blank(memory, row[skipped], blank % diary.PAGES)
        memory["page_sum"][row], memory["page_n"][row] = 0.0, 0
        memory["page_low"][row], memory["page_high"][row] = np.inf, -np.inf
        total += np.minimum(shape.mean(axis=0), _MOST_DECADES)
        return total

    def _stretches(self, row: Rows, page: Numbers) -> Floats:
        """Distance of the stretches that end here from the nearest in the diary, float (3, n); NaN without one."""
        found = np.full((len(_STRETCHES), len(row)), np.nan)
        ages = np.arange(diary.PAGES)
        for first in range(0, len(row), _TOGETHER):
            part = slice(first, first + _TOGETHER)
            before = (page[part, None] - ages) % diary.PAGES
            found[:, part] = nearest_stretch(np.take_along_axis(diary.whole(self._diaries, row[part]), before, axis=1))
        return found

    def _say(self, row: Rows, total: Floats, now_us: Numbers, span_us: Numbers) -> Floats:
        """Only what is more novel than anything said of late."""
        memory = self._diaries
        recent = now_us - memory["said_us"][row] <= _SAID_SPANS * span_us
        new = total > np.where(recent, memory["said"][row], 0.0)
        memory["said"][row[new]], memory["said_us"][row[new]] = total[new], now_us[new]
        return np.where(new, total, 0.0)

    def _span_us(self, row: Rows) -> Numbers:
        interval_us = self._diaries["interval_us"][row].astype(np.int64)
        span_us: Numbers = np.maximum(interval_us, self._day_us // _SPANS_A_DAY)
        return span_us

    def _page_us(self, span_us: Numbers) -> Numbers:
        """A whole number of them a day, where there are more than one."""
        wanted = np.maximum(self._day_us // _PAGES_A_DAY, _PAGE_SPANS * span_us)
        a_day = np.maximum(1, np.round(self._day_us / wanted)).astype(np.int64)
        return np.where(wanted < self._day_us, self._day_us // a_day, wanted)


def nearest_stretch(pages: Floats) -> Floats:
    """Distance (Euclidean) of each stretch that ends at the newest page from the nearest earlier one.

    Parameters
    ----------
    pages : float64 (n, P)
        Newest first; NaN where there is none.

    Returns
    -------
    float64 (3, n)
        A row for each of the three lengths; NaN where fewer earlier stretches are whole than one is long.
    """
    count = pages.shape[1]
    apart = np.zeros_like(pages)
    found = []
    for lag in range(max(_STRETCHES)):
        apart[:, : count - lag] += _distance(pages[:, lag:], pages[:, lag : lag + 1]) ** 2
        apart[:, count - lag :] = np.nan
        if lag + 1 in _STRETCHES:
            earlier = apart[:, lag + 1 :]
            whole = np.isfinite(earlier)
            nearest = np.sqrt(np.min(earlier, axis=1, initial=np.inf, where=whole))
            found.append(np.where(whole.sum(axis=1) > lag, nearest, np.nan))
    return np.array(found)


def _distance(one: Floats, other: Floats) -> Floats:
    away = np.abs(one - other)
    told: Floats = np.where(away <= _ROUNDING * np.abs(other), 0.0, away)
    return told
