"""The page beside a model of remaining life: how far it can be believed, and what it says of each machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bellwether.report import ALARM, INK, SERIES, Picture, Section, Table, drawing, page, svg
from prognosis.life import Forecast, Model, Trajectories
from prognosis.life.conformal import Calibration

# More bars than these are no picture; the table has them all.
_MOST_BARS = 60


def write(
    path: Path,
    model: Model,
    origin: Mapping[str, Any],
    given: Trajectories | None = None,
    forecast: Forecast | None = None,
) -> None:
    """Write the page; with a forecast, what it says comes first."""
    sections = [_machines(given, forecast)] if given is not None and forecast is not None else []
    sections += [_believed(model), _probability(model), _interval(model), _origin(origin)]
    path.write_text(page("Remaining useful life", sections), encoding="utf-8")


def _machines(given: Trajectories, forecast: Forecast) -> Section:
    last = np.flatnonzero(np.append(np.diff(forecast.unit) != 0, True)) if len(forecast.unit) else np.empty(0, np.intp)
    order = last[np.argsort(np.nan_to_num(forecast.rul[last], nan=np.inf), kind="stable")]
    head = ("machine", "age", "left", "from", "to", f"fails within {forecast.within:g}", "")
    left = (forecast.rul, forecast.rul_p05, forecast.rul_p95)
    rows = [
        (
            given.units[forecast.unit[row]],
            f"{forecast.cycle[row]:g}",
            *(_number(column[row]) for column in left),
            _percent(forecast.p_fail[row]),
            forecast.reason[row],
        )
        for row in order
    ]
    shown = order[np.isfinite(forecast.rul[order])][:_MOST_BARS]
    figure, (plot,) = drawing(height_in=max(2.0, 0.22 * len(shown) + 0.8))
    places = np.arange(len(shown))[::-1]
    plot.hlines(places, forecast.rul_p05[shown], forecast.rul_p95[shown], color=SERIES[0], linewidth=3, alpha=0.5)
    urgent = forecast.p_fail[shown] >= 0.5
    plot.scatter(forecast.rul[shown], places, c=np.where(urgent, ALARM, SERIES[0]), s=18, zorder=3)
    plot.set_yticks(places, [given.units[forecast.unit[row]] for row in shown])
    plot.set_xlabel("life left")
    caption = "Those that end soonest: the estimate and its 90 % interval; red where failure is likelier than not."
    return Section("Machines", [Picture(svg(figure), caption), Table(head, rows)])


def _believed(model: Model) -> Section:
    figures = model.accuracy
    rows = [
        ("machines held back", figures.units),
        (f"error (root mean square) below {model.cap:.0f}", f"{figures.rmse_capped:.1f}"),
        ("error in all", f"{figures.rmse:.1f}"),
        ("held by the 90 % interval", _percent(figures.coverage)),
        ("prognostic horizon (within 10 % of the life from then on)", f"{figures.horizon:.0f}"),
        ("relative accuracy", f"{figures.relative_accuracy:.2f}"),
        *((f"within 20 % of what was left, at {100 * part:.0f} % of life", _percent(share))
          for part, share in figures.alpha_lambda),
    ]  # fmt: skip
    return Section(
        "How far it can be believed",
        ["Each machine was judged by a model that had not seen it. Errors count the more the nearer the end is.",
         Table(("figure", ""), rows), _alpha_lambda(model)],
    )  # fmt: skip


def _alpha_lambda(model: Model) -> Picture:
    """The share of estimates that are good, by the part of its life that a machine has lived."""
    part, share = 100 * np.array(model.accuracy.alpha_lambda).T
    figure, (plot,) = drawing(height_in=3.0, width_in=5.0)
    plot.plot(part, share, color=SERIES[0], marker="o")
    plot.set_xlim(0, 100)
    plot.set_ylim(0, 100)
    plot.set_xlabel("part of its life, %")
    plot.set_ylabel("estimates within 20 %, %")
    return Picture(svg(figure), "Alpha-lambda: the share of machines whose estimate was within 20 % of what was left.")


def _probability(model: Model) -> Section:
    figures = model.accuracy
    said, happened, share = np.array(figures.reliability).T
    figure, (plot,) = drawing(height_in=3.6, width_in=5.0)
    plot.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    plot.plot(said, happened, color=SERIES[0], marker="o")
    plot.set_xlabel("said")
    plot.set_ylabel("happened")
    rows = [(_percent(a), _percent(b), _percent(c)) for a, b, c in zip(said, happened, share, strict=True)]
    text = (
        f"Brier score {figures.brier:.4f}; always saying how often it happens gets {figures.brier_base:.4f}. "
        "0 is perfect."
    )
    caption = "On the dotted line what is said happens as often as it is said."
    head = ("said", "happened", "share of the rows")
    return Section(f"Failure within {figures.within:g}", [text, Picture(svg(figure), caption), Table(head, rows)])


def _interval(model: Model) -> Section:
    calibration: Calibration = model.calibration
    figure, (plot,) = drawing(height_in=3.4)
    at = calibration.estimate
    for low, high, alpha in ((0.05, 0.95, 0.2), (0.25, 0.75, 0.4)):
        plot.fill_between(
            at, calibration.quantile(at, low), calibration.quantile(at, high), color=SERIES[0], alpha=alpha, linewidth=0
        )
    plot.plot(at, calibration.quantile(at, 0.5), color=SERIES[0])
    plot.set_xlabel("estimate")
    plot.set_ylabel("what was left")
    caption = "What was left of machines held back, by the estimate: median, half of them, 90 % of them."
    return Section("What an estimate is worth", [Picture(svg(figure), caption)])


def _origin(origin: Mapping[str, Any]) -> Section:
    rows = [(name, value) for part in ("settings", "window", "sha256") for name, value in origin[part].items()]
    return Section("Where the model comes from", [Table(("", ""), rows)])


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}"


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.0f} %"
