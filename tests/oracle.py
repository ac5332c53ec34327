"""Exact answers for small regressions, from the float64 values as they are (see `exact`)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from exact import ABSOLUTE, DIGITS, NOTHING, RELATIVE, Sums, factor, product, sums
from mpmath import mp, mpf
from spread import Spread, down


class SingularDesignError(ArithmeticError):
    """The design has no unique answer."""


@dataclass(frozen=True)
class Exact:
    """Exact answers, rounded once to float64; p coefficients, the intercept first, m responses.

    Attributes
    ----------
    params, bse : (p, m)
        Coefficients and their standard errors (NaN without residual degrees of freedom).
    normalized_cov : (p, p)
        Covariance of the coefficients divided by the residual variance.
    tvalues : (p, m)
        Coefficients in units of their standard errors, NaN where those are zero or unknown.
    rsquared : (m,)
        Share of the sum of squares explained, about the mean with an intercept.
    ssr, centered_tss, uncentered_tss : (m,)
        Weighted sums of squares: of the residuals (with `singular`, zero where they are a rounding
        error of 104 bits), of y about its weighted mean, of y.
    df_resid : float
        Residual degrees of freedom; with a penalty not a whole number.
    nobs, rank : int
        Rows of positive weight; coefficients that were kept.
    kept : (p,)
        Which coefficients are not dropped as redundant.
    margins : (k,)
        log10 of each column's pivot over the rank rule's threshold, -inf where it depends on
        those before it.
    blurred : (k,)
        Whether a pivot is below ten times what double-double may get it wrong by, and that is
        not well below the threshold.
    noise : (m, 2)
        Range of log10 of the residuals' sum of squares over the most that double-double could
        mistake for zero, over the anchors it may have.
    bound : (m,)
        The error bound of a double-double solution anchored at the mean; without residual
        degrees of freedom, of the coefficients alone.
    """

    params: np.ndarray
    bse: np.ndarray
    normalized_cov: np.ndarray
    tvalues: np.ndarray
    rsquared: np.ndarray
    ssr: np.ndarray
    centered_tss: np.ndarray
    uncentered_tss: np.ndarray
    df_resid: float
    nobs: int
    rank: int
    kept: np.ndarray
    margins: np.ndarray
    blurred: np.ndarray
    noise: np.ndarray
    bound: np.ndarray


def solve(
    X: Any,
    y: Any,
    weights: Any = None,
    *,
    add_intercept: bool = False,
    ridge: float = 0.0,
    singular: str | None = None,
    rows: bool = True,
    digits: int = DIGITS,
) -> Exact:
    """Exact answers to m regressions on one design.

    Parameters
    ----------
    X : (n, k)
        Regressors.
    y : (n, m)
        Responses.
    weights : (n,), optional
        Inverse variances; rows of zero weight are left out.
    add_intercept : bool
        Whether there is an intercept, which no penalty touches.
    ridge : float
        Penalty λ of Σ w r² + λ ‖slopes‖².
    singular : {"drop", "min_norm"}, optional
        What to do with columns that the rank rule calls redundant; None keeps them.
    rows : bool
        Whether the answer judged may look at the rows again: without, residuals below what the
        moments' rounding hides are zero.
    digits : int
        Digits to work with; a pivot that loses all but a third of them counts as zero.

    Returns
    -------
    Exact
        The answers.

    Raises
    ------
    SingularDesignError
        If nothing may be dropped and they are not unique.
    """
    X, y = np.asarray(X, np.float64), np.asarray(y, np.float64)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    there = w > 0
    with mp.workdps(digits):
        total = sums(X[there], y[there], w[there], about_mean=add_intercept)
        return _solve(total, int(add_intercept), mpf(float(ridge)), singular, rows)


def relative_error(value: Any, exact: Any, se: Any) -> np.ndarray:
    """Errors in units of max(|exact|, se); infinite where those are zero and the error is not."""
    value, exact, se = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (value, exact, se)))
    with np.errstate(all="ignore"):
        error = np.abs(value - exact)
    size = np.fmax(np.abs(exact), se)
    return np.divide(error, size, out=np.where(error == 0, 0.0, np.inf), where=size > 0)


def _solve(total: Sums, intercept: int, ridge: Any, singular: str | None, rows: bool) -> Exact:
    (k, m), diagonal = total.xy.shape, np.diag(total.xx)
    floor = np.maximum(RELATIVE * diagonal, ABSOLUTE * total.raw[:k]) + np.full(k, mpf(0), object)
    ruled = singular is not None and ridge == 0
    matrix = total.xx + ridge * np.eye(k, dtype=int)
    found = factor(matrix, floor if ruled else 0 * floor, mpf(10) ** (-2 * mp.dps // 3))
    free = intercept if total.nobs else 0
    kept = found.kept
    if singular is None and not (kept.all() and free == intercept):
        raise SingularDesignError(f"columns {np.flatnonzero(~kept)} depend on those before them")

    half = found.inverse()
    inverse = product(half.T, half)
    inner = total.xx[np.ix_(kept, kept)]
    cov = inverse if ridge == 0 else product(product(inverse, inner), inverse)
    cross = total.xy[kept]
    b = product(inverse, cross)
    ssr = total.yy - down(product(half, cross) ** 2) - ridge * down(b**2)
    df = total.nobs - free - len(half) + ridge * sum(np.diag(inverse), mpf(0))
    if df <= NOTHING:
        df, ssr = mpf(0), ssr * 0
    looked = rows and ridge == 0
    spread = Spread(total, kept, inverse, cov, b, intercept, ridge, df, looked)
    b, ssr, noise = spread.settle(ssr, ruled=singular is not None)
    bound = replace(spread, b=b).bound(ssr)

    everywhere = np.full((k, len(half)), mp.nan, object)
    everywhere[kept] = np.eye(len(half), dtype=int) * mpf(1)
    if singular == "min_norm" and not kept.all():
        everywhere = _smallest(total.xx, kept, inverse)
    slopes, full = product(everywhere, b), product(product(everywhere, cov), everywhere.T)
    slopes[abs(slopes) <= NOTHING * product(abs(everywhere), abs(b))] = mpf(0)
    lost = ~kept & (singular != "min_norm") | (total.nobs == 0)
    slopes[lost], full[lost], full[:, lost] = mp.nan, mp.nan, mp.nan
    params = slopes
    if intercept:
        params, full = _with_intercept(total, slopes, full)
    scale = ssr / df if df > 0 else ssr * mp.nan
    se = np.array([[mp.sqrt(abs(full[j, j] * s)) for s in scale] for j in range(len(full))], object)
    t = [_ratio(v, s) for v, s in zip(params.ravel(), se.ravel(), strict=True)]
    explained = [1 - _ratio(r, of) for r, of in zip(ssr, total.yy, strict=True)]
    p = intercept + k
    return Exact(
        params=_rounded(params, (p, m)),
        bse=_rounded(se, (p, m)),
        normalized_cov=_rounded(full, (p, p)),
        tvalues=_rounded(np.array(t, object), (p, m)),
        rsquared=_rounded(np.array(explained, object), (m,)),
        ssr=_rounded(ssr, (m,)),
        centered_tss=_rounded(total.centered[k:], (m,)),
        uncentered_tss=_rounded(total.raw[k:], (m,)),
        df_resid=float(df),
        nobs=total.nobs,
        rank=free + len(half),
        kept=np.r_[np.full(intercept, free == 1), kept],
        margins=found.margins,
        blurred=spread.blurred(found, half, floor),
        noise=noise,
        bound=bound,
    )


def _smallest(xx: np.ndarray, kept: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """From slopes of the kept columns to the shortest slopes that fit as well; (k, r)."""
    dropped = ~kept
    null = np.full((len(kept), dropped.sum()), mpf(0), object)
    null[kept] = -product(inverse, xx[np.ix_(kept, dropped)])
    null[dropped] = np.eye(dropped.sum(), dtype=int) * mpf(1)
    sizes = [abs(mp.log10(abs(v))) for v in null.ravel() if v]
    with mp.workdps(DIGITS + 4 * int(max(sizes))):
        half = factor(product(null.T, null), np.full(null.shape[1], mpf(0), object), 0).inverse()
        onto = product(null, half.T)
        return (np.eye(len(kept), dtype=int) - product(onto, onto.T))[:, kept]


def _with_intercept(
    total: Sums, slopes: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (p, m) and their covariance (p, p), with the intercept before the slopes."""
    k, m = len(slopes), slopes.shape[1]
    params, full = (np.full((k + 1, c), mp.nan, object) for c in (m, k + 1))
    params[1:], full[1:, 1:] = slopes, variance
    if not total.nobs:
        return params, full
    known = ~np.array([mp.isnan(v) for v in np.diag(variance)], bool)
    mean = total.mean[:k][known][None]
    at_mean = product(mean, variance[known][:, known])
    shift = product(mean, slopes[known])[0]
    parts = abs(total.mean[k:]) + product(abs(mean), abs(slopes[known]))[0]
    params[0] = total.mean[k:] - shift
    params[0, abs(params[0]) <= NOTHING * parts] = mpf(0)
    full[0, 1:][known] = full[1:, 0][known] = -at_mean[0]
    full[0, 0] = 1 / total.weight + product(at_mean, mean.T)[0, 0]
    return params, full


def _ratio(value: Any, size: Any) -> Any:
    return value / size if size else mp.nan


def _rounded(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([float(value) for value in a.ravel()], np.float64).reshape(shape)
