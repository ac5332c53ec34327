"""Anchors: which rows of a regression count, and near which numbers its columns are."""

import math
from typing import Any

import numpy as np

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import WIDTH, Lanes, choose, every
from gpuols.engines.jit.memory import Memory, load_some, put_some
from gpuols.engines.jit.products import fetch


@compiled
def median(a: float, b: float, c: float) -> float:
    """The middle one of three; NaN where one is."""
    if a != a or b != b or c != c:
        return np.nan
    return max(min(a, b), min(max(a, b), c))


@compiled
def medians(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """The same lane by lane."""
    low, high = choose(b < a, b, a), choose(b > a, b, a)
    high = choose(c < high, c, high)
    known = (a == a) & (b == b) & (c == c)
    return choose(known, choose(high > low, high, low), every(np.nan))


@compiled
def find_anchors(source: Memory, count: int, rows: Any, near: Memory, to: int) -> None:
    """Anchors of so many columns from three rows, their numbers given, into near[to:]."""
    first, middle, last = rows
    for j in range(0, count, WIDTH):
        left = min(WIDTH, count - j)
        a = load_some(source, first * count + j, left)
        b = load_some(source, middle * count + j, left)
        c = load_some(source, last * count + j, left)
        put_some(near, to + j, left, medians(a, b, c))


@compiled
def fetch_anchors(source: Memory, n: int, count: int) -> None:
    """Have the rows brought near that anchors are found from."""
    for row in (0, n // 2, n - 1):
        fetch(source, row * count)


@compiled
def weigh(
    x: Memory,
    k: int,
    y: Memory,
    m: int,
    w: Any,
    n: int,
    drop: bool,
    out: Memory,
) -> None:
    """Weights of rows, zero for those that miss a value if these are dropped."""
    for i in range(n):
        weight = 1.0 if w is None else w[i]
        if drop:
            there = weight > 0.0
            for j in range(k):
                value = x[i * k + j]
                there = there and value == value
            for j in range(m):
                value = y[i * m + j]
                there = there and value == value
            weight = weight if there else 0.0
        out[i] = weight


@compiled
def count_rows(w: Any, n: int, out: Memory, to: int) -> tuple[int, int, int]:
    """Rows, sum of the weights and of their logarithms, into out[to:]; rows that anchors are of.

    These are the first, the middle and the last one that counts; -1 where none does.
    """
    if w is None:
        out[to], out[to + 1], out[to + 2] = n, n, 0.0
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
    out[to], out[to + 1], out[to + 2] = number, whole if whole == whole else total, logs
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
