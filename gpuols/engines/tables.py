"""Tables: batches of rows that are read, and where need be copied, piece by piece."""

import math
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from gpuols.columnar import Columnar


class Table(Protocol):
    """An array (B, n, ...) that can be read by pieces of its first two axes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole."""

    def __getitem__(self, where: Any, /) -> NDArray[Any]:
        """Piece of the array."""


LongTable = NDArray[Any] | Columnar

COPIED = 2**21  # numbers that are copied together

_DOUBLE = np.dtype(np.float64)


def flattened(array: NDArray[Any], lead: tuple[int, ...], inner: int) -> Table:
    """Array (..., inner axes...) over a batch of shape L as (B, inner axes...), not copied."""
    own = array.shape[array.ndim - inner :]
    full = array if array.shape == lead + own else np.broadcast_to(array, lead + own)
    if len(lead) == 1:
        return full
    if full.flags.c_contiguous or not any(full.strides[: len(lead)]):
        return full.reshape((math.prod(lead), *own))
    return Stacked(full, lead)


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers, not to be written: the one kind of array that code is compiled for."""
    view = array.view()
    view.setflags(write=False)
    return view


def memory_of(array: NDArray[Any]) -> NDArray[Any]:
    """All memory that an array spans, from its lowest address on, not to be written."""
    if array.flags.c_contiguous or not array.size:
        memory = array.reshape(-1)
        memory.setflags(write=False)
        return memory
    lowest = array[tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)]
    sides = zip(array.shape, array.strides, strict=True)
    length = 1 + sum((size - 1) * abs(step) for size, step in sides) // array.itemsize
    steps = (array.itemsize,)
    return np.lib.stride_tricks.as_strided(lowest, (length,), steps, writeable=False)


def are_doubles(table: Any) -> TypeGuard[NDArray[np.float64]]:
    """Whether a table is an array of doubles, at least one, that lie nowhere backwards."""
    if not isinstance(table, np.ndarray) or table.dtype != _DOUBLE:
        return False
    return table.flags.aligned and table.size > 0 and min(table.strides) >= 0


def lines_of(table: Any) -> tuple[NDArray[Any], int] | None:
    """Memory of doubles that lie side by side along all axes but the first, and the step of that.

    None of others.
    """
    if not are_doubles(table):
        return None
    if table.flags.c_contiguous or table[0].flags.c_contiguous:
        return memory_of(table), table.strides[0] // 8
    return None


class Gathered:
    """Rows of a long table, regrouped by number: (B, n, ...).

    Parameters
    ----------
    rows : (N, ...)
        The table, an array or a `Columnar`.
    index : (B, n)
        Row numbers.
    columns : (B,), optional
        The one column of the table that each regression has.
    """

    def __init__(
        self,
        rows: LongTable,
        index: NDArray[np.int64],
        columns: NDArray[np.int64] | None = None,
    ) -> None:
        self._rows = rows
        self._index = index
        self._columns = columns
        self.shape = (*index.shape, *(rows.shape[1:] if columns is None else (1,)))

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Piece of the regrouped table; `take` is faster, but copies a table of other strides."""
        rows, index = self._rows, self._index[where]
        own = None
        if self._columns is not None:
            own = self._columns[where[0]].reshape(-1, *[1] * (index.ndim - 1))
            own = np.broadcast_to(own, index.shape)
        if isinstance(rows, Columnar):
            return rows.take(index)
        if own is not None:
            return np.asarray(rows[index, own][..., None])
        if rows.flags.c_contiguous:
            return np.asarray(rows.take(index, axis=0))
        if rows.flags.f_contiguous:
            return np.moveaxis(rows.T.take(index, axis=-1), 0, -1)
        return np.asarray(rows[index])


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
        return np.asarray(self._array[(*self._places(which), *inner)])

    def _places(self, which: Any) -> tuple[NDArray[np.int64], ...]:
        """Indices along the leading axes of regressions given as a range or one by one."""
        places = np.arange(which.start, which.stop) if isinstance(which, slice) else which
        return np.unravel_index(places, self._lead)


class Repeated:
    """One regression's rows, the same for all: (B, n, ...).

    Parameters
    ----------
    rows : (n, ...)
        The rows.
    count : int
        Number B of regressions.
    """

    def __init__(self, rows: NDArray[Any], count: int) -> None:
        self.rows = rows
        self._full = np.broadcast_to(rows, (count, *rows.shape))
        self.shape = self._full.shape

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Piece of the repeated rows."""
        return np.asarray(self._full[where])
