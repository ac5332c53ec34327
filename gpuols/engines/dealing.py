"""Rows dealt to lanes, as exact differences from their anchor.

The number of lanes depends on the number of rows alone. Where the last step has no row for a
lane, or a row is not there, the difference is zero, which changes no bit of a sum.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.numerics import doubledouble as dd
from gpuols.numerics.bound import LANE, PIECE
from gpuols.numerics.compensated import Split

Array = NDArray[np.float64]

_ROWS_A_LANE = 8  # before there is another lane


def lanes_of(n: int) -> int:
    """Lanes that n rows are dealt to: a power of two."""
    share = min(n, PIECE) // _ROWS_A_LANE
    return min(LANE, 1 << max(0, share.bit_length() - 1))


def cut(a: Array, fill: Any) -> Array:
    """Rows (1, r, ...) of one regression as pieces (g, PIECE, ...), the last one filled up."""
    rows = a.shape[1]
    if rows % PIECE:
        whole = np.empty((-(-rows // PIECE) * PIECE, *a.shape[2:]))
        whole[:rows], whole[rows:] = a[0], fill
    else:
        whole = a[0]
    return whole.reshape(len(whole) // PIECE, PIECE, *whole.shape[1:])


def load(z: Array, w: Array | None, anchor: Array, lanes: int) -> tuple[Split, Split, Array | None]:
    """Deal rows to lanes: w (z - a) and z - a, (q, steps, u * lanes), and w (steps, u * lanes)."""
    count, _, columns = z.shape
    dealt = _deal(z, lanes, anchor)
    if not anchor.any() and w is None:
        right = Split.of((dealt, None))
        return right, right, None
    about = np.repeat(np.broadcast_to(anchor, (count, columns)).T, lanes, axis=1)[:, None]
    high, low = dd.two_sum(dealt, -about)
    if w is None:
        right = Split.of((high, low))
        return right, right, None
    weight = _deal(w[:, :, None], lanes, np.zeros((1, 1)))[0]
    absent = weight == 0.0
    if absent.any():
        high[:, absent] = 0.0
        low[:, absent] = 0.0
    product, error = dd.two_prod(weight, high)
    left = Split.of(dd.fast_two_sum(product, error + weight * low))
    return left, Split.of((high, low)), weight


def _deal(source: Array, lanes: int, fill: Array) -> Array:
    """Rows (u, r, c) as (c, steps, u * lanes), filled up with `fill` (u or 1, c)."""
    count, rows, columns = source.shape
    whole, rest = divmod(rows, lanes)
    steps = whole + (rest > 0)
    dealt = np.empty((columns, steps, count, lanes))
    head = source[:, : whole * lanes].reshape(count, whole, lanes, columns)
    dealt[:, :whole] = head.transpose(3, 1, 0, 2)
    if rest:
        dealt[:, whole, :, :rest] = source[:, whole * lanes :].transpose(2, 0, 1)
        dealt[:, whole, :, rest:] = fill.T[:, :, None]
    return dealt.reshape(columns, steps, count * lanes)
