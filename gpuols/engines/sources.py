"""Sources: rows in host memory that are to go to a device, read a range at a time.

The rows of regressions side by side are counted through; a range of them is of whole regressions,
or lies within one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Source(Protocol):
    """Rows that are to become one device array.

    Attributes
    ----------
    shape : tuple of int
        Of that array.
    dtype : dtype
        Of that array.
    inner : tuple of int
        Shape of one row.
    rows, unit : int
        How many, and how many belong together.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of that array."""

    @property
    def inner(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def dtype(self) -> DTypeLike:
        """Of that array."""

    @property
    def rows(self) -> int:
        """How many."""

    @property
    def unit(self) -> int:
        """How many belong together."""

    def take(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from `start` up to `stop`, of any dtype and strides, in place where possible."""

    def read(self, out: NDArray[Any], start: int, stop: int) -> None:
        """The same, written into `out`, (stop - start, ...)."""


@dataclass(frozen=True, eq=False)
class Beside:
    """Rows of regressions side by side.

    Attributes
    ----------
    table : (count, n, ...)
        The rows, of any strides.
    dtype : dtype
        What they are to be on the device.
    """

    table: NDArray[Any]
    dtype: DTypeLike

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the table."""
        return self.table.shape

    @property
    def inner(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.table.shape[2:]

    @property
    def rows(self) -> int:
        """Of all regressions."""
        return int(len(self.table) * self.table.shape[1])

    @property
    def unit(self) -> int:
        """Rows of one regression."""
        return int(self.table.shape[1])

    def take(self, start: int, stop: int) -> NDArray[Any]:
        """Whole regressions, or rows of one."""
        if stop - start == self.rows:
            return self.table
        number, first = divmod(start, self.unit)
        if first + stop - start <= self.unit:
            return self.table[number, first : first + stop - start]
        return self.table[number : stop // self.unit]

    def read(self, out: NDArray[Any], start: int, stop: int) -> None:
        """The same, written into `out`, (stop - start, ...)."""
        found = self.take(start, stop)
        np.copyto(out.reshape(found.shape), found, casting="unsafe")


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows of a long table, one after another or in an order.

    Attributes
    ----------
    table : (N, ...)
        The table: an array, or a `Columnar`.
    where : slice or (rows,)
        Numbers of the rows.
    dtype : dtype
        What they are to be on the device.
    """

    table: Any
    where: slice | NDArray[Any]
    dtype: DTypeLike
    unit = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the rows together."""
        return self.rows, *self.inner

    @property
    def inner(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(self.table.shape[1:])

    @property
    def rows(self) -> int:
        """How many."""
        if isinstance(self.where, slice):
            return int(self.where.stop - self.where.start)
        return len(self.where)

    def take(self, start: int, stop: int) -> NDArray[Any]:
        """Rows by their place in the order."""
        return np.asarray(self.table[self._some(start, stop)])

    def read(self, out: NDArray[Any], start: int, stop: int) -> None:
        """The same, written into `out`, (stop - start, ...)."""
        table, some = self.table, self._some(start, stop)
        straight = isinstance(table, np.ndarray) and table.flags.c_contiguous
        if straight and table.dtype == out.dtype and not isinstance(some, slice):
            table.take(some, axis=0, out=out, mode="clip")  # "raise" would make a copy first
        else:
            np.copyto(out, table[some], casting="unsafe")

    def _some(self, start: int, stop: int) -> slice | NDArray[Any]:
        if isinstance(self.where, slice):
            return slice(self.where.start + start, self.where.start + stop)
        return self.where[start:stop]


def cuts(start: int, stop: int, unit: int, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most so many rows, of whole units or within one.

    Parameters
    ----------
    start, stop : int
        What to cut: whole units, or rows of one.
    unit : int
        Rows that belong together.
    most : int
        Rows of a range, at least 1.

    Yields
    ------
    First row, and the row after the last.
    """
    whole = most // unit * unit
    while start < stop:
        edge = start + whole if whole else min(start + most, (start // unit + 1) * unit)
        yield start, min(edge, stop)
        start = edge
