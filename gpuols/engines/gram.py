"""Sums over rows: the only code of the CPU engine, with `shared`, that reads the big arrays.

Every block of rows is first written, shifted by its anchor, into a buffer the thread owns, in C
order and aligned; only that goes into BLAS, held to one thread, at most `bound.BLOCK` rows a
call. So the caller's strides, dtype and alignment never reach the bits, and one strategy,
chosen by (n, k, m) alone, serves every problem.

A block is [1, X - a, y - a]', a row of it for each column: one symmetric product gives all the
sums at once. Measured beside it: rows as they lie, which costs twice the time to write since
runs are k long; X apart from [1, y], whose k x k and 2 x k products together take longer than
the one square, the more so on two threads. With many responses the square of y is left out.

Pieces of `bound.PIECE` rows are summed as a tree, blocks within a piece by halving. A row of
zero weight is not there, whatever it holds; nor, with `drop`, is one in which a value is missing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import anchors, present
from gpuols.engines.tables import Table
from gpuols.engines.workspace import TreeSum, Workspace, fold
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK, PIECE
from gpuols.numerics.lanes import to_last
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Bytes of rows in one buffer: shorter calls make threads wait for one another.
_BUFFER = 2**22
# Responses beyond k whose products with each other may come along in the one square.
_FEW = 8
# Responses in one block: wider ones are taken in turn.
_WIDE = 512
# Columns of a block whose products, of all blocks of a piece, fit in memory at once.
_LARGE = 256


def sum_batch(
    x: Table,
    y: Table,
    weights: Table | None,
    which: slice,
    *,
    centered: bool,
    drop: bool,
    space: Workspace,
) -> Moments:
    """Moments of some regressions of a batch; arguments as `cpu.moments_batch`."""
    rows, k, m = x.shape[1], x.shape[2], y.shape[2]
    out = Moments.empty(which.stop - which.start, k, m, centered=centered)
    width = min(rows, PIECE) * (k + m + 2) * 8
    step = max(1, _BUFFER // max(width, 1))
    for start in range(which.start, which.stop, step):
        some = slice(start, min(start + step, which.stop))
        place = slice(start - which.start, some.stop - which.start)
        out.store(place, _sum_some(x, y, weights, some, centered, drop, space))
    return centre(out)


def _sum_some(
    x: Table,
    y: Table,
    weights: Table | None,
    which: slice,
    centered: bool,
    drop: bool,
    space: Workspace,
) -> Moments:
    """Sums about the anchor of a few regressions."""
    rows, k, m = x.shape[1], x.shape[2], y.shape[2]
    count = which.stop - which.start
    if rows <= PIECE:  # what is regrouped is brought together once
        x, y = x[which, :], y[which, :]
        weights, which = None if weights is None else weights[which, :], slice(0, count)
    anchor_x, anchor_y = np.zeros((count, k)), np.zeros((count, m))
    there = present(x, y, weights, which) if drop else None
    if centered and rows:
        anchor_x, anchor_y = anchors(x, y, weights, which, there)
    runs = ranges(m, _WIDE) or [slice(0, 0)]
    trees = [TreeSum() for _ in runs]
    for piece in ranges(rows, PIECE) or [slice(0, 0)]:
        w = None if weights is None else np.array(weights[which, piece], np.float64, order="C")
        if there is not None:
            w = np.where(there[:, piece], 1.0 if w is None else w, 0.0)
        x_piece, y_piece = x[which, piece], y[which, piece]
        for run, tree in zip(runs, trees, strict=True):
            tree.add(*_sum_piece(x_piece, y_piece[..., run], w, anchor_x, anchor_y[:, run], space))
    sums = [tree.total() for tree in trees]
    nobs, sumw, sum_log_w, sums_x, gram = sums[0][:5]
    sums_y, cross, squares = (
        np.concatenate(parts, axis=-1) for parts in list(zip(*sums, strict=True))[5:]
    )
    return Moments(
        nobs=nobs,
        sumw=sumw,
        sum_log_w=sum_log_w,
        anchor=np.concatenate([anchor_x, anchor_y], axis=1),
        mean=np.concatenate([sums_x, sums_y], axis=1),
        sxx=gram,
        sxy=cross,
        syy=squares,
        raw=np.concatenate([np.einsum("bii->bi", gram), squares], axis=1),
        centered=centered,
    )


def _blocks(rows: int) -> tuple[int, int]:
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
    """Counts, sums of weights and of their logs; sums and products of one piece of rows."""
    (count, rows, k), m = x.shape, y.shape[2]
    z = _load(x, y, anchor_x, anchor_y, space)
    left = z if w is None else _weigh(z, w, space)
    own, others = slice(1, 1 + k), slice(1 + k, None)
    if m <= k + _FEW:
        products = _multiply(left, z)
        squares = np.einsum("bmm->bm", products[:, others, others])
    else:
        products = _multiply(left[:, :, : 1 + k], z)
        squares = fold(np.vecdot(left[:, :, others], z[:, :, others]), 1)
    return (
        *count_rows(w, count, rows),
        products[:, 0, own],
        products[:, own, own],
        products[:, 0, others],
        products[:, own, others],
        squares,
    )


def _multiply(left: Array, right: Array) -> Array:
    """Sum over the blocks of rows of left times right'; one at a time where they are large."""
    if right.shape[2] <= _LARGE:
        return fold(np.matmul(left, right.swapaxes(2, 3)), 1)
    tree = TreeSum()
    for block in range(right.shape[1]):
        tree.add(np.matmul(left[:, block], right[:, block].swapaxes(1, 2)))
    return tree.total()[0]


