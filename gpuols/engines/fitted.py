"""Fits in double-double, as exact as moments, and the residuals of earlier fits, can make them.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.9, iterative refinement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.design import Design, Precise
from gpuols.engines.noise import Noise
from gpuols.moments import Moments
from gpuols.numerics import bound, pivots
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Pair
from gpuols.numerics.lanes import total

Array = NDArray[np.float64]
Looks = Sequence[Moments]


@dataclass(frozen=True)
class Fit:
    """Fits in double-double, about the anchor of their moments; regressions last.

    What lies below its own noise is left out: a coefficient of 2, or of 0, is that to the bit.

    Attributes
    ----------
    slopes : pair of (k, m, b)
        Coefficients in scaled units, zero where a column was dropped.
    level : pair of (m, b)
        Intercepts at the anchor.
    """

    slopes: Pair
    level: Pair

    @classmethod
    def of(cls, lanes: Moments, k: int, design: Design, precise: Precise, looks: Looks) -> "Fit":
        """Fits from moments in double-double, and those of the residuals of earlier fits."""
        fit = _fit(lanes, k, design, precise)
        for look in looks:
            fit = _refined(lanes, k, design, precise, fit, look)
        return fit


def _fit(lanes: Moments, k: int, design: Design, precise: Precise) -> Fit:
    assert lanes.low is not None
    _, slopes = slopes_of(lanes, design, precise)
    error = _spread(precise) * Noise.of(lanes, k, design, slopes[0]).step
    slopes = _settled(slopes, error)
    if not lanes.centered:
        return Fit(slopes, dd.exact(np.zeros(lanes.syy.shape)))
    center, mean = _about_anchor(lanes, k, design), (lanes.mean[k:], lanes.low.mean[k:])
    level = dd.subtract(mean, dd.total(dd.multiply(slopes, center)))
    deviation = np.sqrt(lanes.raw / lanes.sumw)
    terms = total((deviation[:k] * design.scale)[:, None] * np.abs(slopes[0])) + deviation[k:]
    error = total(np.abs(center[0]) * error) + bound.gamma_precise(lanes.nobs) * terms
    return Fit(slopes, _settled(level, error))


def _refined(
    lanes: Moments, k: int, design: Design, precise: Precise, fit: Fit, look: Moments
) -> Fit:
    assert look.low is not None
    _, more = slopes_of(look, design, precise)
    slopes = dd.add(fit.slopes, more)
    noise = Noise.of_residuals(lanes, k, design, slopes[0], look, more[0])
    error = _spread(precise) * noise.step
    if not lanes.centered:
        return Fit(_nonzero(slopes, error), fit.level)
    center = _about_anchor(lanes, k, design)
    level = dd.add(fit.level, (look.mean[k:], look.low.mean[k:]))
    level = dd.subtract(level, dd.total(dd.multiply(more, center)))
    own = (noise.rounding + bound.gamma_precise(lanes.nobs) * np.sqrt(look.raw[k:])) / np.sqrt(
        lanes.sumw
    )
    return Fit(_nonzero(slopes, error), _nonzero(level, total(np.abs(center[0]) * error) + own))


def _spread(precise: Precise) -> Array:
    """Root of the diagonal of A⁻¹, of the kept columns, (k, 1, b)."""
    return np.sqrt(total(precise.half[0] ** 2))[:, None]


def _about_anchor(lanes: Moments, k: int, design: Design) -> Pair:
    """Means of the columns minus the anchor, in scaled units, (k, 1, b)."""
    assert lanes.low is not None
    mean = lanes.mean, lanes.low.mean
    return dd.each(lambda part: (part[:k] * design.scale)[:, None], mean)


def _settled(a: Pair, error: Array) -> Pair:
    """Numbers without what is below their error: the low part, or all."""
    high, low = _nonzero(a, error)
    return high, np.where(np.abs(low) > error, low, 0.0)


def _nonzero(a: Pair, error: Array) -> Pair:
    """Numbers that exceed their error, the others zero."""
    return dd.where(np.abs(a[0]) > error, a)


def slopes_of(lanes: Moments, design: Design, precise: Precise) -> tuple[Pair, Pair]:
    """L⁻¹ X'y and slopes in scaled units, zero where a column was dropped, (k, m, b) each."""
    assert lanes.low is not None
    scale = design.scale[:, None]
    c = dd.where(design.kept[:, None], (lanes.sxy * scale, lanes.low.sxy * scale))
    # Not by the inverse: a small SSR is what z leaves of the responses' squares.
    z = pivots.substitute(precise.lower, c)
    return z, dd.matmul(pivots.transpose(precise.half), z)
