"""Columnar: a long table whose columns lie in arrays of their own, read without joining them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Columnar:
    """A table (N, k).

    Parameters
    ----------
    columns : iterable of (N,)
        Its columns, of any real dtypes; they are copied where their elements are apart.
    rows : int
        N, for a table without columns.
    dtype : dtype
        Of what is read of it.
    """

    ndim = 2

    def __init__(self, columns: Iterable[Array], rows: int, dtype: Any) -> None:
        self.columns = [np.ascontiguousarray(column) for column in columns]
        self.shape = rows, len(self.columns)
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        """N."""
        return self.shape[0]

    @property
    def size(self) -> int:
        """N times k."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Array:
        """Some of the rows, (n, k)."""
        if not isinstance(rows, slice):
            return self.take(rows)
        found = np.empty((len(range(*rows.indices(len(self)))), self.shape[1]), self.dtype)
        for j, column in enumerate(self.columns):
            found[:, j] = column[rows]
        return found

    def take(self, index: NDArray[np.int64]) -> Array:
        """Rows by number, (..., k) for an index (...), column after column in memory."""
        found = np.empty((self.shape[1], *index.shape), self.dtype)
        index = index.astype(np.intp, copy=False)  # once, not for each column
        for place, column in zip(found, self.columns, strict=True):
            if column.dtype == self.dtype:
                column.take(index, out=place, mode="clip")  # "raise" would make a copy first
            else:
                place[...] = column.take(index)
        return np.moveaxis(found, 0, -1)
