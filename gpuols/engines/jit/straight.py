"""Straight: numbers of neighbouring regressions multiplied with columns as they are read.

Where there are few columns the speed is that of memory: a block of rows of many panels is read in
long runs, while the next is brought near, and sums go on from block to block.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gpuols.engines.jit.columns import Columns, Sums
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import INT, WIDTH, constant, spread
from gpuols.engines.jit.memory import pointer, read, read_some
from gpuols.engines.jit.panels import SIDE, Sheet
from gpuols.engines.jit.products import prefetch

WIDEST = 12  # columns whose sums fit the registers beside what they are formed of
WIDE_STRIP = 32  # panels that are read together
BLOCK = 16  # rows of them


@intrinsic
def add_straight(
    _: Any,
    columns: Any,
    at: Any,
    width: Any,
    weights: Any,
    start: Any,
    source: Any,
    begin: Any,
    step: Any,
    left: Any,
    near: Any,
    side: Any,
    rows: Any,
    out: Any,
    to: Any,
) -> Any:
    """Add sums over a block of rows of `left` neighbours from memory to vectors `to` ... of `out`.

    They are those of squares, then of products with `width` columns. The next block is brought
    near at the same time.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        def place(array: int, offset: Any) -> Any:
            return pointer(context, builder, sig.args[array], arguments[array], offset)

        width, step, left, rows = (arguments[i] for i in (2, 7, 8, 11))
        columns, heavy = place(0, arguments[1]), place(3, arguments[4])
        source, out = place(5, arguments[6]), place(12, builder.mul(arguments[13], INT(WIDTH)))
        anchor = place(9, builder.mul(arguments[10], INT(WIDTH)))
        anchors = [read(builder, builder.gep(anchor, [INT(WIDTH * h)])) for h in range(SIDE)]
        ahead = builder.mul(step, INT(BLOCK))
        for number in range(2, WIDEST + 1, 2):
            with builder.if_then(builder.icmp_signed("==", width, INT(number))):
                sums = Sums(builder, SIDE * (1 + number))
                sums.read(out)
                with cgutils.for_range(builder, rows) as loop:
                    row = builder.gep(columns, [builder.mul(loop.index, INT(number))])
                    line = builder.gep(source, [builder.mul(loop.index, step)])
                    weight = spread(builder, builder.load(builder.gep(heavy, [loop.index])))
                    there = builder.fcmp_unordered("!=", weight, constant(0.0))
                    pair = []
                    for h in range(SIDE):
                        own = builder.gep(line, [INT(WIDTH * h)])
                        prefetch(builder, builder.gep(own, [ahead]), 3)
                        value = read_some(builder, own, 1, builder.sub(left, INT(WIDTH * h)))
                        shifted = builder.fsub(value, anchors[h])
                        pair.append(builder.select(there, shifted, constant(0.0)))
                        sums.add(h, builder.fmul(weight, pair[h]), pair[h])
                    sums.add_columns(row, number, pair, SIDE)
                sums.write(out)

    ints = (types.int64,) * 2
    given = columns, *ints, weights, types.int64, source, *ints, types.int64, near, *ints, out
    return types.void(*given, types.int64), generate


@compiled
def is_straight(sheet: Sheet, columns: Columns) -> bool:
    """Whether neighbours are multiplied with all columns as they are read."""
    return sheet.across == 1 and columns.sets == 1 and columns.total <= WIDEST
