"""Products: sums over rows of products of columns, in registers, in functions that Numba compiles.

One response and few columns, `narrow`: eight rows at a time, a column of eight numbers a register,
all products kept in registers throughout. Rows are shifted as they are read.

More, `tile`: rows are shifted first into a table, 1 and the columns side by side; a tile of eight
rows of the Gram matrix and up to 24 columns is kept in registers while all rows of the table pass.

Every sum is one chain of fused multiplications and additions, or eight that are added in pairs.
"""

from itertools import combinations_with_replacement
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gpuols.engines.jit.lanes import (
    INDEX,
    INT,
    PICKS,
    WIDTH,
    constant,
    declared,
    fused,
    halves,
    spread,
)
from gpuols.engines.jit.memory import first_rows, pointer, read, read_some, write, write_some

NARROW = 4  # columns of X whose products fit the registers
AHEAD = 1024  # numbers from what `narrow` reads to what it has brought to the second cache


def entries(k: int) -> list[tuple[int, ...]]:
    """Columns, y the last, whose products `narrow` sums, (i, j), and those it sums alone, (i,)."""
    products = ((j, i) for i, j in combinations_with_replacement(range(k + 1), 2))
    return [*products, *((i,) for i in range(k + 1))]


@intrinsic
def narrow(
    _: Any,
    x: Any,
    at_x: Any,
    y: Any,
    at_y: Any,
    w: Any,
    at_w: Any,
    rows: Any,
    near: Any,
    columns: Any,
    out: Any,
) -> Any:
    """Sums over rows (rows, k) of x, (rows,) of y and of weights or None, C order.

    `at_x`, `at_y` and `at_w` are the elements where they begin in the memory of the arrays, `near`
    the anchors (k + 1,); `columns` is a tuple of k numbers, whose values are not looked at. `out`
    gets the sums, as `entries` lists them.
    """
    k, weighted = columns.count, not isinstance(w, types.NoneType)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        def place(array: int, offset: Any) -> Any:
            kind = sig.args[array]
            return pointer(context, builder, kind, arguments[array], offset)

        first = [(place(0, arguments[1]), k), (place(2, arguments[3]), 1)]
        heavy = place(4, arguments[5]) if weighted else None
        anchors = [spread(builder, builder.load(place(7, INT(c)))) for c in range(k + 1)]
        listed = entries(k)
        sums = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in listed]

        def add(index: Any, left: Any = None) -> None:
            row = builder.mul(index, INT(WIDTH))
            there = None if left is None else first_rows(builder, left)
            read_now = []
            for address, count in first:
                own = builder.gep(address, [builder.mul(row, INT(count))])
                for line in range(count):
                    prefetch(builder, builder.gep(own, [INT(AHEAD + WIDTH * line)]), 2)
                read_now += _columns(builder, own, count, left)
            z = [builder.fsub(own, near) for own, near in zip(read_now, anchors, strict=True)]
            if weighted:
                own = builder.gep(heavy, [row])
                weight = read(builder, own) if left is None else read_some(builder, own, 1, left)
                counts = builder.fcmp_ordered(">", weight, constant(0.0))
                there = counts if there is None else builder.and_(there, counts)
            if there is not None:
                z = [builder.select(there, own, constant(0.0)) for own in z]
            turned = [builder.fmul(weight, own) for own in z] if weighted else z
            for sum, entry in zip(sums, listed, strict=True):
                before = builder.load(sum)
                if len(entry) == 1:
                    found = builder.fadd(before, turned[entry[0]])
                else:
                    found = fused(builder, turned[entry[0]], z[entry[1]], before)
                builder.store(found, sum)

        whole = builder.lshr(arguments[6], INT(3))
        with cgutils.for_range(builder, whole) as loop:
            add(loop.index)
        rest = builder.and_(arguments[6], INT(WIDTH - 1))
        with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
            add(whole, rest)
        found = [builder.load(sum) for sum in sums]
        found += [constant(0.0)] * (-len(found) % WIDTH)
        for start in range(0, len(found), WIDTH):
            write(builder, place(9, INT(start)), _totals(builder, found[start : start + WIDTH]))

    given = x, at_x, y, at_y, w, at_w, rows, near, columns, out
    return types.void(*given), generate


def _columns(builder: Any, address: Any, count: int, left: Any) -> list[Any]:
    """Eight rows of so many columns, a column a vector; zero but for the first `left`, if so."""
    if not count:
        return []
    if left is None:
        table = read(builder, address, WIDTH * count)
    else:
        table = read_some(builder, address, count, left)
    nothing = ir.Constant(table.type, ir.Undefined)
    picks = ([column + count * row for row in range(WIDTH)] for column in range(count))
    return [builder.shuffle_vector(table, nothing, PICKS(pick)) for pick in picks]


