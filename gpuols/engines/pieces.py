"""Pieces: the groups of a long table brought to a device, and told apart by size.

Where the table is in host memory its rows go over as many groups at a time as fit a buffer of the
ring and the memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import ALONE, CHUNK, Shape
from gpuols.engines.link import Link
from gpuols.engines.lots import Stretches, affordable, all_ready, too_large
from gpuols.engines.sources import Picked
from gpuols.errors import DeviceError
from gpuols.keys import Grouping
from gpuols.places import CPU, place_of

_MOST_ROWS = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Piece:
    """Some groups of a long table, one after another, whose rows are on the device.

    Attributes
    ----------
    x, y, weights, order, effective
        As those of `Lot`; y has all responses.
    start : int
        Number of the first group.
    first, lengths : (g,)
        As those of `Stretches`.
    """

    x: Any
    y: Any
    weights: Any
    order: Any
    effective: Any
    start: int
    first: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def of(self, groups: NDArray[np.int64], response: int | None) -> Stretches:
        """Rows of some of the groups, counted from the first one; of one response, or of all."""
        y = self.y if response is None else self.y[:, response : response + 1]
        first, lengths = self.first[groups], self.lengths[groups]
        return Stretches(self.x, y, self.weights, first, lengths, self.order, self.effective)


def answer_pieces(
    tables: tuple[Any, Any, Any],
    grouping: Grouping,
    part: slice,
    shape: Shape,
    number: int,
    link: Link,
    answer: Callable[[Piece], None],
) -> None:
    """Answer groups; as many at a time as the memory allows where the table is on the host.

    Parameters
    ----------
    tables : (N, k), (N, m), (N,) or None
        X, y and weights.
    grouping : Grouping
        Which rows belong to which group.
    part : slice
        Groups to answer; all of them where the table is on the device.
    shape : Shape
        What kind of regressions.
    number : int
        Of the device.
    link : Link
        How rows come from the host.
    answer : callable
        Answers the groups of a piece.

    Raises
    ------
    DeviceError
        If the memory does not hold the rows of one group.
    """
    x, y, _ = tables
    if place_of(x) != CPU:
        answer(_whole(*tables, grouping, shape, number))
        return
    counts, order, starts = grouping.counts, grouping.order, grouping.starts
    ends = starts + counts
    columns = x.shape[1] + y.shape[1] + 1
    most = min(affordable(columns + 2), link.room // (8 * columns))
    answers = (shape.moments + shape.answers + shape.m) * max(1, y.shape[1] // max(1, shape.m))
    groups = max(1, link.room // (8 * answers))
    start = part.start
    while start < part.stop:
        before = int(starts[start])
        stop = int(np.searchsorted(ends, before + most, side="right"))
        stop = max(start + 1, min(stop, start + groups, part.stop))
        rows = slice(before, int(ends[stop - 1]))
        where = rows if order is None else order[rows]
        own = starts[start:stop] - before, counts[start:stop]
        with link.turn():
            try:
                piece = _sent(tables, where, start, *own, shape, link)
            except device.OutOfMemory as error:
                if stop == start + 1:
                    raise too_large(replace(shape, n=int(counts[start])), number) from error
                piece = None
            if piece is not None:
                answer(piece)
        if piece is None:
            link.drain()
            device.release()
            most = (rows.stop - rows.start) // 2
            continue
        del piece  # before the next one is brought over
        start = stop


def _sent(
    tables: tuple[Any, Any, Any],
    where: slice | NDArray[Any],
    start: int,
    first: NDArray[np.int64],
    lengths: NDArray[np.int64],
    shape: Shape,
    link: Link,
) -> Piece:
    """Some groups of a table of the host, from group `start` on, whose rows are at `where`."""
    dtypes = shape.dtype, shape.dtype, np.dtype(np.float64)
    x, y, weights = (
        None if table is None else link.send(Picked(table, where, dtype))
        for table, dtype in zip(tables, dtypes, strict=True)
    )
    room = _room(int(lengths.sum()), shape)
    return Piece(x, y, weights, None, room, start, first, lengths)


def _whole(x: Any, y: Any, weights: Any, grouping: Grouping, shape: Shape, number: int) -> Piece:
    """All groups of a table that is on the device."""
    order = grouping.order
    if order is not None and len(order) > _MOST_ROWS:
        raise DeviceError(
            "groups",
            f"{len(order):,} rows in no order on a device",
            f"at most {_MOST_ROWS:,}",
            "sort them by group first, or use arrays in host memory",
        )
    try:
        own = None if order is None else order.astype(np.int32, copy=False)
        if own is not None and place_of(own) == CPU:
            own = device.upload(own)
        if weights is not None and own is not None:
            weights = weights[own]
        tables, room = all_ready((x, y, weights), shape), _room(len(x), shape)
    except device.OutOfMemory as error:
        raise DeviceError(
            "device",
            f"{len(x):,} rows whose order, weights or copies the free memory of cuda:{number} does "
            "not hold",
            "room for 16 bytes a row",
            "free memory of the device, sort the rows by group, or use arrays in host memory",
        ) from error
    x, y, weights = tables
    return Piece(x, y, weights, own, room, 0, grouping.starts, grouping.counts)


def _room(rows: int, shape: Shape) -> Any:
    """Room for the weights that are left where rows are dropped."""
    return device.empty((rows,), np.float64) if shape.drop else None


def classes(lengths: NDArray[np.int64], shape: Shape) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Groups by size, those together that one launch answers.

    Parameters
    ----------
    lengths : (g,)
        Rows of each group.
    shape : Shape
        What kind of regressions.

    Yields
    ------
    The rows of the largest, and the numbers of the groups.
    """
    edges = [*(ALONE << i for i in range(3)), CHUNK] if replace(shape, n=0).fused else []
    of = np.searchsorted(edges, lengths)
    for number in range(len(edges) + 1):
        groups = np.flatnonzero(of == number)
        if len(groups):
            yield int(lengths[groups].max()), groups
