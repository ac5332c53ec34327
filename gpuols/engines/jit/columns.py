"""Columns: those that many regressions have in common, multiplied with their panels.

Up to `WIDEST` of them are taken at a time, whose sums are kept in registers meanwhile. Every sum is
one chain of fused multiplications and additions over a piece.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import INT, VECTOR, WIDTH, constant, fused, spread
from gpuols.engines.jit.memory import Memory, address, read, write
from gpuols.engines.jit.panels import PANEL, SIDE, VECTORS
from gpuols.engines.jit.products import prefetch
from gpuols.engines.workspace import zeros

Array = NDArray[np.float64]

WIDEST = 14  # columns whose sums fit the registers
WIDEST_SHIFTED = 11  # the same beside what responses are shifted by
ALONE = 2  # sums of the responses alone


class Columns(NamedTuple):
    """Columns (n, c) that all regressions have in common, as `multiply` reads them.

    Attributes
    ----------
    memory : (numbers,)
        Those that are taken together, row by row; one set of them after the other; or its address.
    widths : (sets,)
        How many are taken together, the last of them zeros if need be; or the address.
    sets : int
        How many sets.
    total : int
        Sum of the widths.
    rows : int
        n.
    """

    memory: Memory
    widths: Any
    sets: int
    total: int
    rows: int


def columns_from(table: Array, widest: int = WIDEST, unit: int = 2) -> Columns:
    """Columns, given as the rows of a table (c, n), so many together at most, whole units."""
    count, n = table.shape
    units, sets = -(-count // unit), max(1, -(-count // widest))
    ends = unit * np.array([units * i // sets for i in range(sets + 1)], np.int64)
    memory = zeros(unit * units * n)
    for first, end in pairwise(ends):
        own = memory[first * n : end * n].reshape(n, end - first)
        own[:, : count - first] = table[first:end].T
    return Columns(memory, np.diff(ends), sets, unit * units, n)


@compiled
def columns_at(columns: Columns) -> Columns:
    """Columns by their address."""
    memory, widths, sets, total, rows = columns
    return Columns(address(memory, 0), address(widths, 0), sets, total, rows)


class Sums:
    """Sums that are kept in registers, as a loop adds to them."""

    def __init__(self, builder: Any, count: int) -> None:
        self.builder = builder
        self.places = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
        for place in self.places:
            builder.store(constant(0.0), place)

    def add(self, number: int, a: Any, b: Any) -> None:
        """Add a product to one of them."""
        before = self.builder.load(self.places[number])
        self.builder.store(fused(self.builder, a, b, before), self.places[number])

    def plus(self, number: int, a: Any) -> None:
        """Add a vector to one of them."""
        before = self.builder.load(self.places[number])
        self.builder.store(self.builder.fadd(before, a), self.places[number])

    def add_columns(self, row: Any, width: int, pair: Sequence[Any], first: int = 0) -> None:
        """Add products of neighbouring numbers with the vectors of a row, from sum `first` on."""
        for c in range(width):
            factor = spread(self.builder, self.builder.load(self.builder.gep(row, [INT(c)])))
            for h, vector in enumerate(pair):
                self.add(first + SIDE * c + h, factor, vector)

    def read(self, address: Any) -> None:
        """Begin with what lies at an address."""
        for number, place in enumerate(self.places):
            own = self.builder.gep(address, [INT(WIDTH * number)])
            self.builder.store(read(self.builder, own), place)

    def write(self, address: Any, first: int = 0, end: int | None = None) -> None:
        """Put some of them there, one after the other."""
        for number, place in enumerate(self.places[first:end]):
            own = self.builder.gep(address, [INT(WIDTH * number)])
            write(self.builder, own, self.builder.load(place))


@intrinsic
def gather(
    _: Any,
    columns: Any,
    width: Any,
    panel: Any,
    rows: Any,
    out: Any,
    to: Any,
) -> Any:
    """Sums over rows of `width` columns times a panel, to vectors `to` ... of `out`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        columns, width, panel, rows, out, to = arguments
        out = builder.gep(out, [builder.mul(to, INT(WIDTH))])
        for number in range(2, WIDEST + 1, 2):
            with builder.if_then(builder.icmp_signed("==", width, INT(number))):
                sums = Sums(builder, SIDE * number)
                with cgutils.for_range(builder, rows) as loop:
                    row = builder.gep(columns, [builder.mul(loop.index, INT(number))])
                    own = builder.gep(panel, [builder.mul(loop.index, INT(PANEL))])
                    pair = [read(builder, builder.gep(own, [INT(WIDTH * h)])) for h in range(SIDE)]
                    sums.add_columns(row, number, pair)
                sums.write(out)

    one = types.int64
    return types.void(columns, one, panel, one, out, one), generate


