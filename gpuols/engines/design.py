"""Designs: the scaled and factored Gram matrix, in double or, with rank decided, double-double.

The Gram matrix A = S + λI is scaled by powers of two, exactly, and factored, A = L L'. With a
ridge penalty λ the slopes are penalised as they stand, not scaled. All arrays here have the
regressions on the last axis; a design that many responses share has one.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970)
for the covariance under a penalty.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from gpuols.lazy import lazy
from gpuols.moments import Moments
from gpuols.numerics import bound, cholesky, pivots, projection
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Pair
from gpuols.numerics.lanes import squares, squares_below, total

Array = NDArray[np.float64]

_STEEPEST = 240  # exponent of a scale: beyond it variances under a penalty underflow


@dataclass(frozen=True)
class Precise:
    """The factor in double-double, rows and columns of dropped columns zero.

    Attributes
    ----------
    half : pair of (k, k, b)
        L⁻¹.
    root : pair of (k, k, b)
        L⁻¹, or L⁻¹P' where P leads to the shortest of all solutions; root' root is the inverse
        of A, or its pseudo-inverse.
    inner : pair of (k, k, b) or None
        L⁻¹ S L⁻', where there is a penalty; otherwise it is the identity.
    lower : pair of (k, k, b)
        L; the identity's rows and columns where a column was dropped.
    """

    half: Pair
    root: Pair
    inner: Pair | None
    lower: Pair


@dataclass(frozen=True)
class Shortest:
    """The choice among the solutions of designs with redundant columns.

    Attributes
    ----------
    projection : pair of (k, k, b)
        What turns the solution on the kept columns into the shortest.
    doubt : (b,)
        Binary logarithm of the error of the choice, relative to a solution's length.
    exponents : (k, b)
        Powers of two that take a coefficient to the caller's units, in which lengths are measured.
    """

    projection: Pair
    doubt: Array
    exponents: NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """A scaled, factored Gram matrix A = S + λI.

    Attributes
    ----------
    scale : (k, b)
        Powers of two that bring the diagonal of A near one.
    penalised : (b,)
        Where there are columns and λ > 0.
    penalty : (k, b)
        λ in scaled units, where it may be too small for a double.
    kept : (k, b)
        Columns that are in; without double-double all of them.
    lower, inverse : (k, k, b)
        Cholesky factor L of the scaled A, and L⁻¹; NaN where A is not positive definite.
    root : (k, k, b)
        As in `Precise`.
    inner : (k, k, b) or None
        As in `Precise`.
    shortest : Shortest or None
        What turns a solution into the shortest one, where there are others.
    spread : (k, b)
        Diagonal of A⁻¹.
    variance : (k, b)
        Diagonal of A⁻¹ S A⁻¹: variances of the slopes over the residual variance.
    leverage : (b,)
        V² = Σ g²ⱼ (A⁻¹)ⱼⱼ of the kept columns, g² the sums of squares about the anchor.
    precise : Precise or None
        The same in double-double.
    """

    scale: Array
    penalised: NDArray[np.bool_]
    penalty: Array
    kept: NDArray[np.bool_]
    lower: Array
    inverse: Array
    root: Array
    inner: Array | None
    shortest: Shortest | None
    spread: Array
    variance: Array
    leverage: Array
    precise: Precise | None

    @lazy
    def freed(self) -> Array:
        """Degrees of freedom that the penalty gives back, λ·tr A⁻¹; (b,)."""
        return total(np.where(self.penalty > 0, self.penalty * self.spread, 0.0))

    @lazy
    def slopes(self) -> Array:
        """Number of columns that are in; (b,)."""
        return np.asarray(self.kept.sum(axis=0))

    @lazy
    def solved(self) -> NDArray[np.bool_]:
        """Where the factor exists; (b,)."""
        if not len(self.scale):
            return np.ones(self.scale.shape[1], bool)
        return np.asarray(np.isfinite(self.lower[0, 0]))


def factor(moments: Moments, k: int, ridge: Array, *, shortest: bool = False) -> Design:
    """Scale and factor S + λI, in double-double where the moments are.

    Parameters
    ----------
    moments : Moments
        Regressions last, b of them.
    k : int
        Columns.
    ridge : (b,)
        Penalty λ of each regression.
    shortest : bool
        Whether redundant columns share the shortest solution; otherwise they are dropped.

    Returns
    -------
    Design
        The factor and what follows from it alone.
    """
    if moments.precise:
        return _factor_precise(moments, k, ridge, shortest)
    return _factor(moments.sxx, moments.raw[:k], ridge)


def lowest_pivots(moments: Moments, k: int) -> Array:
    """Largest pivots that count as zero, (k, b)."""
    about_mean = np.einsum("iib->ib", moments.sxx)
    if not moments.centered:
        return pivots.floor(about_mean, about_mean)
    mean = reduce(np.add, moments.means)[:k]
    return pivots.floor(about_mean, about_mean + moments.sumw * mean * mean)


def _factor(sxx: Array, raw: Array, ridge: Array) -> Design:
    diagonal = np.einsum("iib->ib", sxx) + ridge
    _, exponent = np.frexp(np.where(diagonal > 0, diagonal, 1.0))
    scale = np.ldexp(1.0, -(exponent // 2))
    a = np.empty(sxx.shape)
    for i, row in enumerate(a):
        np.multiply(sxx[i, :i], scale[:i], out=row[:i])
        np.multiply(diagonal[i], scale[i], out=row[i])
        row[: i + 1] *= scale[i]
    lower = cholesky.factor(a)
    inverse = cholesky.invert(lower)
    spread = variance = squares_below(inverse)
    inner = None
    if np.any(ridge):
        left = cholesky.multiply(inverse, sxx * scale * scale[:, None])
        inner = cholesky.multiply(left, inverse.swapaxes(0, 1))
        inner = np.where(ridge == 0, np.eye(len(a))[:, :, None], inner)
        variance = quadratic(inner, inverse)
    return Design(
        scale=scale,
        penalised=(ridge > 0) & (len(scale) > 0),
        penalty=ridge * scale**2,
        kept=np.ones(scale.shape, bool),
        lower=lower,
        inverse=inverse,
        root=inverse,
        inner=inner,
        shortest=None,
        spread=spread,
        variance=variance,
        leverage=total(raw * scale**2 * spread),
        precise=None,
    )


def _factor_precise(moments: Moments, k: int, ridge: Array, shortest: bool) -> Design:
    low = moments.low
    assert low is not None
    rows, penalised = (range(k), range(k)), ridge > 0
    scale, penalty = _scale(moments.sxx[rows], ridge, _shift(moments, k))
    both = scale[:, None] * scale[None]
    gram = moments.sxx * both, low.sxx * both
    a = dd.each(np.copy, gram)
    dd.put(a, rows, dd.add(dd.take(gram, rows), dd.exact(penalty)))

    lowest = np.where(penalised, 0.0, lowest_pivots(moments, k) * scale**2)
    room = np.where(penalised, np.inf, moments.nobs - moments.centered)
    noise = bound.gamma_precise(moments.nobs) * moments.raw[:k] * scale**2
    lower, kept = pivots.factor(a, lowest, room, np.where(penalised, 0.0, noise))
    inside = kept[:, None] & kept[None]
    half = dd.where(inside, pivots.invert(lower))
    root, choice, inner = half, None, None
    if shortest and not kept.all():
        onto, choice = _shortest(moments, gram, half, kept, scale)
        root = dd.matmul(half, pivots.transpose(onto))
    if penalised.any():
        inner = dd.matmul(dd.matmul(half, gram), pivots.transpose(half))
        one = pivots.identity(k)
        inner = np.where(penalised, inner[0], one[0]), np.where(penalised, inner[1], one[1])
    spread = variance = total(root[0] ** 2)
    if inner is not None:
        shrunk = dd.total(dd.multiply(root, dd.matmul(inner, root)))[0]
        variance = np.where(penalised, shrunk, spread)
    steep = (scale <= 2.0**-_STEEPEST) | (scale >= 2.0**_STEEPEST)
    failed = penalised & (steep | ~kept).any(axis=0)
    return Design(
        scale=scale,
        penalised=penalised & (len(scale) > 0),
        penalty=penalty,
        kept=kept | failed,
        lower=np.where(failed, np.nan, lower[0]),
        inverse=np.where(inside, half[0], pivots.identity(k)[0]),
        root=root[0],
        inner=None if inner is None else inner[0],
        shortest=choice,
        spread=spread,
        variance=variance,
        leverage=total(moments.raw[:k] * scale**2 * total(half[0] ** 2)),
        precise=Precise(half, root, inner, lower),
    )


def _shift(moments: Moments, k: int) -> NDArray[np.int32]:
    """Exponents of the powers of two by which a penalty grows in the moments' units, (k, b)."""
    if moments.units is None:
        return np.zeros((k, len(moments.nobs)), np.int32)
    return np.asarray(-2 * moments.units[:k] - moments.units[-1])


