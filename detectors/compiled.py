"""Recursions over time that can't be turned, compiled: a step that clips by what the step before has learnt.

NumPy takes such a step of many subjects together, but one machine's recording has few subjects and many steps. A
compiled step costs the same either way. Kept beside the source, where that can be written to, from the first call on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Compiled(Generic[P, R]):
    """A function that is compiled when first called; another compiled one of the same file may call it.

    Of another file it may not: what is kept of the caller would not be made anew when that file changes.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.jitted(*args, **kwargs)
        return result

    @cached_property
    def jitted(self) -> Any:
        """What Numba makes of it."""
        import numba  # noqa: PLC0415  # two seconds, for whoever detects: a health check or `--help` does not

        try:
            return numba.njit(cache=True, error_model="numpy", nogil=True)(self.function)
        except RuntimeError:  # nowhere to keep it: a container that can't write
            return numba.njit(error_model="numpy", nogil=True)(self.function)

    @property
    def _numba_type_(self) -> Any:
        """By this Numba knows it where a compiled function calls it."""
        return self.jitted._numba_type_


def compiled(function: Callable[P, R]) -> Compiled[P, R]:
    """Compile when first called. Division by zero gives inf or NaN, as in arrays; other threads may run meanwhile."""
    return Compiled(function)
