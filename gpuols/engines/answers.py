"""Answers: coefficients and sums of squares from a factored design and its responses.

In double, or in double-double where the responses' moments are. The intercept comes last, from
the means, so that an offset of 1e7 standard deviations costs it no digits.

In double-double a sum of squared residuals below what its rounding allows for is zero: the
regression fits exactly. From moments alone a coefficient below its own rounding is zero, too.

Source: Ogita, Rump & Oishi (2005), Accurate sum and dot product, for the compensated intercept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.design import Design, Precise, quadratic
from gpuols.engines.fitted import Fit, Looks, slopes_of
from gpuols.engines.noise import Noise
from gpuols.moments import Moments
from gpuols.numerics import bound, cholesky
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Pair
from gpuols.numerics.lanes import total

Array = NDArray[np.float64]

# Error of the inverse up to which what can't be told from zero is zero.
_CLEAR = 1e-10
# A sum of squared residuals that is too small to be seen, though the fit is not exact.
_NOTHING = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Answers:
    """What solving gives, in scaled units; regressions last.

    Attributes
    ----------
    b : (k, m, b)
        Slopes, zero where a column was dropped.
    ssr, shrunk : (m, b)
        Sum of squared residuals; λ‖b‖².
    df : (b,)
        Residual degrees of freedom.
    intercept : (1, m, b), or (0, m, b) without one
        Intercepts.
    reach, variance : (1, b), or (0, b) without one
        1/W + z'z and 1/W + z'Mz with z the root of the inverse times the mean of the columns: the
        intercept's variance over the residual variance, and the same without shrinkage.
    noise : Noise
        What rounding may have done to them.
    """

    b: Array
    ssr: Array
    shrunk: Array
    df: Array
    intercept: Array
    reach: Array
    variance: Array
    noise: Noise

    @property
    def residual_variance(self) -> Array:
        """Residual variance; (m, b)."""
        return np.asarray(self.ssr / np.where(self.df > 0, self.df, np.nan))


def answer(lanes: Moments, k: int, design: Design, looks: Looks = (), *, shared: bool) -> Answers:
    """Answers in double, or double-double where the moments are.

    Parameters
    ----------
    lanes : Moments
        Regressions last.
    k : int
        Columns.
    design : Design
        Their factored Gram matrices.
    looks : sequence of Moments
        The same with residuals in the responses' place, in double-double: of the answers without
        them, then of those with one more each.
    shared : bool
        Whether one design serves all responses.

    Returns
    -------
    Answers
        Coefficients and sums of squares.
    """
    rows, penalised = lanes.nobs - int(lanes.centered), design.penalised
    df = rows - design.slopes + design.freed
    df = np.where(penalised & (df <= 0), np.nan, df)
    # Where no row is left, a penalty frees them all: to the last digit, and whatever its size.
    df = np.where(penalised & (rows <= 0), lanes.nobs - 1, df)
    if lanes.precise and design.precise is not None:
        return _answer_precise(lanes, k, design, design.precise, df, looks)
    c = lanes.sxy * (design.scale * design.kept)[:, None]
    z, b = cholesky.solve(design.lower, design.inverse, c, shared=shared)
    shrunk = total(design.penalty[:, None] * b**2)
    ssr = np.maximum(lanes.syy - total(b * c) - shrunk, 0.0)
    noise = Noise.of(lanes, k, design, b)
    if design.shortest is not None:
        b = np.stack([total(row[:, None] * b) for row in design.shortest.projection[0]])
    ssr = np.where(df == 0, 0.0, ssr)
    if not lanes.centered:
        return Answers(b, ssr, shrunk, df, *_no_intercept(ssr), noise)
    return Answers(b, ssr, shrunk, df, *_intercept(lanes, k, design, z, b, shared), noise)


def _no_intercept(ssr: Array) -> tuple[Array, Array, Array]:
    m, b = ssr.shape
    return np.zeros((0, m, b)), np.zeros((0, b)), np.zeros((0, b))


def _intercept(
    lanes: Moments, k: int, design: Design, z: Array, b: Array, shared: bool
) -> tuple[Array, Array, Array]:
    """Intercepts (1, m, b), their reach and variance (1, b).

    With L t = mean of the columns, the intercept is ȳ - b'x̄ in about 106 bits, or, for responses
    that share a design, ȳ - t'z: the terms of that sum are no larger than the bound allows for,
    and it takes a tenth of the time.
    """
    mean, low = means(lanes)
    half, reach, variance = reach_mean(lanes, k, design, mean)
    value, rest = mean[k:], low[k:]
    if shared:
        return (value - total(half * z) + rest)[None], reach, variance
    for j in range(k):
        product, error = dd.two_prod(b[j], -(mean[j] * design.scale[j]))
        value, carry = dd.two_sum(value, product)
        rest = rest + (carry + error - b[j] * (low[j] * design.scale[j]))
    # Splitting products of huge responses overflows; they are UNTRUSTED, but there.
    return (value + np.where(np.isfinite(rest), rest, 0.0))[None], reach, variance


def reach_mean(lanes: Moments, k: int, design: Design, mean: Array) -> tuple[Array, Array, Array]:
    """Root of the inverse times the mean of the columns (k, 1, b), reach and variance (1, b).

    The mean is that of columns and responses, (q, b).
    """
    if design.precise is not None:
        return _reach_precisely(lanes, k, design, design.precise)
    center = mean[:k] * design.scale
    half = cholesky.halve(design.lower, design.inverse, center[:, None])
    reach = variance = 1.0 / lanes.sumw + quadratic(None, half)
    if design.inner is not None:
        variance = 1.0 / lanes.sumw + quadratic(design.inner, half)
    return half, reach, variance


def means(lanes: Moments) -> Pair:
    """Means of columns and responses, (q, b)."""
    mean, low = dd.two_sum(lanes.anchor, lanes.mean)
    if lanes.low is not None:
        mean, low = dd.two_sum(mean, low + lanes.low.mean)
    return mean, low


def _center(lanes: Moments, k: int, design: Design) -> Pair:
    """Means of the columns in scaled units, (k, 1, b)."""
    return dd.each(lambda part: (part[:k] * design.scale)[:, None], means(lanes))


def _reach_precisely(
    lanes: Moments, k: int, design: Design, precise: Precise
) -> tuple[Array, Array, Array]:
    """The same from a design in double-double."""
    half = dd.matmul(precise.root, _center(lanes, k, design))
    reach = variance = 1.0 / lanes.sumw + total(half[0] ** 2)
    if precise.inner is not None:
        turned = dd.multiply(half, dd.matmul(precise.inner, half))
        shrunk = 1.0 / lanes.sumw + dd.total(turned)[0]
        variance = np.where(design.penalised, shrunk, reach)
    return half[0], reach, variance


def _intercept_of(
    lanes: Moments, k: int, design: Design, fit: Fit, rest: Moments, more: Pair, b: Pair
) -> Array:
    """Intercepts (m, b) of slopes b, which `rest` has changed by `more` if none are redundant."""
    assert rest.low is not None
    center, own = _center(lanes, k, design), dd.add(fit.slopes, more)
    anchor = dd.exact((lanes.anchor[:k] * design.scale)[:, None])
    value = dd.add(dd.exact(lanes.anchor[k:]), fit.level)
    value = dd.subtract(value, dd.total(dd.multiply(fit.slopes, anchor)))
    value = dd.add(value, (rest.mean[k:], rest.low.mean[k:]))
    value = dd.subtract(value, dd.total(dd.multiply(more, center)))
    if design.shortest is not None:
        value = dd.add(value, dd.total(dd.multiply(dd.subtract(own, b), center)))
    return value[0]


def _answer_precise(
    lanes: Moments, k: int, design: Design, precise: Precise, df: Array, looks: Looks
) -> Answers:
    free, penalised = int(lanes.centered), design.penalised
    assert lanes.low is not None
    if not looks:
        z, b = slopes_of(lanes, design, precise)
        left, noise = (lanes.syy, lanes.low.syy), Noise.of(lanes, k, design, b[0])
    else:
        *earlier, rest = looks
        assert rest.low is not None
        fit = Fit.of(lanes, k, design, precise, earlier)
        z, more = slopes_of(rest, design, precise)
        b, left = dd.add(fit.slopes, more), (rest.syy, rest.low.syy)
        noise = Noise.of_residuals(lanes, k, design, b[0], rest, more[0])
    shrunk = dd.total(dd.multiply(dd.exact(design.penalty[:, None]), dd.multiply(b, b)))
    if design.shortest is not None:
        b = dd.matmul(design.shortest.projection, b)
    explained = dd.add(dd.total(dd.multiply(z, z)), shrunk)
    ssr = dd.subtract(left, explained)[0]
    rows = lanes.nobs - free
    if precise.inner is not None:
        trace = dd.total(dd.take(precise.inner, (range(k), range(k))))
        freed = dd.subtract(dd.exact(rows), trace)[0]
        freed = np.where((freed <= 0) & (rows > 0), np.nan, freed)
        df = np.where(penalised & (rows <= k), freed, df)

    unseen = ssr <= noise.unseen
    exact = (unseen & (~penalised | (noise.size == 0))) | (df <= 0)
    ssr = np.where(exact, 0.0, np.where(unseen, _NOTHING, ssr))
    certain = bound.gamma_precise(lanes.nobs) * design.leverage <= _CLEAR
    blank = exact & certain & (not looks)
    slight = np.abs(b[0]) <= np.sqrt(design.spread)[:, None] * noise.step
    slopes = np.where(blank & slight, 0.0, b[0])
    if not free:
        return Answers(slopes, ssr, shrunk[0], df, *_no_intercept(ssr), noise)

    _, reach, variance = _reach_precisely(lanes, k, design, precise)
    if not looks:
        fitted = dd.total(dd.multiply(b, _center(lanes, k, design)))
        intercept = dd.subtract(dd.take(means(lanes), slice(k, None)), fitted)[0]
    else:
        intercept = _intercept_of(lanes, k, design, fit, rest, more, b)
    slight = np.abs(intercept) <= np.sqrt(reach) * noise.level
    intercept = np.where(blank & slight, 0.0, intercept)
    return Answers(slopes, ssr, shrunk[0], df, intercept[None], reach, variance, noise)