@intrinsic
def add_shifted(
    _: Any,
    columns: Any,
    width: Any,
    weights: Any,
    responses: Any,
    near: Any,
    rows: Any,
    out: Any,
    alone: Any,
    to: Any,
    ahead: Any,
    step: Any,
) -> Any:
    """Sums over rows of w u² and of w u, to vectors `alone` ..., of w u times columns, to `to` ....

    Of a panel of weights and one of responses, u is a response less its anchor, zero where w is;
    without weights, None, they are one, and u is zero where a response is NaN. Unless it is None,
    the two lines of the cache from `ahead` on are brought near meanwhile, and those of each row
    more, `step` elements apart.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        columns, width, weights, responses, anchor, rows, out, *places, ahead, step = arguments
        alone, products = (builder.gep(out, [builder.mul(number, INT(WIDTH))]) for number in places)
        anchors = [read(builder, builder.gep(anchor, [INT(WIDTH * h)])) for h in range(SIDE)]
        for number in range(WIDEST_SHIFTED + 1):
            with builder.if_then(builder.icmp_signed("==", width, INT(number))):
                sums = Sums(builder, SIDE * (ALONE + number))
                with cgutils.for_range(builder, rows) as loop:
                    row = builder.gep(columns, [builder.mul(loop.index, INT(number))])
                    pair = []
                    for h in range(SIDE):
                        if not isinstance(sig.args[9], types.NoneType):
                            line = builder.gep(ahead, [builder.mul(loop.index, step)])
                            prefetch(builder, builder.gep(line, [INT(WIDTH * h)]), 2)
                        offset = builder.mul(loop.index, INT(PANEL))
                        offset = builder.add(offset, INT(WIDTH * h))
                        value = read(builder, builder.gep(responses, [offset]))
                        shifted = builder.fsub(value, anchors[h])
                        if isinstance(sig.args[2], types.NoneType):
                            there = builder.fcmp_ordered("ord", value, value)
                            u = builder.select(there, shifted, constant(0.0))
                            pair.append(u)
                        else:
                            w = read(builder, builder.gep(weights, [offset]))
                            absent = builder.fcmp_ordered("==", w, constant(0.0))
                            u = builder.select(absent, constant(0.0), shifted)
                            pair.append(builder.fmul(w, u))
                        sums.add(h, pair[h], u)
                        sums.plus(SIDE + h, pair[h])
                    sums.add_columns(row, number, pair, SIDE * ALONE)
                sums.write(alone, 0, SIDE * ALONE)
                sums.write(products, SIDE * ALONE)

    one, two = types.int64, (types.int64,) * 2
    return types.void(columns, one, weights, responses, near, one, out, *two, ahead, one), generate


@compiled
def multiply(
    columns: Columns,
    start: int,
    rows: int,
    panels: Memory,
    number: int,
    out: Memory,
    to: int,
    apart: int,
) -> None:
    """Sums over rows `start` ... of columns times so many panels, to vectors `to` ... of `out`.

    From those of a panel to those of the next it is `apart` vectors.
    """
    memory = address(columns.memory, 0)
    for number_of_set in range(columns.sets):
        width = columns.widths[number_of_set]
        left = address(memory, start * width)
        for panel in range(number):
            own = address(panels, panel * VECTORS * WIDTH)
            gather(left, width, own, rows, out, to + panel * apart)
        memory, to = address(memory, columns.rows * width), to + SIDE * width


@compiled
def multiply_shifted(
    columns: Columns,
    start: int,
    rows: int,
    weights: Memory,
    responses: Memory,
    near: Memory,
    out: Memory,
    alone: int,
    to: int,
    ahead: Memory,
    step: int,
) -> None:
    """Sums over rows `start` ... as `add_shifted` forms them, of a panel with all columns.

    What lies ahead is brought near with the first set of them.
    """
    memory = address(columns.memory, 0)
    for number in range(columns.sets):
        width = columns.widths[number]
        left = address(memory, start * width)
        add_shifted(left, width, weights, responses, near, rows, out, alone, to, ahead, step)
        memory, to = address(memory, columns.rows * width), to + SIDE * width
        step = 0
