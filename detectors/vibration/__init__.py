"""Vibration: what a block of raw samples says of a machine, without any training. Pure.

`features` are its figures, `diagnose` its fault with the lines that prove it, `zone` how severe it is. What else is in
this folder serves these three; files are read by `wave_files`, which alone takes pandas.
"""

from detectors.vibration.bearings import NAMES, Bearing, named, of_geometry, of_orders
from detectors.vibration.diagnosis import FAULTS, Diagnosis, Machine, bearing_of, diagnose
from detectors.vibration.figures import (
    FEWEST_SAMPLES,
    G_MM_S2,
    VELOCITY_BAND_HZ,
    PowerSpectrum,
    envelope,
    features,
    power_spectrum,
)
from detectors.vibration.iso20816 import GROUPS, SUPPORTS, Zone, zone
from detectors.vibration.orders import Floats, OrderSpectrum
from detectors.vibration.spectral_change import Change, change
from detectors.vibration.verdicts import Evidence

__all__ = [
    "FAULTS",
    "FEWEST_SAMPLES",
    "GROUPS",
    "G_MM_S2",
    "NAMES",
    "SUPPORTS",
    "VELOCITY_BAND_HZ",
    "Bearing",
    "Change",
    "Diagnosis",
    "Evidence",
    "Floats",
    "Machine",
    "OrderSpectrum",
    "PowerSpectrum",
    "Zone",
    "bearing_of",
    "change",
    "diagnose",
    "envelope",
    "features",
    "named",
    "of_geometry",
    "of_orders",
    "power_spectrum",
    "zone",
]
