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
    columns : (B,), optional
        The one column of the table that each regression has.
    """

    def __init__(
        self,
        rows: NDArray[Any],
        index: NDArray[np.int64],
        columns: NDArray[np.int64] | None = None,
    ) -> None:
        self._rows = rows
        self._index = index
        self._columns = columns
        self.shape = (*index.shape, *(rows.shape[1:] if columns is None else (1,)))

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Piece of the regrouped table; `take` is faster, but copies a table of other strides."""
        index = self._index[where]
        if self._columns is not None:
            own = self._columns[where[0]].reshape(-1, *[1] * (index.ndim - 1))
            return np.asarray(self._rows[index, own][..., None])
        if self._rows.flags.c_contiguous:
            return np.asarray(self._rows.take(index, axis=0))
        return np.asarray(self._rows[index])


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
