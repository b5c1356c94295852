"""How far forecasts of parts are off, on demand as it may be: `python -m bench.parts`, some seconds.

Each kind is 400 parts over three years of weeks; from half of the first year on, what was said before each week is held
against the true rate of that week. A figure is the root of the mean squared error over the mean rate: lower is better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tickets.parts.demand import METHODS, Weeks, forecast

PARTS, WEEKS, WARM_UP = 400, 156, 26
Rates = npt.NDArray[np.float64]


def simulated(rng: np.random.Generator) -> dict[str, tuple[Rates, Weeks]]:
    """By kind: the true rate (P, T) of each week, and what was asked for then."""
    weeks = np.arange(WEEKS)
    chance = rng.uniform(0.03, 0.4, (PARTS, 1)) * np.ones(WEEKS)
    fades = chance * np.where(weeks > rng.integers(40, 120, (PARTS, 1)), 0.05, 1.0)
    grows = chance * np.linspace(0.3, 2.0, WEEKS)
    kinds = {"steady": chance, "no longer built in": fades, "a fleet that grows": grows}
    found = {}
    for name, chances in kinds.items():
        size = rng.geometric(0.5, (PARTS, WEEKS)).astype(float)
        found[name] = (2 * chances, (rng.random((PARTS, WEEKS)) < chances) * size)
    return found


def main() -> None:
    print(f"{'':24}" + "".join(f"{name:>10}" for name in (*METHODS, "chosen")))
    for kind, (rate, weeks) in simulated(np.random.default_rng(6)).items():
        off = {name: error(method(weeks)[:, WARM_UP:-1], rate[:, WARM_UP:]) for name, method in METHODS.items()}
        ends = range(WARM_UP, WEEKS, 13)
        said = np.stack([forecast(weeks[:, :end]).weekly for end in ends], axis=1)
        off["chosen"] = error(said, rate[:, list(ends)])
        print(f"{kind:24}" + "".join(f"{value:10.3f}" for value in off.values()))


def error(said: Rates, rate: Rates) -> float:
    return float(np.sqrt(((said - rate) ** 2).mean()) / rate.mean())


if __name__ == "__main__":
    main()
