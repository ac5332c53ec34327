"""Centring: from sums about an anchor to moments about the mean, in double-double."""

import numpy as np
from numpy.typing import NDArray

from gpuols.moments import Moments
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Pair
from gpuols.numerics.lanes import to_first
from gpuols.sums import Low

Array = NDArray[np.float64]


def about_mean(
    sums: Pair,
    counts: tuple[Array, Array, Array],
    anchor: Array,
    units: NDArray[np.int32],
    k: int,
    first: int,
    centered: bool,
) -> Moments:
    """Moments about the mean.

    Parameters
    ----------
    sums : pair of (f, b)
        W, Σ w z, for each column of X its products with itself, the later ones and the responses
        (with `first` = k the responses alone), and the squares of the responses.
    counts : tuple of (b,)
        Rows, sum of the weights, and of their logarithms.
    anchor : (b, q)
        Anchors of the rows.
    units : (b, q+1)
        Exponents of the units of the columns and the weights.
    k, first : int
        Columns of X, and how many of them have no products among themselves here.
    centered : bool
        Whether the model has an intercept.

    Returns
    -------
    Moments
        L = (b,).
    """
    q = anchor.shape[1]
    m = q - k
    sumw, sums_z = dd.take(sums, 0), dd.take(sums, slice(1, 1 + q))
    squares = dd.take(sums, slice(-m, None)) if m else dd.take(sums, slice(0, 0))
    both = np.zeros((k, q, len(anchor))), np.zeros((k, q, len(anchor)))
    start = 1 + q
    for i in range(k):
        begin = max(i, first)
        row = dd.take(sums, slice(start, start + q - begin))
        dd.put(both, (i, slice(begin, None)), row)
        dd.put(both, (slice(begin, k), i), dd.take(row, slice(k - begin)))
        start += q - begin
    raw = np.concatenate([both[0][range(k), range(k)], squares[0]])
    some = np.where(sumw[0] > 0, sumw[0], 1.0), sumw[1]
    mean = dd.divide(sums_z, some)
    if centered:
        outer = dd.multiply(dd.take(sums_z, (slice(k), None)), dd.take(mean, None))
        outer = _symmetric(outer, k)
        both = dd.subtract(both, outer)
        own = dd.multiply(dd.take(sums_z, slice(k, None)), dd.take(mean, slice(k, None)))
        squares = dd.subtract(squares, own)
    high, low = (
        Low(
            sumw=sumw[part],
            mean=to_first(mean[part]),
            sxx=to_first(both[part][:, :k]),
            sxy=to_first(both[part][:, k:]),
            syy=to_first(squares[part]),
        )
        for part in (0, 1)
    )
    return Moments(
        nobs=counts[0],
        sum_log_w=counts[2],
        anchor=anchor,
        raw=to_first(raw),
        units=units,
        low=low,
        centered=centered,
        precise=True,
        **vars(high),
    )


def _symmetric(a: Pair, k: int) -> Pair:
    """Copy the upper triangle of the first k columns to the lower: they agree to the bit."""
    rows, columns = np.triu_indices(k, 1)
    for part in a:
        part[columns, rows] = part[rows, columns]
    return a
