"""Exact answers, fast: sums in whole numbers, then interval arithmetic until it is narrow enough.

Needs python-flint.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx, fmpz_mat

from benchmarks.families import Batch

Array = np.ndarray[Any, np.dtype[np.float64]]

_BITS = (512, 1024, 2048, 4096)
_ENOUGH = 70
_NAMES = ("params", "bse", "ssr")


@dataclass(frozen=True)
class Exact:
    """Answers to the m regressions of one design, rounded once.

    Attributes
    ----------
    params, bse : (p, m)
        Coefficients and standard errors, the intercept first.
    ssr : (m,)
        Weighted sums of squared residuals.
    """

    params: Array
    bse: Array
    ssr: Array


def solve_all(batch: Batch) -> Exact:
    """Answers with the batch's axis in front, NaN where there are none."""
    found = [solve(single) for single in batch.singles()]
    p, m = batch.add_intercept + batch.X.shape[-1], batch.y.shape[-1]
    nothing = Exact(np.full((p, m), np.nan), np.full((p, m), np.nan), np.full(m, np.nan))
    parts = [one or nothing for one in found]
    return Exact(*(np.stack([getattr(one, name) for one in parts]) for name in _NAMES))


def solve(single: Batch) -> Exact | None:
    """Answers for X (n, k), y (n, m); None where they are not unique or have no error."""
    used = slice(None) if single.weights is None else single.weights > 0
    X, y = single.X[used], single.y[used]
    w = np.ones(len(X)) if single.weights is None else single.weights[used]
    free = int(single.add_intercept)
    rows = np.column_stack([np.ones((len(X), free)), X, y])
    if len(X) <= free or (single.ridge == 0 and len(X) <= free + X.shape[1]):
        return None
    gram, powers = _products(rows, w)
    for bits in _BITS:
        ctx.prec = bits
        found = list(_solve(gram, powers, y.shape[1], free, single.ridge, len(X)))
        if found and all(_narrow(ball) for ball in found):
            table = np.array([float(ball.mid()) for ball in found]).reshape(y.shape[1], -1)
            p = free + X.shape[1]
            return Exact(table[:, :p].T, table[:, p:-1].T, table[:, -1])
    return None


def _products(rows: Array, w: Array) -> tuple[fmpz_mat, list[int]]:
    """Whole numbers G, powers e: rows' diag(w) rows = G[i, j] * 2**(e[i] + e[j]), exactly."""
    whole, lowest = _whole(rows)
    factor, common = _whole(w[:, None])
    # The weights' power of two is shared out between two columns: it has to be even.
    factor <<= common[0] % 2
    n, q = rows.shape
    left = fmpz_mat(q, n, (whole * factor).T.ravel().tolist())
    return left * fmpz_mat(n, q, whole.ravel().tolist()), [e + common[0] // 2 for e in lowest]


def _whole(a: Array) -> tuple[np.ndarray, list[int]]:
    """Whole numbers and a power of two for each column, a = whole * 2**power."""
    fraction, exponent = np.frexp(a)
    lowest = np.where(a != 0, exponent, 5000).min(axis=0)
    lowest = np.where(lowest == 5000, 0, lowest)
    shift = np.where(a != 0, exponent - lowest, 0).astype(object)
    return np.ldexp(fraction, 53).astype(np.int64).astype(object) << shift, (lowest - 53).tolist()


def _solve(
    gram: fmpz_mat, powers: list[int], m: int, free: int, ridge: Any, n: int
) -> Iterator[arb]:
    """Coefficients, standard errors and SSR of each response; nothing where no inverse exists."""
    p = gram.nrows() - m
    scale = [arb(2) ** e for e in powers]
    cells = [[arb(gram[i, j]) for j in range(p + m)] for i in range(p)]
    plain = arb_mat([row[:p] for row in cells])
    penalty = [arb(float(ridge)) / scale[i] ** 2 if i >= free else arb(0) for i in range(p)]
    full = arb_mat([[plain[i, j] + penalty[i] * (i == j) for j in range(p)] for i in range(p)])
    try:
        inverse = full.inv()
    except ZeroDivisionError:
        return
    right = arb_mat([row[p:] for row in cells])
    b = inverse * right
    product = plain * b
    covariance = inverse * plain * inverse if ridge else inverse
    df = n - p + sum((penalty[i] * inverse[i, i] for i in range(p)), arb(0))
    for k in range(m):
        ssr = arb(gram[p + k, p + k])
        for i in range(p):
            ssr += b[i, k] * (product[i, k] - 2 * right[i, k])
        for i in range(p):
            yield b[i, k] * scale[p + k] / scale[i]
        for i in range(p):
            yield (covariance[i, i] * ssr / df).sqrt() * scale[p + k] / scale[i]
        yield ssr * scale[p + k] ** 2


def _narrow(ball: arb) -> bool:
    return bool(ball.is_finite()) and ball.rel_accuracy_bits() >= _ENOUGH
