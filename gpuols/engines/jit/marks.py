"""Marks: which rows of responses count, and what is to be known of those before they are summed.

An anchor is the median of a response's first, middle and last row that counts. How many rows have
counted is put down at the beginning of every run of `RUN` rows, so that the middle one is found by
a second look at one run.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.design import room_size
from gpuols.engines.jit.lanes import WIDTH, choose, every, exponent, holds, mantissa
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.panels import SIDE, STRIP, VECTORS, Columns, stack_for
from gpuols.engines.workspace import zeros

Array = NDArray[np.float64]

WILD, ABSENT = 1.0, 2.0
RUN = 32  # rows from one count of those that are there to the next
_TINY, _RAISED = 2.0**-1000, 200.0  # weights below are multiplied by 2 to this for a logarithm
_UP = 2.0**_RAISED
SIDES = STRIP * SIDE


class Table(NamedTuple):
    """What all responses share.

    Attributes
    ----------
    products, columns : Columns
        [1, z, z ⊗ z], the lower triangle row by row, and [1, z].
    anchor : (k,)
        Of the design.
    kinds : (n,)
        Zero, `WILD` where the products of a row are not finite, `ABSENT` where it is not there for
        anyone.
    heavy : float
        Sum of weights from which on a response is doubtful.
    """

    products: Columns
    columns: Columns
    anchor: Array
    kinds: Array
    heavy: float


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

    seen: Array
    first: Array
    middle: Array
    last: Array
    doubt: Array
    size: Array
    power: Array


class Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say."""

    weights: Array
    responses: Array
    marks: Marks
    spare: Marks
    counts: Array
    near: Array
    stack: Array
    sums: Array
    solving: Array
    penalties: Array
    moments: Array
    answers: Array
    status: NDArray[np.int8]


