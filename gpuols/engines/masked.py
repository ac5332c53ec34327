"""Sums over rows where many responses share one design, each with weights or missing rows its own.

With z = x - a about one anchor a of the design, u = y - a_j about one of each response j, and
w_ij = 0 where row i is not there for response j,

    Σ w,  Σ w z,  Σ w z z' = W' [1, z, z ⊗ z]      Σ w u,  Σ w z u = (W ∘ U)' [1, z]      Σ w u²

so two matrix products serve all responses, and X is read once for thousands of them. A batch
would write X again for each: that is k + 1 columns of rows to write and weigh for each response,
here it is two.

Every product is one tile of `_TILE` responses, the last padded with zeros, and at most `BLOCK`
rows, summed as a tree: a response's bits depend on no other. Tiles of 32 lose up to a fifth of
the speed of 128 (28 against 31 GFLOP/s at k = 6), but few responses cost a quarter.

0 times infinity is not 0. A row of X whose products are not finite is left out of the table, and
a response for which it is there is summed again by `gram`, as is one whose weights are so large
that they could hide an underflow of z ⊗ z. Only its own rows decide that.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import any_missing, median, weighted_rows
from gpuols.engines.gram import centre, sum_batch
from gpuols.engines.tables import Table
from gpuols.engines.workspace import TreeSum, Workspace
from gpuols.moments import Moments
from gpuols.numerics.bound import BLOCK
from gpuols.numerics.lanes import to_last
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TILE = 32
# Responses read together, if the sums of so many fit into `_SUMS` numbers.
_GROUP = 32 * _TILE
_SUMS = 2**21
# Numbers looked at together in search of anchors.
_SEEN = 2**20
# Sum of weights up to which an underflow of z ⊗ z is below what the error bound counts.
HEAVY = 2.0**64


@dataclass(frozen=True, eq=False)
class MaskedDesign:
    """What all responses share.

    Attributes
    ----------
    x : (n, k)
        Regressors.
    anchor : (k,)
        Their anchor.
    there : (n,)
        Rows that count, if the response has them.
    tame : (n,)
        Rows whose products are finite.
    """

    x: NDArray[Any]
    anchor: Array
    there: Mask
    tame: Mask

    @classmethod
    def read(cls, x: NDArray[Any], centered: bool, drop: bool) -> Self:
        """Find the anchor, and the rows in which there is trouble."""
        n, k = x.shape
        there, tame, anchor = np.ones(n, bool), np.ones(n, bool), np.zeros(k)
        blocks = ranges(n, max(1, _SEEN // max(k, 1)))
        for rows in blocks:
            tame[rows] = np.isfinite(x[rows]).all(axis=1)
            if drop:
                there[rows] = ~any_missing(x[rows])
        if centered and tame.any():
            anchor = median(*(x[place[0]] for place in weighted_rows(tame[None])))
        for rows in blocks:
            tame[rows] &= np.isfinite((x[rows] - anchor) ** 2).all(axis=1)
        return cls(x, anchor, there, tame)

    def table(self, rows: slice, space: Workspace) -> Array:
        """Products [1, z, z ⊗ z]' of some rows, the lower triangle row by row; (c, rows)."""
        count, k = self.x[rows].shape
        table = space.array("table", (_width(k), count))
        table[0] = 1.0
        np.subtract(self.x[rows].T, self.anchor[:, None], out=table[1 : 1 + k])
        table[1 : 1 + k, ~self.tame[rows]] = 0.0
        place = 1 + k
        for i in range(1, 1 + k):
            np.multiply(table[1 : 1 + i], table[i], out=table[place : place + i])
            place += i
        return table


