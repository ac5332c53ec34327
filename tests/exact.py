"""Sums over rows without any rounding, and small symmetric systems in 200 digits.

A float64 is an integer times a power of two, so Σ w z z' and its centred form Σ w (z−z̄)(z−z̄)'
are formed in integers; only then come 200 digits. The rank rule is that of gpuols: left to right,
the intercept first, on pivots of the centred sums.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

DIGITS = 200
NOTHING = mpf(10) ** -140
"""Relative to what it is a part of, this is a rounding error of the 200 digits."""
RELATIVE = mpf(10) ** -20
ABSOLUTE = mpf(2) ** -100
"""The rank rule's thresholds: of the centred square, τ² = 1e-20; of the square, (8u)²."""


@dataclass(frozen=True)
class Sums:
    """Weighted sums over rows of X (n, k) and y (n, m), numbers of 200 digits.

    Attributes
    ----------
    nobs : int
        Rows.
    weight : mpf
        W = Σw.
    mean : (k+m,)
        Weighted means.
    raw : (k+m,)
        Squares about zero, Σwz².
    centered : (k+m,)
        Squares about the mean.
    span : (k+m,)
        W·(largest − smallest)²: no square about a point between them is larger.
    xx, xy : (k, k), (k, m)
        Products about the mean where there is an intercept, else about zero.
    yy : (m,)
        Squares of y, likewise.
    """

    nobs: int
    weight: Any
    mean: np.ndarray
    raw: np.ndarray
    centered: np.ndarray
    span: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def sums(X: np.ndarray, y: np.ndarray, w: np.ndarray, *, about_mean: bool) -> Sums:
    """Sum over rows: X (n, k), y (n, m), w (n,), float64, all weights positive."""
    k = X.shape[1]
    z, exponent = _integers(np.column_stack([X, y]))
    weights, of_weight = _integers(w[:, None])
    heavy = z * weights
    total = int(weights.sum())
    first = _down(heavy)

    def entry(i: int, j: int, centered: bool) -> Any:
        product = int(heavy[:, i].dot(z[:, j])) if len(w) else 0
        if centered and total:
            whole = mpf(total * product - int(first[i]) * int(first[j])) / total
        else:
            whole = mpf(product)
        return mp.ldexp(whole, int(exponent[i] + exponent[j] + of_weight[0]))

    q = z.shape[1]
    raw = _column([entry(i, i, False) for i in range(q)])
    centered = _column([entry(i, i, True) for i in range(q)])
    xx = np.full((k, k), mpf(0), object)
    for i in range(k):
        for j in range(i + 1):
            xx[i, j] = xx[j, i] = entry(i, j, about_mean)
    xy = np.full((k, q - k), mpf(0), object)
    for i in range(k):
        for j in range(q - k):
            xy[i, j] = entry(i, k + j, about_mean)
    mean = [
        mp.ldexp(mpf(int(s)) / max(total, 1), int(e)) for s, e in zip(first, exponent, strict=True)
    ]
    weight = mp.ldexp(mpf(total), int(of_weight[0]))
    high, low = (f(z, axis=0) if len(w) else first for f in (np.max, np.min))
    span = [
        mp.ldexp(mpf(int(d)), int(e)) ** 2 * weight
        for d, e in zip(high - low, exponent, strict=True)
    ]
    yy = (centered if about_mean else raw)[k:]
    return Sums(len(w), weight, _column(mean), raw, centered, _column(span), xx, xy, yy)


@dataclass(frozen=True)
class Factor:
    """Cholesky factor of the kept columns of a symmetric matrix.

    Attributes
    ----------
    rows : list of list
        Of the lower factor.
    parts : list of list
        Each column's row of the factor left of the diagonal, of dropped columns too.
    kept : (k,)
        Which columns were not dropped.
    margins : (k,)
        log10 of pivot over threshold; -inf where the column depends on those before it.
    """

    rows: list[list[Any]]
    parts: list[list[Any]]
    kept: np.ndarray
    margins: np.ndarray

    def inverse(self) -> np.ndarray:
        """Inverse L⁻¹ of the factor, lower triangular."""
        r = len(self.rows)
        inverse = np.full((r, r), mpf(0), object)
        for i, row in enumerate(self.rows):
            inverse[i, i] = 1 / row[i]
            for j in range(i):
                inverse[i, j] = -mp.fdot(row[j:i], inverse[j:i, j]) / row[i]
        return inverse


def factor(a: np.ndarray, floor: np.ndarray, nothing: Any = NOTHING) -> Factor:
    """Factor a (k, k), left to right; a column whose pivot is at most its floor (k,) is dropped.

    A pivot below `nothing` times the diagonal is a rounding error.
    """
    rows: list[list[Any]] = []
    parts: list[list[Any]] = []
    kept, margins = np.zeros(len(a), bool), np.full(len(a), -np.inf)
    for j in range(len(a)):
        row: list[Any] = []
        for own, i in zip(rows, np.flatnonzero(kept), strict=True):
            row.append((a[j, i] - mp.fdot(row, own[: len(row)])) / own[len(row)])
        parts.append(row)
        pivot = a[j, j] - mp.fdot(row, row)
        if pivot <= nothing * a[j, j]:
            continue
        margins[j] = np.inf if floor[j] == 0 else float(mp.log10(pivot / floor[j]))
        if pivot > floor[j]:
            kept[j] = True
            rows.append([*row, mp.sqrt(pivot)])
    return Factor(rows, parts, kept, margins)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product, also where a side is empty; each entry is rounded once."""
    rows, columns = a.tolist(), b.T.tolist()
    out = np.empty((len(rows), len(columns)), object)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            out[i, j] = mp.fdot(row, column)
    return out


def _integers(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers (n, c) and exponents (c,) such that a = integers * 2**exponents, exactly."""
    fraction, exponent = np.frexp(a)
    lowest = np.where(a != 0, exponent, 3000).min(axis=0, initial=3000).astype(int)
    shift = np.where(a != 0, exponent - lowest, 0)
    whole = np.ldexp(fraction, 53).astype(np.int64)
    return whole.astype(object) << shift.astype(object), np.where(lowest < 3000, lowest - 53, 0)


def _down(a: np.ndarray) -> np.ndarray:
    return a.sum(axis=0) if len(a) else np.zeros(a.shape[1], object)


def _column(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column
