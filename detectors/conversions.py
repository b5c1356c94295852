"""Conversions that are taken for one another where an instrument is configured, and whether a jump is one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# A jump is told from any other by how precisely it lands where a conversion leads: the place it may land in is no wider
# than this share of the new level and of the jump. Wider, and one jump in some is a matter of units by chance;
# narrower, and only streams that hardly move in health can be judged. Where no machine goes, fifty times as high or as
# low, less is asked.
_PRECISION = 0.01
_PRECISION_FAR = 0.05
_FAR = 50.0
# Two streams that land where the other one was are not there by chance so easily.
_PRECISION_OF_TWO = 0.15
# How far from there it may land: in normal moves of the level, and for constants that were rounded (14.5 for 14.5038).
_MOVES = 2.0
_MOVES_OF_TWO = 3.0
_ROUNDED = 0.002
# The scatter is multiplied too, as far as a few spans tell.
_SCATTER = 1.7
_SCATTER_OF_TWO = 2.5
_ANY = "unknown"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was `x` reads `times * x + plus`, for streams of these quantities; of every one where none is named."""

    name: str
    times: float
    plus: float = 0.0
    quantities: tuple[str, ...] = ()

    def serves(self, quantity: str) -> bool:
        return not self.quantities or quantity == _ANY or quantity in self.quantities


def _both_ways(
    one: str, other: str, times: float, plus: float = 0.0, of: tuple[str, ...] = ()
) -> tuple[Conversion, Conversion]:
    """`one` read as `other`, where a quantity has the number `times * x + plus` in `other`, and back."""
    return (
        Conversion(f"{other} instead of {one}", times, plus, of),
        Conversion(f"{one} instead of {other}", 1.0 / times, -plus / times, of),
    )


_TEMPERATURE = ("temperature",)
_PRESSURE = ("pressure", "absolute_pressure", "gauge_pressure")
_FLOW = ("flow",)

CONVERSIONS: tuple[Conversion, ...] = (
    *_both_ways("°C", "°F", 1.8, 32.0, of=_TEMPERATURE),
    *_both_ways("°C", "K", 1.0, 273.15, of=_TEMPERATURE),
    *_both_ways("bar", "psi", 14.5038, of=_PRESSURE),
    *_both_ways("psi", "kPa", 6.894757, of=_PRESSURE),
    *_both_ways("bar", "MPa", 0.1, of=_PRESSURE),
    *_both_ways("g", "m/s²", 9.80665, of=("vibration_acceleration",)),
    *_both_ways("in", "mm", 25.4, of=("vibration_velocity", "displacement", "length")),
    *_both_ways("m³/h", "l/min", 1000.0 / 60.0, of=_FLOW),
    *_both_ways("m³/h", "l/s", 1.0 / 3.6, of=_FLOW),
    *_both_ways("m³/h", "gpm", 4.402868, of=_FLOW),
    *_both_ways("1/s", "1/min", 60.0, of=("speed", "frequency")),
    *_both_ways("the unit", "a hundredth", 100.0),
    *_both_ways("the unit", "a thousandth", 1000.0),
    Conversion("the sign turned", -1.0),
)
_TIMES = np.array([conversion.times for conversion in CONVERSIONS])
_PLUS = np.array([conversion.plus for conversion in CONVERSIONS])
_ASKED = np.where((_TIMES >= _FAR) | (_TIMES <= 1.0 / _FAR), _PRECISION_FAR, _PRECISION)


def serving(quantity: str) -> Mask:
    """Which conversions a stream of this quantity may be read by, bool (K,)."""
    return np.array([conversion.serves(quantity) for conversion in CONVERSIONS])


def match(
    level: Floats, move: Floats, scatter: Floats, now: Floats, scatter_now: Floats, may: Mask
) -> npt.NDArray[np.intp]:
    """Which conversion leads from the old level to the new one, by its place in `CONVERSIONS`; -1 for none.

    Parameters
    ----------
    level, move, scatter : float64 (N,)
        Before: the level, how far it normally moves, and the range of readings around it.
    now, scatter_now : float64 (N,)
        The level and the range after.
    may : bool (N, K)
        Which conversions serve each stream.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        wanted = level[:, None] * _TIMES + _PLUS
        reach = _MOVES * np.abs(_TIMES) * move[:, None] + _ROUNDED * np.abs(wanted)
        missed = np.abs(now[:, None] - wanted)
        widened = scatter_now[:, None] / (scatter[:, None] * np.abs(_TIMES))
        fits = may & (missed <= reach)
        fits &= reach <= _ASKED * np.minimum(np.abs(wanted), np.abs(wanted - level[:, None]))
        fits &= (widened < _SCATTER) & (widened > 1.0 / _SCATTER)
        share = np.where(fits, missed / reach, np.inf)
    best = share.argmin(axis=1)
    return np.where(fits.any(axis=1), best, -1)


def exchanged(
    level: tuple[float, float],
    move: tuple[float, float],
    scatter: tuple[float, float],
    now: tuple[float, float],
    scatter_now: tuple[float, float],
) -> bool:
    """Whether each of two streams has landed where the other one was; arguments as those of `match`, of both."""
    apart = abs(level[0] - level[1])
    for this, other in ((0, 1), (1, 0)):
        reach = _MOVES_OF_TWO * move[other] + _ROUNDED * abs(level[other])
        near = abs(now[this] - level[other]) <= reach <= _PRECISION_OF_TWO * apart
        alike = scatter[other] / _SCATTER_OF_TWO < scatter_now[this] < scatter[other] * _SCATTER_OF_TWO
        if not (near and alike):
            return False
    return True
