"""Choice: what rounding does to which of many solutions is the shortest.

The units of columns may differ by more than a float64 holds: sizes are binary logarithms.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.answers import Answers, means
from gpuols.engines.design import Design, Shortest
from gpuols.moments import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What is known of the error of a choice before there is a response; binary logarithms.

    Attributes
    ----------
    deviations : (k, 1, b)
        Standard errors of the coefficients in the caller's units, over the residuals'.
    own : (1, b), or (0, b) without an intercept
        That of the intercept.
    of_level : (b,)
        Error of the intercept, relative to the length of a solution; -inf without one.
    of_errors : (b,)
        Largest relative error of a standard error.
    """

    deviations: Array
    own: Array
    of_level: Array
    of_errors: Array

    @classmethod
    def of(
        cls, lanes: Moments, k: int, design: Design, shortest: Shortest, variance: Array
    ) -> Self:
        """Of designs, and the variances of their intercepts, (1, b) or (0, b)."""
        doubt = shortest.doubt
        deviations = np.log2(design.variance) / 2.0 + shortest.exponents
        width = deviations.max(axis=0, initial=-np.inf)
        of_errors = _relative(doubt + width, deviations).max(axis=0, initial=-np.inf)
        own, of_level = np.log2(variance) / 2.0, np.full(doubt.shape, -np.inf)
        if lanes.centered:
            mean = np.abs(means(lanes)[0][:k] * design.scale)
            of_level = doubt + (np.log2(mean) - shortest.exponents).max(axis=0) + np.log2(k)
            of_errors = np.maximum(of_errors, _relative(of_level + width, own[0]))
        return cls(deviations[:, None], own, of_level, of_errors)


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
    choice = Choice.of(lanes, k, design, shortest, found.variance)
    noise = found.residual_variance
    spread = np.log2(noise) / 2.0
    sizes = np.log2(np.abs(found.b)) + shortest.exponents[:, None]
    length = sizes.max(axis=0, initial=-np.inf)
    error = _relative(shortest.doubt + length, np.fmax(sizes, choice.deviations + spread))
    level = np.fmax(np.log2(np.abs(found.intercept)), choice.own[:, None] + spread)
    errors = [
        *error,
        *_relative(choice.of_level + length, level),
        np.where(noise > 0, choice.of_errors, -np.inf),
    ]
    return np.asarray(np.exp2(np.max(errors, axis=0)))


def _relative(error: Array, size: Array) -> Array:
    """Logarithm of the quotient; a size of zero is known to be."""
    return np.where(size == -np.inf, -np.inf, error - size)
