"""Sums over rows where many responses share one design, each with weights or missing rows its own.

With z = x - a about one anchor a of the design, u = y - a_j about one of each response j, and
w_ij = 0 where row i is not there for response j,

    Σ w,  Σ w z,  Σ w z z' = W' [1, z, z ⊗ z]      Σ w u,  Σ w z u = (W ∘ U)' [1, z]      Σ w u²

so two matrix products serve all responses, and X is read once for thousands of them. A batch
would write X again for each: that is k + 1 columns of rows to write and weigh for each response,
here it is two. Where all have the one response, and only the weights are their own, it is a column
as those of X are, and one product serves; but where those of zero weight give it another anchor.

Every product is one tile of `_TILE` responses, the last padded, and at most `BLOCK` rows, summed as
a tree: a response's bits depend on no other. A tile is what stays in cache from its writing to its
product; one of 32 takes up to a fifth longer a response.

A response that has a row whose products are not finite is summed again by `gram`, as is one whose
weights are so large that they could hide an underflow of z ⊗ z. Only its own rows decide that.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import median, weighted_rows
from gpuols.engines.gram import centre, sum_batch
from gpuols.engines.products import Products, width
from gpuols.engines.tables import Repeated, Table
from gpuols.engines.workspace import TreeSum, Workspace
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK
from gpuols.numerics.lanes import to_last
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TILE = 128
# Responses read together, if the sums of so many fit into `_SUMS` numbers.
_GROUP = 8 * _TILE
_SUMS = 2**21
# Numbers looked at together in search of anchors.
_SEEN = 2**20
# Sum of weights up to which an underflow of z ⊗ z is below what the error bound counts.
HEAVY = 2.0**64
# Weights of which eight can be multiplied.
_LEAST, _MOST = 2.0**-100, 2.0**100


def sum_masked(
    x: NDArray[Any],
    y: Table,
    weights: Table | None,
    which: slice,
    *,
    centered: bool,
    drop: bool,
    space: Workspace,
) -> Moments:
    """Moments of some responses; arguments as `cpu.moments_masked`."""
    n, k = x.shape
    out = Moments.empty(which.stop - which.start, k, 1, centered=centered)
    parts = [x]
    if isinstance(y, Repeated) and weights is not None and np.isfinite(y.rows).all():
        parts.append(y.rows)
    design, joined = Products.read(parts, centered, drop), len(parts) > 1
    doubtful = np.zeros(which.stop - which.start, bool)
    depth = 1 + (n // BLOCK).bit_length()
    step = min(_GROUP, max(1, _SUMS // (depth * width(k + 1) * _TILE)) * _TILE)
    for group in ranges(len(doubtful), step):
        some = slice(which.start + group.start, which.start + group.stop)
        anchor = np.zeros(some.stop - some.start)
        if centered and n:
            anchor = _anchors(design, y, weights, some, drop)
        alike = anchor == design.anchor[k] if joined else np.zeros(anchor.shape, bool)
        for chosen, products, own in ((alike, design, None), (~alike, design.first(k), y)):
            if chosen.any():
                numbers = np.flatnonzero(chosen)
                given = weights, some.start + numbers, anchor[chosen], drop, space
                sums, wild = _sum_some(products, own, *given)
                place = _span(group.start + numbers)
                doubtful[place] = wild
                out.anchor[place, :k], out.anchor[place, k] = design.anchor[:k], anchor[chosen]
                _store(sums, products, out, place)
    centre(out)
    again = np.flatnonzero(doubtful)
    for part in ranges(len(again), max(1, _SEEN // max(n, 1))):
        numbers = which.start + again[part]
        wide = np.broadcast_to(x, (len(numbers), n, k))
        w = None if weights is None else weights[numbers, :]
        every = slice(0, len(numbers))
        tables = wide, y[numbers, :], w
        out.store(again[part], sum_batch(*tables, every, centered=centered, drop=drop, space=space))
    return out


def _span(numbers: NDArray[np.int64]) -> Any:
    """Ascending numbers as a slice, which copies nothing, where they are neighbours."""
    first, last = int(numbers[0]), int(numbers[-1])
    return slice(first, last + 1) if last - first == len(numbers) - 1 else numbers


def _sum_some(
    products: Products,
    y: Table | None,
    weights: Table | None,
    which: NDArray[np.int64],
    anchor: Array,
    drop: bool,
    space: Workspace,
) -> tuple[Array, Mask]:
    """Sums about the anchors, as `_Block.multiply` has them, and which to sum again, (b,)."""
    n, count = len(products.there), len(which)
    tree, doubtful, tiles = TreeSum(), np.zeros(count, bool), ranges(count, _TILE)
    more = 2 if y is None else 4 + len(products.anchor)
    for rows in ranges(n, BLOCK) or [slice(0, 0)]:
        table, wild = products.table(rows, space), ~products.tame[rows]
        there = products.there[rows] if drop else None
        sums = np.empty((len(tiles), products.width + more, _TILE))
        for part, out in zip(tiles, sums, strict=True):
            own = _span(which[part])
            u = None if y is None else y[own, rows][:, :, 0].T
            w = None if weights is None else weights[own, rows].T
            block = _Block.write(u, w, anchor[part], there, space)
            if wild.any():
                doubtful[part] |= (block.w[wild, : part.stop - part.start] != 0).any(axis=0)
            block.multiply(table, out)
        tree.add(sums)
    sums = np.concatenate(tree.total()[0], axis=1)[:, :count]
    return sums, np.asarray(doubtful | ~(sums[0] < HEAVY))


def _store(sums: Array, products: Products, out: Moments, place: Any) -> None:
    """Write sums about the anchors into their places."""
    k, q = out.k, len(products.anchor)
    table, (nobs, logs, *rest) = sums[: products.width], sums[products.width :]
    out.sumw[place], out.nobs[place], out.sum_log_w[place] = table[0], nobs, logs
    mean, sxx, sxy = (to_last(a) for a in (out.mean, out.sxx, out.sxy))
    mean[:k, place], row = table[1 : 1 + k], 1 + q
    for i in range(k):
        sxx[i][: i + 1, place] = table[row : row + i + 1]
        row += i + 1
    if q > k:
        rest = [table[1 + k], *table[row:]]
    mean[k, place], out.syy[place, 0] = rest[0], rest[-1]
    for i in range(k):
        sxy[i][0, place] = rest[1 + i]


def _anchors(
    products: Products, y: Table, weights: Table | None, which: slice, drop: bool
) -> Array:
    """Median of each response's first, middle and last row that counts, zero if not finite."""
    anchor = np.zeros(which.stop - which.start)
    for part in ranges(len(anchor), max(1, _SEEN // len(products.there))):
        some = slice(which.start + part.start, which.start + part.stop)
        near = y[some, :][:, :, 0]
        valid = np.ones((1, 1), bool) if weights is None else weights[some, :] > 0
        if drop:
            valid = valid & products.there & ~np.isnan(near)
        valid = np.broadcast_to(valid, near.shape)
        each = np.arange(len(near))
        found = median(*(near[each, place] for place in weighted_rows(valid)))
        anchor[part] = np.where(valid.any(axis=1) & np.isfinite(found), found, 0.0)
    return anchor


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows of a tile of responses, zero where a row is not there.

    Attributes
    ----------
    w : (rows, _TILE)
        Weights.
    u, wu : (rows, _TILE) or None
        Shifted responses and their products with the weights; None where all have the one response.
    weighted : bool
        Whether the weights are more than zeros and ones.
    """

    w: Array
    u: Array | None
    wu: Array | None
    weighted: bool

    @classmethod
    def write(
        cls,
        y: NDArray[Any] | None,
        weights: NDArray[Any] | None,
        anchor: Array,
        there: Mask | None,
        space: Workspace,
    ) -> Self:
        """Write responses (rows, b), less anchors (b,), and weights (rows, b), of which one is.

        Where it is said which rows are `there`, (rows,), what is missing is left out, too.
        """
        given = y if weights is None else weights
        assert given is not None
        shape, count = (len(given), _TILE), len(anchor)
        w, u, wu, written = space.array("weights", shape), None, None, []
        if weights is not None:
            w[:, :count], w[:, count:] = weights, 1.0
            written.append(w)
        if y is not None:
            u = space.array("responses", shape)
            np.subtract(y, anchor, out=u[:, :count])
            u[:, count:] = 0.0
            written.append(u)
        absent = np.zeros(shape, bool) if weights is None else w == 0.0
        if there is not None:
            for part in written:
                absent |= np.isnan(part)
            absent[~there] = True
        if absent.any():
            for part in written:
                np.putmask(part, absent, 0.0)
        if weights is None:
            np.copyto(w, ~absent)
        if u is not None:
            wu = u if weights is None else np.multiply(w, u, out=space.array("weighted", shape))
        return cls(w, u, wu, weights is not None)

    def multiply(self, table: Array, out: Array) -> None:
        """Write sums with the table, counts, sums of log w, of w u with [1, z], and of w u²."""
        c = len(table)
        np.matmul(table, self.w, out=out[:c])
        out[c], out[c + 1] = _count(self.w) if self.weighted else (out[0], 0.0)
        if self.u is not None and self.wu is not None:
            k = len(out) - c - 4
            np.matmul(table[: 1 + k], self.wu, out=out[c + 2 : -1])
            np.einsum("rc,rc->c", self.wu, self.u, out=out[-1])


def _count(w: Array) -> tuple[Any, Array]:
    """Positive ones among weights (rows, c), and sums of their logarithms."""
    if w.min(initial=1.0) > _LEAST and w.max(initial=1.0) < _MOST:
        return len(w), _log_products(w)
    present = w > 0
    own = np.where(present, w, 1.0)
    moderate = ((own > _LEAST) & (own < _MOST)).all(axis=0)
    logs = np.log(own).sum(axis=0)
    return present.sum(axis=0), np.where(moderate, _log_products(own), logs)


def _log_products(w: Array) -> Array:
    """Sums over rows of log w, of products of eight: a logarithm costs as much as four products."""
    for _ in range(3):
        half = (len(w) + 1) // 2
        product = w[:half].copy()
        product[: len(w) - half] *= w[half:]
        w = product
    return np.asarray(np.log(w).sum(axis=0))
