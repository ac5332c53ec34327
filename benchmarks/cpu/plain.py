"""What a good NumPy programmer writes: sums of products by matrix products, solved all at once.

All of it gives coefficients, standard errors, sums of squared residuals and R², from sums of
products alone: no shift, no bound, no statuses. Pieces go to threads, BLAS being held to one of
its own, where that is faster.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from benchmarks.cpu.across import eliminate, one_response, regressions_first
from benchmarks.cpu.answers import Answers
from benchmarks.cpu.data import Array, Batch, Data, Groups, Masked, Shared, Weighted
from benchmarks.cpu.hashing import number
from gpuols.options import threads

_TOGETHER = 16_384
_ROWS = 2**16
_COLUMNS = 2_000


def inverses(data: Batch) -> Answers:
    """Two batched products and one batched inverse."""
    return _inverses(data.design, data.y)


def inverses_in_threads(data: Batch) -> Answers:
    """The same, the batch shared out over threads."""
    return _join(
        _shared_out(lambda s: _inverses(data.design[s], data.y[s]), data.count, data.count), 0
    )


def _inverses(design: Array, y: Array) -> Answers:
    n, p = design.shape[1:]
    Y = y.reshape(len(y), n, -1)
    transposed = design.swapaxes(1, 2)
    right = transposed @ Y
    inverse = np.linalg.inv(transposed @ design)
    params = inverse @ right
    squares = np.einsum("bnm,bnm->bm", Y, Y)
    ssr = squares - (params * right).sum(axis=1)
    spread = np.diagonal(inverse, axis1=1, axis2=2)
    bse = np.sqrt(spread[:, :, None] * (ssr / (n - p))[:, None])
    found = {"params": params, "bse": bse, "ssr": ssr}
    found["rsquared"] = 1 - ssr / (squares - right[:, 0] ** 2 / n)
    return found if y.ndim == 3 else {name: a[..., 0] for name, a in found.items()}


def cholesky(data: Batch) -> Answers:
    """Two batched products, then Cholesky's method across the batch."""
    return _cholesky(data.design, data.y)


def cholesky_in_threads(data: Batch) -> Answers:
    """The same, the batch shared out over threads."""
    found = _shared_out(lambda s: _cholesky(data.design[s], data.y[s]), data.count, _TOGETHER)
    return _join(found, 0)


def _cholesky(design: Array, y: Array) -> Answers:
    n, p = design.shape[1:]
    Y = y.reshape(len(y), n, -1)
    m, transposed = Y.shape[2], design.swapaxes(1, 2)
    table = np.empty((p + m, p + m, len(y)))
    table[:p, :p] = np.moveaxis(transposed @ design, 0, -1)
    table[p:, :p] = np.moveaxis(transposed @ Y, 0, -1).swapaxes(0, 1)
    for j in range(m):
        table[p + j, p + j] = np.vecdot(Y[:, :, j], Y[:, :, j])
    found = eliminate(table, p, n)
    return regressions_first(found if y.ndim == 3 else one_response(found))


def projections(data: Shared) -> Answers:
    """Q'Y by one product for a range of responses; residuals as y'y - |Q'y|²."""
    n, p = data.design.shape
    q, r = np.linalg.qr(data.design)
    inverse = np.linalg.inv(r)
    spread = (inverse**2).sum(axis=1)[:, None]
    sums = data.design.sum(axis=0)
    transposed = np.ascontiguousarray(q.T)

    def solve(some: slice) -> Answers:
        Y = data.y[:, some]
        on_q = transposed @ Y
        params = inverse @ on_q
        squares = np.einsum("nb,nb->b", Y, Y)
        ssr = squares - np.einsum("pb,pb->b", on_q, on_q)
        bse = np.sqrt(spread * (ssr / (n - p)))
        rsquared = 1 - ssr / (squares - (sums @ params) ** 2 / n)
        return {"params": params, "bse": bse, "ssr": ssr, "rsquared": rsquared}

    return _join(_shared_out(solve, data.count, _COLUMNS), -1)


