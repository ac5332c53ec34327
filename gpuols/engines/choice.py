"""Choice: what rounding does to which of many solutions is the shortest.

The units of columns may differ by more than a float64 holds: sizes are binary logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.answers import Answers, means
from gpuols.engines.design import Design, Shortest
from gpuols.moments import Moments

Array = NDArray[np.float64]


def error_of_choice(
    lanes: Moments, k: int, design: Design, shortest: Shortest, found: Answers
) -> Array:
    """Error of coefficients and standard errors from the choice of the shortest solution.

    Parameters
    ----------
    lanes : Moments
        Regressions last.
    k : int
        Columns.
    design : Design
        Their factored Gram matrices.
    shortest : Shortest
        The choice.
    found : Answers
        What it leads to.

    Returns
    -------
    (m, b)
        The largest, in units of max(|coefficient|, standard error) or of the standard error.
    """
    units, doubt = shortest.exponents[:, None], shortest.doubt
    noise = found.residual_variance
    sizes = np.log2(np.abs(found.b)) + units
    deviations = np.log2(design.variance)[:, None] / 2.0 + units
    spread = np.log2(noise) / 2.0
    length, width = sizes.max(axis=0, initial=-np.inf), deviations.max(axis=0, initial=-np.inf)
    errors = [
        _relative(doubt + length, np.fmax(sizes, deviations + spread)),
        np.where(noise > 0, _relative(doubt + width, deviations), -np.inf),
    ]
    if lanes.centered:
        mean = np.abs(means(lanes)[0][:k] * design.scale)
        lever = (np.log2(mean) - shortest.exponents).max(axis=0) + np.log2(k)
        own = np.log2(found.variance) / 2.0
        size = np.fmax(np.log2(np.abs(found.intercept)), own[:, None] + spread)
        errors += [
            _relative(doubt + lever + length, size),
            np.where(noise > 0, _relative(doubt + lever + width, own[:, None]), -np.inf),
        ]
    return np.asarray(np.exp2(np.max([part.max(axis=0) for part in errors], axis=0)))


def _relative(error: Array, size: Array) -> Array:
    """Logarithm of the quotient; a size of zero is known to be."""
    return np.where(size == -np.inf, -np.inf, error - size)