def _scale(diagonal: Array, ridge: Array, shift: NDArray[np.int32]) -> tuple[Array, Array]:
    """Powers of two that bring a penalised diagonal near one, and the penalty so scaled, (k, b)."""
    (_, own), (_, added) = np.frexp(diagonal), np.frexp(ridge)
    nothing = np.iinfo(np.int32).min // 2
    own = np.where(diagonal > 0, own, nothing)
    top = np.maximum(own, np.where(ridge > 0, added + shift, nothing))
    exponent = np.clip(np.where(top > nothing, -(top // 2), 0), -_STEEPEST, _STEEPEST)
    return np.ldexp(1.0, exponent), np.ldexp(ridge, shift + 2 * exponent)


def quadratic(inner: Array | None, z: Array) -> Array:
    """Value of z' M z for each column of z (k, j, b), M the identity where None; (j, b)."""
    return squares(z) if inner is None else total(z * cholesky.multiply(inner, z))


def _shortest(
    moments: Moments, gram: Pair, half: Pair, kept: NDArray[np.bool_], scale: Array
) -> tuple[Pair, Shortest]:
    """Projections to the shortest solution in the user's units, the identity at full rank."""
    k = len(kept)
    _, exponents = np.frexp(scale)
    if moments.units is not None:
        exponents = exponents - moments.units[:k]
    some: NDArray[np.bool_] = np.asarray(~kept.all(axis=0))
    where = (..., some)
    gamma, raw = bound.gamma_precise(moments.nobs[some]), moments.raw[:k, some] * scale[where] ** 2
    found, doubt = projection.shortest(
        dd.take(gram, where), dd.take(half, where), kept[where], exponents[where], raw, gamma
    )
    result = dd.each(lambda part: np.repeat(part, len(some), axis=2), pivots.identity(k))
    dd.put(result, where, found)
    doubts = np.full(len(some), -np.inf)
    doubts[some] = doubt
    return result, Shortest(result, doubts, np.asarray(exponents, np.int64))
