"""Which rows count, and the anchors: the points near the data about which rows are shifted.

An anchor is the median, column by column, of the first, the middle and the last row that counts:
one outlier among them does not move it, and it depends on a regression's own rows alone.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.tables import Table
from gpuols.numerics.bound import PIECE
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Columns to which looking at them one by one is the fastest way to find missing values.
_NARROW = 16
# Numbers that are sooner added in one call than by a running sum across rows.
_LONG = 512
# A bit of a byte each, from the lowest up.
_PLACES = np.uint8(1) << np.arange(8, dtype=np.uint8)
# Bits of each byte from the lowest up, those that are set first; (256, 8).
_BITS = np.argsort(
    ~np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"),
    axis=1,
    kind="stable",
)


def present(x: Table, y: Table, weights: Table | None, which: Any) -> Mask:
    """Rows of positive weight in which nothing is missing, (b, n)."""
    rows = x.shape[1]
    there = np.empty((len(numbers(which)), rows), bool)
    for piece in ranges(rows, PIECE):
        missing = any_missing(x[which, piece]) | any_missing(y[which, piece])
        np.logical_not(missing, out=there[:, piece])
        if weights is not None:
            there[:, piece] &= weights[which, piece] > 0
    return there


def any_missing(rows: NDArray[Any]) -> Mask:
    """Which rows (..., n, c) miss a value; few columns are faster looked at one by one."""
    columns = rows.shape[-1]
    if not 0 < columns <= _NARROW:
        return np.asarray(np.isnan(rows).any(axis=-1))
    missing: Mask = np.isnan(rows[..., 0])
    for j in range(1, columns):
        missing |= np.isnan(rows[..., j])
    return missing


def anchors(
    x: Table, y: Table, weights: Table | None, which: Any, there: Mask | None
) -> tuple[Array, Array]:
    """Column medians of the first, middle and last row that counts; zero without any."""
    if there is None and weights is not None:
        there = weights[which, :] > 0
    if there is None:
        places = unweighted_rows(x.shape[1])
        return median(*(x[which, i] for i in places)), median(*(y[which, i] for i in places))
    each, chosen = numbers(which), weighted_rows(there)
    some = there.any(axis=1, keepdims=True)
    near_x, near_y = (median(*(table[each, i] for i in chosen)) for table in (x, y))
    return np.where(some, near_x, 0.0), np.where(some, near_y, 0.0)


def unweighted_rows(rows: int) -> tuple[int, int, int]:
    """First, middle and last row."""
    return 0, rows // 2, rows - 1


def weighted_rows(valid: Mask) -> tuple[NDArray[np.int64], ...]:
    """First, middle and last valid row of each regression; valid is (b, n)."""
    count, rows = valid.shape
    if valid.all():
        return tuple(np.full(count, row) for row in unweighted_rows(rows))
    eights = _packed(valid)
    seen = _running(np.bitwise_count(eights), np.min_scalar_type(rows))
    number = seen[-1].astype(np.int64)
    ranks = 0 * number, number // 2, np.maximum(number - 1, 0)
    return tuple(_find(eights, seen, rank) for rank in ranks)


def _packed(valid: Mask) -> NDArray[np.uint8]:
    """Bits of (b, n), eight rows a byte, (n/8, b): by products where rows lie apart."""
    if valid.flags.c_contiguous:
        return np.ascontiguousarray(np.packbits(valid, axis=1, bitorder="little").T)
    count, rows = valid.shape
    bits = np.empty((-(-rows // 8), 8, count), np.uint8)
    by_row = bits.reshape(-1, count)
    np.multiply(valid.T, _PLACES[np.arange(rows) % 8, None], out=by_row[:rows])
    by_row[rows:] = 0
    return np.asarray(np.bitwise_or.reduce(bits, axis=1))


def _running(counts: NDArray[np.uint8], kind: Any) -> NDArray[Any]:
    """Running sums over the first axis; row by row, where rows are long."""
    if counts.shape[1] < _LONG:
        return np.asarray(counts.cumsum(axis=0, dtype=kind))
    sums = counts.astype(kind)
    for before, own in pairwise(sums):
        own += before
    return sums


def _find(
    eights: NDArray[np.uint8], seen: NDArray[Any], rank: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows of the bits of ranks (b,), from 0, in (n/8, b) bytes; `seen`: bits up to each byte.

    Where there is no bit it is the first row.
    """
    before = seen[:-1] < np.minimum(rank + 1, seen[-1]).astype(seen.dtype)
    byte = np.add.reduce(before, axis=0, dtype=np.min_scalar_type(len(seen))).astype(np.int64)
    each = np.arange(len(byte))
    eight = eights[byte, each]
    left = rank - seen[byte, each] + np.bitwise_count(eight)
    return np.asarray(8 * byte + _BITS[eight, left])


def median(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> Array:
    """Middle one of three arrays, elementwise; NaN where any is."""
    a, b, c = (np.asarray(part, np.float64) for part in (a, b, c))
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def numbers(which: Any) -> NDArray[np.int64]:
    """Numbers of regressions given as a range or one by one."""
    return np.arange(which.start, which.stop) if isinstance(which, slice) else which
