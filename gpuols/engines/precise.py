"""Sums over rows in double-double, about 106 bits: the second look at what is ill-conditioned.

A row enters as the exact difference (h, l) = x − a from its anchor; products of two such count
both low parts, and sums are renormalised at every step. Rows are dealt to lanes whose number
depends on n alone; lanes are summed apart and then by halving, pieces of `bound.PIECE` rows as a
tree. One NumPy call serves the lanes of many problems, or of many pieces of one. A row that is
not there, or pads the last step, is zero, which changes no bit.

Rows are shifted by their median of three, and, where that proves far from the mean, once more
by the mean.

Columns beyond 2^±250 are first divided by a power of two, exactly, and their moments stay in
those units: no square overflows, no low part underflows.

Source: Hida, Li & Bailey (2001), Algorithms for quad-double precision floating point arithmetic.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import anchors, numbers, present
from gpuols.engines.centring import about_mean
from gpuols.engines.dealing import cut, lanes_of, load
from gpuols.engines.fitted import Looks
from gpuols.engines.gram import count_rows
from gpuols.engines.residuals import Model
from gpuols.engines.tables import Table
from gpuols.engines.workspace import TreeSum
from gpuols.moments import Moments
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.bound import PIECE
from gpuols.numerics.compensated import sum_products
from gpuols.numerics.doubledouble import Pair
from gpuols.selection import ranges

Array = NDArray[np.float64]

_WIDTH = 2**15  # numbers in one NumPy call
_LOADED = 2**23  # numbers in all arrays of rows
_ARRAYS = 6  # of rows at once, without weights
_SAFE = 250  # exponents that need no units
_LEAST = 2.0**-1000  # weight, in the largest: below it nothing is promised
_FAR = 16.0  # squares about the anchor in those about the mean: four standard deviations


def sum_precise(
    x: Table,
    y: Table,
    weights: Table | None,
    which: Any,
    *,
    centered: bool,
    drop: bool,
) -> Moments:
    """Moments of some regressions of a batch; arguments as `cpu.moments_batch`."""
    (n, k), m = x.shape[1:3], y.shape[2]
    places = numbers(which)
    out = Moments.empty(len(places), k, m, centered=centered, precise=True)
    step = _together(n, k + m, weights is not None or drop) if n <= PIECE else 1
    for part in ranges(len(places), step):
        rows = _Rows(x, y, weights, places[part], drop)
        found = rows.reduce(rows.anchors(centered), centered)
        again = np.flatnonzero(far(found).any(axis=-1))
        if len(again):
            rows = _Rows(x, y, weights, places[part][again], drop)
            found.store(again, rows.reduce(rounded_mean(found[again]), centered))
        out.store(part, found)
    return out


def sum_shared_precise(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
) -> Moments:
    """Moments of some responses on a design; arguments as `cpu.moments_shared`."""
    (n, k), m = x.shape, y.shape[1]
    out = design.with_responses(m)
    w = None if weights is None else weights[None]
    assert design.units is not None
    anchor = np.ldexp(design.anchor, design.units[:-1])[None]

    def reduce(columns: NDArray[Any], near: Array | None = None) -> Moments:
        rows = _Rows(x[None], columns[None], w, np.zeros(1, np.int64), False)
        about = rows.anchors(design.centered)[:, k:] if near is None else near[None, k:]
        return rows.reduce(np.concatenate([anchor, about], axis=1), design.centered, k)[0]

    for part in ranges(m, max(1, _together(n, 1, weights is not None) - k)):
        found = reduce(y[:, part])
        again = np.flatnonzero(far(found)[k:])
        if len(again):
            near = rounded_mean(found.take_responses(again))
            found.store_responses(again, reduce(y[:, part][:, again], near))
        out.store_responses(part, found)
    return out


def sum_residuals(
    x: Table, y: Table, weights: Table | None, which: Any, fitted: Looks, *, drop: bool
) -> Moments:
    """Moments of the residuals of some regressions; arguments as `cpu.moments_batch`."""
    (n, k), m = x.shape[1:3], y.shape[2]
    places = numbers(which)
    out = Moments.empty(len(places), k, m, centered=fitted[0].centered, precise=True)
    for part in ranges(len(places), _together(n, k + m, True) if n <= PIECE else 1):
        rows = _Rows(x, y, weights, places[part], drop)
        out.store(part, rows.reduce_residuals([look[part] for look in fitted]))
    return out


def sum_shared_residuals(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None, fitted: Looks
) -> Moments:
    """Moments of the residuals of some responses; arguments as `cpu.moments_shared`."""
    (n, k), m = x.shape, y.shape[1]
    out = fitted[0].with_responses(m)
    w = None if weights is None else weights[None]
    for part in ranges(m, max(1, _together(n, 1, True) - k)):
        rows = _Rows(x[None], y[None, :, part], w, np.zeros(1, np.int64), False)
        mine = [look.take_responses(np.arange(m)[part]).reshape((1,)) for look in fitted]
        out.store_responses(part, rows.reduce_residuals(mine)[0])
    return out


def far(moments: Moments) -> NDArray[np.bool_]:
    """Which columns and responses, L+(q,), have an anchor far from their mean."""
    own = np.diagonal(moments.sxx, axis1=-2, axis2=-1)
    about_mean = np.concatenate([own, moments.syy], axis=-1)
    return np.asarray(moments.centered & (moments.raw > _FAR * about_mean))


def rounded_mean(moments: Moments) -> Array:
    """Means of the columns and responses, rounded once, L+(q,)."""
    assert moments.units is not None
    return np.asarray(np.ldexp(np.sum(moments.means[::-1], axis=0), moments.units[..., :-1]))


def _together(n: int, columns: int, weighted: bool) -> int:
    """Regressions, or pieces of one, whose rows to sum at once."""
    affordable = _LOADED // (2 * _ARRAYS if weighted else _ARRAYS) // max(min(n, PIECE), 1)
    return max(1, min(_WIDTH // lanes_of(n), affordable) // max(columns, 1))


class _Rows:
    """The rows of a few regressions: those of one block, or a large regression by itself."""

    def __init__(
        self, x: Table, y: Table, weights: Table | None, which: NDArray[np.int64], drop: bool
    ) -> None:
        self.x, self.y, self.which = x, y, which
        (self.n, self.k), self.m = x.shape[1:3], y.shape[2]
        self.weights = None if weights is None else np.array(weights[which, :], np.float64)
        if drop:
            there = present(x, y, weights, which)
            self.weights = np.where(there, 1.0 if self.weights is None else self.weights, 0.0)
        pieces = _together(self.n, self.k + self.m, self.weights is not None)
        self.blocks = ranges(self.n, pieces * PIECE) or [slice(0, 0)]
        self.kept: Array | None = None

    def read(self, rows: slice) -> Array:
        """Columns of X, then of y, (b, r, q)."""
        if self.kept is not None:
            return self.kept
        parts = self.x[self.which, rows], self.y[self.which, rows]
        found = np.concatenate(parts, axis=2, dtype=np.float64)
        if len(self.blocks) == 1:
            self.kept = found
        return found

    def reduce_residuals(self, fitted: Looks) -> Moments:
        """Moments with residuals in the responses' place, without sxx, given earlier looks (b,)."""
        first = fitted[0]
        assert first.units is not None
        if self.weights is None:
            self.weights = np.ones((len(self.which), self.n))
        anchor = np.ldexp(first.anchor, first.units[:, :-1])
        found = self.reduce(anchor, first.centered, self.k, Model.of(fitted))
        found.anchor[:, self.k :] = 0.0
        return found

    def reduce(
        self, anchor: Array, centered: bool, first: int = 0, model: Model | None = None
    ) -> Moments:
        """Moments about anchors (b, q), of residuals; with `first` = k sxx is left out."""
        units = self._units()
        columns, unit = units[:, :-1], units[:, -1]
        if units.any():
            anchor = np.ldexp(anchor, -columns)
        tree = TreeSum(_plus)
        for rows in self.blocks:
            z, w = self.read(rows), None if self.weights is None else self.weights[:, rows]
            if units.any():
                z = np.ldexp(z, -columns[:, None])
                w = w if w is None else np.ldexp(w, -unit[:, None])
            if self.n > PIECE:
                z, w = cut(z, anchor), w if w is None else cut(w, 0.0)
            sums = _sum_rows(z, w, anchor, self.k, first, model)
            if self.n <= PIECE:
                return self._moments(sums, anchor, units, first, centered)
            for piece in range(sums[0].shape[1]):
                tree.add(*dd.take(sums, (..., slice(piece, piece + 1))))
        high, low = tree.total()
        return self._moments((high, low), anchor, units, first, centered)

    def _moments(
        self, sums: Pair, anchor: Array, units: NDArray[np.int32], first: int, centered: bool
    ) -> Moments:
        counts = count_rows(self.weights, len(self.which), self.n)
        if self.weights is None:
            dd.put(sums, 0, dd.exact(counts[1]))
        found = about_mean(sums, counts, anchor, units, self.k, first, centered)
        if self.weights is not None:
            least = np.where(self.weights > 0, self.weights, np.inf).min(axis=1, initial=np.inf)
            wide = least < _LEAST * self.weights.max(axis=1, initial=0.0)
            found.raw[wide, self.k :] = np.inf
        return found

    def _units(self) -> NDArray[np.int32]:
        """Powers of two to divide the columns and the weights by, (b, q+1).

        They bring the largest weight near one, then the largest number times its weight's root.
        """
        units = np.zeros((len(self.which), self.k + self.m + 1), np.int32)
        root = None
        if self.weights is not None:
            heaviest = self.weights.max(axis=1, initial=0.0)
            units[:, -1] = _beyond(heaviest) & ~1
            heaviest = np.where(heaviest > 0, heaviest, 1.0)
            root = np.sqrt(self.weights / heaviest[:, None])[:, :, None]
        largest = np.zeros(units[:, :-1].shape)
        for rows in self.blocks:
            size = np.abs(self.read(rows))
            if root is not None:
                size = np.where(root[:, rows] > 0, size * root[:, rows], 0.0)
            largest = np.maximum(largest, size.max(axis=1, initial=0.0))
        units[:, :-1] = _beyond(largest)
        return units

    def anchors(self, centered: bool) -> Array:
        """Anchors of the columns and responses, (b, q); zero without an intercept."""
        if not (self.n and centered):
            return np.zeros((len(self.which), self.k + self.m))
        there = None if self.weights is None else self.weights > 0
        return np.concatenate(anchors(self.x, self.y, None, self.which, there), axis=1)


