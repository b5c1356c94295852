"""`python -m bench.detection.remaining_picture`: what is said of remaining life, against what came, as a picture."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench.detection.remaining import PARTS, TURBOFANS, Answers, ask, ask_turbofans, covered, simulated
from prognosis.life.accuracy import ALPHA, reliability
from prognosis.outlook import HORIZON_DAYS

LINE, MUTED = "#2f7ed8", "#808080"


def write(path: Path, found: Answers, engines: Sequence[Answers]) -> None:
    """Alpha-lambda and coverage by the part of wear; of the turbofans, how often happens what is said."""
    figure = Figure(figsize=(12.0, 4.0), layout="constrained")
    cone, held, said = figure.subplots(1, 3)
    _alpha_lambda(cone, found)
    _held(held, found)
    _reliability(said, engines)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _alpha_lambda(plot, found: Answers) -> None:  # type: ignore[no-untyped-def]
    """What was said over what was left, by the part of the wear: within the cone it is good."""
    ratio = found.days / found.left[:, None]
    bands = np.array([np.nanquantile(ratio[np.isclose(found.part, part), 1], [0.1, 0.25, 0.5, 0.75, 0.9])
                      for part in PARTS])  # fmt: skip
    plot.axhspan(1 - ALPHA, 1 + ALPHA, color=MUTED, alpha=0.25, linewidth=0)
    plot.fill_between(100 * PARTS, bands[:, 0], bands[:, 4], color=LINE, alpha=0.2, linewidth=0)
    plot.fill_between(100 * PARTS, bands[:, 1], bands[:, 3], color=LINE, alpha=0.35, linewidth=0)
    plot.plot(100 * PARTS, bands[:, 2], color=LINE, marker="o")
    plot.set_yscale("log")
    plot.minorticks_off()
    plot.set_yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    plot.set_ylim(0.2, 6)
    plot.set_xlabel("part of the wear, %")
    plot.set_title("median said / days left: half and 80 % of machines", fontsize=10)


def _held(plot, found: Answers) -> None:  # type: ignore[no-untyped-def]
    inside = (found.days[:, 0] <= found.left) & (found.left <= found.days[:, 2])
    at = [np.isclose(found.part, part) for part in PARTS]
    plot.axhline(90, color=MUTED, linewidth=1)
    plot.plot(100 * PARTS, [100 * inside[here & found.said].mean() for here in at], color=LINE, marker="o")
    plot.plot(100 * PARTS, [100 * found.said[here].mean() for here in at], color=MUTED, linestyle="--")
    plot.set_ylim(0, 103)
    plot.set_xlabel("part of the wear, %")
    plot.set_title(f"90 % interval holds {100 * covered(found):.0f} % (dashed: said at all)", fontsize=10)


def _reliability(plot, engines: Sequence[Answers]) -> None:  # type: ignore[no-untyped-def]
    p_fail = np.concatenate([found.p_fail[found.said] for found in engines])
    happened = np.concatenate([found.left[found.said] <= HORIZON_DAYS for found in engines])
    said, often, share = np.array(reliability(p_fail, happened, np.ones(len(happened)))).T
    plot.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    plot.plot(said, often, color=LINE)
    plot.scatter(said, often, s=20 + 600 * share, color=LINE, alpha=0.7)
    plot.set_xlabel("said")
    plot.set_ylabel("happened")
    plot.set_title("turbofans: failure within 30 cycles", fontsize=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/prognosis.png"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BELLWETHER_DATA", "../shared/data")))
    options = parser.parse_args()
    worn, _ = simulated()
    write(options.out, ask(worn, PARTS), [ask_turbofans(options.data, name) for name in TURBOFANS])


if __name__ == "__main__":
    main()