def rooms_for(n: int, k: int, table: Table, entries: tuple[int, int, int]) -> Rooms:
    """Room for responses on a design of n rows, of so many sums, moments and answers."""
    marks, spare = (Marks(*(zeros(SIDES, WIDTH) for _ in Marks._fields)) for _ in range(2))
    sums, moments, answers = entries
    return Rooms(
        weights=zeros(STRIP * VECTORS, WIDTH),
        responses=zeros(STRIP * VECTORS, WIDTH),
        marks=marks,
        spare=spare,
        counts=zeros((n // RUN + 2) * SIDES, WIDTH),
        near=zeros(SIDES, WIDTH),
        stack=stack_for(n, STRIP * vectors_of(table)),
        sums=zeros(sums, WIDTH),
        solving=zeros(room_size(k)),
        penalties=zeros(WIDTH),
        moments=zeros(moments, WIDTH),
        answers=zeros(answers, WIDTH),
        status=np.zeros((1, WIDTH), np.int8),
    )


def vectors_of(table: Table) -> int:
    """Vectors of sums of a panel: squares, products of the table, and of its columns."""
    return SIDE * (1 + int(table.products.widths.sum() + table.columns.widths.sum()))


@compiled
def forget(marks: Marks, sides: int) -> None:
    """Nothing was seen yet."""
    for side in range(sides):
        for array in (marks.seen, marks.first, marks.middle, marks.last, marks.doubt, marks.power):
            store(array, side, every(0.0))
        store(marks.size, side, every(1.0))


@compiled
def mark(
    rooms: Rooms, marks: Marks, side: int, kinds: Array, start: int, rows: int, drop: float
) -> None:
    """Look at rows of eight responses: weights become zero where a row is not there.

    Rows that miss a value are not where `drop` is above zero. What was seen before is put down at
    the beginning of every run.
    """
    vector = side // SIDE * VECTORS + side % SIDE
    seen, first, last = load(marks.seen, side), load(marks.first, side), load(marks.last, side)
    doubt, one, zero = load(marks.doubt, side), every(1.0), every(0.0)
    whole = every(drop) == 0.0
    for run in range(start, start + rows, RUN):
        store(rooms.counts, run // RUN * SIDES + side, seen)
        for i in range(run, min(run + RUN, start + rows)):
            at, kind = vector + SIDE * (i - start), every(kinds[i])
            y, w = load(rooms.responses, at), load(rooms.weights, at)
            w = choose((whole | ((y == y) & (w == w))) & (kind < ABSENT), w, zero)
            doubt = choose((kind == WILD) & ~(w == 0.0), one, doubt)
            there = w > 0.0
            store(rooms.weights, at, w)
            first = choose(there & (seen == 0.0), y, first)
            last = choose(there, y, last)
            seen = seen + choose(there, one, zero)
    store(marks.seen, side, seen)
    store(marks.first, side, first)
    store(marks.last, side, last)
    store(marks.doubt, side, doubt)


@compiled
def measure(rooms: Rooms, marks: Marks, side: int, rows: int) -> None:
    """Multiply the weights of rows that count, for the sum of their logarithms."""
    vector = side // SIDE * VECTORS + side % SIDE
    size, power = load(marks.size, side), load(marks.power, side)
    for at in range(vector, vector + SIDE * rows, SIDE):
        w = load(rooms.weights, at)
        w = choose(w > 0.0, w, every(1.0))
        power = power - choose(w < _TINY, every(_RAISED), every(0.0))
        w = choose(w < _TINY, w * _UP, w)
        power, size = power + exponent(w), size * mantissa(w)
    store(marks.power, side, power + exponent(size))
    store(marks.size, side, mantissa(size))


@compiled
def seek(rooms: Rooms, sides: int, start: int, rows: int) -> None:
    """Take down the responses in middle rows, which are numbered where the anchors will be.

    Rows begin at row `start`, that of a run.
    """
    for side in range(sides):
        vector = side // SIDE * VECTORS + side % SIDE
        target, middle = load(rooms.near, side), load(rooms.marks.middle, side)
        for run in range(start // RUN, (start + rows + RUN - 1) // RUN):
            seen = load(rooms.counts, run * SIDES + side)
            after = load(rooms.counts, (run + 1) * SIDES + side)
            if not holds((seen < target) & (after >= target)):
                continue
            first = run * RUN - start
            for i in range(first, min(first + RUN, rows)):
                there = load(rooms.weights, vector + SIDE * i) > 0.0
                seen = seen + choose(there, every(1.0), every(0.0))
                y = load(rooms.responses, vector + SIDE * i)
                middle = choose(there & (seen == target), y, middle)
        store(rooms.marks.middle, side, middle)


@compiled
def is_wanted(rooms: Rooms, sides: int, start: int, rows: int) -> bool:
    """Whether the middle row of some response is among these."""
    begin, end = start // RUN * SIDES, (start + rows + RUN - 1) // RUN * SIDES
    for side in range(sides):
        before, after = load(rooms.counts, begin + side), load(rooms.counts, end + side)
        if holds((before < load(rooms.near, side)) & (after >= load(rooms.near, side))):
            return True
    return False


@compiled
def number_middles(rooms: Rooms, sides: int, n: int) -> None:
    """Which of the rows that count is the middle one, from one, where the anchors will be."""
    for side in range(sides):
        store(rooms.counts, (n + RUN - 1) // RUN * SIDES + side, load(rooms.marks.seen, side))
        for lane in range(WIDTH):
            rooms.near[side, lane] = float(int(rooms.marks.seen[side, lane]) // 2 + 1)


@compiled
def find_anchors(rooms: Rooms, sides: int, centered: bool) -> None:
    """Medians of the responses found, zero where there is none that is finite."""
    for side in range(sides):
        a, b = load(rooms.marks.first, side), load(rooms.marks.middle, side)
        c = load(rooms.marks.last, side)
        low, high = choose(a < b, a, b), choose(a < b, b, a)
        high = choose(high < c, high, c)
        found = choose(low > high, low, high)
        fine = (found - found == 0.0) & (load(rooms.marks.seen, side) > 0.0)
        fine = fine & (every(1.0 if centered else 0.0) > 0.0)
        store(rooms.near, side, choose(fine, found, every(0.0)))