def _beyond(size: Array) -> NDArray[np.int32]:
    """Exponents of numbers that are too large or small to go without units, else zero."""
    _, exponent = np.frexp(np.where(np.isfinite(size), size, 0.0))
    return np.where(np.abs(exponent) > _SAFE, exponent, 0)


def _plus(a: tuple[Array, ...], b: tuple[Array, ...]) -> Pair:
    return dd.add((a[0], a[1]), (b[0], b[1]))


def _sum_rows(
    z: Array, w: Array | None, anchor: Array, k: int, first: int, model: Model | None
) -> Pair:
    """All sums of rows z (u, r, q) about an anchor (u or 1, q), one under another: (f, u).

    They are W, Σ w z, for each column of X its products with itself, the later ones and the
    responses (with `first` = k the responses alone), and the squares of the responses; w = 1
    where None, z relative to the anchor, the responses replaced by the residuals of a model.
    """
    count, rows, _ = z.shape
    lanes = lanes_of(rows)
    left, right, weight = load(z, w, anchor, lanes)
    if model is not None and weight is not None:
        left, right = model.replace_responses(left, right, weight)
    _, steps, width = right.high.shape
    alone, sums = (dd.exact(np.zeros((c, width))) for c in (1, z.shape[2]))
    for s in range(steps):
        if weight is not None:
            alone = dd.add(alone, dd.exact(weight[None, s]))
        sums = dd.add(sums, left[:, s].number)
    parts = [alone, sums]
    parts += [sum_products(left[i : i + 1], right[max(i, first) :]) for i in range(k)]
    parts.append(sum_products(left[k:], right[k:]))
    high, low = (np.concatenate(several) for several in zip(*parts, strict=True))
    shape = len(high), count, lanes
    return dd.fold((high.reshape(shape), low.reshape(shape)))
