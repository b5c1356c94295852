"""Files of recordings, each analysed on its own: a table for each, and `summary.json` beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from detectors.recordings import Recording, parse_times, read

Analysed = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The columns of the table of one recording, and what the summary says of it."""


class Asked(TypedDict, total=False):
    """What an analysis of files is asked, whichever it is.

    Attributes
    ----------
    time_column
        The column of time.
    out
        Where the tables and the summary go.
    train_rows, train_until
        The healthy rows: so many, or until a time; none without either.
    ignore
        Columns to leave out.
    """

    time_column: Required[str]
    out: Required[Path]
    train_rows: int | None
    train_until: str | None
    ignore: Sequence[str]


def each(
    paths: Sequence[Path],
    analyse: Callable[[Path, Recording, int | None], Analysed],
    *,
    false_alarm_rate: float,
    **asked: Unpack[Asked],
) -> dict[str, Any]:
    """Read every file, write what `analyse` makes of it, and return the summary.

    `analyse` is given the file, its recording and the end of the training in µs, None where there is none.

    Raises
    ------
    ValueError
        If a file can't be read as a recording, or `train_until` is no time.
    """
    import pandas as pd

    time_column, out, ignore = asked["time_column"], asked["out"], asked.get("ignore", ())
    train_until = asked.get("train_until")
    until_us = None if train_until is None else int(parse_times(pd.Series([train_until]))[0])
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for path, name in zip(paths, output_names(paths), strict=True):
        table, facts = analyse(path, read(path, time_column=time_column, ignore=ignore), until_us)
        pd.DataFrame(table).to_csv(out / name, index=False)
        files.append({"input": str(path), "output": name, **facts})
    summary = {
        "time_column": time_column,
        "train_rows": asked.get("train_rows"),
        "train_until": train_until,
        "ignored": list(ignore),
        "false_alarm_rate": false_alarm_rate,
        "files": files,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def output_names(paths: Sequence[Path]) -> list[str]:
    """Each file's own name; with its folder's before it where two files have the same."""
    names = [path.name for path in paths]
    return [
        f"{path.parent.name}-{path.stem}.csv" if names.count(path.name) > 1 else f"{path.stem}.csv" for path in paths
    ]
