"""Panels: sixteen regressions side by side that share their rows of X, in functions of Numba.

A panel holds a piece, `ROWS` rows at most, as vectors: 2 i and 2 i + 1 are the sixteen numbers of
row i. However numbers lie, they come into panels first, `STRIP` of them together, since long runs
of memory are read faster; a panel is multiplied with columns that all regressions have in common,
up to `WIDEST` of them at a time, whose sums are kept in registers meanwhile.

Every sum is one chain of fused multiplications and additions over a piece; pieces are added as a
tree.
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
from gpuols.engines.jit.lanes import INT, LANES, VECTOR, WIDTH, constant, fused, spread, transposed
from gpuols.engines.jit.memory import pointer, read, store, write
from gpuols.engines.jit.products import read_some, write_some
from gpuols.engines.jit.rows import join
from gpuols.engines.workspace import zeros

Array = NDArray[np.float64]

SIDE = 2  # vectors of a row
PANEL = SIDE * WIDTH  # regressions
STRIP = 4  # panels
ROWS = 256  # of a piece
VECTORS = SIDE * ROWS  # of a panel
WIDEST = 14  # columns whose sums fit the registers


class Sheet(NamedTuple):
    """Numbers (n, B) in the memory of an array, neighbours along one axis or the other.

    Attributes
    ----------
    memory : (numbers,)
        Which holds them.
    start : int
        Element where the first one is.
    down, across : int
        Elements from a row to the next, and from a regression to the next; one of them is 1.
    ahead : int
        Regressions before the first whose number is at the start of a line of the cache, where
        neighbours are regressions: panels that begin there are read faster.
    """

    memory: Array
    start: int
    down: int
    across: int
    ahead: int


class Columns(NamedTuple):
    """Columns (n, c) that all regressions have in common, as `multiply` reads them.

    Attributes
    ----------
    memory : (numbers,)
        Those that are taken together, row by row; one set of them after the other.
    widths : (sets,)
        How many are taken together: an even number, the last of them zeros if need be.
    rows : int
        n.
    """

    memory: Array
    widths: NDArray[np.int64]
    rows: int


def columns_from(table: Array) -> Columns:
    """Columns, given as the rows of a table (c, n)."""
    count, n = table.shape
    padded = np.concatenate([table, np.zeros((count % 2, n))])
    pairs, sets = len(padded) // 2, -(-len(padded) // WIDEST)
    ends = 2 * np.array([pairs * i // sets for i in range(sets + 1)], np.int64)
    parts = [padded[i:j].T.reshape(-1) for i, j in pairwise(ends)]
    return Columns(np.concatenate(parts), np.diff(ends), n)


def stack_for(n: int, vectors: int) -> Array:
    """Room for so many vectors of sums of each of the pieces that wait to be joined."""
    pieces = n // ROWS + 1
    return zeros(pieces.bit_length() + 1, vectors * WIDTH)


@intrinsic
def some(_: Any, array: Any, at: Any, left: Any) -> Any:
    """The first `left` of eight neighbours in an array's memory; zeros for the others."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = pointer(context, builder, sig.args[0], *arguments[:2])
        return read_some(builder, address, 1, arguments[2])

    return LANES(array, types.int64, types.int64), generate


@intrinsic
def keep(_: Any, array: Any, at: Any, left: Any, value: Any) -> Any:
    """Write the first `left` lanes side by side to an element of an array's memory."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = pointer(context, builder, sig.args[0], *arguments[:2])
        write_some(builder, address, arguments[3], arguments[2])

    return types.void(array, types.int64, types.int64, LANES), generate


@intrinsic
def turn(_: Any, array: Any, at: Any, step: Any, last: Any, left: Any, out: Any, row: Any) -> Any:
    """Transpose the first `left` numbers of each of eight lines to every other row of a panel.

    Lines begin at element `at` and every `step` after; the last one stands for those above `last`.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        at, step, last, left = arguments[1:5]
        lines = []
        for lane in range(WIDTH):
            own = builder.select(builder.icmp_signed("<", INT(lane), last), INT(lane), last)
            offset = builder.add(at, builder.mul(own, step))
            address = pointer(context, builder, sig.args[0], arguments[0], offset)
            lines.append(read_some(builder, address, 1, left))
        for i, line in enumerate(transposed(builder, lines)):
            place = builder.mul(builder.add(arguments[6], INT(SIDE * i)), INT(WIDTH))
            write(builder, pointer(context, builder, sig.args[5], arguments[5], place), line)

    numbers = (types.int64,) * 4
    return types.void(array, *numbers, out, types.int64), generate


