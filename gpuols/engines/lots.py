"""Lots: the rows of some regressions on a device, and where each one's are.

A batch has rows of its own for each regression, all as many. Groups are stretches of one long
table, read in an order that brings each one's rows together.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import CHUNK, Shape
from gpuols.engines.link import Link
from gpuols.engines.sources import Beside
from gpuols.errors import DeviceError

_SHARE = 0.25  # of the free memory; two lots may be under way


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

    @property
    def sent(self) -> bool:
        """Whether they are in host memory."""
        return isinstance(self.tables[1], np.ndarray)

    @property
    def rows(self) -> int:
        """Numbers that are sent for one."""
        tables = [table for table in self.tables if table is not None and not in_common(table)]
        return sum(math.prod(table.shape[1:]) for table in tables) if self.sent else 0

    def numbers(self, shape: Shape) -> int:
        """Numbers that the rows of one take on the device, and the sums of its chunks."""
        return self.rows + shape.n * shape.drop + shape.chunks * shape.sums

    def part(self, shape: Shape, span: slice, link: Link | None = None) -> Lot:
        """Rows of some of them, in a turn of the link where they are in host memory."""
        tables = [None if table is None else table[span] for table in self.tables]
        if self.sent:
            assert link is not None
            dtypes = shape.dtype, shape.dtype, np.dtype(np.float64)
            tables = [_sent(t, d, link) for t, d in zip(tables, dtypes, strict=True)]
        else:
            tables = all_ready(tables, shape)
        count = span.stop - span.start
        return Lot(count, count * shape.chunks, *tables)


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

    sent, rows = False, 0

    def numbers(self, shape: Shape) -> int:
        """Numbers that the sums of the chunks of one take on the device, on the average."""
        return int(-(-self.lengths.sum() // len(self.lengths)) // CHUNK + 1) * shape.sums

    def part(self, shape: Shape, span: slice, link: Link | None = None) -> Lot:
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


def lines(tables: list[Any], lead: tuple[int, ...], part: slice) -> Iterator[tuple[range, Slices]]:
    """Runs of regressions along the longest axis of L, whose rows are evenly apart in memory.

    Parameters
    ----------
    tables : list of (L..., ...) or None
        X, y and weights.
    lead : tuple of int
        Shape L, of at least one axis.
    part : slice
        Places along its longest axis.

    Yields
    ------
    The numbers of the regressions of a run, and their rows.
    """
    cut, length = lead.index(max(lead)), part.stop - part.start
    sizes = (*lead[:cut], length, *lead[cut + 1 :])
    if 0 in sizes:
        return
    apart = [math.prod(lead[axis + 1 :]) for axis in range(len(lead))]
    first, depth = part.start * apart[cut], len(lead)
    if length < lead[cut]:
        own = (*(slice(None),) * cut, part)
        tables = [table if table is None else table[own] for table in tables]
    sizes, apart = _merged(tables, sizes, apart)
    if len(sizes) != depth:
        tables = [t if t is None else t.reshape((*sizes, *t.shape[depth:])) for t in tables]
    longest = sizes.index(max(sizes))
    step, length = apart.pop(longest), sizes[longest]
    for place in np.ndindex((*sizes[:longest], *sizes[longest + 1 :])):
        where = (*place[:longest], slice(None), *place[longest:])
        start = first + sum(i * distance for i, distance in zip(place, apart, strict=True))
        rows = [table if table is None else table[where] for table in tables]
        yield range(start, start + step * length, step), Slices(rows)


def _merged(
    tables: list[Any], sizes: tuple[int, ...], apart: list[int]
) -> tuple[tuple[int, ...], list[int]]:
    """Axes, and what is between their numbers, as few as all strides allow without copies."""
    found, between, last = [1], [1], None
    for axis, size in enumerate(sizes):
        if size == 1:
            continue
        strides = [0 if table is None else table.strides[axis] for table in tables]
        strides.append(apart[axis])
        if last is None or last == [stride * size for stride in strides]:
            found[-1], between[-1] = found[-1] * size, apart[axis]
        else:
            found.append(size)
            between.append(apart[axis])
        last = strides
    return tuple(found), between


def _sent(table: Any, dtype: np.dtype, link: Link) -> Any:
    """Rows of the host on the device; what all regressions have in common goes over once."""
    if table is None:
        return None
    one = in_common(table)
    found = link.send(Beside(table[:1] if one else table, dtype))
    return np.broadcast_to(found, table.shape) if one else found


def in_common(table: Any) -> bool:
    """Whether all regressions have the same rows."""
    return len(table) > 1 and table.strides[0] == 0


def all_ready(tables: Iterable[Any], shape: Shape) -> list[Any]:
    """X, y and weights on the device as the kernels take them."""
    dtypes = shape.dtype, shape.dtype, np.dtype(np.float64)
    return [_ready(t, d) for t, d in zip(tables, dtypes, strict=True)]


def _ready(table: Any, dtype: np.dtype) -> Any:
    """Table on the device, of the dtype that the kernels take, at strides of whole numbers."""
    if table is None:
        return None
    if in_common(table) and table.dtype != dtype:
        return np.broadcast_to(table[:1].astype(dtype), table.shape)
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


def real_of(x: Any, y: Any) -> str:
    """Type that kernels read the rows as."""
    return "float" if x.dtype == y.dtype == np.float32 else "double"


def affordable(numbers: int) -> int:
    """Regressions, or rows, whose so many doubles each a share of the free memory holds."""
    return int(_SHARE * device.free_bytes()) // (8 * max(numbers, 1))


def too_large(shape: Shape, number: int) -> DeviceError:
    """Error of a device whose memory does not hold one regression."""
    return DeviceError(
        "device",
        f"one regression of {shape.n:,} rows and {shape.columns:,} columns, which the free memory "
        f"of cuda:{number} does not hold",
        "regressions that it holds",
        'use device="cpu", or free memory of the device',
    )


def no_room_for_design(shape: Shape, number: int) -> DeviceError:
    """Error of a device whose memory does not hold the design that responses share."""
    return DeviceError(
        "device",
        f"a design of {shape.n:,} rows and {shape.k:,} columns, which the free memory of "
        f"cuda:{number} does not hold",
        "a design that it holds",
        'use device="cpu", or free memory of the device',
    )
