"""Sums over rows where many responses share one design: tiles of columns, one GEMM each.

A response's bits depend neither on its neighbours nor on their number: every GEMM is one tile
of `TILE` columns, the last padded with zeros. Tiles are read `_GROUP` columns at a time, because
short runs are shifted at half the speed, and `_ROWS` rows at a time, so that they are still in
cache when they are multiplied; blocks of rows are summed as a tree. The rows of the buffer are
skewed, because rows a power of two apart fall on the same cache lines.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import median, unweighted_rows, weighted_rows
from gpuols.engines.workspace import TreeSum, Workspace
from gpuols.moments import Moments
from gpuols.numerics.cholesky import TILE
from gpuols.selection import ranges

Array = NDArray[np.float64]

_GROUP = 32 * TILE
_ROWS = 128
_SKEW = 8


def sum_shared(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
    space: Workspace,
) -> Moments:
    """Moments of some responses on a design; arguments as `cpu.moments_shared`."""
    (n, k), m = x.shape, y.shape[1]
    anchor = _anchor(y, weights) if design.centered and n else np.zeros(m)
    cross, squares = np.zeros((1 + k, m)), np.zeros(m)
    for group in ranges(m, _GROUP):
        tree = TreeSum()
        for rows in _row_blocks(n):
            w = None if weights is None else np.array(weights[rows], np.float64)
            left = _left(x[rows], design.anchor, w, space)
            tree.add(*_sum_tiles(left, y[rows, group], w, anchor[group], space))
        cross[:, group], squares[group] = tree.total()
    return _join(design, anchor, cross, squares)


def _row_blocks(n: int) -> list[slice]:
    """Equal blocks of at most `_ROWS` rows, at least one."""
    length = max(1, -(-n // max(1, -(-n // _ROWS))))
    return ranges(n, length) or [slice(0, 0)]


def _anchor(y: NDArray[Any], weights: NDArray[Any] | None) -> Array:
    places: tuple[Any, ...] = unweighted_rows(len(y))
    if weights is not None:
        valid = weights > 0
        if not valid.any():
            return np.zeros(y.shape[1])
        places = tuple(place[0] for place in weighted_rows(valid[None]))
    return median(*(y[place] for place in places))


def _left(x: NDArray[Any], anchor: Array, w: Array | None, space: Workspace) -> Array:
    """Left factor [w, w (x - a)]' of some rows, (1+k, rows), w = 1 without weights."""
    rows, k = x.shape
    left = space.array("left", (1 + k, rows))
    left[0] = 1.0
    np.subtract(x.T, anchor[:, None], out=left[1:])
    if w is not None:
        left[:, w == 0.0] = 0.0
        left *= w
    return left


def _sum_tiles(
    left: Array, y: NDArray[Any], w: Array | None, anchor: Array, space: Workspace
) -> tuple[Array, Array]:
    """Products of the left factor with the shifted responses, and their sums of squares."""
    rows, m = y.shape
    tiles = -(-m // TILE)
    wide, weighted = _shift_tiles(y, w, anchor, tiles * TILE, space)
    squares = np.einsum("rc,rc->c", weighted, wide)
    cross = np.matmul(left, wide.reshape(rows, tiles, TILE).swapaxes(0, 1))
    return cross.swapaxes(0, 1).reshape(len(left), tiles * TILE)[:, :m], squares[:m]


def _shift_tiles(
    y: NDArray[Any], w: Array | None, anchor: Array, columns: int, space: Workspace
) -> tuple[Array, Array]:
    """Write y - a as whole tiles (rows, columns), absent rows and columns zero; and w (y - a)."""
    rows, m = y.shape
    wide = space.array("responses", (rows, _GROUP + _SKEW))[:, :columns]
    np.subtract(y, anchor, out=wide[:, :m])
    wide[:, m:] = 0.0
    if w is None:
        return wide, wide
    wide[w == 0.0] = 0.0
    weighted = space.array("weighted", (rows, columns))
    return wide, np.multiply(wide, w[:, None], out=weighted)


def _join(design: Moments, anchor: Array, cross: Array, squares: Array) -> Moments:
    """Add the responses' sums to the moments of the design, about the mean."""
    sumw = design.sumw
    mean = np.divide(cross[0], sumw, out=np.zeros_like(cross[0]), where=sumw != 0)
    sxy, syy = cross[1:], squares
    if design.centered:
        for i, weighted in enumerate(sumw * design.mean):
            sxy[i] -= weighted * mean
        syy = squares - (sumw * mean) * mean
    return replace(
        design,
        anchor=np.concatenate([design.anchor, anchor]),
        mean=np.concatenate([design.mean, mean]),
        sxy=sxy,
        syy=syy,
        raw=np.concatenate([design.raw, squares]),
    )
