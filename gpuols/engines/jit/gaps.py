"""Gaps: responses that miss rows, on a design of few columns, summed in one pass.

All sums of eight responses are kept in registers, 28 for five columns: those of the table's columns
over the rows that are there, which are only added, and, multiplied, those with the responses.
"""

from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from gpuols.engines.jit.columns import Sums
from gpuols.engines.jit.lanes import INT, constant, spread
from gpuols.engines.jit.memory import pointer, read, write
from gpuols.engines.jit.panels import PANEL
from gpuols.engines.jit.products import prefetch

MOST = 5  # columns of X


@cache
def are_wide() -> bool:
    """Whether code is compiled for a processor that has enough registers, of eight doubles each."""
    *_, features = cpu_target.target_context.codegen().magic_tuple()
    return "+avx512f" in features.split(",")


@intrinsic
def add_gaps(
    _: Any,
    table: Any,
    k: Any,
    there: Any,
    responses: Any,
    near: Any,
    rows: Any,
    out: Any,
    ahead: Any,
    step: Any,
) -> Any:
    """Sums over the rows of eight responses, to every other vector of `out`.

    Of u, a response less its anchor where the row is there, zero elsewhere, that of u² comes first;
    then those of the columns of the table [1, z, z ⊗ z], a row of it an even number of them, over
    rows that are there; then those of u times [1, z], an even number, too. Meanwhile a line of the
    cache of each row is brought near, `step` elements apart from `ahead` on.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        table, there, responses, near, out, ahead = (
            pointer(context, builder, sig.args[i], arguments[i], INT(0)) for i in (0, 2, 3, 4, 6, 7)
        )
        k, rows, step = (arguments[i] for i in (1, 5, 8))
        anchor = read(builder, near)
        for number in range(MOST + 1):
            with builder.if_then(builder.icmp_signed("==", k, INT(number))):
                columns = (1 + number) * (2 + number) // 2
                pitch = columns + columns % 2
                sums = Sums(builder, 1 + columns + 1 + number)
                with cgutils.for_range(builder, rows) as loop:
                    line = builder.gep(table, [builder.mul(loop.index, INT(pitch))])
                    at = builder.mul(loop.index, INT(PANEL))
                    prefetch(builder, builder.gep(ahead, [builder.mul(loop.index, step)]), 2)
                    weight = read(builder, builder.gep(there, [at]))
                    is_there = builder.fcmp_unordered("!=", weight, constant(0.0))
                    value = builder.fsub(read(builder, builder.gep(responses, [at])), anchor)
                    u = builder.select(is_there, value, constant(0.0))
                    sums.add(0, u, u)
                    for c in range(columns):
                        own = spread(builder, builder.load(builder.gep(line, [INT(c)])))
                        sums.add_where(1 + c, is_there, own)
                        if c <= number:
                            sums.add(1 + columns + c, own, u)
                nothing = [constant(0.0)] * (columns % 2)
                found = [builder.load(place) for place in sums.places]
                found[1 + columns : 1 + columns] = nothing
                found += [constant(0.0)] * (1 - number % 2)
                for c, own in enumerate(found):
                    write(builder, builder.gep(out, [INT(PANEL * c)]), own)

    return types.void(table, k, there, responses, near, rows, out, ahead, step), generate
