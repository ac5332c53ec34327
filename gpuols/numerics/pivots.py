"""Rank, decided in double-double, left to right; and what a design of smaller rank still says.

Column j is dropped where its pivot, what the columns kept before it leave of its sum of squares
s_jj, is at most max(τ² s_jj, (8u)² Σ x²): it is then a combination of those columns to ten digits,
or, x being far from zero, to the last digit that x itself has. In double-double a pivot is right
to twenty digits at that size, so the order of the rows does not decide. Where the combination's
terms are so large that its rounding hides the pivot, it is dropped, too.

Matrices are pairs (k, k, b), regressions last. A dropped column leaves a row and a column of the
identity in the factor, so that one code serves all ranks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.numerics import doubledouble as dd
from gpuols.numerics.bound import UNIT
from gpuols.numerics.doubledouble import Array, Pair

TOLERANCE = 1e-10
DIGITS_OF_X = 8.0 * UNIT
NEAR = 4.0  # times a threshold: a pivot below it is not told from zero in double


def floor(about_mean: Array, about_zero: Array) -> Array:
    """Largest pivot that counts as zero.

    Parameters
    ----------
    about_mean : (k, b)
        Sums of squares s_jj of the columns, about the mean where there is an intercept.
    about_zero : (k, b)
        Sums of squares of the columns themselves.

    Returns
    -------
    (k, b)
        The thresholds.
    """
    return np.asarray(np.fmax(TOLERANCE**2 * about_mean, DIGITS_OF_X**2 * about_zero))


def factor(
    a: Pair, lowest: Array, room: Any = np.inf, noise: Array | None = None
) -> tuple[Pair, NDArray[np.bool_]]:
    """Cholesky factors that leave out the columns whose pivot is not above a threshold.

    Parameters
    ----------
    a : pair of (k, k, b)
        Symmetric matrices.
    lowest : (k, b)
        Thresholds of the pivots.
    room : (b,), optional
        Largest number of columns that can be independent.
    noise : (k, b), optional
        Rounding errors of the diagonal before centring.

    Returns
    -------
    lower : pair of (k, k, b)
        The factors.
    kept : (k, b)
        Which columns are in.
    """
    a = dd.each(np.copy, a)
    lower = dd.each(np.zeros_like, a)
    kept = np.empty(lowest.shape, bool)
    for j in range(len(lowest)):
        pivot = dd.take(a, (j, j))
        kept[j] = (pivot[0] > lowest[j]) & (kept[:j].sum(axis=0) < room)
        if noise is not None:
            kept[j] &= pivot[0] > _hidden(lower[0], j, noise)
        below = slice(j + 1, None)
        root = dd.sqrt(dd.where(kept[j], pivot, 1.0))
        column = dd.where(kept[j], dd.divide(dd.take(a, (below, j)), root))
        dd.put(lower, (j, j), root)
        dd.put(lower, (below, j), column)
        outer = dd.multiply(dd.take(column, (slice(None), None)), dd.take(column, None))
        dd.put(a, (below, below), dd.subtract(dd.take(a, (below, below)), outer))
        for part in lower:
            part[j, :j] = np.where(kept[j], part[j, :j], 0.0)
    return lower, kept


def _hidden(lower: Array, j: int, noise: Array) -> Array:
    """Rounding error of the pivot of column j, a combination of those before it; (b,)."""
    terms = lower[j, :j].copy()
    for i in reversed(range(j)):
        terms[i] /= lower[i, i]
        terms[:i] -= lower[i, :i] * terms[i]
    return np.asarray((noise[:j] * terms**2).sum(axis=0) + noise[j])


def invert(lower: Pair) -> Pair:
    """Inverses of lower triangular matrices, by forward substitution.

    Parameters
    ----------
    lower : pair of (k, k, b)
        Lower triangular matrices.

    Returns
    -------
    pair of (k, k, b)
        The inverses, lower triangular.
    """
    k = len(lower[0])
    inverse = dd.each(np.zeros_like, lower)
    inverse[0][range(k), range(k)] = 1.0
    for i in range(k):
        done, below = slice(i + 1), slice(i + 1, None)
        row = dd.divide(dd.take(inverse, (i, done)), dd.take(lower, (i, i)))
        dd.put(inverse, (i, done), row)
        outer = dd.multiply(dd.take(lower, (below, i, None)), dd.take(row, None))
        rest = dd.subtract(dd.take(inverse, (below, done)), outer)
        dd.put(inverse, (below, done), rest)
    return inverse


def substitute(lower: Pair, c: Pair) -> Pair:
    """Solutions of L z = c by forward substitution, whose errors don't grow with the condition.

    Parameters
    ----------
    lower : pair of (k, k, b)
        Lower triangular matrices.
    c : pair of (k, m, b)
        Right sides.

    Returns
    -------
    pair of (k, m, b)
        The solutions.
    """
    z = dd.each(np.copy, c)
    for i in range(len(z[0])):
        below = slice(i + 1, None)
        row = dd.divide(dd.take(z, i), dd.take(lower, (i, i, None)))
        dd.put(z, i, row)
        outer = dd.multiply(dd.take(lower, (below, i, None)), dd.take(row, None))
        dd.put(z, below, dd.subtract(dd.take(z, below), outer))
    return z


def identity(k: int) -> Pair:
    """The identity, (k, k, 1)."""
    return dd.exact(np.eye(k)[:, :, None])


def transpose(a: Pair) -> Pair:
    """Matrices (k, m, b) as (m, k, b)."""
    return a[0].swapaxes(0, 1), a[1].swapaxes(0, 1)