def _width(k: int) -> int:
    return 1 + k + k * (k + 1) // 2


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
    design = MaskedDesign.read(x, centered, drop)
    doubtful = np.zeros(which.stop - which.start, bool)
    depth = 1 + (n // BLOCK).bit_length()
    step = min(_GROUP, max(1, _SUMS // (depth * _width(k) * _TILE)) * _TILE)
    for start in range(which.start, which.stop, step):
        some = slice(start, min(start + step, which.stop))
        place = slice(some.start - which.start, some.stop - which.start)
        doubtful[place] = _sum_group(design, y, weights, some, drop, space, out, place)
    centre(out)
    again = np.flatnonzero(doubtful)
    for part in ranges(len(again), max(1, _SEEN // max(n, 1))):
        own = which.start + again[part]
        wide = np.broadcast_to(x, (len(own), n, k))
        w = None if weights is None else weights[own, :]
        every = slice(0, len(own))
        moments = sum_batch(wide, y[own, :], w, every, centered=centered, drop=drop, space=space)
        out.store(again[part], moments)
    return out


def _sum_group(
    design: MaskedDesign,
    y: Table,
    weights: Table | None,
    which: slice,
    drop: bool,
    space: Workspace,
    out: Moments,
    place: slice,
) -> Mask:
    """Write sums about the anchors into their place; return which are to be summed again, (b,)."""
    (n, k), count = design.x.shape, which.stop - which.start
    anchor = np.zeros(count)
    if out.centered and n:
        anchor = _anchors(design, y, weights, which, drop)
    tree = TreeSum()
    doubtful = np.zeros(count, bool)
    for rows in ranges(n, BLOCK) or [slice(0, 0)]:
        w = None if weights is None else weights[which, rows].T
        block = _Block.write(y[which, rows][:, :, 0].T, w, anchor, design.there[rows], drop, space)
        wild = ~design.tame[rows]
        if wild.any():
            doubtful |= (block.w[wild, :count] != 0).any(axis=0)
        tree.add(*block.multiply(design.table(rows, space), k))
    nobs, logs, gram, cross, squares = (a[..., :count] for a in tree.total())
    mean, sxx, sxy = (to_last(a)[..., place] for a in (out.mean, out.sxx, out.sxy))
    out.nobs[place], out.sumw[place], out.sum_log_w[place] = nobs, gram[0], logs
    out.anchor[place, :k], out.anchor[place, k] = design.anchor, anchor
    mean[:k], mean[k] = gram[1 : 1 + k], cross[0]
    row = 1 + k
    for i in range(k):
        sxx[i, : i + 1] = gram[row : row + i + 1]
        row += i + 1
    sxy[:, 0], out.syy[place, 0] = cross[1:], squares
    to_last(out.raw)[:k, place] = np.einsum("iib->ib", sxx)
    out.raw[place, k] = squares
    return np.asarray(doubtful | ~(gram[0] < HEAVY))


def _anchors(
    design: MaskedDesign, y: Table, weights: Table | None, which: slice, drop: bool
) -> Array:
    """Median of each response's first, middle and last row that counts, zero if not finite."""
    anchor = np.zeros(which.stop - which.start)
    for part in ranges(len(anchor), max(1, _SEEN // len(design.x))):
        some = slice(which.start + part.start, which.start + part.stop)
        near = y[some, :][:, :, 0]
        valid = np.broadcast_to(design.there, near.shape)
        if drop:
            valid = valid & ~np.isnan(near)
        if weights is not None:
            valid = valid & (weights[some, :] > 0)
        each = np.arange(len(near))
        found = median(*(near[each, place] for place in weighted_rows(valid)))
        anchor[part] = np.where(valid.any(axis=1) & np.isfinite(found), found, 0.0)
    return anchor


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows of some responses, whole tiles of them, zero where a row is not there.

    Attributes
    ----------
    u, w, wu : (rows, c)
        Shifted responses, weights, and their products.
    weighted : bool
        Whether the weights are more than zeros and ones.
    """

    u: Array
    w: Array
    wu: Array
    weighted: bool

    @classmethod
    def write(
        cls,
        y: NDArray[Any],
        weights: NDArray[Any] | None,
        anchor: Array,
        there: Mask,
        drop: bool,
        space: Workspace,
    ) -> Self:
        """Write responses (rows, b), less anchors (b,), and weights (rows, b) or None."""
        rows, count = y.shape
        columns = -(-count // _TILE) * _TILE
        u, w = (space.array(name, (rows, columns)) for name in ("responses", "weights"))
        np.subtract(y, anchor, out=u[:, :count])
        w[:, :count] = 1.0 if weights is None else weights
        u[:, count:] = w[:, count:] = 0.0
        absent = w == 0.0
        if drop:
            absent |= np.isnan(u)
            absent |= np.isnan(w)
            absent[~there] = True
        np.copyto(u, 0.0, where=absent)
        np.copyto(w, 0.0, where=absent)
        if weights is None:
            return cls(u, w, u, False)
        return cls(u, w, np.multiply(w, u, out=space.array("weighted", u.shape)), True)

    def multiply(self, table: Array, k: int) -> tuple[Array, ...]:
        """Counts, sums of log w, sums of weights with the table, of w u with [1, z], of w u²."""
        gram = self._tiles(table, self.w)
        present = self.w > 0
        nobs = np.count_nonzero(present, axis=0).astype(np.float64)
        logs = np.zeros(nobs.shape)
        if self.weighted:
            logs = np.log(np.where(present, self.w, 1.0)).sum(axis=0)
        cross = self._tiles(table[: 1 + k], self.wu)
        return nobs, logs, gram, cross, np.einsum("rc,rc->c", self.wu, self.u)

    @staticmethod
    def _tiles(left: Array, right: Array) -> Array:
        """Matrix product (c, rows) by (rows, b), tile by tile."""
        rows, columns = right.shape
        tiles = right.reshape(rows, columns // _TILE, _TILE).swapaxes(0, 1)
        product: Array = np.matmul(left, tiles)
        return product.swapaxes(0, 1).reshape(len(left), columns)