def _totals(builder: Any, vectors: list[Any]) -> Any:
    """The sums of eight vectors, side by side, each added in pairs of neighbours."""
    step = 1
    while len(vectors) > 1:
        joined = []
        for a, b in zip(vectors[::2], vectors[1::2], strict=True):
            parts = [builder.shuffle_vector(a, b, PICKS(half)) for half in halves(step)]
            joined.append(builder.fadd(*parts))
        vectors, step = joined, 2 * step
    return vectors[0]


@intrinsic
def shift(
    _: Any,
    source: Any,
    count: Any,
    rows: Any,
    near: Any,
    out: Any,
    pitch: Any,
) -> Any:
    """Write rows (rows, count) minus anchors to rows `pitch` apart."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        source, near, out = (
            pointer(context, builder, sig.args[i], arguments[i], INT(0)) for i in (0, 3, 4)
        )
        count, rows, pitch = arguments[1], arguments[2], arguments[5]
        steps = builder.lshr(builder.add(count, INT(WIDTH - 1)), INT(3))
        with cgutils.for_range(builder, steps) as block:
            begin = builder.mul(block.index, INT(WIDTH))
            left = builder.sub(count, begin)
            anchor = read_some(builder, builder.gep(near, [begin]), 1, left)
            with cgutils.for_range(builder, rows) as row:
                own = builder.add(builder.mul(row.index, count), begin)
                to = builder.add(builder.mul(row.index, pitch), begin)
                found = read_some(builder, builder.gep(source, [own]), 1, left)
                write_some(builder, builder.gep(out, [to]), builder.fsub(found, anchor), left)

    return types.void(source, count, rows, near, out, pitch), generate


@intrinsic
def tile(
    _: Any,
    left: Any,
    right: Any,
    rows: Any,
    pitch: Any,
    first: Any,
    second: Any,
    widths: Any,
    ahead: Any,
    out: Any,
) -> Any:
    """Add eight rows of left' right, for tables (rows, pitch), C order, to `out` (pitch, pitch).

    They are rows `first` ... `first` + 7, columns `second` ... of as many vectors of eight as the
    tuple `widths` has numbers. As many lines of cache as there are rows are brought near from
    `ahead` on, for the processor does not see that they will be read.
    """
    number = widths.count

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        rows, pitch, first, second = arguments[2:6]
        left = pointer(context, builder, sig.args[0], arguments[0], first)
        right = pointer(context, builder, sig.args[1], arguments[1], second)
        corner = builder.add(builder.mul(first, pitch), second)
        out = pointer(context, builder, sig.args[8], arguments[8], corner)
        lines = [builder.gep(out, [builder.mul(pitch, INT(i))]) for i in range(WIDTH)]
        places = [[builder.gep(line, [INT(WIDTH * v)]) for v in range(number)] for line in lines]
        sums = [
            [cgutils.alloca_once_value(builder, read(builder, place)) for place in line]
            for line in places
        ]
        with cgutils.for_range(builder, rows) as loop:
            row = builder.mul(loop.index, pitch)
            line = pointer(
                context, builder, sig.args[7], arguments[7], builder.mul(loop.index, INT(WIDTH))
            )
            prefetch(builder, line, 2)
            own, other = builder.gep(left, [row]), builder.gep(right, [row])
            vectors = [read(builder, builder.gep(other, [INT(WIDTH * v)])) for v in range(number)]
            for i in range(WIDTH):
                factor = spread(builder, builder.load(builder.gep(own, [INT(i)])))
                for v in range(number):
                    before = builder.load(sums[i][v])
                    builder.store(fused(builder, factor, vectors[v], before), sums[i][v])
        for i in range(WIDTH):
            for v in range(number):
                write(builder, places[i][v], builder.load(sums[i][v]))

    return types.void(left, right, rows, pitch, first, second, widths, ahead, out), generate


@intrinsic
def fetch(_: Any, array: Any, at: Any) -> Any:
    """Have an element of an array's memory brought near; harmless where there is none."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        prefetch(builder, pointer(context, builder, sig.args[0], *arguments), 3)

    return types.void(array, at), generate


@intrinsic
def fetch_rows(_: Any, memory: Any, first: Any, end: Any, step: Any) -> Any:
    """Have a line of the cache of each row, `step` elements apart, brought to the second cache."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        memory, first, end, step = arguments
        with cgutils.for_range(builder, end, first) as loop:
            prefetch(builder, builder.gep(memory, [builder.mul(loop.index, step)]), 2)

    return types.void(memory, *(types.int64,) * 3), generate


def prefetch(builder: Any, address: Any, level: int) -> None:
    """Have what is at an address brought near: 3 to the first cache, 2 to the second."""
    address = builder.bitcast(address, ir.IntType(8).as_pointer())
    flags = [INDEX(0), INDEX(level), INDEX(1)]
    own = declared(
        builder, "llvm.prefetch.p0", ir.VoidType(), address.type, *(flag.type for flag in flags)
    )
    builder.call(own, [address, *flags])
