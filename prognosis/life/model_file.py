"""A model of remaining life at rest: a zip of plain arrays and one text of JSON. Nothing in it is ever executed.

Beside the numbers it says what they came from: settings, the window of the data, and hashes of code, settings and data.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from prognosis.life.accuracy import Accuracy
from prognosis.life.conformal import LEVELS, Calibration
from prognosis.life.envelope import Envelope
from prognosis.life.features import MEANS, SLOPES, Wear
from prognosis.life.forecast import Model
from prognosis.life.network import Network
from prognosis.life.regimes import Regimes
from prognosis.life.survival import Weibull
from prognosis.life.trajectories import Trajectories

FORMAT = "bellwether life 1"
"""Changed whenever what the numbers mean changes: another one's model is refused, and made anew from its data."""
# A model is a few hundred kilobytes. What claims to be so much more is none.
_LARGEST_BYTES = 256 * 1024**2
_CODE = (
    "accuracy", "conformal", "envelope", "features", "forecast", "network", "regimes", "survival", "trajectories"
)  # fmt: skip

Arrays = dict[str, Any]


def save(path: Path, model: Model, origin: Mapping[str, Any]) -> None:
    """Write a model and where it came from (see `origin`)."""
    head = {
        "format": FORMAT,
        "channels": model.channels,
        "cap": model.cap,
        "span": model.wear.span,
        "limit": model.envelope.limit,
        "weibull": [model.lives.shape, model.lives.scale],
        "layers": len(model.network.weights),
        "accuracy": model.accuracy.as_json(),
        "origin": dict(origin),
    }
    arrays: Arrays = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    for name, part in _parts(model).items():
        arrays |= {f"{name}.{field}": getattr(part, field) for field in _arrays_of(type(part))}
    for layer, (weight, bias) in enumerate(zip(model.network.weights, model.network.biases, strict=True)):
        arrays |= {f"weight{layer}": weight, f"bias{layer}": bias}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load(path: Path) -> tuple[Model, dict[str, Any]]:
    """A model and where it came from.

    Raises
    ------
    ValueError
        If it is none, is of another version, or is damaged.
    """
    try:
        return _read(path)
    except _OtherFormat as other:
        raise ValueError(f"{path}: its format is {other}, this program reads {FORMAT}: fit it anew") from other
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path}: no model of remaining life, or a damaged one") from error


def origin(trajectories: Trajectories, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, window of the data, hashes of code, settings and data."""
    code = hashlib.sha256()
    for name in _CODE:
        code.update((Path(__file__).parent / f"{name}.py").read_bytes())
    data = hashlib.sha256("\0".join((*trajectories.units, *trajectories.channels)).encode())
    for column in (trajectories.failed, trajectories.unit, trajectories.cycle, trajectories.values):
        data.update(np.ascontiguousarray(column).tobytes())
    window = {
        "units": len(trajectories.units),
        "failed": int(trajectories.failed.sum()),
        "rows": len(trajectories),
        "first_cycle": float(trajectories.cycle.min()),
        "last_cycle": float(trajectories.cycle.max()),
    }
    text = json.dumps(dict(settings), sort_keys=True)
    hashes = {"code": code.hexdigest(), "settings": _hash(text), "data": data.hexdigest()}
    return {"settings": dict(settings), "window": window, "sha256": hashes}


class _OtherFormat(ValueError):
    """The format that a file says it has."""


def _read(path: Path) -> tuple[Model, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _LARGEST_BYTES:
            raise ValueError("too large")
    with np.load(path, allow_pickle=False) as stored:
        arrays: Arrays = {name: stored[name] for name in stored.files}
    head = json.loads(arrays["head"].tobytes())
    if head["format"] != FORMAT:
        raise _OtherFormat(head["format"])
    layers = range(head["layers"])
    weights = tuple(arrays[f"weight{layer}"] for layer in layers)
    biases = tuple(arrays[f"bias{layer}"] for layer in layers)
    model = Model(
        channels=tuple(head["channels"]),
        cap=head["cap"],
        wear=Wear(regimes=Regimes(**_of("regimes", Regimes, arrays)), span=head["span"], **_of("wear", Wear, arrays)),
        envelope=Envelope(limit=head["limit"], **_of("envelope", Envelope, arrays)),
        network=Network(weights=weights, biases=biases, **_of("network", Network, arrays)),
        calibration=Calibration(**_of("calibration", Calibration, arrays)),
        lives=Weibull(*head["weibull"]),
        accuracy=Accuracy(**head["accuracy"]),
    )
    if not _fits_together(model):
        raise ValueError("parts of different models")
    return model, head["origin"]


def _fits_together(model: Model) -> bool:
    """Whether all shapes are those that the parts promise one another, and all numbers are."""
    wear, network, kept = model.wear, model.network, len(model.wear.kept)
    features = wear.mixtures.shape[1] * (len(MEANS) + len(SLOPES)) + 1
    members, widths = len(network.weights[0]), [features, *(bias.shape[1] for bias in network.biases)]
    shapes = [
        (wear.mean, (len(wear.regimes.codes), kept)),
        (wear.spread, (len(wear.regimes.codes), kept)),
        (wear.mixtures, (kept, wear.mixtures.shape[1])),
        (model.envelope.low, (kept,)),
        (model.envelope.high, (kept,)),
        (network.centre, (features,)),
        (network.spread, (features,)),
        (network.unit, (2,)),
        (model.calibration.left, (len(model.calibration.estimate), len(LEVELS))),
        *((weight, (members, *widths[at : at + 2])) for at, weight in enumerate(network.weights)),
        *((bias, (members, widths[at + 1])) for at, bias in enumerate(network.biases)),
    ]
    places = np.concatenate((wear.kept, wear.regimes.columns))
    in_place = ((places >= 0) & (places < len(model.channels))).all() and widths[-1] == 2
    return bool(in_place) and all(part.shape == shape and np.isfinite(part).all() for part, shape in shapes)


def _parts(model: Model) -> dict[str, object]:
    return {
        "regimes": model.wear.regimes,
        "wear": model.wear,
        "envelope": model.envelope,
        "network": model.network,
        "calibration": model.calibration,
    }


def _of(name: str, kind: type[Any], arrays: Arrays) -> Arrays:
    return {field: arrays[f"{name}.{field}"] for field in _arrays_of(kind)}


def _arrays_of(kind: type[Any]) -> list[str]:
    """The fields that are one array each, by how they are annotated."""
    return [field.name for field in fields(kind) if field.type in ("Floats", "Rows", "Labels")]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
