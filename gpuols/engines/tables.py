"""Tables: batches of rows that are read, and where need be copied, piece by piece."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Table(Protocol):
    """An array (B, n, ...) that can be read by pieces of its first two axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole."""

    def __getitem__(self, where: Any, /) -> NDArray[Any]:
        """Piece of the array."""


class Gathered:
    """Rows of a long table, regrouped by number: (B, n, ...).

    Parameters
    ----------
    rows : (N, ...)
        The table.
    index : (B, n)
        Row numbers.
    """

    def __init__(self, rows: NDArray[Any], index: NDArray[np.int64]) -> None:
        self._rows = rows
        self._index = index
        self.shape = (*index.shape, *rows.shape[1:])

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Piece of the regrouped table; `take` is faster, but copies a table of other strides."""
        if self._rows.flags.c_contiguous:
            return np.asarray(self._rows.take(self._index[where], axis=0))
        return np.asarray(self._rows[self._index[where]])


class Stacked:
    """Several leading axes read as one: (B, n, ...).

    Parameters
    ----------
    array : (..., n, ...)
        The array, often broadcast.
    lead : tuple of int
        Its leading axes.
    """

    def __init__(self, array: NDArray[Any], lead: tuple[int, ...]) -> None:
        self._array = array
        self._lead = lead
        self.shape = (math.prod(lead), *array.shape[len(lead) :])

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Piece of the stack."""
        which, *inner = where
        places = np.arange(which.start, which.stop) if isinstance(which, slice) else which
        return np.asarray(self._array[(*np.unravel_index(places, self._lead), *inner)])
