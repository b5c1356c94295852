"""Columns with a row a number - of a machine, a device, a site - which grow with the numbers given out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def grown(column: npt.NDArray[Any], size: int, empty: Any) -> npt.NDArray[Any]:
    """The column with `size` rows, those that are new being `empty`. Shape (size, ...), no fewer than it has."""
    longer = np.full((size, *column.shape[1:]), empty, column.dtype)
    longer[: len(column)] = column
    return longer
