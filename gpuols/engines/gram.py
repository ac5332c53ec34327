"""Sums over rows: the only code of the CPU engine, with `shared`, that reads the big arrays.

Every block of rows is first written, shifted by its anchor, into a buffer the thread owns, in C
order and aligned; only that goes into BLAS, held to one thread, at most `bound.BLOCK` rows a
call. So the caller's strides, dtype and alignment never reach the bits, and one strategy,
chosen by (n, k, m) alone, serves every problem.

A block is [1, X - a, y - a]', a row of it for each column, copied and then shifted where it lies,
its rows whole cache lines: to shift rows while they are turned takes twice the time, and so does
every reading of rows that begin anywhere. All sums but that of y² come of the products of its rows
but the first with those of [1, X - a]. Since these differ it is a general product; a symmetric one
of so few columns takes twice the time, too. Of wide X the rows are taken in panels, each with the
columns up to its own: the upper triangle is left out.

Pieces of `bound.PIECE` rows are summed as a tree, blocks within a piece by halving. A row of
zero weight is not there, whatever it holds; nor, with `drop`, is one in which a value is missing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import anchors, present
from gpuols.engines.tables import Table
from gpuols.engines.workspace import LINE, TreeSum, Workspace, fold
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK, PIECE
from gpuols.numerics.lanes import to_last
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Bytes of rows in one buffer, which stay near until they are multiplied; shorter calls make threads
# wait for one another.
_BUFFER = 2**21
# Responses in one block: wider ones are taken in turn.
_WIDE = 512
# Columns of X whose products are formed in one go.
_PANEL = 12
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
    width = min(rows, PIECE) * (k + m + 1) * 8
    step = max(1, _BUFFER // max(width, 1))
    for place in ranges(which.stop - which.start, step):
        some = slice(which.start + place.start, which.start + place.stop)
        part = out if some == which else out[place]
        _sum_some(x, y, weights, some, drop, space, part)
    return centre(out)


def _sum_some(
    x: Table,
    y: Table,
    weights: Table | None,
    which: slice,
    drop: bool,
    space: Workspace,
    out: Moments,
) -> None:
    """Write sums about the anchor of a few regressions, and the anchor."""
    rows, k, m = x.shape[1], x.shape[2], y.shape[2]
    count = which.stop - which.start
    if rows <= PIECE:  # what is regrouped is brought together once
        x, y = x[which, :], y[which, :]
        weights, which = None if weights is None else weights[which, :], slice(0, count)
    there = present(x, y, weights, which) if drop else None
    anchor_x, anchor_y = out.anchor[:, :k], out.anchor[:, k:]
    if out.centered and rows:
        anchor_x[:], anchor_y[:] = anchors(x, y, weights, which, there)
    runs = ranges(m, _WIDE) or [slice(0, 0)]
    counts, trees = TreeSum(), [TreeSum() for _ in runs]
    for piece in ranges(rows, PIECE) or [slice(0, 0)]:
        w = None if weights is None else np.array(weights[which, piece], np.float64, order="C")
        if there is not None:
            w = np.where(there[:, piece], 1.0 if w is None else w, 0.0)
        counts.add(*count_rows(w, count, piece.stop - piece.start))
        x_piece, y_piece = x[which, piece], y[which, piece]
        for run, tree in zip(runs, trees, strict=True):
            tree.add(*_sum_piece(x_piece, y_piece[..., run], w, anchor_x, anchor_y[:, run], space))
    out.nobs[:], out.sumw[:], out.sum_log_w[:] = counts.total()
    for run, tree in zip(runs, trees, strict=True):
        products, squares = tree.total()
        out.mean[:, :k], out.sxx[:] = products[:, :k, 0], products[:, :k, 1:]
        out.mean[:, k:][:, run], out.syy[:, run] = products[:, k:, 0], squares
        out.sxy[:, :, run] = products[:, k:, 1:].swapaxes(1, 2)


def _blocks(rows: int) -> tuple[int, int]:
    """Number and length of the equal blocks, of at most `BLOCK` rows, that cover a piece."""
    number = max(1, -(-rows // BLOCK))
    return number, max(1, -(-rows // (number * LINE))) * LINE


def _sum_piece(
    x: NDArray[Any],
    y: NDArray[Any],
    w: Array | None,
    anchor_x: Array,
    anchor_y: Array,
    space: Workspace,
) -> tuple[Array, Array]:
    """Sums of one piece of rows: of [x, y]' [1, x], (b, k+m, 1+k), and of y², (b, m)."""
    k = x.shape[2]
    z = _load(x, y, anchor_x, anchor_y, space)
    left = z if w is None else _weigh(z, w, space)
    squares = fold(np.vecdot(left[:, :, 1 + k :], z[:, :, 1 + k :]), 1)
    if k <= _LARGE:
        return fold(_multiply(left, z, k), 1), squares
    tree = TreeSum()
    for block in ranges(z.shape[1], 1):
        tree.add(_multiply(left[:, block], z[:, block], k)[:, 0])
    return tree.total()[0], squares


def _multiply(left: Array, right: Array, k: int) -> Array:
    """Sums of [x, y]' [1, x] of each block, (b, number, k+m, 1+k), but for the upper triangle."""
    left, right = left[:, :, 1:], right[:, :, : 1 + k].swapaxes(2, 3)
    products = np.empty((*left.shape[:3], 1 + k))
    for start in range(0, max(k, 1), _PANEL):
        last = start + _PANEL >= k
        rows = slice(start, None if last else start + _PANEL)
        columns = slice(0, 1 + k if last else 1 + start + _PANEL)
        np.matmul(left[:, :, rows], right[..., columns], out=products[:, :, rows, columns])
    return products


def _load(
    x: NDArray[Any], y: NDArray[Any], anchor_x: Array, anchor_y: Array, space: Workspace
) -> Array:
    """Write [1, X - a, y - a]' in equal blocks of rows, (b, number, 1+k+m, length)."""
    (count, rows, k), m = x.shape, y.shape[2]
    number, length = _blocks(rows)
    z = space.array("z", (count, number, 1 + k + m, length))
    z[:, :, 0] = 1.0
    _write(x, z[:, :, 1 : 1 + k])
    _write(y, z[:, :, 1 + k :])
    shift = np.concatenate([np.zeros((count, 1)), anchor_x, anchor_y], axis=1)
    if shift.any():
        np.subtract(z, shift[:, None, :, None], out=z)
    z[:, -1, :, rows - (number - 1) * length :] = 0.0
    return z


def _write(source: NDArray[Any], out: Array) -> None:
    """Write rows (b, n, c) into the blocks (b, number, c, length)."""
    count, rows, columns = source.shape
    length = out.shape[3]
    whole, rest = divmod(rows, length)
    head = source[:, : rows - rest].reshape(count, whole, length, columns)
    out[:, :whole] = head.swapaxes(2, 3)
    if rest:
        out[:, whole, :, :rest] = source[:, rows - rest :].swapaxes(1, 2)


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
    mean, sxx, sxy, syy, raw = (to_last(a) for a in (out.mean, out.sxx, out.sxy, out.syy, out.raw))
    k, sumw = out.k, out.sumw
    raw[:k], raw[k:] = np.einsum("iib->ib", sxx), syy
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
