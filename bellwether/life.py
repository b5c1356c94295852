"""`bellwether life`: how long machines have, learnt from a fleet's histories and said of anyone's table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bellwether.console import AsJson, as_misconfigured, names, print_json, say
from bellwether.life_risk import risk

if TYPE_CHECKING:
    from prognosis.life import Forecast, Trajectories

life = typer.Typer(
    help="Remaining useful life from a fleet's histories.\n\n"
    "Example: bellwether life fit fleet.csv --unit machine --cycle hours --out pumps.life",
    no_args_is_help=True,
    rich_markup_mode=None,
)

life.command("risk")(risk)

Report = Annotated[Path | None, typer.Option(dir_okay=False, help="Write an HTML page with pictures.")]


@life.command("fit")
def fit(
    train: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Histories: CSV or Parquet.")],
    unit: Annotated[str, typer.Option(help="The column that names the machine.")],
    cycle: Annotated[str, typer.Option(help="The column of its age: cycles, hours, or times.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where the model goes.")],
    event: Annotated[str | None, typer.Option(help="1 failed at its last row, 0 still running; or all failed.")] = None,
    ignore: Annotated[str, typer.Option(help="Columns to leave out (labels!), separated by commas.")] = "",
    cap: Annotated[float | None, typer.Option(min=0.001, help="Learn lives exactly up to here.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Learn from machines that ran to failure, and from such that still run.

    A file without a header has columns c1, c2, …

    Example: bellwether life fit fleet.csv --unit machine --cycle hours --event failed --out pumps.life
    """
    from prognosis import life as prognosis

    with as_misconfigured():
        given = prognosis.read(train, unit=unit, cycle=cycle, event=event, ignore=names(ignore))
        model = prognosis.fit(given, cap=cap, seed=seed, progress=lambda line: None if as_json else say(line))
    settings = {"unit": unit, "cycle": cycle, "event": event, "ignore": names(ignore), "cap": cap, "seed": seed}
    came_from = prognosis.origin(given, settings)
    prognosis.save(out, model, came_from)
    if report is not None:
        from bellwether.life_report import write

        write(report, model, came_from)
    if as_json:
        print_json({"model": str(out), "cap": model.cap, "accuracy": model.accuracy.as_json(), "origin": came_from})
        return
    figures = model.accuracy
    say(f"{len(given.units)} units, {int(given.failed.sum())} of them failed; a typical life is {model.wear.span:.0f}")
    say(f"of units held back: off by {figures.rmse_capped:.1f} below {model.cap:.0f}, by {figures.rmse:.1f} in all")
    say(f"the 90 % interval held {100 * figures.coverage:.0f} %")
    say(
        f"failure within {figures.within:.0f}: Brier score {figures.brier:.4f}, "
        f"that of always saying how often it happens {figures.brier_base:.4f}"
    )
    for said, happened, share in figures.reliability:
        say(f"  said {100 * said:3.0f} %, happened {100 * happened:3.0f} %, in {100 * share:.1f} % of the rows")
    good = ", ".join(f"{100 * share:.0f} % at {100 * part:.0f} % of life" for part, share in figures.alpha_lambda)
    say(f"within 20 % of what was left: {good}; prognostic horizon {figures.horizon:.0f}")
    say(f"done: {out}")


@life.command("predict")
def predict(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A model of `life fit`.")],
    test: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Histories so far: CSV or Parquet.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where the CSV goes.")],
    every: Annotated[bool, typer.Option("--every", help="A line for every row, not each unit's last.")] = False,
    within: Annotated[float, typer.Option(min=0.001, help="The probability of failure within so long.")] = 30.0,
    unit: Annotated[str | None, typer.Option(help="The column that names the machine; as in training.")] = None,
    cycle: Annotated[str | None, typer.Option(help="The column of its age; as in training.")] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Say how long each machine has: unit, cycle, rul, its 90 % interval, the probability of failure soon, and why not.

    Example: bellwether life predict pumps.life today.csv --out left.csv
    """
    from prognosis import life as prognosis

    with as_misconfigured():
        known, came_from = prognosis.load(model)
        trained = came_from["settings"]
        given = prognosis.read(test, unit=unit or trained["unit"], cycle=cycle or trained["cycle"])
        forecast = prognosis.predict(known, given, every=every, within=within)
    write_forecast(out, given, forecast)
    if report is not None:
        from bellwether.life_report import write

        write(report, known, came_from, given, forecast)
    silent = sum(bool(reason) for reason in forecast.reason)
    if as_json:
        print_json({"rows": len(forecast.unit), "without_estimate": silent, "out": str(out)})
    else:
        say(f"done: {out}" + (f", {silent} of {len(forecast.unit)} without an estimate" if silent else ""))


def write_forecast(out: Path, given: Trajectories, forecast: Forecast) -> None:
    """`unit,cycle,rul,rul_p05,rul_p95,p_fail_30,reason`; numbers are empty where there is a reason."""
    import pandas as pd

    columns = {
        "unit": [given.units[each] for each in forecast.unit],
        "cycle": [f"{cycle:.10g}" for cycle in forecast.cycle],
        "rul": forecast.rul.round(2),
        "rul_p05": forecast.rul_p05.round(2),
        "rul_p95": forecast.rul_p95.round(2),
        f"p_fail_{forecast.within:g}": forecast.p_fail.round(4),
        "reason": forecast.reason,
    }
    pd.DataFrame(columns).to_csv(out, index=False)
