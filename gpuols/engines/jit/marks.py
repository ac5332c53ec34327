"""Marks: which rows of responses count, and what is to be known of those before they are summed.

An anchor is the median of a response's first, middle and last row that counts. Where there are
weights, how many rows have counted is put down at the beginning of every run of `RUN` rows, so that
the middle one is found by a second look at one run.

The logarithm of the product of a response's weights is that of a number in [1, 2) and a power of
two. Eight weights are multiplied as they are where that can't leave the range of numbers.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.bounds import smaller
from gpuols.engines.jit.compiling import compiled, portable
from gpuols.engines.jit.lanes import (
    WIDTH,
    Lanes,
    Mask,
    choose,
    every,
    exponent,
    holds,
    mantissa,
)
from gpuols.engines.jit.memory import Memory, address, load, store
from gpuols.engines.jit.panels import SIDE, STRIP

WILD, ABSENT = 1.0, 2.0
RUN = 32  # rows from one count of those that are there to the next
_TINY, _RAISED = 2.0**-1000, 200.0  # weights below are multiplied by 2 to this for a logarithm
_UP = 2.0**_RAISED
_LEAST = 2.0**-100  # weights above can be multiplied, eight of them, while that is finite
_TOGETHER = 8
SIDES = STRIP * SIDE
MARKS = 7 * SIDES * WIDTH  # numbers


class Marks(NamedTuple):
    """What is found of the rows of a strip, vectors side by side.

    Attributes
    ----------
    seen : (sides, 8)
        How many count: those of positive weight.
    first, middle, last : (sides, 8)
        Responses in the first, the middle and the last of these.
    doubt : (sides, 8)
        Above zero where a wild row is there.
    size, power : (sides, 8)
        Product of the weights: a number in [1, 2) times 2 to a power.
    """

    seen: Memory
    first: Memory
    middle: Memory
    last: Memory
    doubt: Memory
    size: Memory
    power: Memory


@compiled
def marks_in(memory: Memory) -> Marks:
    """Marks at the beginning of memory."""
    apart = SIDES * WIDTH
    return Marks(
        address(memory, 0),
        address(memory, apart),
        address(memory, 2 * apart),
        address(memory, 3 * apart),
        address(memory, 4 * apart),
        address(memory, 5 * apart),
        address(memory, 6 * apart),
    )


@portable
def counts_size(n: int) -> int:
    """Numbers that the counts of n rows take up."""
    return (n // RUN + 2) * SIDES * WIDTH


@compiled
def forget(marks: Marks, sides: int) -> None:
    """Nothing was seen yet."""
    for side in range(sides):
        store(marks.seen, side, every(0.0))
        store(marks.first, side, every(0.0))
        store(marks.middle, side, every(0.0))
        store(marks.last, side, every(0.0))
        store(marks.doubt, side, every(0.0))
        store(marks.power, side, every(0.0))
        store(marks.size, side, every(1.0))


@compiled
def weigh(y: Lanes, w: Lanes, kind: float, drop: bool) -> Lanes:
    """Weights, zero where a row is not there."""
    if drop:
        w = choose((y == y) & (w == w), w, every(0.0))
    return every(0.0) if kind == ABSENT else w


@compiled
def mark(
    y: Memory,
    w: Memory,
    drop: bool,
    kinds: Memory,
    start: int,
    rows: int,
    counts: Memory,
    marks: Marks,
    side: int,
) -> None:
    """Look at rows of a panel: weights become zero where a row is not there.

    Those that miss a value are not if `drop`. What was seen before is put down at the beginning of
    every run.
    """
    one, zero = every(1.0), every(0.0)
    seen, others = load(marks.seen, side), load(marks.seen, side + 1)
    for run in range(start, start + rows, RUN):
        store(counts, run // RUN * SIDES + side, seen)
        store(counts, run // RUN * SIDES + side + 1, others)
        for i in range(run, min(run + RUN, start + rows)):
            at = SIDE * (i - start)
            u, v = load(w, at), load(w, at + 1)
            if drop or kinds[i] != 0.0:
                u = weigh(load(y, at), u, kinds[i], drop)
                v = weigh(load(y, at + 1), v, kinds[i], drop)
                store(w, at, u)
                store(w, at + 1, v)
            if kinds[i] == WILD:
                store(marks.doubt, side, choose(u == 0.0, load(marks.doubt, side), one))
                store(marks.doubt, side + 1, choose(v == 0.0, load(marks.doubt, side + 1), one))
            seen = seen + choose(u > 0.0, one, zero)
            others = others + choose(v > 0.0, one, zero)
    store(marks.seen, side, seen)
    store(marks.seen, side + 1, others)


@compiled
def find_ends(y: Memory, w: Memory, rows: int, before: Lanes, marks: Marks, side: int) -> None:
    """Take down the responses in the first and the last row that counts, of eight.

    `before` is what was seen before these rows; memory begins at the side's first vector.
    """
    seen, first, last = load(marks.seen, side), load(marks.first, side), load(marks.last, side)
    wanted, at = (before == 0.0) & (seen > 0.0), 0
    while holds(wanted):
        there = wanted & (load(w, at) > 0.0)
        first, wanted, at = choose(there, load(y, at), first), wanted & ~there, at + SIDE
    wanted, at = seen > before, SIDE * (rows - 1)
    while holds(wanted):
        there = wanted & (load(w, at) > 0.0)
        last, wanted, at = choose(there, load(y, at), last), wanted & ~there, at - SIDE
    store(marks.first, side, first)
    store(marks.last, side, last)


@compiled
def measure(w: Memory, rows: int, marks: Marks, side: int) -> None:
    """Multiply the weights of rows that count, of eight, for the sum of their logarithms."""
    size, power, one = load(marks.size, side), load(marks.power, side), every(1.0)
    for base in range(0, rows, _TOGETHER):
        end, product, least = SIDE * min(base + _TOGETHER, rows), one, one
        for at in range(SIDE * base, end, SIDE):
            own = load(w, at)
            own = choose(own > 0.0, own, one)
            product, least = product * own, smaller(own, least)
        moderate = (least > _LEAST) & (product < np.inf)
        raised, scaled = exponent(product), mantissa(product)
        if holds(~moderate):
            other, factor = measure_each(w, SIDE * base, end)
            raised, scaled = choose(moderate, raised, other), choose(moderate, scaled, factor)
        power, size = power + raised, size * scaled
    store(marks.power, side, power + exponent(size))
    store(marks.size, side, mantissa(size))


@compiled
def measure_each(w: Memory, begin: int, end: int) -> tuple[Lanes, Lanes]:
    """Product of some weights of any size as a power of two and a number."""
    power, size = every(0.0), every(1.0)
    for at in range(begin, end, SIDE):
        own = load(w, at)
        own = choose(own > 0.0, own, every(1.0))
        power = power - choose(own < _TINY, every(_RAISED), every(0.0))
        own = choose(own < _TINY, own * _UP, own)
        power, size = power + exponent(own), size * mantissa(own)
    return power, size


@compiled
def passes_middle(before: Lanes, after: Lanes, seen: Lanes) -> Mask:
    """Whether the middle one of all rows that count comes after some and not after others."""
    return (before + before <= seen) & (after + after > seen)


@compiled
def seek(
    y: Memory, w: Memory, start: int, rows: int, counts: Memory, marks: Marks, side: int
) -> None:
    """Take down the responses in the middle row that counts, of eight, if it is among these.

    Rows begin at row `start`, that of a run; memory begins at the side's first vector.
    """
    seen, middle = load(marks.seen, side), load(marks.middle, side)
    for run in range(start // RUN, (start + rows + RUN - 1) // RUN):
        count, after = load(counts, run * SIDES + side), load(counts, (run + 1) * SIDES + side)
        if not holds(passes_middle(count, after, seen)):
            continue
        first = run * RUN - start
        for at in range(SIDE * first, SIDE * min(first + RUN, rows), SIDE):
            before = count
            count = count + choose(load(w, at) > 0.0, every(1.0), every(0.0))
            middle = choose(passes_middle(before, count, seen), load(y, at), middle)
    store(marks.middle, side, middle)


@compiled
def is_wanted(counts: Memory, marks: Marks, sides: int, start: int, rows: int) -> bool:
    """Whether the middle row of some response is among these."""
    begin, end = start // RUN * SIDES, (start + rows + RUN - 1) // RUN * SIDES
    for side in range(sides):
        before, after = load(counts, begin + side), load(counts, end + side)
        if holds(passes_middle(before, after, load(marks.seen, side))):
            return True
    return False


@compiled
def anchor_of(marks: Marks, side: int) -> Lanes:
    """Medians of the responses found, zero where there is none that is finite."""
    a, b, c = load(marks.first, side), load(marks.middle, side), load(marks.last, side)
    low, high = choose(a < b, a, b), choose(a < b, b, a)
    high = choose(high < c, high, c)
    found = choose(low > high, low, high)
    fine = (found - found == 0.0) & (load(marks.seen, side) > 0.0)
    return choose(fine, found, every(0.0))