def _load(
    x: NDArray[Any], y: NDArray[Any], anchor_x: Array, anchor_y: Array, space: Workspace
) -> Array:
    """Write [1, X - a, y - a]' in equal blocks of rows, (b, number, 1+k+m, length)."""
    (count, rows, k), m = x.shape, y.shape[2]
    number, length = _blocks(rows)
    z = space.array("z", (count, number, 1 + k + m, length))
    z[:, :, 0] = 1.0
    _write(x, anchor_x, z[:, :, 1 : 1 + k])
    _write(y, anchor_y, z[:, :, 1 + k :])
    z[:, -1, :, rows - (number - 1) * length :] = 0.0
    return z


def _write(source: NDArray[Any], anchor: Array, out: Array) -> None:
    """Write rows (b, n, c) minus an anchor (b, c) into the blocks (b, number, c, length)."""
    count, rows, columns = source.shape
    length = out.shape[3]
    whole, rest = divmod(rows, length)
    head = source[:, : rows - rest].reshape(count, whole, length, columns)
    np.subtract(head.swapaxes(2, 3), anchor[:, None, :, None], out=out[:, :whole])
    if rest:
        tail = source[:, rows - rest :].swapaxes(1, 2)
        np.subtract(tail, anchor[:, :, None], out=out[:, whole, :, :rest])


def _weigh(z: Array, w: Array, space: Workspace) -> Array:
    """Multiply the rows that `_load` wrote by weights (b, n); blank those of zero weight."""
    count, number, _, length = z.shape
    blocked = space.array("w", (count, number * length))
    blocked[:, : w.shape[1]] = w
    blocked[:, w.shape[1] :] = 0.0
    blocked = blocked.reshape(count, number, 1, length)
    absent = blocked == 0.0
    if absent.any():
        np.copyto(z, 0.0, where=absent)
    return np.multiply(z, blocked, out=space.array("wz", z.shape))


def count_rows(w: Array | None, count: int, rows: int) -> tuple[Array, Array, Array]:
    """Rows of positive weight, sum of the weights, sum of their logarithms."""
    if w is None:
        return np.full(count, float(rows)), np.full(count, float(rows)), np.zeros(count)
    present = w > 0
    logs = np.log(np.where(present, w, 1.0))
    return present.sum(axis=1).astype(np.float64), w.sum(axis=1), logs.sum(axis=1)


def centre(out: Moments) -> Moments:
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
        syy -= (sumw * mean[k:]) * mean[k:]
    return out