@compiled
def bring(sheet: Sheet, start: int, rows: int, first: int, count: int, panels: Array) -> None:
    """Rows `start` ... of `count` regressions, the first of which is `first`, into panels.

    Lanes of no regression are zero, or repeat one.
    """
    at = sheet.start + start * sheet.down + first * sheet.across
    if sheet.across == 1:
        for i in range(rows):
            for lane in range(0, count, WIDTH):
                own = some(sheet.memory, at + i * sheet.down + lane, count - lane)
                store(panels, vector_of(lane, i), own)
        return
    for lane in range(0, count, WIDTH):
        for i in range(0, rows, WIDTH):
            line, last = at + i + lane * sheet.across, count - 1 - lane
            turn(sheet.memory, line, sheet.across, last, rows - i, panels, vector_of(lane, i))


@compiled
def vector_of(lane: int, row: int) -> int:
    """Number of the vector in panels that holds regression `lane`, the first of eight, of a row."""
    return lane // PANEL * VECTORS + SIDE * row + lane % PANEL // WIDTH


@intrinsic
def _gather(
    _: Any, memory: Any, at: Any, width: Any, panels: Any, vector: Any, rows: Any, out: Any, to: Any
) -> Any:
    """Sums over rows of `width` columns times a panel, to vectors `to` ... of `out`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        at, width, _, vector, rows, _, to = arguments[1:]
        columns = pointer(context, builder, sig.args[0], arguments[0], at)
        panel, out = (
            pointer(context, builder, sig.args[i], arguments[i], builder.mul(place, INT(WIDTH)))
            for i, place in ((3, vector), (6, to))
        )
        for number in range(2, WIDEST + 1, 2):
            with builder.if_then(builder.icmp_signed("==", width, INT(number))):
                sums = Sums(builder, SIDE * number)
                with cgutils.for_range(builder, rows) as loop:
                    row = builder.gep(columns, [builder.mul(loop.index, INT(number))])
                    own = builder.gep(panel, [builder.mul(loop.index, INT(PANEL))])
                    pair = [read(builder, builder.gep(own, [INT(WIDTH * h)])) for h in range(SIDE)]
                    sums.add_columns(row, number, pair)
                sums.write(out)

    one, two = types.int64, (types.int64,) * 2
    return types.void(memory, *two, panels, *two, out, one), generate


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

    def write(self, address: Any) -> None:
        """Put them there, one after the other."""
        for number, place in enumerate(self.places):
            own = self.builder.gep(address, [INT(WIDTH * number)])
            write(self.builder, own, self.builder.load(place))


@compiled
def multiply(
    columns: Columns,
    start: int,
    rows: int,
    panels: Array,
    number: int,
    out: Array,
    to: int,
    apart: int,
) -> None:
    """Sums over rows `start` ... of columns times so many panels, to vectors `to` ... of `out`.

    From those of a panel to those of the next it is `apart` vectors.
    """
    base = 0
    for width in columns.widths:
        at = base + start * width
        for panel in range(number):
            first = to + panel * apart
            _gather(columns.memory, at, width, panels, panel * VECTORS, rows, out, first)
        base, to = base + columns.rows * width, to + SIDE * width


@compiled
def settle(stack: Array, depth: int, number: int) -> int:
    """Join what lies on a stack once `number` pieces are summed; its depth then."""
    while number % 2 == 0:
        depth, number = depth - 1, number // 2
        join(stack[depth - 1], stack[depth], stack.shape[1])
    return depth


@compiled
def collapse(stack: Array, depth: int) -> None:
    """Join all that lies on a stack."""
    while depth > 1:
        depth -= 1
        join(stack[depth - 1], stack[depth], stack.shape[1])
