"""Score streams: one method a file, all behind `Detector`; `DETECTORS` names them."""

from detectors.drift import Drift
from detectors.flatline import Flatline
from detectors.limits import Limit, Limits
from detectors.multivariate import Multivariate
from detectors.novelty import Novelty
from detectors.scores import Detector, Evidence, Scope, Scores, Snapshot
from detectors.sensors import Sensors
from detectors.shift import Shift
from detectors.silence import Silence

DETECTORS: dict[str, type] = {
    "limits": Limits,
    "flatline": Flatline,
    "sensors": Sensors,
    "shift": Shift,
    "drift": Drift,
    "novelty": Novelty,
    "multivariate": Multivariate,
    "silence": Silence,
}

__all__ = [
    "DETECTORS",
    "Detector",
    "Drift",
    "Evidence",
    "Flatline",
    "Limit",
    "Limits",
    "Multivariate",
    "Novelty",
    "Scope",
    "Scores",
    "Sensors",
    "Shift",
    "Silence",
    "Snapshot",
]
