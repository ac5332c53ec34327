"""Sums over rows where many responses share one design, each with weights or missing rows its own.

With z = x - a about one anchor a of the design, u = y - a_j about one of each response j, and
w_ij = 0 where row i is not there for response j,

    Σ w,  Σ w z,  Σ w z z' = W' [1, z, z ⊗ z]      Σ w u,  Σ w z u = (W ∘ U)' [1, z]      Σ w u²

so two matrix products serve all responses, and X is read once for thousands of them. A batch
would write X again for each: that is k + 1 columns of rows to write and weigh for each response,
here it is two. Where all have the one response, and only the weights are their own, it is a column
as those of X are, and one product serves; but where those of zero weight give it another anchor.

Every product is one tile of responses, the last padded, and at most `BLOCK` rows, summed as a tree:
a response's bits depend on no other. A tile stays in cache from its writing to its product.

A response that has a row whose products are not finite is summed again by `gram`, as is one whose
weights are so large that they could hide an underflow of z ⊗ z. Only its own rows decide that.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import median, unweighted_rows, weighted_rows
from gpuols.engines.gram import centre, sum_batch
from gpuols.engines.products import Products, width
from gpuols.engines.tables import Repeated, Table
from gpuols.engines.workspace import TreeSum, Workspace
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK
from gpuols.numerics.lanes import tile_of, to_last
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Responses read together, if the sums of so many fit into `_SUMS` numbers.
_GROUP = 4096
_SUMS = 2**21
# Numbers looked at together in search of anchors.
_SEEN = 2**20
# Sum of weights up to which an underflow of z ⊗ z is below what the error bound counts.
HEAVY = 2.0**64
# Weights above the least can be multiplied, so many of them, while that is finite.
_FACTORS, _LEAST = 16, 2.0**-63


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
    first = design.first(k)
    doubtful = np.zeros(which.stop - which.start, bool)
    depth = 1 + (n // BLOCK).bit_length()
    tile = tile_of(n, k)
    step = min(_GROUP, max(1, _SUMS // (depth * width(k + 1) * tile)) * tile)
    for group in ranges(len(doubtful), step):
        some = slice(which.start + group.start, which.start + group.stop)
        anchor = np.zeros(some.stop - some.start)
        if centered and n:
            anchor = _anchors(design, y, weights, some, drop)
        alike = anchor == design.anchor[k] if joined else np.zeros(anchor.shape, bool)
        for chosen, products, own in ((alike, design, None), (~alike, first, y)):
            if chosen.any():
                numbers = np.flatnonzero(chosen)
                given = weights, some.start + numbers, anchor[chosen], drop, space
                sums, wild = _sum_some(tile, products, own, *given)
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
    tile: int,
    products: Products,
    y: Table | None,
    weights: Table | None,
    which: NDArray[np.int64],
    anchor: Array,
    drop: bool,
    space: Workspace,
) -> tuple[Array, Mask]:
    """Sums about the anchors, as `_Block.multiply` has them, and which to sum again, (b,)."""
    count = len(which)
    tree, doubtful, tiles = TreeSum(_add), np.zeros(count, bool), ranges(count, tile)
    more = 2 if y is None else 4 + len(products.anchor)
    shape = products.width + more, len(tiles) * tile
    for rows, table in products.tables(space):
        wild = ~products.tame[rows]
        there = products.there[rows] if drop else None
        sums = np.empty(shape)
        for part in tiles:
            own = _span(which[part])
            u = None if y is None else y[own, rows][:, :, 0].T
            w = None if weights is None else weights[own, rows].T
            block = _Block.write(tile, u, w, anchor[part], there, space)
            if wild.any():
                doubtful[part] |= (block.w[wild, : part.stop - part.start] != 0).any(axis=0)
            block.multiply(table, sums[:, part.start : part.start + tile])
        tree.add(sums)
    sums = tree.total()[0][:, :count]
    return sums, np.asarray(doubtful | ~(sums[0] < HEAVY))


def _add(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    """Sums of two terms, in the memory of the first."""
    for mine, theirs in zip(a, b, strict=True):
        mine += theirs
    return a


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
        valid = _valid(products, near, None if weights is None else weights[some, :], drop)
        each = np.arange(len(near))
        places = unweighted_rows(near.shape[1]) if valid is None else weighted_rows(valid)
        found = median(*(near[each, place] for place in places))
        some_row = True if valid is None else valid.any(axis=1)
        anchor[part] = np.where(some_row & np.isfinite(found), found, 0.0)
    return anchor


def _valid(
    products: Products, near: NDArray[Any], weights: NDArray[Any] | None, drop: bool
) -> Mask | None:
    """Which rows count for responses (b, n) with weights (b, n); None where all do for all."""
    heavy = None if weights is None or weights.min() > 0 else weights > 0
    if not drop:
        return heavy
    valid: Mask = near == near
    if not products.there.all():
        valid &= products.there
    if heavy is not None:
        valid &= heavy
    return valid


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows of a tile of responses, zero where a row is not there.

    Attributes
    ----------
    w : (rows, tile)
        Weights.
    u, wu : (rows, tile) or None
        Shifted responses and their products with the weights; None where all have the one response.
    least : float or None
        The least of the weights, not above any of them; None where they are zeros and ones.
    """

    w: Array
    u: Array | None
    wu: Array | None
    least: float | None

    @classmethod
    def write(
        cls,
        tile: int,
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
        shape, count = (len(given), tile), len(anchor)
        w, u, wu, least = space.array("weights", shape), None, None, 1.0
        written, tests = list[Array](), list[Mask]()
        if weights is not None:
            w[:, :count], w[:, count:] = weights, 1.0
            written.append(w)
            least = w.min(initial=1.0)
            if not least > 0:
                tests.append(w != 0)
        if y is not None:
            u = space.array("responses", shape)
            np.subtract(y, anchor, out=u[:, :count])
            u[:, count:] = 0.0
            written.append(u)
        if there is not None:
            tests += [part == part for part in written]
            if not there.all():
                tests.append(there[:, None])
        valid: Mask = reduce(np.logical_and, tests) if tests else np.ones((1, 1), bool)
        if not valid.all():
            _blank(written, valid)
            least = 0.0
        if weights is None:
            np.copyto(w, valid)
        if u is not None:
            wu = u if weights is None else np.multiply(w, u, out=space.array("weighted", shape))
        return cls(w, u, wu, None if weights is None else least)

    def multiply(self, table: Array, out: Array) -> None:
        """Write sums with the table, counts, sums of log w, of w u with [1, z], and of w u²."""
        c = len(table)
        np.matmul(table, self.w, out=out[:c])
        out[c], out[c + 1] = (out[0], 0.0) if self.least is None else _count(self.w, self.least)
        if self.u is not None and self.wu is not None:
            k = len(out) - c - 4
            np.matmul(table[: 1 + k], self.wu, out=out[c + 2 : -1])
            np.einsum("rc,rc->c", self.wu, self.u, out=out[-1])


def _blank(parts: list[Array], valid: Mask) -> None:
    """Put zeros, for NaN too, where it is not valid; bit by bit takes a third of the time."""
    kept = np.negative(valid.view(np.int8)).astype(np.int64)
    for part in parts:
        bits = part.view(np.int64)
        bits &= kept


def _count(w: Array, least: float) -> tuple[Any, Array]:
    """Positive ones among weights (rows, c), and sums of their logarithms."""
    if least > _LEAST and np.isfinite(logs := _log_products(w)).all():
        return len(w), logs
    present = w > 0
    own = np.where(present, w, 1.0)
    together = _log_products(own)
    moderate = (own > _LEAST).all(axis=0) & np.isfinite(together)
    return present.sum(axis=0), np.where(moderate, together, np.log(own).sum(axis=0))


def _log_products(w: Array) -> Array:
    """Sums over rows of log w, of products of many: a logarithm costs as much as four products."""
    rows, count = w.shape
    whole = rows // _FACTORS
    head, rest = w[: _FACTORS * whole], w[_FACTORS * whole :]
    products = np.multiply.reduce(head.reshape(_FACTORS, whole, count), axis=0)
    return np.asarray(np.log(products).sum(axis=0) + np.log(np.multiply.reduce(rest, axis=0)))
