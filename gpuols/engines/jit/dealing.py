"""Dealing: rows dealt to lanes as exact differences from their anchors, eight pieces side by side.

As `gpuols.engines.dealing` and `gpuols.engines.residuals`, to the bit. A piece is a regression, or
part of a long one; its columns are those of X, then those of y. What a lane gets of eight pieces is
a table whose row 2 (s q + c) has column c of step s, high parts, and the next one the low parts.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.doubled import keep, multiply, pair, subtract, two_sum, weighted
from gpuols.engines.jit.lanes import choose, every, size
from gpuols.engines.jit.memory import gather, load, store
from gpuols.engines.jit.sources import Array, Numbers, Rows
from gpuols.engines.workspace import Workspace

_ROUNDING = 2.0**-103


class Table(NamedTuple):
    """What a lane gets of eight pieces.

    Attributes
    ----------
    near, largest : (q, 8)
        Anchors, and the largest numbers of some weight seen so far.
    fits : (m (3 + 2 k), 8)
        What residuals are left by: of each response level, high and low, intercept, and slopes,
        high and low; none where the responses themselves are summed.
    weights : (steps, 8)
        Zero where there is no row; not written where there are no weights.
    counts, places : (1, 8), (3, 8)
        Rows of the pieces; where they begin in the memory of X, of y and of weights.
    left, right : (2 q steps, 8)
        Rows shifted, `left` times their weights; the same where there are no weights.
    """

    near: Array
    largest: Array
    fits: Array
    weights: Array
    counts: Array
    places: Numbers
    left: Array
    right: Array


def table_for(space: Workspace, q: int, fits: int, steps: int, *, heavy: bool) -> Table:
    """Room for q columns, so many numbers of fits, and steps, with weights or without."""
    right = space.array("right", (2 * q * steps, 8))
    return Table(
        near=space.array("near", (q, 8)),
        largest=space.array("largest", (q, 8)),
        fits=space.array("fits", (fits, 8)),
        weights=space.array("weights", (steps, 8)),
        counts=space.array("counts", (1, 8)),
        places=space.array("places", (3, 8)).view(np.int64),
        left=space.array("left", right.shape) if heavy else right,
        right=right,
    )


@compiled
def bring(rows: Rows, pieces: Numbers, near: Array, fits: Array, table: Table) -> int:
    """Put what is known of pieces (8, 3) beside what a lane gets; how long the longest is."""
    longest = 0
    for slot in range(8):
        b, first, count = pieces[slot, 0], pieces[slot, 1], pieces[slot, 2]
        longest = max(longest, count)
        table.counts[0, slot] = count
        table.places[0, slot] = rows.x.starts[b] + first * rows.x.row
        table.places[1, slot] = rows.y.starts[b] + first * rows.y.row
        table.places[2, slot] = rows.firsts[b] + first
        for c in range(near.shape[1]):
            table.near[c, slot], table.largest[c, slot] = near[b, c], 0.0
        for e in range(fits.shape[1]):
            table.fits[e, slot] = fits[b, e]
    return longest


@compiled
def deal(rows: Rows, heavy: Array, k: int, lanes: int, lane: int, steps: int, table: Table) -> None:
    """Read what a lane gets as differences from anchors, or residuals, and weigh it.

    `heavy` are the weights of all rows, none where they have none.
    """
    q, nothing, one = len(table.near), every(0.0), every(1.0)
    x, y, places, counts = rows.x, rows.y, table.places, load(table.counts, 0)
    for s in range(steps):
        i, weight = s * lanes + lane, one
        there = counts > float(i)
        if len(heavy):
            weight = gather(heavy, places, 2, i, there, nothing)
            store(table.weights, s, weight)
        for c in range(q):
            at, near = 2 * (s * q + c), load(table.near, c)
            if c < k:
                value = gather(x.memory, places, 0, i * x.row + c * x.column, there, near)
            else:
                value = gather(y.memory, places, 1, i * y.row + (c - k) * y.column, there, near)
            high, low = two_sum(value, -near)
            if len(heavy):
                some = ~(weight == 0.0)
                value = choose(some, value, nothing)
                high, low = choose(some, high, nothing), choose(some, low, nothing)
            keep(table.right, at, (high, low))
            largest = load(table.largest, c)
            store(table.largest, c, choose(size(value) > largest, size(value), largest))
        if len(table.fits):
            for r in range(q - k):
                leave_residual(table, k, s, r)
        if len(heavy):
            for at in range(2 * s * q, 2 * (s + 1) * q, 2):
                keep(table.left, at, weighted(weight, pair(table.right, at)))


@compiled
def leave_residual(table: Table, k: int, s: int, r: int) -> None:
    """Put the residual of response r of a step in its place.

    One below the rounding of its own terms, about the anchor and as they stand, is zero, as it is
    where the weight is.
    """
    q, fit = len(table.near), r * (3 + 2 * k)
    at = 2 * (s * q + k + r)
    y, level = pair(table.right, at), pair(table.fits, fit)
    rest = subtract(y, level)
    terms = size(y[0]) + size(level[0])
    own = size(y[0] + load(table.near, k + r)) + size(load(table.fits, fit + 2))
    for j in range(k):
        x, slope = pair(table.right, 2 * (s * q + j)), pair(table.fits, fit + 3 + 2 * j)
        part = multiply(x, slope)
        rest = subtract(rest, part)
        terms = terms + size(part[0])
        own = own + size((x[0] + load(table.near, j)) * slope[0])
    least = choose((terms < own) | ~(terms == terms), terms, own)
    seen = size(rest[0]) > (_ROUNDING * float(k + 4)) * least
    seen = seen & (load(table.weights, s) > 0.0)
    nothing = every(0.0)
    keep(table.right, at, (choose(seen, rest[0], nothing), choose(seen, rest[1], nothing)))
