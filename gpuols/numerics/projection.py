"""From one of many solutions to the shortest, where columns are redundant.

With T the coefficients of the dropped columns on the kept ones, X = X_kept R, R = [I, T], and with
R = LQ, the rows of Q orthonormal, the shortest solution is Q'L⁻¹ times that on the kept columns.
R has no singular value below one, so an error of norm E in it moves a solution by 2E times its
length at most.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 1.4.2, 2.4.2 and 2.7.3.
"""

import numpy as np
from numpy.typing import NDArray

from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Array, Pair
from gpuols.numerics.lanes import total
from gpuols.numerics.pivots import invert, transpose

_UNIT = 2.0**-100


def shortest(
    gram: Pair,
    inverse: Pair,
    kept: NDArray[np.bool_],
    exponents: NDArray[np.int64],
    raw: Array,
    gamma: Array,
) -> tuple[Pair, Array]:
    """Projection that turns the solution on the kept columns into the shortest of all solutions.

    A coefficient in T below its own rounding is zero.

    Parameters
    ----------
    gram : pair of (k, k, b)
        Symmetric matrices S.
    inverse : pair of (k, k, b)
        Inverses of their factors, zero where a column was dropped.
    kept : (k, b)
        Which columns are in.
    exponents : (k, b)
        Powers of two that take a coefficient to the units in which lengths are measured.
    raw : (k, b)
        Sums of squares of the columns before centring.
    gamma : (b,)
        Rounding error of the sums of products.

    Returns
    -------
    projection : pair of (k, k, b)
        The projections.
    doubt : (b,)
        Binary logarithm of 2E, which relates the error of a solution to its length; infinite where
        the units of columns differ by more than a float64 holds.
    """
    k = len(kept)
    mixed = dd.where(kept[:, None] & ~kept[None], gram)
    rows = dd.matmul(transpose(inverse), dd.matmul(inverse, mixed))
    spread = total(inverse[0] ** 2)
    reach = np.sqrt(total(raw * spread) * (total(raw[:, None] * rows[0] ** 2) + raw))
    error = np.where(kept[:, None] & ~kept[None], gamma * np.sqrt(spread)[:, None] * reach, 0.0)
    rows = dd.where(np.abs(rows[0]) > error, rows)
    rows[0][range(k), range(k)] = kept

    shift = exponents[:, None] - exponents[None]
    doubt = (np.log2(error + _UNIT * np.abs(rows[0])) + shift).max(axis=(0, 1)) + np.log2(2.0 * k)
    _, size = np.frexp(rows[0])
    longest = np.where(rows[0] != 0, size + shift, np.iinfo(np.int32).min // 2).max(axis=1)
    longest = np.where(kept, longest, 0)
    own = shift - longest[:, None]
    near = _scaled(rows, own)
    lower, basis = _orthogonalize(near, kept)
    found = dd.matmul(transpose(basis), invert(lower))
    given = _scaled(found, own.swapaxes(0, 1))
    lost = _vanished(rows, near) | _vanished(found, given)
    return given, np.where(lost, np.inf, doubt)


def _orthogonalize(rows: Pair, kept: NDArray[np.bool_]) -> tuple[Pair, Pair]:
    """Factors R = LQ, rows of Q orthonormal, by modified Gram-Schmidt; zero where not kept."""
    basis, lower = dd.each(np.copy, rows), dd.each(np.zeros_like, rows)
    for i in range(len(kept)):
        row, below = dd.take(basis, i), slice(i + 1, None)
        _, exponent = np.frexp(np.abs(row[0]).max(axis=0))
        row = _scaled(row, -exponent)
        size = dd.sqrt(dd.where(kept[i], dd.total(dd.multiply(row, row)), 1.0))
        row = dd.divide(row, size)
        rest = dd.take(basis, below)
        along = dd.total(dd.multiply(transpose(rest), dd.take(row, (slice(None), None))))
        dd.put(lower, (i, i), _scaled(size, exponent))
        dd.put(lower, (below, i), along)
        dd.put(basis, i, row)
        part = dd.multiply(dd.take(along, (slice(None), None)), row)
        dd.put(basis, below, dd.subtract(rest, part))
    return lower, basis


def _scaled(a: Pair, exponent: NDArray[np.int64]) -> Pair:
    return dd.each(lambda part: np.ldexp(part, exponent), a)


def _vanished(before: Pair, after: Pair) -> NDArray[np.bool_]:
    """Where some element underflowed, (b,)."""
    return np.asarray(((before[0] != 0) & (after[0] == 0)).any(axis=(0, 1)))
