"""Lots: the rows of some regressions on a device, and where each one's are.

A batch has rows of its own for each regression, all as many. Groups are stretches of one long
table, read in an order that brings each one's rows together.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import CHUNK, Shape, real_of
from gpuols.errors import DeviceError


@dataclass(frozen=True, eq=False)
class Lot:
    """Rows that the kernels read in one go.

    Attributes
    ----------
    count, chunks : int
        Regressions, and chunks of rows of all of them.
    x, y, weights : (count, n, ...), or (N, ...) for groups; weights may be None
        Device arrays; the weights of groups lie in the order of their rows.
    spans : (2, count) or None
        First row and number of rows of each group.
    order : (N,) or None
        Where in the table the rows of the groups lie, group after group.
    owners, starts : (chunks,) and (count + 1,), or None
        Which group each chunk is of, and each group's first chunk.
    effective : (N,) or None
        Room for the weights of groups that are left where rows are dropped.
    """

    count: int
    chunks: int
    x: Any
    y: Any
    weights: Any
    spans: Any = None
    order: Any = None
    owners: Any = None
    starts: Any = None
    effective: Any = None

    @property
    def tables(self) -> list[Any]:
        """X and y with their steps, as kernels take them."""
        return [self.x, *steps(self.x, 3), self.y, *steps(self.y, 3)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of weights."""
        return tuple(self.x.shape[:-1])


@dataclass(frozen=True, eq=False)
class Slices:
    """Rows of regressions side by side: of a batch, in host memory or on the device.

    Attributes
    ----------
    tables : list of (length, ...) or None
        X, y and weights.
    """

    tables: list[Any]

    def numbers(self, shape: Shape, on_host: bool) -> int:
        """Numbers that the rows of one take on the device, and the sums of its chunks."""
        own = shape.n * (shape.columns + 2) if on_host else shape.n * shape.drop
        return own + shape.chunks * shape.sums

    def part(self, shape: Shape, span: slice) -> Lot:
        """Rows of some of them."""
        x, y, weights = (None if table is None else table[span] for table in self.tables)
        count = span.stop - span.start
        return Lot(count, count * shape.chunks, *all_ready(x, y, weights, shape))


@dataclass(frozen=True, eq=False)
class Stretches:
    """Rows of groups of one long table on the device.

    Attributes
    ----------
    x, y, weights : (N, ...), weights may be None
        As those of `Lot`.
    first, lengths : (length,)
        First row and number of rows of each group.
    order, effective : (N,) or None
        As those of `Lot`.
    """

    x: Any
    y: Any
    weights: Any
    first: NDArray[np.int64]
    lengths: NDArray[np.int64]
    order: Any
    effective: Any

    def numbers(self, shape: Shape, on_host: bool) -> int:
        """Numbers that the sums of the chunks of one take on the device, on the average."""
        return int(-(-self.lengths.sum() // len(self.lengths)) // CHUNK + 1) * shape.sums

    def part(self, shape: Shape, span: slice) -> Lot:
        """Rows of some of them."""
        first, lengths = self.first[span], self.lengths[span]
        chunks = np.maximum(1, -(-lengths // CHUNK))
        starts = np.concatenate([[0], np.cumsum(chunks)])
        owners = np.repeat(np.arange(len(chunks), dtype=np.int32), chunks)
        return Lot(
            len(lengths),
            len(owners),
            self.x,
            self.y,
            self.weights,
            device.upload(np.stack([first, lengths])),
            self.order,
            device.upload(owners),
            device.upload(starts),
            self.effective,
        )


def lines(tables: list[Any], lead: tuple[int, ...]) -> Iterator[tuple[NDArray[np.int64], Slices]]:
    """Runs of regressions along the longest axis of L, whose rows are evenly apart in memory.

    Parameters
    ----------
    tables : list of (L..., ...) or None
        X, y and weights.
    lead : tuple of int
        Shape L.

    Yields
    ------
    The numbers (length,) of the regressions of a run, and their rows.
    """
    if not lead:
        alone = [table if table is None else table[None] for table in tables]
        yield np.zeros(1, np.int64), Slices(alone)
        return
    numbers = np.arange(math.prod(lead)).reshape(lead)
    longest = int(np.argmax(lead))
    others = (*lead[:longest], *lead[longest + 1 :])
    for place in np.ndindex(others):
        where = (*place[:longest], slice(None), *place[longest:])
        yield numbers[where], Slices([table if table is None else table[where] for table in tables])


def all_ready(x: Any, y: Any, weights: Any, shape: Shape) -> tuple[Any, Any, Any]:
    """X, y and weights as the kernels take them."""
    return ready(x, shape, True), ready(y, shape, True), ready(weights, shape, False)


def ready(table: Any, shape: Shape, is_rows: bool) -> Any:
    """Table on the device, of the dtype that the kernels take, at strides of whole numbers."""
    if table is None:
        return None
    dtype = np.dtype(np.float32 if shape.real == "float" and is_rows else np.float64)
    if isinstance(table, np.ndarray):
        one = len(table) > 1 and table.strides[0] == 0
        found = device.upload(np.ascontiguousarray(table[:1] if one else table, dtype))
        return np.broadcast_to(found, table.shape) if one else found
    if table.dtype != dtype:
        return table.astype(dtype)
    if any(step % dtype.itemsize for step in table.strides) or table.data.ptr % dtype.itemsize:
        return table.copy()
    return table


def steps(table: Any, axes: int) -> list[np.int64]:
    """Strides in elements over regressions, rows and columns; none of what is not there."""
    found = [] if table is None else [np.int64(step // table.itemsize) for step in table.strides]
    return [np.int64(0)] * (axes - len(found)) + found


def shape_of(number: int, x: Any, y: Any, weights: Any, *, centered: bool, drop: bool) -> Shape:
    """Shape of the regressions of tables (..., n, k), (..., n, m) and weights or None.

    Raises
    ------
    DeviceError
        If they have more columns than the kernels of device `number` can number.
    """
    n, k, m = x.shape[-2], x.shape[-1], y.shape[-1]
    shape = Shape(n, k, m, real_of(x, y), centered, weights is not None or drop, drop)
    if not shape.countable:
        raise DeviceError(
            "device",
            f"cuda:{number} for {k:,} columns and {m:,} responses",
            "at most 2**30 products of them",
            'fit fewer responses at a time, or use device="cpu"',
        )
    return shape


def too_large(shape: Shape, number: int) -> DeviceError:
    """Error of a device whose memory does not hold one regression."""
    return DeviceError(
        "device",
        f"one regression of {shape.n:,} rows and {shape.columns:,} columns, which the free memory "
        f"of cuda:{number} does not hold",
        "regressions that it holds",
        'use device="cpu", or free memory of the device',
    )
