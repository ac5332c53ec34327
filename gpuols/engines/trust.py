"""Trust: how far off the answers may be, and where that can't be said.

The error bound is what rounding in the sums may do (`noise`), pushed through the solution. Where
a fit is exact, what its SSR may hide bounds the standard errors, in units of the coefficients. All
arrays here have the regressions on the last axis; a design that many responses share has one.
"""

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.answers import Answers
from gpuols.engines.choice import error_of_choice
from gpuols.engines.design import Design, lowest_pivots
from gpuols.moments import Moments
from gpuols.numerics import bound
from gpuols.numerics.pivots import NEAR

Array = NDArray[np.float64]

_ROUNDING = 8.0 * bound.UNIT


def error_bound(lanes: Moments, k: int, design: Design, found: Answers) -> Array:
    """Bound on the error of every coefficient and standard error; (m, b)."""
    noise = found.noise
    scale, scale_0 = np.sqrt(design.spread)[:, None], np.sqrt(found.reach)[:, None]
    deviation, deviation_0 = np.sqrt(design.variance)[:, None], np.sqrt(found.variance)[:, None]
    spread = np.sqrt(found.residual_variance)
    estimate = bound.worst(scale * noise.step, found.b, deviation * spread)
    own = bound.worst(scale_0 * noise.level, found.intercept, deviation_0 * spread)
    estimate = np.maximum(estimate, own)

    exact = lanes.precise & (found.ssr == 0)
    root = noise.step * np.sqrt(found.shrunk) + noise.rounding * np.sqrt(found.ssr)
    unseen = noise.unseen + noise.rounding**2
    of_se = error_of_variances(lanes, k, design, found) + np.where(
        exact, 0.0, (unseen + 2.0 * root) / found.ssr
    )
    nothing = exact & (noise.size == 0) & ~design.penalised
    estimate = np.maximum(estimate, np.where(nothing, 0.0, 0.5 * of_se))
    if design.shortest is not None:
        estimate = np.maximum(estimate, error_of_choice(lanes, k, design, design.shortest, found))
    rounding = _ROUNDING + 0.5 * k * bound.UNIT
    if not lanes.precise:
        return np.asarray(estimate + rounding)
    hidden = np.sqrt(np.where(exact, 2.0 * unseen / found.df, 0.0))
    zero = (found.b == 0) & design.kept[:, None]
    for size, value in ((deviation, found.b), (deviation_0, found.intercept)):
        estimate = np.maximum(estimate, bound.worst(size * hidden, value, size * spread))
    doubtful = (zero.any(axis=0) | (found.intercept == 0).any(axis=0)) & (hidden > 0)
    estimate = np.where(doubtful & ~noise.verified, np.inf, estimate)
    return np.asarray(estimate + rounding)


def error_of_variances(lanes: Moments, k: int, design: Design, found: Answers) -> Array:
    """Bound on the relative error of the variances over the residual variance; (b,)."""
    gamma = bound.gamma_precise if lanes.precise else bound.gamma
    ratio = np.where(design.variance > 0, design.spread / design.variance, np.inf)
    ratio = np.where((lanes.raw[:k] > 0) & (design.spread > 0), ratio, 1.0)
    if lanes.centered:
        own_ratio = np.where(found.variance > 0, found.reach / found.variance, np.inf)
        ratio = np.concatenate([ratio, own_ratio])
    inflation = np.max(ratio, axis=0, initial=1.0)
    shrinkage = design.freed / np.where(found.df > 0, found.df, np.nan)
    return np.asarray(gamma(lanes.nobs) * design.leverage * (inflation + shrinkage))


def in_range(lanes: Moments, k: int, design: Design) -> NDArray[np.bool_]:
    """Whether no sum of squares of a design in double is near overflow or underflow; (b,)."""
    if design.precise is not None:
        return np.ones(lanes.nobs.shape, bool)
    sums = np.concatenate([lanes.sumw[None], np.einsum("iib->ib", lanes.sxx), lanes.raw[:k]])
    return np.asarray(bound.in_range(sums).all(axis=0))


def has_rank(lanes: Moments, k: int, design: Design) -> NDArray[np.bool_]:
    """Whether no pivot is near what counts as zero; (b,)."""
    pivots = 1.0 / (design.spread * design.scale**2)
    distinct = (pivots > NEAR * lowest_pivots(lanes, k)) | design.penalised
    return np.asarray(distinct.all(axis=0))