def weighted_products(data: Weighted) -> Answers:
    """The weights times a table of the products of columns; Cholesky's method across them."""
    n, p = data.design.shape
    columns = np.column_stack([data.design, data.y])
    first, second = np.tril_indices(p + 1)
    products = np.ascontiguousarray((columns[:, first] * columns[:, second]).T)

    def solve(some: slice) -> Answers:
        table = _spread(products @ data.weights[some].T, p)
        return regressions_first(one_response(eliminate(table, p, n)))

    return _join(_shared_out(solve, data.count, _COLUMNS), 0)


def masked_products(data: Masked) -> Answers:
    """The mask times a table of the products of columns; Cholesky's method across responses."""
    p = data.design.shape[1]
    first, second = np.tril_indices(p)
    products = np.ascontiguousarray((data.design[:, first] * data.design[:, second]).T)
    transposed = np.ascontiguousarray(data.design.T)

    def solve(some: slice) -> Answers:
        Y = data.y[:, some]
        there = np.equal(Y, Y)
        filled = np.where(there, Y, 0.0)
        table = np.empty((p + 1, p + 1, Y.shape[1]))
        table[first, second] = products @ there.astype(np.float64)
        table[p, :p] = transposed @ filled
        table[p, p] = np.einsum("nb,nb->b", filled, filled)
        return one_response(eliminate(table, p, table[0, 0].copy()))

    return _join(_shared_out(solve, data.count, _COLUMNS), -1)


def hashed_sums(data: Groups) -> Answers:
    """Keys numbered by hashing, each product summed by bincount, block after block of rows."""
    keys, group = number(data.keys)
    return _sums_by_group(data, keys, group)


def sorted_sums(data: Groups) -> Answers:
    """Keys numbered by sorting them, each product summed by bincount."""
    keys, group = np.unique(data.keys, return_inverse=True)
    return _sums_by_group(data, keys, group)


def _sums_by_group(data: Groups, keys: Any, group: Any) -> Answers:
    p, count = data.design.shape[1], len(keys)
    pairs = list(zip(*np.tril_indices(p + 1), strict=True))[1:]

    def add(some: slice) -> Array:
        sums = np.zeros((len(pairs), count))
        for start in range(some.start, some.stop, _ROWS):
            block = slice(start, min(start + _ROWS, some.stop))
            columns = [*np.ascontiguousarray(data.slopes[block].T), data.y[block]]
            for total, (i, j) in zip(sums, pairs, strict=True):
                product = columns[i - 1] if j == 0 else columns[i - 1] * columns[j - 1]
                total += np.bincount(group[block], weights=product, minlength=count)
        return sums

    rows = np.bincount(group, minlength=count).astype(np.float64)
    total = sum(_shared_out(add, len(group), len(group)))
    table = _spread(np.concatenate([rows[None], total]), p)
    return {**regressions_first(one_response(eliminate(table, p, rows))), "keys": keys}


def _spread(products: Array, p: int) -> Array:
    """Products of pairs of columns (q, B) as lower triangles (p + 1, p + 1, B)."""
    table = np.empty((p + 1, p + 1, products.shape[1]))
    table[np.tril_indices(p + 1)] = products
    return table


def _shared_out(work: Callable[[slice], Any], count: int, most: int) -> list[Any]:
    """What the work gives for ranges of at most so many, at least one for each thread."""
    pieces = max(threads(), -(-count // most))
    edges = np.linspace(0, count, min(pieces, count) + 1).astype(int)
    ranges = [slice(*pair) for pair in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    with _BLAS.limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, ranges))


def _join(found: list[Answers], axis: int) -> Answers:
    return {name: np.concatenate([one[name] for one in found], axis=axis) for name in found[0]}


_BLAS = ThreadpoolController()

STRATEGIES: dict[str, dict[type[Data], Callable[[Any], Answers]]] = {
    "NumPy inverses": {Batch: inverses},
    "NumPy inverses in threads": {Batch: inverses_in_threads},
    "NumPy Cholesky across": {Batch: cholesky},
    "NumPy Cholesky across in threads": {Batch: cholesky_in_threads},
    "NumPy projections in threads": {Shared: projections},
    "NumPy products in threads": {Weighted: weighted_products, Masked: masked_products},
    "NumPy hash + bincount": {Groups: hashed_sums},
    "NumPy unique + bincount": {Groups: sorted_sums},
}
"""By name, what it does for each kind of rows."""
