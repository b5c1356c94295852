"""Recordings scored by the very detectors that run live, with the same defaults: `bellwether detect`.

Causal: the score of a row rests on that row and earlier ones. Readings reach the detectors row by row, as they would
have live; a row without a time of its own is kept in the output with the score known by then. What can't be read as a
number is no reading, so gaps in a table are gaps in the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.flatline import Flatline
from detectors.multivariate import Multivariate
from detectors.scores import Detector
from detectors.shift import Shift
from telemetry import Batch, Stream

# The two detectors that learn a normal share the false alarms allowed.
_SHARE_OF_EACH = 0.5
# Rows in which the machine's grid is found, before any row is learnt from.
_ROWS_FOR_THE_GRID = 18
_FEWEST_LEARN_ROWS = 20
_MACHINE = 1

_TIME_FORMATS = (
    "ISO8601",
    "%d/%m/%y %H",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y.%m.%d.%H.%M.%S",
)
# A number of seconds since 1970 stays below the first until the year 5138, one of milliseconds below the second.
_MILLISECONDS_FROM = 1e11
_MICROSECONDS_FROM = 1e14

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A table of one machine.

    Attributes
    ----------
    time_us : int64 (N,)
        -1 where the time can't be read.
    time_text : tuple of str
        The times as they were written.
    channels : tuple of str
    values : float64 (N, C)
        NaN where there is no reading.
    """

    time_us: Times
    time_text: tuple[str, ...]
    channels: tuple[str, ...]
    values: Floats

    def __len__(self) -> int:
        return len(self.time_us)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What the detectors say at each row: score >= 0 (0 without an opinion), alarm 0/1, leading channel or ""."""

    score: Floats
    alarm: npt.NDArray[np.int8]
    top_channel: tuple[str, ...]


def read(path: Path, *, time_column: str, ignore: Sequence[str] = ()) -> Recording:
    """Read a CSV; the separator is whichever of comma, semicolon and tab the first line has most of.

    Raises
    ------
    ValueError
        If there is no such time column, or it holds no times, or no other column holds numbers.
    """
    with path.open(encoding="utf-8-sig") as lines:
        header = lines.readline()
    separator = max(",;\t", key=header.count)
    frame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    frame.columns = [str(name).strip() for name in frame.columns]
    if time_column not in frame.columns:
        raise ValueError(f"{path}: no column {time_column}; there are {', '.join(frame.columns)}")
    text = frame[time_column].str.strip()
    dropped = {time_column, *(name.strip() for name in ignore)}
    values = {name: _numbers(frame[name]) for name in frame.columns if name not in dropped}
    values = {name: column for name, column in values.items() if not np.isnan(column).all()}
    if not values:
        raise ValueError(f"{path}: no column of numbers beside {time_column}")
    try:
        time_us = parse_times(text)
    except ValueError as error:
        raise ValueError(f"{path}: {time_column} holds no times, such as {text.iloc[0]!r}") from error
    return Recording(time_us, tuple(text), tuple(values), np.column_stack(list(values.values())))


def parse_times(text: pd.Series[str]) -> Times:
    """Times in microseconds, int64 (N,), -1 where unreadable; numbers are seconds, or smaller units where too large.

    Of several ways to read a date the one that leaves the fewest rows unreadable or out of order is taken.

    Raises
    ------
    ValueError
        If no more than half can be read.
    """
    numbers = _numbers(text)
    if np.isfinite(numbers).mean() > 0.5:
        largest = np.nanmax(np.abs(numbers))
        unit_us = 1e6 if largest < _MILLISECONDS_FROM else 1e3 if largest < _MICROSECONDS_FROM else 1.0
        return np.where(np.isfinite(numbers), np.round(np.nan_to_num(numbers) * unit_us), -1).astype(np.int64)
    best, fewest = np.full(len(text), -1, np.int64), len(text) // 2 + 1
    for form in _TIME_FORMATS:
        parsed = pd.to_datetime(text, format=form, errors="coerce", utc=True)
        known = parsed.notna().to_numpy()
        times = np.where(known, parsed.dt.as_unit("us").astype("int64").to_numpy(), -1)
        bad = int((~known).sum() + (np.diff(times[known]) < 0).sum())
        if bad < fewest:
            best, fewest = times, bad
    if (best < 0).all():
        raise ValueError("no times")
    return best


def detect(
    recording: Recording,
    *,
    train_rows: int | None = None,
    train_until_us: int | None = None,
    false_alarm_rate: float = 0.01,
) -> Detection:
    """Score every row.

    The score is the largest of the detectors', each measured by its own limit or, where its scores in the training rows
    were often above that, by the level that a share `false_alarm_rate` of them exceeded.

    Parameters
    ----------
    train_rows, train_until_us : int or None
        The healthy start that the machine's model and the limits are learnt from; where neither is given it is what the
        detectors need live.
    false_alarm_rate : float
        Share of healthy rows that may be in alarm.
    """
    time_us = _in_order(recording.time_us)
    trained = _trained(time_us, train_rows, train_until_us)
    share = false_alarm_rate * _SHARE_OF_EACH
    streams = [
        Stream(number, _MACHINE, "offline", "machine", channel, "unknown", "")
        for number, channel in enumerate(recording.channels)
    ]
    by_stream = [_score_streams(detector, streams, recording, time_us) for detector in (Shift(), Flatline())]
    machine = _score_machine(_model(time_us, trained, share), streams, recording, time_us)
    scores = np.stack([_by_limit(score, trained, share) for score, _ in (*by_stream, machine)])
    leads = np.stack([lead for _, lead in (*by_stream, machine)])
    worst = scores.argmax(axis=0)
    row = np.arange(len(recording))
    score = scores[worst, row]
    top = tuple(
        recording.channels[lead] if known > 0 else "" for lead, known in zip(leads[worst, row], score, strict=True)
    )
    return Detection(score, (score >= 1.0).astype(np.int8), top)


def run(
    paths: Sequence[Path],
    *,
    time_column: str,
    out: Path,
    train_rows: int | None = None,
    train_until: str | None = None,
    ignore: Sequence[str] = (),
    false_alarm_rate: float = 0.01,
    progress: Callable[[Path], None] = lambda path: None,
) -> dict[str, Any]:
    """Score files, each on its own: a CSV `time,score,alarm,top_channel` for each and `summary.json` in `out`.

    `progress` is told each file when it is done. Returns the summary.

    Raises
    ------
    ValueError
        If a file can't be read as a recording, or `train_until` is no time.
    """
    until_us = None if train_until is None else int(parse_times(pd.Series([train_until]))[0])
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for path, name in zip(paths, _output_names(paths), strict=True):
        recording = read(path, time_column=time_column, ignore=ignore)
        detection = detect(recording, train_rows=train_rows, train_until_us=until_us, false_alarm_rate=false_alarm_rate)
        table = {
            "time": recording.time_text,
            "score": np.round(detection.score, 6),
            "alarm": detection.alarm,
            "top_channel": detection.top_channel,
        }
        pd.DataFrame(table).to_csv(out / name, index=False)
        files.append({"input": str(path), "output": name, **_summary(recording, detection)})
        progress(path)
    summary = {
        "time_column": time_column,
        "train_rows": train_rows,
        "train_until": train_until,
        "ignored": list(ignore),
        "false_alarm_rate": false_alarm_rate,
        "files": files,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _numbers(text: pd.Series[str]) -> Floats:
    """Numbers, with decimal point or comma; NaN for anything else and for what is not finite."""
    plain = pd.to_numeric(text, errors="coerce")
    if plain.isna().all():
        plain = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce")
    column: Floats = plain.to_numpy(np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def _in_order(time_us: Times) -> Times:
    """Times that only grow; -1 where a row has none, or the same as the row before.

    A clock that was put back goes on from where it was, by the step before; one that runs ahead leaves a gap.
    """
    known = np.flatnonzero(time_us >= 0)
    if not len(known):
        return time_us
    step_us = np.diff(time_us[known])
    last_good = np.maximum.accumulate(np.where(step_us > 0, np.arange(len(step_us)), -1))
    before_us = np.where(last_good >= 0, step_us[last_good], 1_000_000)
    grown_us = np.concatenate(([0], np.where(step_us < 0, before_us, step_us)))
    ordered = np.full(len(time_us), -1, np.int64)
    kept = grown_us > 0
    kept[0] = True
    ordered[known[kept]] = (time_us[known[0]] + np.cumsum(grown_us))[kept]
    return ordered


def _trained(time_us: Times, train_rows: int | None, train_until_us: int | None) -> int:
    """How many rows are training rows; 0 where no training is given."""
    if train_until_us is not None:
        return int(np.count_nonzero(np.maximum.accumulate(time_us) <= train_until_us))
    return 0 if train_rows is None else min(train_rows, len(time_us))


def _model(time_us: Times, trained: int, share: float) -> Multivariate:
    known = time_us[:trained][time_us[:trained] >= 0]
    if not len(known):
        return Multivariate(false_alarm_rate=share)
    seconds = int(known[-1] - known[0]) // 1_000_000
    rows = max(_FEWEST_LEARN_ROWS, min(len(known), seconds) - _ROWS_FOR_THE_GRID)
    return Multivariate(learn_rows=rows, learn_until_us=int(known[-1]), false_alarm_rate=share)


def _by_limit(score: Floats, trained: int, share: float) -> Floats:
    """Scores after training by the level that a share of the training rows exceeded, from the first opinion on.

    Never by less than 1, and by 1 where the training rows are too few to tell.
    """
    said = score[:trained][np.cumsum(score[:trained]) > 0]
    limit = max(1.0, float(np.quantile(said, 1.0 - share))) if len(said) * share >= 1.0 else 1.0
    return np.concatenate((score[:trained], score[trained:] / limit))


def _score_streams(
    detector: Detector, streams: Sequence[Stream], recording: Recording, time_us: Times
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The worst channel's score at each row, and which it is. A channel without a reading keeps its score."""
    detector.watch(streams)
    scores = np.zeros(recording.values.shape)
    usable = (time_us >= 0)[:, None] & ~np.isnan(recording.values)
    channel, row = np.nonzero(usable.T)
    batch = Batch.of(time_us[row], channel, recording.values[row, channel])
    scores[row, channel] = np.nan_to_num(detector.score(batch, 0).score)
    held = np.maximum.accumulate(np.where(usable, np.arange(len(recording))[:, None], 0), axis=0)
    scores = np.take_along_axis(scores, held, axis=0)
    lead = scores.argmax(axis=1)
    return scores[np.arange(len(recording)), lead], lead


