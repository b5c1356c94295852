"""How long it has: lives learnt from a fleet's histories, and what is left of each machine's.

Histories come in by `read` or `of_table`, a `Model` by `fit` or `load`, what is left by `predict`. Pure, but for files
named.
"""

from __future__ import annotations

from prognosis.life.forecast import Forecast, Model, fit, predict
from prognosis.life.model_file import load, origin, save
from prognosis.life.trajectories import Trajectories, of_table, read

__all__ = ["Forecast", "Model", "Trajectories", "fit", "load", "of_table", "origin", "predict", "read", "save"]
