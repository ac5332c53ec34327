"""Rows: those of one regression to sums about its anchor, in functions that Numba compiles.

Rows lie side by side as doubles, a regression's at an element of an array's memory. They are summed
in pieces, which are added as a tree.

The sums of a regression are a column of an array, eight regressions side by side: rows, sum of the
weights and of their logarithms; the anchor of every column, their means and sums of squares about
it; the products of the columns of X, (0, 0), (1, 0), (1, 1) ...; of each response its products with
the columns of X and with itself.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.products import NARROW, entries, fetch, narrow, shift, tile

Array = NDArray[np.float64]

PIECE = 2048  # rows that eight chains add up
_TABLE = 8192  # numbers of a table whose products are formed together


def order_of(k: int, m: int) -> NDArray[np.int64]:
    """Where `narrow` or `multiply` leaves the sums of the columns, then their products."""
    q, pitch = k + m, pitch_of(k, m)
    wanted: list[tuple[int, ...]] = [(c,) for c in range(q)]
    wanted += [(c, i) for c in range(k) for i in range(c + 1)]
    wanted += [(r, i) for r in range(k, q) for i in (*range(k), r)]
    if is_narrow(k, m):
        listed = entries(k)
        return np.array([listed.index(entry) for entry in wanted], np.int64)
    ends = ((1 + entry[0], 1 + entry[1] if entry[1:] else 0) for entry in wanted)
    return np.array([row * pitch + column for row, column in ends], np.int64)


def stack_for(n: int, k: int, m: int) -> Array:
    """Room for the products of pieces that wait to be joined."""
    size = -(-len(entries(k)) // 8) * 8 if is_narrow(k, m) else pitch_of(k, m) ** 2
    pieces = n // rows_of(k, m) + 1
    return np.zeros((pieces.bit_length() + 1, size))


@compiled
def is_narrow(k: int, m: int) -> bool:
    """Whether `narrow` sums the rows."""
    return m == 1 and k <= NARROW


@compiled
def pitch_of(k: int, m: int) -> int:
    """Numbers of a row of a table: 1, the columns, and zeros."""
    return (1 + k + m + 7) // 8 * 8


@compiled
def rows_of(k: int, m: int) -> int:
    """Rows of a piece."""
    if is_narrow(k, m):
        return PIECE
    return int(max(32, min(256, _TABLE // pitch_of(k, m) // 8 * 8)))


@compiled
def median(a: float, b: float, c: float) -> float:
    """The middle one of three; NaN where one is."""
    if a != a or b != b or c != c:
        return np.nan
    return max(min(a, b), min(max(a, b), c))


@compiled
def find_anchors(source: Array, at: int, count: int, rows: Any, near: Array) -> None:
    """Anchors of so many columns from three rows, their numbers given."""
    first, middle, last = rows
    for j in range(count):
        near[j] = median(
            source[at + first * count + j],
            source[at + middle * count + j],
            source[at + last * count + j],
        )


@compiled
def fetch_anchors(source: Array, at: int, n: int, count: int) -> None:
    """Have the rows brought near that anchors are found from."""
    for row in (0, n // 2, n - 1):
        fetch(source, at + row * count)


@compiled
def weigh(
    x: Array,
    at_x: int,
    k: int,
    y: Array,
    at_y: int,
    m: int,
    w: Any,
    at_w: int,
    n: int,
    drop: bool,
    out: Array,
) -> None:
    """Weights of n rows, zero for those that miss a value if these are dropped."""
    for i in range(n):
        weight = 1.0 if w is None else w[at_w + i]
        if drop:
            there = weight > 0.0
            for j in range(k):
                value = x[at_x + i * k + j]
                there = there and value == value
            for j in range(m):
                value = y[at_y + i * m + j]
                there = there and value == value
            weight = weight if there else 0.0
        out[i] = weight


@compiled
def count_rows(w: Any, n: int, v: Array, lane: int) -> tuple[int, int, int]:
    """Rows, sum of the weights and of their logarithms; first, middle and last row that counts."""
    if w is None:
        v[0, lane], v[1, lane], v[2, lane] = n, n, 0.0
        return (0, n // 2, n - 1) if n > 0 else (-1, -1, -1)
    number, total, rest, logs = 0, 0.0, 0.0, 0.0
    for i in range(n):
        # Equal weights round alike: what each addition loses is kept.
        joined = total + w[i]
        added = joined - total
        rest += (total - (joined - added)) + (w[i] - added)
        total = joined
        if w[i] > 0.0:
            number += 1
            logs += math.log(w[i])
    whole = total + rest
    v[0, lane], v[1, lane], v[2, lane] = number, whole if whole == whole else total, logs
    first, middle, last, seen = -1, -1, -1, 0
    for i in range(n):
        if w[i] > 0.0:
            seen += 1
            if first < 0:
                first = i
            if middle < 0 and seen > number // 2:
                middle = i
            last = i
    return first, middle, last


@compiled
def fill_table(
    x: Array,
    at_x: int,
    k: int,
    y: Array,
    at_y: int,
    m: int,
    w: Any,
    at_w: int,
    rows: int,
    near: Array,
    table: Array,
    heavy: Array,
) -> None:
    """Shift rows into a table, and weigh them, if so, in another; blank rows of no weight."""
    pitch = pitch_of(k, m)
    for i in range(rows):
        at = i * pitch
        table[at] = 1.0
        shift(x, at_x + i * k, k, near, 0, table, at + 1)
        shift(y, at_y + i * m, m, near, k, table, at + 1 + k)
        if w is not None:
            weight = w[at_w + i]
            for c in range(at, at + pitch):
                if weight == 0.0:
                    table[c] = 0.0
                heavy[c] = weight * table[c]


@compiled
def multiply(left: Array, right: Array, rows: int, k: int, pitch: int, out: Array) -> None:
    """Products of all columns of tables with those of X, and of each with itself."""
    own = (1 + k + 7) // 8
    for group in range(pitch // 8):
        last, v = min(group + 1, own), 0
        while v + 3 <= last:
            tile(left, right, rows, pitch, 8 * group, 8 * v, (0, 0, 0), out)
            v += 3
        if last - v == 2:
            tile(left, right, rows, pitch, 8 * group, 8 * v, (0, 0), out)
        elif last - v == 1:
            tile(left, right, rows, pitch, 8 * group, 8 * v, (0,), out)
        if group >= own:
            tile(left, right, rows, pitch, 8 * group, 8 * group, (0,), out)


@compiled
def arrange(found: Array, near: Array, k: int, m: int, order: Any, v: Array, lane: int) -> None:
    """Put anchors and products among the sums of a regression, by where they were left."""
    q = k + m
    first = 3 + 3 * q
    for c in range(q):
        v[3 + c, lane], v[3 + q + c, lane] = near[c], found[order[c]]
    for e in range(q, len(order)):
        v[first - q + e, lane] = found[order[e]]
    at = first
    for c in range(q):
        at += min(c, k)
        v[3 + 2 * q + c, lane] = v[at, lane]
        at += 1


@compiled
def join(stack: Array, depth: int) -> None:
    """Add the products on top of a stack to those below."""
    for e in range(stack.shape[1]):
        stack[depth - 1, e] += stack[depth, e]


@compiled
def sum_one(
    x: Array,
    at_x: int,
    y: Array,
    at_y: int,
    w: Any,
    n: int,
    near: Array,
    columns: Any,
    k: int,
    m: int,
    order: Any,
    table: Array,
    heavy: Array,
    stack: Array,
    v: Array,
    lane: int,
) -> None:
    """Sums of a regression with weights w (n,), or None, into a column.

    Where `columns` is a tuple, as `narrow` takes it, that sums the rows.
    """
    depth, number, start = 0, 0, 0
    while start < n or number == 0:
        rows, out = min(rows_of(k, m), n - start), stack[depth]
        if columns is None:
            fill_table(
                x, at_x + start * k, k, y, at_y + start * m, m, w, start, rows, near, table, heavy
            )
            multiply(table if w is None else heavy, table, rows, k, pitch_of(k, m), out)
        else:
            narrow(x, at_x + start * k, y, at_y + start * m, w, start, rows, near, columns, out)
        depth, number, start = depth + 1, number + 1, start + rows
        joined = number
        while joined % 2 == 0:
            depth, joined = depth - 1, joined // 2
            join(stack, depth)
    while depth > 1:
        depth -= 1
        join(stack, depth)
    arrange(stack[0], near, k, m, order, v, lane)
