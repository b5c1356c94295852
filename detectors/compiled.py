"""Recursions over time that can't be turned, compiled: a step that clips by what the step before has learnt.

NumPy takes such a step of many subjects together, but one machine's recording has few subjects and many steps. A
compiled step costs the same either way. Kept beside the source, where that can be written to, from the first call on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile when first called. Division by zero gives inf or NaN, as in arrays; other threads may run meanwhile."""
    try:
        jitted = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    except RuntimeError:  # nowhere to keep it: a container that can't write
        jitted = numba.njit(error_model="numpy", nogil=True)(function)
    return cast("Callable[P, R]", jitted)
