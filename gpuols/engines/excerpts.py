"""Excerpts: the rows of some regressions, picked by number, on a device.

Where they lie side by side they are looked at where they are; else they are copied together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import Shape
from gpuols.engines.lots import all_ready
from gpuols.keys import Grouping
from gpuols.places import CPU, place_of


def index_of(places: NDArray[np.int64], lead: tuple[int, ...]) -> Any:
    """Index of some regressions into tables of a batch.

    Parameters
    ----------
    places : (r,)
        Their numbers, ascending.
    lead : tuple of int
        Shape L of the batch.

    Returns
    -------
    None, slice or tuple of (r,)
        Into (L..., ...), giving (r, ...).
    """
    if not lead:
        return None
    if len(lead) == 1 and places[-1] - places[0] == len(places) - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return np.unravel_index(places, lead)


def rows_of(grouping: Grouping, groups: NDArray[np.int64]) -> Any:
    """Index of the rows of some groups, one group after another, into a long table (N, ...)."""
    starts, counts = grouping.starts[groups], grouping.counts[groups]
    ends = np.cumsum(counts)
    if (np.diff(starts) == counts[:-1]).all():
        rows: Any = slice(int(starts[0]), int(starts[0] + ends[-1]))
    else:
        rows = np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1])
    order = grouping.order
    if order is None:
        return rows
    if place_of(order) == CPU:
        return np.asarray(order[rows], np.int64)
    return order[_there(rows)]


def pick(tables: Sequence[Any], index: Any, shape: Shape) -> list[Any]:
    """Parts of tables on the device, as the kernels take them.

    Parameters
    ----------
    tables : sequence of (..., k), (..., m), (...) or None
        X, y and weights, all on the device or all in host memory.
    index : object
        Of the parts, from `index_of` or `rows_of`.
    shape : Shape
        What kind of regressions.

    Returns
    -------
    list
        Device arrays; None for weights that are None.
    """
    return all_ready([_brought(table, index) for table in tables], shape)


def pick_regressions(
    tables: Sequence[Any], lead: tuple[int, ...], places: NDArray[np.int64], shape: Shape
) -> list[Any]:
    """Some regressions of a batch; parameters and result as those of `index_of` and `pick`.

    What all regressions have in common is brought once.
    """
    index, first = index_of(places, lead), (*(0,) * len(lead), None)
    shared = [table is not None and _is_shared(table, lead) for table in tables]
    parts = [_brought(t, first if s else index) for t, s in zip(tables, shared, strict=True)]
    return [
        np.broadcast_to(part, (len(places), *part.shape[1:])) if s else part
        for part, s in zip(all_ready(parts, shape), shared, strict=True)
    ]


def _is_shared(table: Any, lead: tuple[int, ...]) -> bool:
    """Whether all regressions of a batch of shape L have the same rows."""
    return not any(step for step, size in zip(table.strides, lead, strict=False) if size > 1)


def pick_columns(table: Any, columns: NDArray[np.int64], shape: Shape) -> Any:
    """Columns (n, c) of a table (n, m), on the device, given by number; as `pick`."""
    index: Any = columns
    if len(columns) and (np.diff(columns) == 1).all():
        index = slice(int(columns[0]), int(columns[-1]) + 1)
    return all_ready((None, _brought(table, (slice(None), index)), None), shape)[1]


def _brought(table: Any, index: Any) -> Any:
    """Part of a table, on the device."""
    if table is None:
        return None
    return device.upload(table[index]) if place_of(table) == CPU else table[_there(index)]


def _there(index: Any) -> Any:
    """The same index, with its numbers on the device."""
    if isinstance(index, tuple):
        return tuple(_there(axis) for axis in index)
    return device.upload(index) if isinstance(index, np.ndarray) else index
