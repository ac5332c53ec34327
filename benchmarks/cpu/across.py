"""Many small systems solved at once in NumPy: one operation for all regressions, which lie last."""

from typing import Any

import numpy as np

from benchmarks.cpu.answers import Answers

Array = np.ndarray[Any, np.dtype[np.float64]]


def eliminate(table: Array, p: int, nobs: Any) -> Answers:
    """Answers from sums of products, by Cholesky.

    The factor of [X'X X'y; y'X y'y] ends with the sum of squared residuals. Its inverse, L⁻¹, gives
    the coefficients, L⁻ᵀ(L⁻¹X'y), and the diagonal of (X'X)⁻¹.

    Parameters
    ----------
    table : (p + m, p + m, B)
        Lower triangles of the sums of products of the columns of [X y], those of ones first; of
        y'y only the diagonal. Written to.
    p : int
        Columns of X.
    nobs : int or (B,)
        Rows of each.

    Returns
    -------
    dict
        params and bse (p, m, B); ssr and rsquared (m, B).
    """
    q = len(table)
    m = q - p
    squares = [table[p + j, p + j].copy() for j in range(m)]
    totals = [squares[j] - table[p + j, 0] ** 2 / table[0, 0] for j in range(m)]
    for j in range(p):
        pivot = table[j, j]
        np.sqrt(pivot, out=pivot)
        np.reciprocal(pivot, out=pivot)
        for i in range(j + 1, q):
            table[i, j] *= pivot
        for i in range(j + 1, p):
            for k in range(j + 1, i + 1):
                table[i, k] -= table[i, j] * table[k, j]
        for i in range(p, q):
            for k in range(j + 1, p):
                table[i, k] -= table[i, j] * table[k, j]
            table[i, i] -= table[i, j] * table[i, j]
    params = np.zeros((p, m, table.shape[2]))
    spread = np.zeros((p, table.shape[2]))
    for j in range(p):
        column = {j: table[j, j]}
        for i in range(j + 1, p):
            total = table[i, j] * column[j]
            for k in range(j + 1, i):
                total += table[i, k] * column[k]
            total *= -table[i, i]
            column[i] = total
        for i, value in column.items():
            spread[j] += value * value
            for r in range(m):
                params[j, r] += value * table[p + r, i]
    ssr = np.stack([table[p + j, p + j] for j in range(m)])
    bse = np.sqrt(spread[:, None] * (ssr / (nobs - p)))
    return {"params": params, "bse": bse, "ssr": ssr, "rsquared": 1 - ssr / np.stack(totals)}


def one_response(found: Answers) -> Answers:
    """The same without the axis of responses: (p, B) and (B,)."""
    return {name: a[:, 0] if a.ndim == 3 else a[0] for name, a in found.items()}


def regressions_first(found: Answers) -> Answers:
    """The same with the axis of regressions in front."""
    return {name: np.moveaxis(a, -1, 0) for name, a in found.items()}
