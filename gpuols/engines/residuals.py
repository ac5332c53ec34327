"""Residuals, row by row in double-double: a closer look at fits whose squares hide them.

Where a fit is so close that what is left of the responses' squares is rounding, the residuals
themselves, from coefficients of 106 bits, still have all their digits. Summed in the responses'
place they give the sum of squared residuals, and what the coefficients still lack.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.9, iterative refinement.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.design import factor
from gpuols.engines.fitted import Fit, Looks
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.compensated import Split
from gpuols.numerics.doubledouble import Pair
from gpuols.numerics.lanes import to_last, total

Array = NDArray[np.float64]


_UNIT = 2.0**-103


@dataclass(frozen=True)
class Model:
    """Fitted values, in the units of their moments and about their anchor; regressions last.

    Attributes
    ----------
    slopes : pair of (k, m, b)
        Coefficients of the columns.
    level : pair of (m, b)
        Intercepts about the anchor.
    anchor : (q, b)
        The anchor.
    """

    slopes: Pair
    level: Pair
    anchor: Array

    @classmethod
    def of(cls, looks: Looks) -> Self:
        """Fits from moments in double-double, L = (b,), and those of earlier residuals."""
        lanes, *earlier = (look.map(to_last) for look in looks)
        k = looks[0].k
        design = factor(lanes, k, np.zeros(len(looks[0].nobs)))
        assert design.precise is not None
        fit = Fit.of(lanes, k, design, design.precise, earlier)
        slopes = dd.each(lambda part: part * design.scale[:, None], fit.slopes)
        return cls(slopes, fit.level, lanes.anchor)

    @property
    def intercept(self) -> Array:
        """Intercepts as they stand, (m, b)."""
        k = len(self.slopes[0])
        own = self.level[0] + self.anchor[k:]
        return np.asarray(own - total(self.anchor[:k, None] * self.slopes[0]))

    @property
    def numbers(self) -> Array:
        """Of each response level, high and low, intercept, and slopes, high and low, in turn.

        The result is (m, 3 + 2 k, b).
        """
        slopes = np.stack(self.slopes, axis=1).reshape(-1, *self.intercept.shape)
        return np.concatenate([[*self.level, self.intercept], slopes]).swapaxes(0, 1)

    def replace_responses(self, left: Split, right: Split, weight: Array) -> tuple[Split, Split]:
        """Rows w z and z (q, steps, width) with residuals in the responses' place.

        A residual below the rounding of its own terms, about the anchor and as they stand, is
        zero, as it is where the weight (steps, width) is.
        """
        k, (_, steps, width) = len(self.slopes[0]), right.high.shape

        def dealt(part: Array) -> Array:
            each = np.repeat(part, width // part.shape[-1], axis=-1)[..., None, :]
            return np.broadcast_to(each, (*part.shape[:-1], steps, width))

        slopes, level = dd.each(dealt, self.slopes), dd.each(dealt, self.level)
        anchor, intercept = dealt(self.anchor), dealt(self.intercept)
        rest = dd.subtract(right[k:].number, level)
        terms = np.abs(right[k:].high) + np.abs(level[0])
        own = np.abs(right[k:].high + anchor[k:]) + np.abs(intercept)
        for j in range(k):
            part = dd.multiply(right[j : j + 1].number, dd.take(slopes, j))
            rest = dd.subtract(rest, part)
            terms += np.abs(part[0])
            own += np.abs((right[j].high + anchor[j]) * slopes[0][j])
        seen = np.abs(rest[0]) > _UNIT * (k + 4) * np.minimum(terms, own)
        rest = dd.where(seen & (weight > 0), rest)
        product, error = dd.two_prod(weight, rest[0])
        weighted = dd.fast_two_sum(product, error + weight * rest[1])
        return _join(left[:k], weighted), _join(right[:k], rest)


def _join(columns: Split, responses: Pair) -> Split:
    pairs = zip(columns.number, responses, strict=True)
    high, low = (np.concatenate(parts) for parts in pairs)
    return Split.of((high, low))
