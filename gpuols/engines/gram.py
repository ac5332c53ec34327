"""Sums over rows: the only code of the CPU engine that reads the big arrays.

Every block of rows is first written, shifted by its anchor, into a buffer the thread owns, in C
order and aligned; only that goes into BLAS, held to one thread, at most `bound.BLOCK` rows a
call. So the caller's strides, dtype and alignment never reach the bits, and one strategy,
chosen by (n, k, m) alone, serves every problem. X, and [1, y] beside it, stay apart because
k x k and (1+m) x k products fill BLAS kernels better than one (1+k+m)-square does, and the
shift of X runs over long contiguous runs.

Pieces of `bound.PIECE` rows are summed as a tree, blocks within a piece by halving.

A row of zero weight is not there, whatever it holds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.tables import Table
from gpuols.engines.workspace import TreeSum, Workspace, fold
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK, PIECE
from gpuols.numerics.lanes import to_last

Array = NDArray[np.float64]

BLOCK_BYTES = 2**21
_RUN = 64


def sum_batch(
    x: Table,
    y: Table,
    weights: Table | None,
    which: slice,
    *,
    centered: bool,
    space: Workspace,
) -> Moments:
    """Moments of some of many independent regressions of one size.

    Parameters
    ----------
    x : (B, n, k)
        Regressors, any real dtype.
    y : (B, n, m)
        Responses.
    weights : (B, n) or None
        Inverse variances.
    which : slice
        The range wanted, b of them.
    centered : bool
        Whether the model has an intercept.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (b,).
    """
    rows, k, m = x.shape[1], x.shape[2], y.shape[2]
    out = Moments.empty(which.stop - which.start, k, m, centered=centered)
    width = min(rows, PIECE) * (k + m + 2) * 8
    step = max(1, BLOCK_BYTES // max(width, 1))
    for start in range(which.start, which.stop, step):
        some = slice(start, min(start + step, which.stop))
        place = slice(start - which.start, some.stop - which.start)
        out.store(place, _sum_some(x, y, weights, some, centered, space))
    return _centre(out)


def _sum_some(
    x: Table, y: Table, weights: Table | None, which: slice, centered: bool, space: Workspace
) -> Moments:
    """Sums about the anchor of a few regressions."""
    rows, k, m = x.shape[1], x.shape[2], y.shape[2]
    count = which.stop - which.start
    anchor_x, anchor_y = np.zeros((count, k)), np.zeros((count, m))
    if centered and rows:
        anchor_x, anchor_y = _anchors(x, y, weights, which)
    tree = TreeSum()
    for piece in pieces(rows):
        w = None if weights is None else weights[which, piece].astype(np.float64)
        tree.add(*_sum_piece(x[which, piece], y[which, piece], w, anchor_x, anchor_y, space))
    nobs, sumw, sum_log_w, sums, gram, cross, squares = tree.total()
    return Moments(
        nobs=nobs,
        sumw=sumw,
        sum_log_w=sum_log_w,
        anchor=np.concatenate([anchor_x, anchor_y], axis=1),
        mean=sums,
        sxx=gram,
        sxy=cross,
        syy=squares,
        raw=np.concatenate([np.einsum("bii->bi", gram), squares], axis=1),
        centered=centered,
    )


def pieces(rows: int) -> list[slice]:
    """Ranges of at most `PIECE` rows, at least one."""
    return [slice(first, min(first + PIECE, rows)) for first in range(0, max(rows, 1), PIECE)]


def blocks(rows: int) -> tuple[int, int]:
    """Number and length of the equal blocks, of at most `BLOCK` rows, that cover a piece."""
    number = max(1, -(-rows // BLOCK))
    return number, max(1, -(-rows // number))


def _sum_piece(
    x: NDArray[Any],
    y: NDArray[Any],
    w: Array | None,
    anchor_x: Array,
    anchor_y: Array,
    space: Workspace,
) -> tuple[Array, ...]:
    """Counts, sums of weights and their logs, first and second moments of one piece of rows."""
    count, rows, k = x.shape
    number, length = blocks(rows)
    z, u = _load(x, y, w, anchor_x, anchor_y, number * length, space)
    left, right = (z, u) if w is None else _weight(z, u, space)

    def split(a: Array) -> Array:
        return a.reshape(count, -1, number, length)

    in_blocks = z.reshape(count, number, length, k)
    across = left.reshape(in_blocks.shape).swapaxes(2, 3)
    gram = fold(np.matmul(across, in_blocks), 1)
    cross = fold(np.matmul(split(right).swapaxes(1, 2), in_blocks), 1)
    squares = fold(np.vecdot(split(right[:, 1:]), split(u[:, 1:])), 2)
    sums_y = fold(split(right[:, 1:]).sum(axis=-1), 2)
    return (
        *_weigh(w, count, rows),
        np.concatenate([cross[:, 0], sums_y], axis=1),
        gram,
        cross[:, 1:].swapaxes(1, 2),
        squares,
    )


def _load(
    x: NDArray[Any],
    y: NDArray[Any],
    w: Array | None,
    anchor_x: Array,
    anchor_y: Array,
    padded: int,
    space: Workspace,
) -> tuple[Array, Array]:
    """Write X - a as (b, padded, k) and [w, y - a]' as (b, 1+m, padded), w = 1 without weights.

    Rows that pad a block and rows of zero weight are zero.
    """
    count, rows, k = x.shape
    z = space.array("z", (count, padded, k))
    u = space.array("u", (count, 1 + y.shape[2], padded))
    _shift(x, anchor_x, z[:, :rows])
    np.subtract(y.swapaxes(1, 2), anchor_y[:, :, None], out=u[:, 1:, :rows])
    u[:, 0, :rows] = 1.0 if w is None else w
    z[:, rows:] = 0.0
    u[:, :, rows:] = 0.0
    if w is not None and (absent := w == 0.0).any():
        z[:, :rows][absent] = 0.0
        np.copyto(u[:, 1:, :rows], 0.0, where=absent[:, None])
    return z, u


def _weight(z: Array, u: Array, space: Workspace) -> tuple[Array, Array]:
    """Multiply the rows that `_load` wrote by their weights."""
    weighted_z = np.multiply(z, u[:, 0, :, None], out=space.array("wz", z.shape))
    weighted_u = space.array("wu", u.shape)
    weighted_u[:, 0] = u[:, 0]
    np.multiply(u[:, 1:], u[:, :1], out=weighted_u[:, 1:])
    return weighted_z, weighted_u


def _weigh(w: Array | None, count: int, rows: int) -> tuple[Array, Array, Array]:
    """Rows of positive weight, sum of the weights, sum of their logarithms."""
    if w is None:
        return np.full(count, float(rows)), np.full(count, float(rows)), np.zeros(count)
    present = w > 0
    logs = np.log(np.where(present, w, 1.0))
    return present.sum(axis=1).astype(np.float64), w.sum(axis=1), logs.sum(axis=1)


def _shift(x: NDArray[Any], anchor: Array, out: Array) -> None:
    """Write x minus its anchor, several rows a run where rows lie end to end in memory.

    Parameters
    ----------
    x : (b, n, k)
        Rows, any real dtype.
    anchor : (b, k)
        What to subtract.
    out : (b, n, k)
        Where to.
    """
    rows, k = x.shape[1:]
    together = -(-rows // max(1, rows * k // _RUN))
    end_to_end = x.strides[1:] == (k * x.itemsize, x.itemsize)
    if not end_to_end or together <= 1:
        np.subtract(x, anchor[:, None], out=out)
        return
    runs, rest = divmod(rows, together)
    tile = _repeat(anchor, together)
    parts = (slice(0, runs * together), runs, together), (slice(rows - rest, rows), 1, rest)
    for part, count, length in parts:
        shape = (len(x), count, length * k)
        np.subtract(
            x[:, part].reshape(shape),
            tile[:, None, : length * k],
            out=out[:, part].reshape(shape),
        )


def _repeat(anchor: Array, times: int) -> Array:
    """Each row of (b, k) several times over, (b, times k), by doubling."""
    count, k = anchor.shape
    tile = np.empty((count, times * k))
    tile[:, :k] = anchor
    filled = k
    while filled < times * k:
        more = min(filled, times * k - filled)
        tile[:, filled : filled + more] = tile[:, :more]
        filled += more
    return tile


def _anchors(x: Table, y: Table, weights: Table | None, which: slice) -> tuple[Array, Array]:
    """Column medians of the first, middle and last row of positive weight; zero without any."""
    if weights is None:
        places = unweighted_rows(x.shape[1])
        return median(*(x[which, i] for i in places)), median(*(y[which, i] for i in places))
    valid = weights[which, :] > 0
    each, chosen = np.arange(which.start, which.stop), weighted_rows(valid)
    some = valid.any(axis=1, keepdims=True)
    near_x, near_y = (median(*(table[each, i] for i in chosen)) for table in (x, y))
    return np.where(some, near_x, 0.0), np.where(some, near_y, 0.0)


def unweighted_rows(rows: int) -> tuple[int, int, int]:
    """First, middle and last row."""
    return 0, rows // 2, rows - 1


def weighted_rows(valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """First, middle and last valid row of each regression; valid is (b, n)."""
    seen = valid.cumsum(axis=1)
    number = seen[:, -1:]
    return (
        valid.argmax(axis=1),
        (seen > number // 2).argmax(axis=1),
        (seen == number).argmax(axis=1),
    )


def median(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> Array:
    """Middle one of three arrays, elementwise; NaN where any is."""
    a, b, c = (np.asarray(part, np.float64) for part in (a, b, c))
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def _centre(out: Moments) -> Moments:
    """Turn sums about the anchor into moments about the mean, in place; symmetric to the bit."""
    mean, sxx, sxy, syy = (to_last(a) for a in (out.mean, out.sxx, out.sxy, out.syy))
    k, sumw = out.k, out.sumw
    np.divide(mean, sumw, out=mean, where=sumw != 0)
    for i in range(k):
        if out.centered:
            weighted = sumw * mean[i]
            sxx[i, : i + 1] -= weighted * mean[: i + 1]
            sxy[i] -= weighted * mean[k:]
        sxx[:i, i] = sxx[i, :i]
    if out.centered:
        syy -= sumw * mean[k:] ** 2
    return out
