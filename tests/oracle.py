"""Exact answers for small regressions, by mpmath: 60 digits, from the float64 values as they are.

Sums over rows are formed in integers, without any rounding; only then come 60 digits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

DIGITS = 60
_SINGULAR = mpf(10) ** -45


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
    ssr, centered_tss, uncentered_tss : (m,)
        Weighted sums of squares: of the residuals, of y about its weighted mean, of y.
    df_resid : float
        Residual degrees of freedom; with a penalty not a whole number.
    nobs : int
        Rows of positive weight.
    """

    params: np.ndarray
    bse: np.ndarray
    normalized_cov: np.ndarray
    ssr: np.ndarray
    centered_tss: np.ndarray
    uncentered_tss: np.ndarray
    df_resid: float
    nobs: int


def solve(
    X: Any, y: Any, weights: Any = None, *, add_intercept: bool = False, ridge: float = 0.0
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

    Returns
    -------
    Exact
        The answers.

    Raises
    ------
    SingularDesignError
        If they are not unique.
    """
    X, y = np.asarray(X, np.float64), np.asarray(y, np.float64)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    X, y, w = X[w > 0], y[w > 0], w[w > 0]
    design = np.column_stack([np.ones(len(X)), X]) if add_intercept else X
    with mp.workdps(DIGITS):
        return _solve(design, y, w, int(add_intercept), mpf(float(ridge)))


def relative_error(value: Any, exact: Any, se: Any) -> np.ndarray:
    """Errors in units of max(|exact|, se); infinite where those are zero and the error is not."""
    value, exact, se = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (value, exact, se)))
    error = np.abs(value - exact)
    size = np.fmax(np.abs(exact), se)
    return np.divide(error, size, out=np.where(error == 0, 0.0, np.inf), where=size > 0)


def _solve(design: np.ndarray, y: np.ndarray, w: np.ndarray, free: int, ridge: mpf) -> Exact:
    (n, p), m = design.shape, y.shape[1]
    gram = _products(design, w, design)
    cross = _products(design, w, y)
    squares = np.array([_products(y[:, [i]], w, y[:, [i]])[0, 0] for i in range(m)], object)
    ones = np.ones((n, 1))
    total, sums = _products(ones, w, ones)[0, 0], _products(ones, w, y)[0]
    between = sums * sums / total if n else sums * 0

    penalty = np.zeros((p, p), object)
    penalty[range(free, p), range(free, p)] = ridge
    inverse = _invert(gram + penalty)
    b = inverse @ cross + np.zeros((p, m), object)
    cov = inverse if ridge == 0 else inverse @ gram @ inverse
    trace = sum(np.diag(inverse @ penalty), mpf(0))
    df = n - p + trace
    ssr = squares - _down(b * cross) * 2 + _down(b * (gram @ b))
    ssr = np.array([s if s > _SINGULAR * t else mpf(0) for s, t in zip(ssr, squares, strict=True)])
    scale = ssr / df if df > 0 else ssr * mp.nan
    se = np.array([[mp.sqrt(cov[j, j] * s) for s in scale] for j in range(p)], object)
    return Exact(
        params=_rounded(b, (p, m)),
        bse=_rounded(se, (p, m)),
        normalized_cov=_rounded(cov, (p, p)),
        ssr=_rounded(ssr, (m,)),
        centered_tss=_rounded(squares - between, (m,)),
        uncentered_tss=_rounded(squares, (m,)),
        df_resid=float(df),
        nobs=n,
    )


def _products(a: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Exact a' diag(w) b as 60-digit numbers: (n, i), (n,), (n, j) to (i, j)."""
    (left, e), (middle, f), (right, g) = _integers(a), _integers(w), _integers(b)
    sums = (left * middle[:, None]).T @ right if len(w) else np.zeros((a.shape[1], b.shape[1]), int)
    flat = [mp.ldexp(mpf(int(value)), e + f + g) for value in sums.ravel()]
    return np.array([*flat, None], object)[:-1].reshape(sums.shape)


def _integers(a: np.ndarray) -> tuple[np.ndarray, int]:
    """Integers and an exponent such that a = integers * 2**exponent, exactly."""
    fraction, exponent = np.frexp(a)
    lowest = int(exponent[a != 0].min(initial=2000))
    shift = np.where(a != 0, exponent - lowest, 0)
    whole = np.ldexp(fraction, 53).astype(np.int64)
    return whole.astype(object) << shift.astype(object), lowest - 53


def _invert(a: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix, by its Cholesky factor."""
    p = len(a)
    root = np.full((p, p), mpf(0), object)
    for i in range(p):
        for j in range(i):
            root[i, j] = (a[i, j] - mp.fdot(root[i, :j], root[j, :j])) / root[j, j]
        pivot = a[i, i] - mp.fdot(root[i, :i], root[i, :i])
        if pivot <= _SINGULAR * abs(a[i, i]):
            raise SingularDesignError(f"column {i} depends on those before it")
        root[i, i] = mp.sqrt(pivot)
    inverse = np.full((p, p), mpf(0), object)
    for i in range(p):
        inverse[i, i] = 1 / root[i, i]
        for j in range(i):
            inverse[i, j] = -mp.fdot(root[i, j:i], inverse[j:i, j]) / root[i, i]
    product = np.full((p, p), mpf(0), object)
    for i in range(p):
        for j in range(i + 1):
            product[i, j] = product[j, i] = mp.fdot(inverse[i:, i], inverse[i:, j])
    return product


def _down(a: np.ndarray) -> np.ndarray:
    return sum(a, np.full(a.shape[1], mpf(0), object))


def _rounded(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([float(value) for value in a.ravel()], np.float64).reshape(shape)
