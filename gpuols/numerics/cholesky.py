"""Cholesky factors of many small matrices at once, none hurt by its neighbour.

Two layouts, chosen by k alone so that a problem's bits never depend on the others:

- k <= 16: structure of arrays. Every step is one NumPy operation over all problems, in a fixed
  order of operations for each.
- k > 16: LAPACK, one matrix at a time. ``np.linalg.cholesky`` raises for the whole batch when
  one matrix is indefinite; the batch is then halved until the bad ones stand alone.

Matrices are (k, k, ...) with the problems last. A factor that does not exist is NaN.
"""

import numpy as np
from numpy.typing import NDArray

from gpuols.numerics.lanes import to_first, to_last

Array = NDArray[np.float64]

SMALL = 16
TILE = 128


def factor(a: Array) -> Array:
    """Lower Cholesky factor L of each matrix, A = L L'.

    Parameters
    ----------
    a : (k, k, b)
        Symmetric matrices, C order; the lower triangle is read, and all may be overwritten.

    Returns
    -------
    (k, k, b)
        The factors, zero above the diagonal, NaN where A is not positive definite, or where its
        numbers overflowed.
    """
    if a.shape[0] <= SMALL:
        return _factor_small(a)
    return _blank_failures(to_last(_factor_lapack(_first(a))))


def invert(lower: Array) -> Array:
    """Inverse of each lower triangular matrix, by forward substitution.

    Parameters
    ----------
    lower : (k, k, b)
        Lower triangular matrices.

    Returns
    -------
    (k, k, b)
        The inverses, lower triangular.
    """
    return _invert_small(lower) if lower.shape[0] <= SMALL else _invert_large(lower)


def solve(lower: Array, inverse: Array, c: Array, *, shared: bool) -> tuple[Array, Array]:
    """Solutions of L z = c and L' b = z.

    Parameters
    ----------
    lower, inverse : (k, k, b)
        A Cholesky factor and its inverse.
    c : (k, m, b)
        Right sides.
    shared : bool
        Whether one factor (b = 1) serves all m columns; their bits then don't depend on m.

    Returns
    -------
    z, b : (k, m, b)
        The half-way and the final solutions.
    """
    if shared:
        return _solve_tiles(lower[:, :, 0], inverse[:, :, 0], c[:, :, 0])
    half = halve(lower, inverse, c)
    if lower.shape[0] <= SMALL:
        return half, _substitute(lower.swapaxes(0, 1)[::-1, ::-1], half[::-1])[::-1]
    upper = _first(lower.swapaxes(0, 1))
    return half, to_last(_apply(_first(inverse.swapaxes(0, 1)), upper, _first(half)))


def halve(lower: Array, inverse: Array, c: Array) -> Array:
    """Solutions of L z = c; shapes as in `solve`."""
    if lower.shape[0] <= SMALL:
        return _substitute(lower, c)
    return to_last(_apply(_first(inverse), _first(lower), _first(c)))


def multiply(a: Array, c: Array) -> Array:
    """Matrix products A C.

    Parameters
    ----------
    a : (j, k, b)
        Left factors.
    c : (k, m, b)
        Right factors.

    Returns
    -------
    (j, m, b)
        The products.
    """
    return to_last(np.matmul(_first(a), _first(c)))


def _apply(inverse: Array, matrix: Array, c: Array) -> Array:
    """Inverse times C, refined once, so that the residual is as small as substitution's."""
    x = np.matmul(inverse, c)
    residual = np.matmul(matrix, x)
    np.subtract(c, residual, out=residual)
    x += np.matmul(inverse, residual)
    return np.asarray(x)


def _solve_tiles(lower: Array, inverse: Array, c: Array) -> tuple[Array, Array]:
    """Solve for the columns of c (k, m) with one factor (k, k), in tiles of fixed width."""
    k, m = c.shape
    tiles = -(-m // TILE)
    stacked = np.zeros((tiles, k, TILE))
    whole = m // TILE
    stacked[:whole] = c[:, : whole * TILE].reshape(k, whole, TILE).swapaxes(0, 1)
    if whole < tiles:
        stacked[whole, :, : m - whole * TILE] = c[:, whole * TILE :]
    lower, inverse = np.ascontiguousarray(lower), np.ascontiguousarray(inverse)
    half = _apply(inverse, lower, stacked)
    upper, transposed = np.ascontiguousarray(lower.T), np.ascontiguousarray(inverse.T)
    solution = _apply(transposed, upper, half)

    def unstacked(a: Array) -> Array:
        return a.swapaxes(0, 1).reshape(k, tiles * TILE)[:, :m, None]

    return unstacked(half), unstacked(solution)


def _factor_small(a: Array) -> Array:
    for i, row in enumerate(a):
        rest = row[: i + 1]
        for j in range(i):
            rest[j] /= a[j, j]
            rest[j + 1 :] -= rest[j] * a[j + 1 : i + 1, j]
        np.sqrt(rest[i], out=rest[i])
        row[i + 1 :] = 0.0
    return _blank_failures(a)


def _blank_failures(lower: Array) -> Array:
    pivots = np.einsum("iib->ib", lower)
    failed = ~((pivots > 0) & (pivots < np.inf)).all(axis=0)
    if failed.any():
        lower[:, :, failed] = np.nan
    return lower


def _factor_lapack(a: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(a), dtype=np.float64)
    except np.linalg.LinAlgError:
        if len(a) == 1:
            return np.full_like(a, np.nan)
    half = len(a) // 2
    return np.concatenate([_factor_lapack(a[:half]), _factor_lapack(a[half:])])


def _invert_small(lower: Array) -> Array:
    inverse = np.zeros(lower.shape)
    for i, row in enumerate(lower):
        np.divide(1.0, row[i], out=inverse[i, i])
        rest = inverse[i, :i]
        for h in range(i):
            rest[: h + 1] -= row[h] * inverse[h, : h + 1]
        rest /= row[i]
    return inverse


def _invert_large(lower: Array) -> Array:
    first = _first(lower)
    inverse = np.zeros_like(first)
    for i in range(first.shape[1]):
        pivot = first[:, i, i]
        row = np.matmul(first[:, i, None, :i], inverse[:, :i, :i])[:, 0]
        inverse[:, i, :i] = -row / pivot[:, None]
        inverse[:, i, i] = 1.0 / pivot
    return to_last(inverse)


def _substitute(lower: Array, c: Array) -> Array:
    rest = np.empty(np.broadcast_shapes(c.shape, (1, 1, lower.shape[2])))
    rest[:] = c
    for i, row in enumerate(rest):
        row /= lower[i, i]
        rest[i + 1 :] -= lower[i + 1 :, i, None] * row
    return rest


def _first(a: Array) -> Array:
    return np.ascontiguousarray(to_first(a))
