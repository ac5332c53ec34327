"""Lanes: arrays with the regressions on the last axis, so that one operation serves them all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHORT, _NARROW = 1024, 16  # rows and columns


def to_last(a: NDArray[Any]) -> NDArray[Any]:
    """View with the first axis moved to the end."""
    return a.transpose(*range(1, a.ndim), 0)


def to_first(a: NDArray[Any]) -> NDArray[Any]:
    """View with the last axis moved to the front."""
    return a.transpose(a.ndim - 1, *range(a.ndim - 1))


def total(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the first axis, one term after another, whatever the other axes."""
    result = np.zeros(a.shape[1:])
    for part in a:
        result += part
    return result


def squares(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares over the first axis, as `total` of them all."""
    result = np.zeros(a.shape[1:])
    for part in a:
        result += part * part
    return result


def squares_below(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `squares`, of lower triangular matrices (k, k, b)."""
    result = np.zeros(a.shape[1:])
    for i, row in enumerate(a):
        result[: i + 1] += row[: i + 1] * row[: i + 1]
    return result


def tile_of(rows: int, columns: int) -> int:
    """Lanes of one product of matrices, where each on a design of so many has rows of its own.

    Fewer are filled up. Short products of few columns are made of more: threads that make short
    calls wait for one another.
    """
    return 256 if rows <= _SHORT and columns <= _NARROW else 128
