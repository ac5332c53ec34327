"""Pieces: the groups of a long table brought to a device, and told apart by size.

Where the table is in host memory its rows go over as many groups at a time as the memory allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import ALONE, CHUNK, Shape
from gpuols.engines.lots import Stretches, all_ready, too_large
from gpuols.errors import DeviceError
from gpuols.keys import Grouping
from gpuols.places import CPU, place_of

_MOST_ROWS = 2**31 - 1
_SHARE = 0.25  # of the free memory, for rows that come from the host


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


def pieces(
    x: Any, y: Any, weights: Any, grouping: Grouping, shape: Shape, number: int
) -> Iterator[Piece]:
    """All groups; as many at a time as the memory allows where the table is in host memory.

    Parameters
    ----------
    x, y, weights : (N, k), (N, m), (N,) or None
        The table.
    grouping : Grouping
        Which rows belong to which group.
    shape : Shape
        What kind of regressions.
    number : int
        Of the device.

    Yields
    ------
    Pieces of it.

    Raises
    ------
    DeviceError
        If the memory does not hold the rows of one group.
    """
    if place_of(x) != CPU:
        yield _whole(x, y, weights, grouping, shape, number)
        return
    counts, order, starts = grouping.counts, grouping.order, grouping.starts
    ends = starts + counts
    most = int(_SHARE * device.free_bytes()) // (8 * (x.shape[1] + y.shape[1] + 3))
    start = 0
    while start < len(counts):
        before = int(starts[start])
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        rows = slice(before, int(ends[stop - 1]))
        which = rows if order is None else order[rows]
        heavy = None if weights is None else weights[which]
        first = starts[start:stop] - before
        made = []
        try:
            tables = all_ready(x[which], y[which], heavy, shape)
            room = _room(rows.stop - rows.start, shape)
            made.append(Piece(*tables, None, room, start, first, counts[start:stop]))
        except device.OutOfMemory as error:
            if stop == start + 1:
                raise too_large(replace(shape, n=int(counts[start])), number) from error
            device.release()
            most = (rows.stop - rows.start) // 2
            continue
        del tables, room  # memory of a piece is free again when its taker lets it go
        yield made.pop()
        start = stop


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
        own = None if order is None else device.upload(order.astype(np.int32))
        if weights is not None and own is not None:
            weights = weights[own]
        tables, room = all_ready(x, y, weights, shape), _room(len(x), shape)
    except device.OutOfMemory as error:
        raise DeviceError(
            "device",
            f"{len(x):,} rows whose order, weights or copies the free memory of cuda:{number} does "
            "not hold",
            "room for 16 bytes a row",
            "free memory of the device, sort the rows by group, or use arrays in host memory",
        ) from error
    return Piece(*tables, own, room, 0, grouping.starts, grouping.counts)


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