def _score_machine(
    model: Multivariate, streams: Sequence[Stream], recording: Recording, time_us: Times
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The model's score as it is known at each row, and the channel that leads.

    Row by row: a row with a reading missing is scored when the next one shows that it is over, and not before.
    """
    model.watch(streams)
    number = {stream.point: stream.id for stream in streams}
    score, lead = np.zeros(len(recording)), np.zeros(len(recording), np.intp)
    now, leads = 0.0, 0
    for row in range(len(recording)):
        channel = np.flatnonzero(~np.isnan(recording.values[row])).astype(np.int32)
        if time_us[row] >= 0 and len(channel):
            quality = np.zeros(len(channel), np.uint8)
            times = np.full(len(channel), time_us[row])
            said = model.score(Batch(times, channel, recording.values[row, channel], quality), 0).score
            if len(said):
                now = float(np.nan_to_num(said[-1]))
                leads = number[model.explain(_MACHINE).point] if now > 0 else 0
        score[row], lead[row] = now, leads
    return score, lead


def _output_names(paths: Sequence[Path]) -> list[str]:
    """Each file's own name; with its folder's before it where two files have the same."""
    names = [path.name for path in paths]
    return [
        f"{path.parent.name}-{path.stem}.csv" if names.count(path.name) > 1 else f"{path.stem}.csv" for path in paths
    ]


def _summary(recording: Recording, detection: Detection) -> dict[str, Any]:
    alarm = np.concatenate(([0], detection.alarm, [0]))
    begins, ends = np.flatnonzero(np.diff(alarm) == 1), np.flatnonzero(np.diff(alarm) == -1) - 1
    return {
        "rows": len(recording),
        "channels": list(recording.channels),
        "rows_in_alarm": int(detection.alarm.sum()),
        "alarms": [
            {
                "from": recording.time_text[begin],
                "to": recording.time_text[end],
                "top_channel": detection.top_channel[begin + int(detection.score[begin : end + 1].argmax())],
                "highest_score": round(float(detection.score[begin : end + 1].max()), 3),
            }
            for begin, end in zip(begins, ends, strict=True)
        ],
    }
