"""Panels: sixteen regressions side by side that share their rows of X, in functions of Numba.

A panel holds a piece, `ROWS` rows at most, as vectors: 2 i and 2 i + 1 are the sixteen numbers of
row i. However numbers lie, they come into panels first, `STRIP` of them together, since long runs
of memory are read faster. What is summed of the pieces is added as a tree.
"""

from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import INT, WIDTH, every, transposed
from gpuols.engines.jit.memory import (
    Memory,
    address,
    load,
    load_some,
    pointer,
    put_bits,
    read,
    read_some,
    store,
    write,
)
from gpuols.engines.jit.rows import join

SIDE = 2  # vectors of a row
PANEL = SIDE * WIDTH  # regressions
STRIP = 4  # panels
ROWS = 256  # of a piece
VECTORS = SIDE * ROWS  # of a panel


class Sheet(NamedTuple):
    """Numbers (n, B) in the memory of an array, neighbours along one axis or the other.

    Attributes
    ----------
    memory : (numbers,)
        Which holds them, or its address.
    start : int
        Element where the first one is.
    down, across : int
        Elements from a row to the next, and from a regression to the next; one of them is 1.
        Where `across` is zero all regressions have the same numbers.
    ahead : int
        Regressions before the first whose number is at the start of a line of the cache, where
        neighbours are regressions: panels that begin there are read faster.
    """

    memory: Memory
    start: int
    down: int
    across: int
    ahead: int


@compiled
def sheet_at(sheet: Sheet) -> Sheet:
    """A sheet by its address."""
    return Sheet(address(sheet.memory, 0), sheet.start, sheet.down, sheet.across, sheet.ahead)


def stack_size(n: int, vectors: int) -> int:
    """Numbers that so many vectors of sums of each of the pieces that wait to be joined take up."""
    pieces = n // ROWS + 1
    return (pieces.bit_length() + 1) * vectors * WIDTH


@intrinsic
def turn(_: Any, memory: Any, step: Any, last: Any, left: Any, out: Any, row: Any) -> Any:
    """Transpose the first `left` numbers of each of eight lines to every other row of a panel.

    Lines begin every `step`; the last one stands for those above `last`. All eight numbers are
    read where `left` is None.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        first, step, last, left = arguments[:4]
        lines = []
        for lane in range(WIDTH):
            own = builder.select(builder.icmp_signed("<", INT(lane), last), INT(lane), last)
            line = pointer(context, builder, sig.args[0], first, builder.mul(own, step))
            if isinstance(sig.args[3], types.NoneType):
                lines.append(read(builder, line))
            else:
                lines.append(read_some(builder, line, 1, left))
        for i, line in enumerate(transposed(builder, lines)):
            place = builder.mul(builder.add(arguments[5], INT(SIDE * i)), INT(WIDTH))
            write(builder, pointer(context, builder, sig.args[4], arguments[4], place), line)

    return types.void(memory, types.int64, types.int64, left, out, types.int64), generate


@compiled
def bring(sheet: Sheet, start: int, rows: int, first: int, count: int, panels: Memory) -> None:
    """Rows `start` ... of `count` regressions, the first of which is `first`, into panels.

    Lanes of no regression are zero, or repeat one.
    """
    down, across = sheet.down, sheet.across
    source = address(sheet.memory, sheet.start + start * down + first * across)
    if across == 1:
        bring_neighbours(source, down, rows, count, panels, None)
    elif across == 0:
        for i in range(rows):
            for lane in range(0, count, WIDTH):
                store(panels, vector_of(lane, i), every(source[i * down]))
    else:
        whole = rows // WIDTH * WIDTH
        for lane in range(0, count, WIDTH):
            lines, last = address(source, lane * across), count - 1 - lane
            for i in range(0, whole, WIDTH):
                turn(address(lines, i), across, last, None, panels, vector_of(lane, i))
            if whole < rows:
                line, to = address(lines, whole), vector_of(lane, whole)
                turn(line, across, last, rows - whole, panels, to)


@compiled
def bring_neighbours(
    source: Memory, down: int, rows: int, count: int, panels: Memory, codes: Memory
) -> None:
    """Rows of `count` regressions side by side into panels; lanes of no regression are zero.

    Unless they are None, `codes` (regressions / 8, `ROWS`) get bits: which numbers are there.
    """
    whole = count // PANEL * PANEL
    for i in range(rows):
        line, to, code = address(source, i * down), SIDE * i, i
        for lane in range(0, whole, PANEL):
            u, v = load(address(line, lane), 0), load(address(line, lane), 1)
            store(panels, to, u)
            store(panels, to + 1, v)
            if codes is not None:
                put_bits(codes, code, u == u)
                put_bits(codes, code + ROWS, v == v)
            to, code = to + VECTORS, code + SIDE * ROWS
        for lane in range(whole, count, WIDTH):
            own = load_some(line, lane, count - lane)
            store(panels, vector_of(lane, i), own)
            if codes is not None:
                put_bits(codes, lane // WIDTH * ROWS + i, own == own)


@compiled
def vector_of(lane: int, row: int) -> int:
    """Number of the vector in panels that holds regression `lane`, the first of eight, of a row."""
    return lane // PANEL * VECTORS + SIDE * row + lane % PANEL // WIDTH


@compiled
def settle(stack: Memory, size: int, depth: int, number: int) -> int:
    """Join what lies on a stack once `number` pieces of so many sums are there; its depth then."""
    while number % 2 == 0:
        depth, number = depth - 1, number // 2
        join(address(stack, (depth - 1) * size), address(stack, depth * size), size)
    return depth


@compiled
def collapse(stack: Memory, size: int, depth: int) -> None:
    """Join all that lies on a stack."""
    while depth > 1:
        depth -= 1
        join(address(stack, (depth - 1) * size), address(stack, depth * size), size)
