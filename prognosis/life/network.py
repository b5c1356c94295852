"""A small neural network, several times over: smooth where trees have steps, and plain arrays.

Trained by scikit-learn, evaluated here, so that a model at rest is numbers and no code.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from prognosis.life.trajectories import Floats

_HIDDEN = (32, 16)
_PENALTY = 1e-2
_LEARNING_RATE = 3e-3
_BATCH = 128
# Passes over the rows: more where these are few, for so many steps are needed to get anywhere.
_PASSES = 30
_LEAST_STEPS = 700
_MOST_PASSES = 300
# A feature farther out than this, in training's spread, counts as this far: nothing was learnt beyond.
_FARTHEST = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """M networks of L layers, whose mean is taken.

    Attributes
    ----------
    centre, spread : float64 (F,)
        Of the features.
    unit : float64 (O,)
        What 1 of each output stands for.
    weights : tuple of float64 (M, inputs, outputs)
    biases : tuple of float64 (M, outputs)
    """

    centre: Floats
    spread: Floats
    unit: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def predict(self, features: Floats) -> Floats:
        """(N, F) to (N, O)."""
        start = np.clip((features - self.centre) / self.spread, -_FARTHEST, _FARTHEST)
        total = np.zeros((len(features), len(self.unit)))
        for member in range(len(self.weights[0])):
            flow = start
            for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                flow = flow @ weight[member] + bias[member]
                if layer < len(self.weights) - 1:
                    flow = np.maximum(flow, 0.0)
            total += flow
        return total / len(self.weights[0]) * self.unit


def train(features: Floats, target: Floats, weight: Floats, unit: Floats, *, members: int, seed: int) -> Network:
    """Least squares of targets (N, O), rows weighted (N,); the same seed gives the same network."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  # half a second, for training alone
    from sklearn.neural_network import MLPRegressor  # noqa: PLC0415

    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = np.clip((features - centre) / spread, -_FARTHEST, _FARTHEST)
    passes = math.ceil(_LEAST_STEPS * _BATCH / max(len(features), 1))
    passes = min(max(_PASSES, passes), _MOST_PASSES)
    trained = []
    for member in range(members):
        network = MLPRegressor(
            hidden_layer_sizes=_HIDDEN,
            alpha=_PENALTY,
            learning_rate_init=_LEARNING_RATE,
            batch_size=min(_BATCH, len(features)),
            max_iter=passes,
            n_iter_no_change=passes,
            random_state=(seed * 1009 + member) % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it ends when its passes are over
            trained.append(network.fit(scaled, np.squeeze(target / unit), sample_weight=weight))
    layers = range(len(_HIDDEN) + 1)
    weights = tuple(np.stack([network.coefs_[layer] for network in trained]) for layer in layers)
    biases = tuple(np.stack([network.intercepts_[layer] for network in trained]) for layer in layers)
    return Network(centre, spread, unit, weights, biases)
