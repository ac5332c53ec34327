"""Ordering: rows brought together by keys that are on a device.

A key of numbers becomes integers in the order of the keys, nulls last, so that one stable sort
serves every dtype, and one after another, the last key first, any number of keys. The integers are
made of bits alone: in arithmetic CuPy's kernels take the smallest numbers of float32 for zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.errors import DeviceError

_MOST_ROWS = 2**31 - 1  # that int32 can number


def order_rows(columns: Sequence[Any]) -> tuple[NDArray[np.int64], Any, Any]:
    """Sort rows by their keys, equal keys in table order.

    Parameters
    ----------
    columns : sequence of (N,)
        One key or more, on the current device; the first one counts most.

    Returns
    -------
    counts : (G,)
        Rows that have each of the distinct keys, ascending, in host memory.
    order : (N,) or None
        Rows, group after group, on the device; None where they lie so.
    first : (G,)
        First row of each group, on the device.

    Raises
    ------
    DeviceError
        If the memory does not hold what sorting takes.
    """
    rows = len(columns[0])
    try:
        with device.explained("the order of the keys"):
            words = [_words(column) for column in columns]
            order = None
            if not _ascend(words):
                order = _sort(words)
                words = [word[order] for word in words]
            starts = _starts(words, rows)
            first = starts if order is None else order[starts]
            counts = np.diff(device.download(starts), append=rows)
            return counts, order, first
    except device.OutOfMemory as error:
        raise DeviceError(
            "groups",
            f"{rows:,} keys, which the free memory of the device does not hold in order",
            "room for 40 bytes a key",
            "free memory of the device, or use keys in host memory",
        ) from error


def _words(column: Any) -> Any:
    """Integers whose order is that of the keys, nulls last and zeros alike."""
    if column.dtype.kind != "f":
        return column.view(np.uint8) if column.dtype.kind == "b" else column
    bits = column.view(f"i{column.itemsize}")
    integer = bits.dtype.type
    most, none = integer(np.iinfo(integer).max), integer(0)
    infinite = np.array(np.inf, column.dtype).view(integer)[()]
    xp, size = device.namespace(), bits & most
    bits = xp.where(size > infinite, most, xp.where(size == none, none, bits))
    return bits ^ ((bits >> integer(8 * column.itemsize - 1)) & most)


def _ascend(words: Sequence[Any]) -> bool:
    """Whether the rows are in order."""
    fine = words[-1][1:] >= words[-1][:-1]
    for word in reversed(words[:-1]):
        fine = (word[1:] > word[:-1]) | ((word[1:] == word[:-1]) & fine)
    return bool(fine.all())


def _sort(words: Sequence[Any]) -> Any:
    """Rows in order; CuPy's sorts are stable."""
    order = words[-1].argsort()
    for word in reversed(words[:-1]):
        order = order[word[order].argsort()]
    return order.astype(np.int32) if len(order) <= _MOST_ROWS else order


def _starts(words: Sequence[Any], rows: int) -> Any:
    """Where among the ordered rows each group begins, (G,)."""
    xp = device.namespace()
    new = xp.full((rows,), True)
    differs = words[0][1:] != words[0][:-1]
    for word in words[1:]:
        differs = differs | (word[1:] != word[:-1])
    new[1:] = differs
    return xp.flatnonzero(new)
