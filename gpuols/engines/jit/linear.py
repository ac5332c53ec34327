"""Linear: Cholesky factors of eight matrices side by side, lane by lane.

Lower triangular matrices lie packed, row by row, in rows of memory (r, 8); factors with one over
each entry of the diagonal in its place. A factor that does not exist is NaN.
"""

import numpy as np

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, near_root, root
from gpuols.engines.jit.memory import Memory, load, store


@compiled
def packed(i: int, j: int) -> int:
    """Place of entry (i, j), j <= i, of a packed triangle."""
    return i * (i + 1) // 2 + j


@compiled
def factor(v: Memory, first: int, k: int, penalty: Lanes, scale: Memory, lower: Memory) -> Mask:
    """L of each A = D (S + λ I) D, the scales D, too; whether there is one.

    S is in rows `first` ... of v.
    """
    done = penalty == penalty
    for j in range(k):
        store(scale, j, near_root(load(v, first + packed(j, j)) + penalty))
    for i in range(k):
        for j in range(i + 1):
            entry = load(v, first + packed(i, j))
            if i == j:
                entry = entry + penalty
            rest = entry * (load(scale, i) * load(scale, j))
            for h in range(j):
                rest = rest - load(lower, packed(i, h)) * load(lower, packed(j, h))
            if i == j:
                done = done & (rest > 0.0) & (rest < np.inf)
                rest = 1.0 / root(rest)
            else:
                rest = rest * load(lower, packed(j, j))
            store(lower, packed(i, j), rest)
    return done


@compiled
def invert(lower: Memory, k: int, inverse: Memory) -> None:
    """L⁻¹ of each L."""
    for j in range(k):
        store(inverse, packed(j, j), load(lower, packed(j, j)))
        for i in range(j + 1, k):
            rest = load(lower, packed(i, j)) * load(inverse, packed(j, j))
            for h in range(j + 1, i):
                rest = rest + load(lower, packed(i, h)) * load(inverse, packed(h, j))
            store(inverse, packed(i, j), (0.0 - rest) * load(lower, packed(i, i)))


@compiled
def halve(lower: Memory, k: int, z: Memory) -> None:
    """Z with L z = c in place of c."""
    for i in range(k):
        rest = load(z, i)
        for j in range(i):
            rest = rest - load(lower, packed(i, j)) * load(z, j)
        store(z, i, rest * load(lower, packed(i, i)))


@compiled
def finish(lower: Memory, k: int, z: Memory) -> None:
    """B with L' b = z in place of z."""
    for i in range(k - 1, -1, -1):
        rest = load(z, i)
        for j in range(i + 1, k):
            rest = rest - load(lower, packed(j, i)) * load(z, j)
        store(z, i, rest * load(lower, packed(i, i)))


@compiled
def quadratic(v: Memory, first: int, k: int, scale: Memory, u: Memory) -> Lanes:
    """U' D S D u."""
    total = every(0.0)
    for i in range(k):
        line = every(0.0)
        for j in range(k):
            entry = load(v, first + packed(max(i, j), min(i, j)))
            line = line + entry * load(scale, j) * load(u, j)
        total = total + load(u, i) * load(scale, i) * line
    return total


@compiled
def diagonals(
    v: Memory,
    first: int,
    k: int,
    penalty: Lanes,
    any_penalty: bool,
    scale: Memory,
    inverse: Memory,
    spread: Memory,
    variance: Memory,
    column: Memory,
) -> None:
    """Diagonals of A⁻¹ and of A⁻¹ D S D A⁻¹; the same in lanes without a penalty."""
    for j in range(k):
        total = every(0.0)
        for i in range(j, k):
            entry = load(inverse, packed(i, j))
            total = total + entry * entry
        store(spread, j, total)
        store(variance, j, total)
    if not any_penalty:
        return
    for j in range(k):
        for h in range(k):
            total = every(0.0)
            for i in range(max(h, j), k):
                total = total + load(inverse, packed(i, h)) * load(inverse, packed(i, j))
            store(column, h, total)
        shrunk = quadratic(v, first, k, scale, column)
        store(variance, j, choose(penalty > 0.0, shrunk, load(variance, j)))
