"""Noise: what rounding in the sums may do to an answer.

g² are the sums of squares about the anchor before centring, V² = Σ g²ⱼ (A⁻¹)ⱼⱼ and
T² = Σ g²ⱼ b²ⱼ + g²_y. Where the residuals were summed by themselves, their sums err by what
*their* squares and the correction of b amount to, and each residual by the rounding of its terms.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.design import Design
from gpuols.moments import Moments
from gpuols.numerics import bound
from gpuols.numerics.lanes import total

Array = NDArray[np.float64]

_UNIT = 2.0**-103


@dataclass(frozen=True)
class Noise:
    """Bounds on the effects of rounding, (m, b); regressions last.

    Attributes
    ----------
    size : (m, b)
        T².
    step : (m, b)
        Error of A^½ b in norm: that of b is √(A⁻¹)ⱼⱼ times as large.
    level : (m, b)
        Likewise for the intercept, which is so many times the root of its own variance off.
    unseen : (m, b)
        Sum of squared residuals that their sums can't tell from zero.
    rounding : (m, b)
        Norm of the rounding of residuals that were summed by themselves.
    verified : (m, b)
        Where those were all zero but for their own rounding, row by row.
    """

    size: Array
    step: Array
    level: Array
    unseen: Array
    rounding: Array
    verified: NDArray[np.bool_]

    @classmethod
    def of(cls, lanes: Moments, k: int, design: Design, b: Array) -> Self:
        """Noise of slopes b (k, m, b) from moments, redundant columns left out."""
        gamma = _gamma(lanes)
        size = _size(lanes, lanes, k, design, b)
        step = gamma * np.sqrt(design.leverage * size)
        level = step + gamma * np.sqrt(lanes.raw[k:])
        return cls(size, step, level, gamma * size, np.zeros_like(size), np.zeros(size.shape, bool))

    @classmethod
    def of_residuals(
        cls, lanes: Moments, k: int, design: Design, b: Array, rest: Moments, more: Array
    ) -> Self:
        """Noise of slopes b that the residuals' moments `rest` have changed by `more`."""
        gamma = _gamma(lanes)
        size = _size(lanes, lanes, k, design, b)
        own = _UNIT * (k + 4) * np.sqrt((k + 2) * size)
        left = _size(lanes, rest, k, design, more)
        step = gamma * np.sqrt(design.leverage * left) + own
        level = step + gamma * np.sqrt(rest.raw[k:])
        return cls(size, step, level, gamma * left, own, rest.raw[k:] == 0)


def _size(lanes: Moments, responses: Moments, k: int, design: Design, b: Array) -> Array:
    of_columns = total((lanes.raw[:k] * design.scale**2)[:, None] * b**2)
    return np.asarray(of_columns + responses.raw[k:])


def _gamma(lanes: Moments) -> Array:
    return bound.gamma_precise(lanes.nobs) if lanes.precise else bound.gamma(lanes.nobs)
