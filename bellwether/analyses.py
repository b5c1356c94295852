"""Commands on files: recordings are analysed by the code and the defaults that run live, without a stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bellwether.console import AsJson, as_misconfigured, names, print_json, say

Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet.")]
TimeColumn = Annotated[str, typer.Option(help="The column of time.")]
Out = Annotated[Path, typer.Option(file_okay=False, help="Where the results go: a CSV a file, and summary.json.")]
TrainRows = Annotated[int | None, typer.Option(min=1, help="The first rows, which are healthy.")]
TrainUntil = Annotated[str | None, typer.Option(help="Or: healthy until this time.")]
Ignored = Annotated[str, typer.Option(help="Columns to leave out (labels!), separated by commas.")]


def detect(
    files: Files,
    time: TimeColumn,
    out: Out,
    train_rows: TrainRows = None,
    train_until: TrainUntil = None,
    ignore: Ignored = "",
    false_alarm_rate: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Share of healthy rows in alarm.")] = 0.01,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also as a page with pictures.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score recordings with the very detectors and defaults that run live.

    Example: bellwether detect pump.csv --time datetime --train-rows 400 --ignore anomaly,changepoint --out scores
    """
    from bellwether.detection_report import section
    from bellwether.report import page
    from detectors.offline import Detection, run
    from detectors.recordings import Recording

    sections = []

    def done(path: Path, recording: Recording, detection: Detection) -> None:
        if report is not None:
            sections.append(section(path, recording, detection))
        if not as_json:
            say(f"scored {path}")

    with as_misconfigured():
        summary = run(
            files,
            time_column=time,
            out=out,
            train_rows=train_rows,
            train_until=train_until,
            ignore=names(ignore),
            false_alarm_rate=false_alarm_rate,
            done=done,
        )
    if report is not None:
        report.write_text(page("What was found", sections), encoding="utf-8")
    _done(summary, out, as_json)


def changepoints(
    files: Files,
    time: TimeColumn,
    out: Out,
    train_rows: TrainRows = None,
    train_until: TrainUntil = None,
    ignore: Ignored = "",
    false_alarm_rate: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of healthy rows that may look like a change.")
    ] = 0.02,
    as_json: AsJson = False,
) -> None:
    """Find the moments at which a machine's behaviour changed: one line a change, with the row that shows it.

    Example: bellwether changepoints pump.csv --time datetime --train-rows 400 --ignore anomaly --out changes
    """
    from detectors.changepoints import run

    with as_misconfigured():
        summary = run(
            files,
            time_column=time,
            out=out,
            train_rows=train_rows,
            train_until=train_until,
            ignore=names(ignore),
            false_alarm_rate=false_alarm_rate,
            progress=lambda path: None if as_json else say(f"searched {path}"),
        )
    _done(summary, out, as_json)


def peers(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet, one a machine.")],
    time: TimeColumn,
    out: Out,
    train_until: Annotated[str, typer.Option(help="All of them were well until this time.")],
    bucket: Annotated[float, typer.Option(min=1.0, help="Seconds whose mean is compared.")] = 3600.0,
    ignore: Ignored = "",
    false_alarm_rate: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Share of healthy buckets.")] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Compare machines of one model under like load, five or more, each with the others.

    Example: bellwether peers pump-*.csv --time datetime --train-until 2026-03-01 --out compared
    """
    from detectors.peers import run

    with as_misconfigured():
        summary = run(
            files,
            time_column=time,
            out=out,
            train_until=train_until,
            bucket_s=bucket,
            ignore=names(ignore),
            false_alarm_rate=false_alarm_rate,
        )
    _done(summary, out, as_json)


def _done(summary: Mapping[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        print_json(summary)
    else:
        say(f"done: {out}")
