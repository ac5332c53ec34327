"""Precise: sums over rows in double-double, eight pieces side by side.

As `gpuols.engines.precise`, to the bit: the lanes of a piece are summed apart, then by halving, the
pieces of a regression as a tree. The sums of a piece are those of `jit.rows` from the weights on
without anchors and squares: Σ w, Σ w z of each column, and the products; row 2 e has the high parts
of sum e, and the next one the low parts.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.dealing import lanes_of
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.dealing import Table, bring, deal, table_for
from gpuols.engines.jit.doubled import add, add_product, keep, pair
from gpuols.engines.jit.lanes import every
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.sources import Array, Numbers, Rows
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace
from gpuols.numerics.bound import PIECE

_TOGETHER = 64  # sums that stay near while the steps of a lane pass


class Summing(NamedTuple):
    """What summing works in.

    Attributes
    ----------
    table : Table
        What a lane gets.
    factors : (products, 2)
        Columns of each product, the first one weighted.
    stack : (depth, 2 sums, 8)
        Sums of lanes that wait to be joined.
    tree : (height, 2 sums)
        Sums of pieces that wait to be joined.
    """

    table: Table
    factors: Numbers
    stack: Array
    tree: Array


def summing_for(space: Workspace, shape: Shape, fits: int) -> Summing:
    """Room for regressions of a shape, of so many rows at most, with so many numbers of fits."""
    k, m = shape.k, shape.m
    factors = [(j, i) for i in range(k) for j in range(i + 1)]
    factors += [(j, r) for r in range(k, k + m) for j in (*range(k), r)]
    sums, lanes = 1 + k + m + len(factors), lanes_of(shape.n)
    steps, pieces = -(-min(shape.n, PIECE) // lanes), -(-shape.n // PIECE)
    return Summing(
        table=table_for(space, k + m, fits, steps, heavy=shape.weighted),
        factors=np.array(factors, np.int64).reshape(-1, 2),
        stack=space.array("stack", (lanes.bit_length(), 2 * sums, 8)),
        tree=space.array("tree", (pieces.bit_length() + 1, 2 * sums)),
    )


@compiled
def add_rows(
    table: Table, factors: Numbers, first: int, steps: int, heavy: bool, out: Array
) -> None:
    """Sums of what a lane gets, but the products before number `first`, which are zero."""
    q = len(table.near)
    for e in range(len(out)):
        store(out, e, every(0.0))
    for s in range(steps):
        if heavy:
            weight = load(table.weights, s), every(0.0)
            keep(out, 0, add(pair(out, 0), weight))
        for c in range(q):
            at = 2 + 2 * c
            keep(out, at, add(pair(out, at), pair(table.left, 2 * (s * q + c))))
    for start in range(first, len(factors), _TOGETHER):
        stop = min(start + _TOGETHER, len(factors))
        for s in range(steps):
            for e in range(start, stop):
                at = 2 * (1 + q + e)
                a = pair(table.left, 2 * (s * q + factors[e, 0]))
                b = pair(table.right, 2 * (s * q + factors[e, 1]))
                keep(out, at, add_product(pair(out, at), a, b))


@compiled
def turned(number: int, bits: int) -> int:
    """Number whose bits are those of another, last bit first."""
    found = 0
    for _ in range(bits):
        found, number = 2 * found + number % 2, number // 2
    return found


@compiled
def sum_eight(
    rows: Rows,
    heavy: Array,
    pieces: Numbers,
    lanes: int,
    near: Array,
    fits: Array,
    k: int,
    first: int,
    room: Summing,
) -> Array:
    """Sums of pieces (8, 3), lanes joined by halving, (2 sums, 8)."""
    table, stack = room.table, room.stack
    longest, bits, depth = bring(rows, pieces, near, fits, table), 0, 0
    while 1 << bits < lanes:
        bits += 1
    for number in range(lanes):
        # Lanes in this order meet as neighbours when they are joined by halving.
        lane = turned(number, bits)
        steps = max(0, (longest - lane + lanes - 1) // lanes)
        deal(rows, heavy, k, lanes, lane, steps, table)
        add_rows(table, room.factors, first, steps, len(heavy) > 0, stack[depth])
        depth, joined = depth + 1, number + 1
        while joined % 2 == 0:
            depth, joined = depth - 1, joined // 2
            below, above = stack[depth - 1], stack[depth]
            for at in range(0, stack.shape[1], 2):
                keep(below, at, add(pair(below, at), pair(above, at)))
    found: Array = stack[0]
    return found


@compiled
def join_pieces(tree: Array, height: int) -> None:
    """Add the sums on top of a tree to those below."""
    for at in range(0, tree.shape[1], 2):
        below, above = tree[height - 1], tree[height]
        total = add((below[at], below[at + 1]), (above[at], above[at + 1]))
        below[at], below[at + 1] = total


@compiled
def sum_pieces(
    rows: Rows,
    heavy: Array,
    pieces: Numbers,
    lanes: int,
    near: Array,
    fits: Array,
    k: int,
    first: int,
    room: Summing,
    largest: Array,
    out: Array,
) -> None:
    """Sums of regressions, given their pieces, (regression, first row, rows), one after another.

    `near` (b, q) are the anchors, `fits` (b, m (3 + 2 k)) as in `dealing.Table`; the products
    before number `first` are left out. `largest` (b, q) gets the largest numbers, `out`
    (b, 2 sums) the sums.
    """
    some, height, number = np.empty((8, 3), np.int64), 0, 0
    for base in range(0, len(pieces), 8):
        count = min(8, len(pieces) - base)
        some[:] = pieces[base]
        some[:, 2] = 0
        some[:count] = pieces[base : base + count]
        found = sum_eight(rows, heavy, some, lanes, near, fits, k, first, room)
        for slot in range(count):
            b = pieces[base + slot, 0]
            for c in range(near.shape[1]):
                before = largest[b, c] if number else 0.0
                largest[b, c] = max(before, room.table.largest[c, slot])
            for e in range(len(found)):
                room.tree[height, e] = found[e, slot]
            height, number = height + 1, number + 1
            joined = number
            while joined % 2 == 0:
                height, joined = height - 1, joined // 2
                join_pieces(room.tree, height)
            if base + slot + 1 < len(pieces) and pieces[base + slot + 1, 0] == b:
                continue
            while height > 1:
                height -= 1
                join_pieces(room.tree, height)
            for e in range(len(found)):
                out[b, e] = room.tree[0, e]
            height = number = 0
