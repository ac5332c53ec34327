"""From moments to answers, in double: coefficients, variances, SSR, error bound and status.

The Gram matrix is scaled by powers of two (exactly), factored, and solved. The intercept comes
last, from the means in compensated arithmetic, so that an offset of 1e7 standard deviations
costs it no digits. With a ridge penalty λ the slopes are penalised as they stand, not scaled.

All arrays here have the regressions on the last axis; a design that many responses share has
one. In the error bound g² are the sums of squares about the anchor before centring,
V² = Σ g²ⱼ (A⁻¹)ⱼⱼ and T² = Σ g²ⱼ b²ⱼ + g²_y.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970)
for the covariance under a penalty; Ogita, Rump & Oishi (2005) for the compensated sum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.solution import Solution
from gpuols.errors import Status
from gpuols.moments import Moments
from gpuols.numerics import bound, cholesky
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.lanes import to_first, to_last, total

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """A scaled, factored Gram matrix A = S + λI.

    Attributes
    ----------
    scale : (k, b)
        Powers of two that bring the diagonal of A near one.
    penalty : (k, b)
        λ in scaled units.
    lower, inverse : (k, k, b)
        Cholesky factor L of the scaled A, and L⁻¹; NaN where A is not positive definite.
    inner : (k, k, b) or None
        L⁻¹ S L⁻', where there is a penalty; otherwise it is the identity.
    spread : (k, b)
        Diagonal of A⁻¹.
    variance : (k, b)
        Diagonal of A⁻¹ S A⁻¹: variances of the slopes over the residual variance.
    """

    scale: Array
    penalty: Array
    lower: Array
    inverse: Array
    inner: Array | None
    spread: Array
    variance: Array

    @property
    def freed(self) -> Array:
        """Degrees of freedom that the penalty gives back, λ·tr A⁻¹; (b,)."""
        return total(np.where(self.penalty > 0, self.penalty * self.spread, 0.0))

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Where the factor exists; (b,)."""
        if not len(self.scale):
            return np.ones(self.scale.shape[1], bool)
        return np.asarray(np.isfinite(self.lower[0, 0]))


