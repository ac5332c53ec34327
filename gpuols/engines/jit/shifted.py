"""Shifted: responses less anchors, times weights, multiplied with columns as they are formed."""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gpuols.engines.jit.lanes import INT, WIDTH, constant
from gpuols.engines.jit.memory import pointer, read
from gpuols.engines.jit.panels import PANEL, SIDE, Sums
from gpuols.engines.jit.products import prefetch

WIDEST = 12  # columns whose sums fit the registers beside what they are formed of


@intrinsic
def add_shifted(
    _: Any,
    columns: Any,
    at: Any,
    width: Any,
    weights: Any,
    responses: Any,
    near: Any,
    side: Any,
    rows: Any,
    ahead: Any,
    step: Any,
    out: Any,
    squares: Any,
    to: Any,
) -> Any:
    """Sums over rows of w u², to vectors `squares` ..., and of w u times columns, to `to` ....

    The weights of a panel and its responses begin where these do; u is zero where w is. Meanwhile
    so many rows of a panel, `step` numbers apart, are brought near from `ahead` on.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        def place(array: int, offset: Any) -> Any:
            return pointer(context, builder, sig.args[array], arguments[array], offset)

        def vectors(array: int, number: Any) -> Any:
            return place(array, builder.mul(number, INT(WIDTH)))

        width, rows, step = (arguments[i] for i in (2, 7, 9))
        columns, weights, responses = place(0, arguments[1]), place(3, INT(0)), place(4, INT(0))
        anchor, ahead = vectors(5, arguments[6]), place(8, INT(0))
        squares, products = (vectors(10, arguments[i]) for i in (11, 12))
        anchors = [read(builder, builder.gep(anchor, [INT(WIDTH * h)])) for h in range(SIDE)]
        for number in range(2, WIDEST + 1, 2):
            with builder.if_then(builder.icmp_signed("==", width, INT(number))):
                sums = Sums(builder, SIDE * (1 + number))
                with cgutils.for_range(builder, rows) as loop:
                    row = builder.gep(columns, [builder.mul(loop.index, INT(number))])
                    line = builder.gep(ahead, [builder.mul(loop.index, step)])
                    pair = []
                    for h in range(SIDE):
                        prefetch(builder, builder.gep(line, [INT(WIDTH * h)]), 2)
                        offset = builder.mul(loop.index, INT(PANEL))
                        offset = builder.add(offset, INT(WIDTH * h))
                        w = read(builder, builder.gep(weights, [offset]))
                        value = read(builder, builder.gep(responses, [offset]))
                        shifted = builder.fsub(value, anchors[h])
                        absent = builder.fcmp_ordered("==", w, constant(0.0))
                        u = builder.select(absent, constant(0.0), shifted)
                        pair.append(builder.fmul(w, u))
                        sums.add(h, pair[h], u)
                    sums.add_columns(row, number, pair, SIDE)
                sums.write(squares, 0, SIDE)
                sums.write(products, SIDE)

    one, two = types.int64, (types.int64,) * 2
    given = columns, *two, weights, responses, near, *two, ahead, one, out, *two
    return types.void(*given), generate
