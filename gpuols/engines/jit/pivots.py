"""Pivots: Gram matrices factored in double-double, their rank decided from left to right.

As `gpuols.numerics.pivots`, to the bit, eight matrices side by side. Lower triangles lie packed,
row by row: row 2 e of an array has the high parts of entry e, and the next one the low parts. A
dropped column leaves a row and a column of the identity in the factor.
"""

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.doubled import (
    Pair,
    add,
    divide,
    keep,
    multiply,
    pair,
    square_root,
    subtract,
)
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every
from gpuols.engines.jit.linear import packed
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.sources import Array


@compiled
def place(i: int, j: int) -> int:
    """Row of the high part of entry (i, j), j <= i."""
    return int(2 * packed(i, j))


@compiled
def either(where: Mask, a: Pair, b: Pair) -> Pair:
    """Lane by lane a where a mask holds, else b."""
    return choose(where, a[0], b[0]), choose(where, a[1], b[1])


@compiled
def hidden(lower: Array, noise: Array, j: int, terms: Array) -> Lanes:
    """Rounding error of the pivot of column j, a combination of those before it."""
    total = every(0.0)
    for i in range(j):
        store(terms, i, load(lower, place(j, i)))
    for i in range(j - 1, -1, -1):
        own = load(terms, i) / load(lower, place(i, i))
        store(terms, i, own)
        for h in range(i):
            store(terms, h, load(terms, h) - load(lower, place(i, h)) * own)
    for i in range(j):
        total = total + load(noise, i) * (load(terms, i) * load(terms, i))
    return total + load(noise, j)


@compiled
def factor(
    a: Array, lowest: Array, noise: Array, most: Lanes, k: int, terms: Array, kept: Array
) -> Lanes:
    """L of each A = L L' in its place, and how many columns are in; `kept` (k, 8) gets one or zero.

    Left out are columns whose pivot is not above `lowest` or hidden by `noise`, (k, 8) each, and
    those beyond `most`.
    """
    one, nothing, number = every(1.0), every(0.0), every(0.0)
    zero = nothing, nothing
    for j in range(k):
        pivot = pair(a, place(j, j))
        inside = (pivot[0] > load(lowest, j)) & (number < most)
        inside = inside & (pivot[0] > hidden(a, noise, j, terms))
        store(kept, j, choose(inside, one, nothing))
        number = number + load(kept, j)
        diagonal = square_root(either(inside, pivot, (one, nothing)))
        keep(a, place(j, j), diagonal)
        for h in range(j):
            keep(a, place(j, h), either(inside, pair(a, place(j, h)), zero))
        for i in range(j + 1, k):
            at = place(i, j)
            keep(a, at, either(inside, divide(pair(a, at), diagonal), zero))
        for i in range(j + 1, k):
            own = pair(a, place(i, j))
            for h in range(j + 1, i + 1):
                at = place(i, h)
                keep(a, at, subtract(pair(a, at), multiply(own, pair(a, place(h, j)))))
    return number


@compiled
def substitute(lower: Array, k: int, z: Array) -> None:
    """Z with L z = c in place of c, (2 k, 8)."""
    for i in range(k):
        own = divide(pair(z, 2 * i), pair(lower, place(i, i)))
        keep(z, 2 * i, own)
        for h in range(i + 1, k):
            part = multiply(pair(lower, place(h, i)), own)
            keep(z, 2 * h, subtract(pair(z, 2 * h), part))


@compiled
def invert(lower: Array, k: int, kept: Array) -> None:
    """L⁻¹ in place of L, zero where a column was dropped."""
    nothing = every(0.0)
    zero = nothing, nothing
    for i in range(k):
        diagonal = pair(lower, place(i, i))
        for j in range(i):
            keep(lower, place(i, j), divide(pair(lower, place(i, j)), diagonal))
        keep(lower, place(i, i), divide((every(1.0), nothing), diagonal))
        for h in range(i + 1, k):
            factor = pair(lower, place(h, i))
            keep(lower, place(h, i), zero)
            for j in range(i + 1):
                at, part = place(h, j), multiply(factor, pair(lower, place(i, j)))
                keep(lower, at, subtract(pair(lower, at), part))
    for i in range(k):
        at = place(i, i)
        keep(lower, at, either(load(kept, i) > 0.0, pair(lower, at), zero))


@compiled
def times_column(lower: Array, j: int, x: Array, k: int) -> Pair:
    """Column j of a lower triangle times x (2 k, 8)."""
    total = every(0.0), every(0.0)
    for i in range(j, k):
        total = add(total, multiply(pair(lower, place(i, j)), pair(x, 2 * i)))
    return total


@compiled
def times_row(lower: Array, i: int, x: Array) -> Pair:
    """Row i of a lower triangle times x (2 k, 8)."""
    total = every(0.0), every(0.0)
    for j in range(i + 1):
        total = add(total, multiply(pair(lower, place(i, j)), pair(x, 2 * j)))
    return total