def factor(sxx: Array, ridge: Array) -> Design:
    """Scale and factor S + λI.

    Parameters
    ----------
    sxx : (k, k, b)
        Moments S of the columns.
    ridge : (b,)
        Penalty λ of each regression.

    Returns
    -------
    Design
        The factor and what follows from it alone.
    """
    a = np.array(sxx, order="C")
    diagonal = np.einsum("iib->ib", a)
    diagonal += ridge
    _, exponent = np.frexp(np.where(diagonal > 0, diagonal, 1.0))
    scale = np.ldexp(1.0, -(exponent // 2))
    both = scale[:, None] * scale[None]
    lower = cholesky.factor(a * both)
    inverse = cholesky.invert(lower)
    spread = variance = total(inverse**2)
    inner = None
    if np.any(ridge):
        left = cholesky.multiply(inverse, sxx * both)
        inner = cholesky.multiply(left, inverse.swapaxes(0, 1))
        inner = np.where(ridge == 0, np.eye(len(a))[:, :, None], inner)
        variance = _quadratic(inner, inverse)
    return Design(scale, ridge * scale**2, lower, inverse, inner, spread, variance)


def _quadratic(inner: Array | None, z: Array) -> Array:
    """Value of z' M z for each column of z (k, j, b), M the identity where None; (j, b)."""
    return total(z * (z if inner is None else cholesky.multiply(inner, z)))


def unscaled_covariance(moments: Moments, ridge: Array, weights: Array) -> Array:
    """Covariance of combinations of the coefficients divided by the residual variance.

    A combination r is the slopes' r_s - r_0 x̄ and the mean's r_0: so nothing cancels where the
    columns are far from zero.

    Parameters
    ----------
    moments : Moments
        Moments of the regressions, L = (b,).
    ridge : (b,)
        Penalty of each.
    weights : (r, p)
        Weights of the coefficients, one combination a row.

    Returns
    -------
    (b, r, r)
        The matrices, NaN where S + λI is not positive definite.
    """
    with np.errstate(all="ignore"):
        design = factor(to_last(moments.sxx), ridge)
        free = int(moments.centered)
        slopes = np.repeat(weights[:, free:].T[:, :, None], len(ridge), axis=2)
        if free:
            for part in moments.means:
                slopes -= weights[:, 0, None] * to_last(part)[: moments.k, None]
        half = cholesky.multiply(design.inverse, slopes * design.scale[:, None])
        other = half if design.inner is None else cholesky.multiply(design.inner, half)
        covariance = to_first(cholesky.multiply(half.swapaxes(0, 1), other))
        if free:
            mean = np.outer(weights[:, 0], weights[:, 0])
            covariance = covariance + mean / moments.sumw[:, None, None]
        return np.asarray(covariance)


def solve(moments: Moments, ridge: Array, tol: float) -> Solution:
    """Solve regressions given by their moments.

    Parameters
    ----------
    moments : Moments
        L = (b,) for a batch, L = () for one design whose m responses share it.
    ridge : L
        Penalty of each regression.
    tol : float
        Largest error bound that is called OK.

    Returns
    -------
    Solution
        Answers of the same batch.
    """
    shared = not moments.lead

    def to_lanes(a: Array) -> Array:
        return np.asarray(a)[..., None] if shared else to_last(a)

    def from_lanes(a: Array) -> Array:
        return a[..., 0] if shared else to_first(a)

    with np.errstate(all="ignore"):
        lanes = moments.map(to_lanes)
        return _solve(lanes, moments.k, to_lanes(ridge), tol, shared).map(from_lanes)


@dataclass(frozen=True)
class _Answers:
    """What solving gives, in scaled units.

    Attributes
    ----------
    b : (k, m, b)
        Slopes.
    ssr, shrunk, noise : (m, b)
        Sum of squared residuals; λ‖b‖²; residual variance.
    df : (b,)
        Residual degrees of freedom.
    intercept : (1, m, b), or (0, m, b) without one
        Intercepts.
    half : (k, 1, b), or (0, 1, b) without intercept
        L⁻¹ of the mean of the columns.
    """

    b: Array
    ssr: Array
    shrunk: Array
    noise: Array
    df: Array
    intercept: Array
    half: Array


def _solve(lanes: Moments, k: int, ridge: Array, tol: float, shared: bool) -> Solution:
    free = int(lanes.centered)
    design = factor(lanes.sxx, ridge)
    found = _answer(lanes, k, design, shared)
    variance = design.variance * design.scale**2
    if free:
        variance = np.concatenate([_mean_variance(lanes, design.inner, found.half), variance])
    error_bound = _error_bound(lanes, k, design, found)

    few = found.df <= 0
    enough = design.solved & (found.df >= 0)
    finite = np.isfinite(lanes.sumw + total(lanes.raw[:k])) & np.isfinite(lanes.raw[k:])
    known = finite & enough
    trusted = _in_range(lanes, k) & design.solved & (error_bound <= tol)
    status = np.select(
        [~finite, np.broadcast_to(few, finite.shape), ~trusted],
        [Status.NONFINITE, Status.TOO_FEW_ROWS, Status.UNTRUSTED],
        Status.OK,
    )
    params = np.concatenate([found.intercept, found.b * design.scale[:, None]])
    judged = known & ~few & ~np.isnan(error_bound)
    return Solution(
        params=np.where(known, params, np.nan),
        variances=np.where(enough, variance, np.nan),
        ssr=np.where(known, found.ssr, np.nan),
        error_bound=np.where(judged, error_bound, np.inf),
        df_resid=np.where(enough, found.df, np.nan),
        rank=np.where(enough, free + k, -1).astype(np.int64),
        status=status.astype(np.int8),
    )


def _answer(lanes: Moments, k: int, design: Design, shared: bool) -> _Answers:
    c = lanes.sxy * design.scale[:, None]
    z, b = cholesky.solve(design.lower, design.inverse, c, shared=shared)
    df = lanes.nobs - int(lanes.centered) - k + design.freed
    shrunk = total(design.penalty[:, None] * b**2)
    ssr = np.maximum(lanes.syy - total(b * c) - shrunk, 0.0)
    ssr = np.where(df == 0, 0.0, ssr)
    noise = ssr / np.where(df > 0, df, np.nan)
    none = np.zeros((0, *ssr.shape)), np.zeros((0, 1, len(df)))
    intercept, half = _intercept(lanes, k, design, z, b, shared) if lanes.centered else none
    return _Answers(b, ssr, shrunk, noise, df, intercept, half)


def _mean_variance(lanes: Moments, inner: Array | None, half: Array) -> Array:
    """Variance of the intercept over the residual variance; (1, b)."""
    return 1.0 / lanes.sumw + _quadratic(inner, half)


def _error_bound(lanes: Moments, k: int, design: Design, found: _Answers) -> Array:
    """Bound on the error of every coefficient and standard error; (m, b)."""
    g2_x, g2_y = lanes.raw[:k] * design.scale**2, lanes.raw[k:]
    v2 = total(g2_x * design.spread)
    t2 = total(g2_x[:, None] * found.b**2) + g2_y
    vt = np.sqrt(v2 * t2)
    se = np.sqrt(design.variance[:, None] * found.noise)
    estimate = bound.worst(np.sqrt(design.spread)[:, None] * vt, found.b, se)
    ratio = np.where(g2_x > 0, design.spread / design.variance, 1.0)
    if lanes.centered:
        variance, reach = (_mean_variance(lanes, m, found.half) for m in (design.inner, None))
        ratio = np.concatenate([ratio, reach / variance])
        error = np.sqrt(reach) * (vt + np.sqrt(g2_y))
        own = bound.worst(error[None], found.intercept, np.sqrt(variance * found.noise)[None])
        estimate = np.maximum(estimate, own)
    inflation = np.max(ratio, axis=0, initial=1.0)
    shrinkage = design.freed / np.where(found.df > 0, found.df, np.nan)
    of_se = v2 * (inflation + shrinkage) + (t2 + 2.0 * vt * np.sqrt(found.shrunk)) / found.ssr
    return np.asarray(bound.gamma(lanes.nobs) * np.maximum(estimate, 0.5 * of_se))


def _intercept(
    lanes: Moments, k: int, design: Design, z: Array, b: Array, shared: bool
) -> tuple[Array, Array]:
    """Intercepts (1, m, b), and the half-way solution t of L t = mean of the columns (k, 1, b).

    The intercept is ȳ - b'x̄ in about 106 bits, or, for responses that share a design, ȳ - t'z:
    the terms of that sum are no larger than the bound allows for, and it takes a tenth of the time.
    """
    mean, low = dd.two_sum(lanes.anchor, lanes.mean)
    if lanes.low is not None:
        mean, low = dd.two_sum(mean, low + lanes.low.mean)
    center = mean[:k] * design.scale
    half = cholesky.halve(design.lower, design.inverse, center[:, None])
    value, rest = mean[k:], low[k:]
    if shared:
        return (value - total(half * z) + rest)[None], half
    for j in range(k):
        product, error = dd.two_prod(b[j], -center[j])
        value, carry = dd.two_sum(value, product)
        rest = rest + (carry + error - b[j] * (low[j] * design.scale[j]))
    return (value + rest)[None], half


def _in_range(lanes: Moments, k: int) -> NDArray[np.bool_]:
    """Whether no sum of squares is near overflow or underflow; (m, b)."""
    design = np.concatenate([lanes.sumw[None], np.einsum("iib->ib", lanes.sxx), lanes.raw[:k]])
    return np.asarray(bound.in_range(design).all(axis=0) & bound.in_range(lanes.raw[k:]))
