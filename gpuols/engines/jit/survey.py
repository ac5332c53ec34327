"""Survey: what is found of each regression before its rows are summed in double-double.

As `gpuols.engines.anchors`, and `gpuols.engines.precise` where rows are left out.
"""

import math

import numpy as np

from gpuols.engines.jit.anchors import median
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.sources import Array, Rows

FACTS = 4
"""What is found: rows, the sum of the logarithms of their weights, the largest, the least."""


@compiled
def weigh(rows: Rows, b: int, k: int, m: int, drop: bool, heavy: Array) -> None:
    """Weights of the rows of a regression; zero where they miss a value, if these are dropped."""
    x, y, w = rows.x, rows.y, rows.w
    for i in range(rows.firsts[b], rows.firsts[b + 1]):
        number = i - rows.firsts[b]
        weight = w.memory[w.starts[b] + number * w.row] if len(w.memory) else 1.0
        if drop:
            there = weight > 0.0
            for c in range(k):
                value = x.memory[x.starts[b] + number * x.row + c * x.column]
                there = there and value == value
            for c in range(m):
                value = y.memory[y.starts[b] + number * y.row + c * y.column]
                there = there and value == value
            weight = weight if there else 0.0
        heavy[i] = weight


@compiled
def count_rows(rows: Rows, b: int, heavy: Array, facts: Array) -> tuple[int, int, int]:
    """Find the facts of a regression; the first, middle and last row that counts."""
    first, stop = rows.firsts[b], rows.firsts[b + 1]
    count = stop - first
    if not len(heavy):
        facts[b, 0], facts[b, 1], facts[b, 2], facts[b, 3] = count, 0.0, 1.0, 1.0
        return (0, count // 2, count - 1) if count else (-1, -1, -1)
    number, logs, largest, least = 0, 0.0, 0.0, np.inf
    for i in range(first, stop):
        if heavy[i] > 0.0:
            number, logs = number + 1, logs + math.log(heavy[i])
            largest, least = max(largest, heavy[i]), min(least, heavy[i])
    facts[b, 0], facts[b, 1], facts[b, 2], facts[b, 3] = number, logs, largest, least
    begin, middle, end, seen = -1, -1, -1, 0
    for i in range(first, stop):
        if heavy[i] > 0.0:
            seen += 1
            begin = i - first if begin < 0 else begin
            middle = i - first if middle < 0 and seen > number // 2 else middle
            end = i - first
    return begin, middle, end


@compiled
def look_over(
    rows: Rows, k: int, m: int, centered: bool, drop: bool, given: int, heavy: Array, near: Array
) -> Array:
    """Weights and anchors of regressions, but of the `given` first columns; the facts, (b, 4).

    `heavy` (rows of all,), of none where there are no weights, and `near` (b, q) are written.
    """
    count = len(rows.firsts) - 1
    facts = np.empty((count, FACTS))
    for b in range(count):
        if len(heavy):
            weigh(rows, b, k, m, drop, heavy)
        first, middle, last = count_rows(rows, b, heavy, facts)
        for c in range(given, k + m):
            near[b, c] = 0.0
            if centered and first >= 0:
                source, column = (rows.x, c) if c < k else (rows.y, c - k)
                at, step = source.starts[b] + column * source.column, source.row
                near[b, c] = median(
                    source.memory[at + first * step],
                    source.memory[at + middle * step],
                    source.memory[at + last * step],
                )
    return facts
