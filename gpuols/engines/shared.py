"""Sums over rows where many responses share one design: tiles of columns, one GEMM each.

A response's bits depend neither on its neighbours nor on their number: every GEMM is one tile
of `TILE` columns, the last padded with zeros. Tiles are read side by side, `_GROUP` columns at
a time, because long runs are shifted twice as fast; the rows of that buffer are skewed, because
rows a power of two apart fall on the same cache lines.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.gram import (
    blocks,
    median,
    pieces,
    unweighted_rows,
    weighted_rows,
)
from gpuols.engines.workspace import TreeSum, Workspace, fold
from gpuols.moments import Moments
from gpuols.numerics.cholesky import TILE

Array = NDArray[np.float64]

_GROUP = 8 * TILE
_SKEW = 8


def sum_shared(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
    space: Workspace,
) -> Moments:
    """Moments of many responses on one design.

    Parameters
    ----------
    x : (n, k)
        Regressors, any real dtype.
    y : (n, m)
        Responses.
    weights : (n,) or None
        Inverse variances.
    design : Moments
        Moments of x alone, L = (), m = 0.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (), m responses.
    """
    rows, k = x.shape
    m = y.shape[1]
    anchor = _anchor(y, weights) if design.centered and rows else np.zeros(m)
    groups = [slice(start, min(start + _GROUP, m)) for start in range(0, m, _GROUP)]
    trees = [TreeSum() for _ in groups]
    for piece in pieces(rows):
        w = None if weights is None else np.array(weights[piece], np.float64, order="C")
        left = _left(x[piece], design.anchor, w, space)
        for group, tree in zip(groups, trees, strict=True):
            tree.add(*_sum_tiles(left, y[piece, group], w, anchor[group], space))
    cross, squares = np.zeros((1 + k, m)), np.zeros(m)
    for group, tree in zip(groups, trees, strict=True):
        cross[:, group], squares[group] = tree.total()
    return _join(design, anchor, cross, squares)


def _anchor(y: NDArray[Any], weights: NDArray[Any] | None) -> Array:
    places: tuple[Any, ...] = unweighted_rows(len(y))
    if weights is not None:
        valid = weights > 0
        if not valid.any():
            return np.zeros(y.shape[1])
        places = tuple(place[0] for place in weighted_rows(valid[None]))
    return median(*(y[place] for place in places))


def _left(x: NDArray[Any], anchor: Array, w: Array | None, space: Workspace) -> Array:
    """Left factor [w, w (x - a)]' of one piece of rows, in blocks (number, 1+k, length)."""
    rows, k = x.shape
    number, length = blocks(rows)
    left = space.array("left", (1 + k, number * length))
    left[0, :rows] = 1.0 if w is None else w
    np.subtract(x.T, anchor[:, None], out=left[1:, :rows])
    left[:, rows:] = 0.0
    if w is not None:
        left[1:, :rows][:, w == 0.0] = 0.0
        left[1:, :rows] *= w
    return left.reshape(1 + k, number, length).swapaxes(0, 1)


def _sum_tiles(
    left: Array, y: NDArray[Any], w: Array | None, anchor: Array, space: Workspace
) -> tuple[Array, Array]:
    """Products of the left factor with the shifted responses, and their sums of squares."""
    number, length, m = left.shape[0], left.shape[2], y.shape[1]
    tiles = -(-m // TILE)
    wide, weighted = _shift_tiles(y, w, anchor, number * length, space)
    in_blocks = wide.reshape(number, length, tiles * TILE)
    in_tiles = wide.reshape(number, length, tiles, TILE).transpose(2, 0, 1, 3)
    cross = fold(np.matmul(left, in_tiles), 1)
    squares = fold(np.einsum("brc,brc->bc", weighted.reshape(in_blocks.shape), in_blocks), 0)
    return cross.swapaxes(0, 1).reshape(left.shape[1], tiles * TILE)[:, :m], squares[:m]


def _shift_tiles(
    y: NDArray[Any], w: Array | None, anchor: Array, padded: int, space: Workspace
) -> tuple[Array, Array]:
    """Write y - a as whole tiles (padded, tiles), absent rows and columns zero; and w (y - a)."""
    rows, m = y.shape
    columns = -(-m // TILE) * TILE
    wide = space.array("responses", (padded, _GROUP + _SKEW))[:, :columns]
    np.subtract(y, anchor, out=wide[:rows, :m])
    wide[rows:] = 0.0
    wide[:, m:] = 0.0
    if w is None:
        return wide, wide
    wide[:rows][w == 0.0] = 0.0
    weighted = space.array("weighted", (padded, columns))
    np.multiply(wide[:rows], w[:, None], out=weighted[:rows])
    weighted[rows:] = 0.0
    return wide, weighted


def _join(design: Moments, anchor: Array, cross: Array, squares: Array) -> Moments:
    """Add the responses' sums to the moments of the design, about the mean."""
    sumw = design.sumw
    mean = np.divide(cross[0], sumw, out=np.zeros_like(cross[0]), where=sumw != 0)
    sxy, syy = cross[1:], squares
    if design.centered:
        sxy = sxy - (sumw * design.mean)[:, None] * mean
        syy = squares - sumw * mean**2
    return replace(
        design,
        anchor=np.concatenate([design.anchor, anchor]),
        mean=np.concatenate([design.mean, mean]),
        sxy=sxy,
        syy=syy,
        raw=np.concatenate([design.raw, squares]),
    )
