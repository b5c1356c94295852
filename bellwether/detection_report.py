"""What was found in recordings, as a page with pictures: scores, alarms, and the channels that lead them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bellwether.report import ALARM, INK, SERIES, Picture, Section, Table, drawing, svg
from detectors.offline import Detection, episodes
from detectors.recordings import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a reader looks through, and what a page of a month's recording may weigh.
_MOST_ALARMS = 50
_MOST_CHANNELS = 5
_MOST_POINTS = 1500

Floats = npt.NDArray[np.float64]


def section(path: Path, recording: Recording, detection: Detection) -> Section:
    """One recording: its alarms as a table, its score with the limit, and the channels that led most of the alarms."""
    alarms = episodes(recording, detection)
    share = float(detection.alarm.mean())
    said = (
        f"{len(recording)} rows of {len(recording.channels)} channels; {len(alarms)} alarms, {share:.2%} of the rows."
    )
    if not np.isnan(detection.stood):
        said += f" The machine stood for {detection.stood:.0%} of the time"
        said += f" and changed its load for {detection.changed:.1%}."
    if not alarms:
        return Section(path.name, [said, _picture(recording, detection, [])])
    leading = [name for name, _ in Counter(alarm["top_channel"] for alarm in alarms).most_common(_MOST_CHANNELS)]
    shown = [(a["from"], a["to"], a["top_channel"], a["highest_score"]) for a in alarms[:_MOST_ALARMS]]
    more = [f"The first {_MOST_ALARMS} of them:"] if len(alarms) > _MOST_ALARMS else []
    table = Table(("from", "to", "leading channel", "highest score"), shown)
    return Section(path.name, [said, *more, table, _picture(recording, detection, leading)])


def _picture(recording: Recording, detection: Detection, channels: list[str]) -> Picture:
    figure, axes = drawing(1 + len(channels), height_in=1.7)
    known = recording.time_us >= 0
    at = (recording.time_us[known].astype("datetime64[us]")) if known.any() else np.empty(0, "datetime64[us]")
    _line(axes[0], at, detection.score[known], SERIES[0])
    axes[0].axhline(1.0, color=ALARM, linewidth=0.8, linestyle="--")
    axes[0].set_ylabel("score")
    axes[0].set_ylim(0, max(2.0, min(float(detection.score.max(initial=0.0)) * 1.05, 20.0)))
    for plot, name in zip(axes[1:], channels, strict=True):
        _line(plot, at, recording.values[known, recording.channels.index(name)], INK)
        plot.set_ylabel(name if len(name) <= 18 else name[:17] + "…")
    edges = np.flatnonzero(np.diff(np.concatenate(([0], detection.alarm[known], [0]))))
    for begin, end in edges.reshape(-1, 2):
        for plot in axes:
            plot.axvspan(at[begin], at[end - 1], color=ALARM, alpha=0.2, linewidth=0)
    for plot in axes:
        plot.sharex(axes[0])
    told = "Score over time, 1 is the limit" + ("; then the channels that lead" if channels else "")
    return Picture(svg(figure), f"{told}. Shaded: in alarm.")


def _line(plot: Axes, at: npt.NDArray[np.datetime64], value: Floats, colour: str) -> None:
    """A line through the least and the greatest of each bucket: what is left out lies between them."""
    step = -(-2 * len(value) // _MOST_POINTS)
    if step > 1:
        whole = len(value) // step * step
        buckets = value[:whole].reshape(-1, step)
        first = np.arange(len(buckets)) * step
        low = first + np.where(np.isnan(buckets), np.inf, buckets).argmin(axis=1)
        high = first + np.where(np.isnan(buckets), -np.inf, buckets).argmax(axis=1)
        kept = np.unique(np.concatenate((low, high, np.arange(whole, len(value)))))
        at, value = at[kept], value[kept]
    plot.plot(at, value, color=colour, linewidth=0.8)
