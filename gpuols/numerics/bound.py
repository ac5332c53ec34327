"""The error bound: what each regression's numbers are worth, from its moments alone.

Rounding in forming S = Σ w (x−a)(x−a)' perturbs it by at most γ g g', where g² is its diagonal
before centring, so cancellation in the centring is seen. Pushed through the solution, that gives
a bound on every coefficient and standard error, relative to max(|coefficient|, standard error).

γ counts the longest run of additions into one accumulator: few-valued data (prices, a weight of
0.1) round the same way at every step, and then errors grow with the run, not with its root. Row
sums here run over at most `BLOCK` rows in BLAS, then as a tree.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNIT = 2.0**-53
BLOCK = 256
PIECE = 4096
LANE = 64
LARGEST = 2.0**900


def gamma(nobs: Array) -> Array:
    """Rounding error of a sum of products, relative to the sum of their absolute values.

    Parameters
    ----------
    nobs : any shape
        Rows summed, at most `BLOCK` of them in one run of additions.

    Returns
    -------
    same shape
        The factor γ = (4 + √min(n, 4096) + ν/4)·2⁻⁵³, ν the longest run of additions.
    """
    rows = np.maximum(nobs, 1.0)
    longest_run = np.minimum(rows, BLOCK) + np.ceil(np.log2(np.maximum(rows / BLOCK, 1.0)))
    return np.asarray((4.0 + np.sqrt(np.minimum(rows, PIECE)) + longest_run / 4.0) * UNIT)


def gamma_precise(nobs: Array) -> Array:
    """Rounding error of a sum of products in double-double, as `gamma`.

    Parameters
    ----------
    nobs : any shape
        Rows summed, at most 64 of them on one lane.

    Returns
    -------
    same shape
        The factor γ₂ = (4 + √min(n, 4096) + ν/4)·2⁻¹⁰⁴.
    """
    rows = np.maximum(nobs, 1.0)
    longest_run = np.minimum(rows, LANE) + np.ceil(np.log2(np.maximum(rows / LANE, 1.0)))
    terms = 4.0 + np.sqrt(np.minimum(rows, PIECE)) + longest_run / 4.0
    return np.asarray(terms * 2.0**-104)


def in_range(diagonal: Array) -> NDArray[np.bool_]:
    """Whether sums of squares are far enough from overflow and underflow to be trusted."""
    return np.asarray((diagonal > 1.0 / LARGEST) & (diagonal < LARGEST))


def worst(error: Array, value: Array, se: Array) -> Array:
    """Largest error over the first axis, in units of max(|value|, se).

    A value that is exactly zero and known to be (se = 0) counts as exact.

    Parameters
    ----------
    error, value, se : (j, ...)
        Absolute errors, the values, their standard errors (NaN where there is none).

    Returns
    -------
    (...)
        The largest of the relative errors, zero where j = 0.
    """
    size = np.fmax(np.abs(value), se)
    relative = error / size
    nothing = size == 0
    if nothing.any():
        relative[nothing] = np.where(np.broadcast_to(se, size.shape)[nothing] == 0, 0.0, np.inf)
    return np.asarray(np.max(relative, axis=0, initial=0.0))
