"""Memory: what compiled functions read and write, and eight doubles of it at a time.

Memory is an array, or the address of its first element. Functions that are called for every
regression take addresses: Numba counts who uses an array wherever one is taken out of a tuple, and
that takes longer than many a sum.
"""

from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gpuols.engines.jit.lanes import (
    BITS,
    DOUBLE,
    INDEX,
    INT,
    LANES,
    MASK,
    PICKS,
    VECTOR,
    WIDTH,
    WORDS,
    declared,
    transposed,
)

Memory: TypeAlias = Any
"""An array of doubles, or the address of its first element, which the array must outlive."""

_CODES = ir.VectorType(ir.IntType(8), WIDTH)


def pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Address of an element of memory, counted from its first."""
    is_array = isinstance(kind, types.Array)
    data = context.make_array(kind)(context, builder, array).data if is_array else array
    return builder.gep(data, [offset])


def read(builder: Any, address: Any, width: int = WIDTH) -> Any:
    """Neighbouring doubles at an address."""
    kind = ir.VectorType(DOUBLE, width)
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=8)


def write(builder: Any, address: Any, value: Any) -> None:
    """Put lanes side by side at an address."""
    builder.store(value, builder.bitcast(address, VECTOR.as_pointer()), align=8)


def read_some(builder: Any, address: Any, count: int, left: Any) -> Any:
    """The first `left` rows of eight, of so many columns; zero for the others."""
    size = WIDTH * count
    kind = ir.VectorType(DOUBLE, size)
    place, there = builder.bitcast(address, kind.as_pointer()), first_rows(builder, left, count)
    name = f"llvm.masked.load.v{size}f64.p0"
    own = declared(builder, name, kind, place.type, INDEX, there.type, kind)
    return builder.call(own, [place, INDEX(8), there, ir.Constant(kind, [0.0] * size)])


def write_some(builder: Any, address: Any, value: Any, left: Any) -> None:
    """Put the first `left` of eight lanes side by side at an address."""
    place = builder.bitcast(address, VECTOR.as_pointer())
    name = "llvm.masked.store.v8f64.p0"
    put = declared(builder, name, ir.VoidType(), VECTOR, place.type, INDEX, BITS)
    builder.call(put, [value, place, INDEX(8), first_rows(builder, left)])


def first_rows(builder: Any, left: Any, count: int = 1) -> Any:
    """A mask of the first `left` rows of eight, of so many columns."""
    size = WIDTH * count
    numbers = ir.Constant(ir.VectorType(INT, size), list(range(size)))
    nothing = ir.Constant(numbers.type, ir.Undefined)
    limit = builder.insert_element(nothing, builder.mul(left, INT(count)), INDEX(0))
    everywhere = ir.Constant(ir.VectorType(INDEX, size), [0] * size)
    return builder.icmp_signed("<", numbers, builder.shuffle_vector(limit, nothing, everywhere))


@intrinsic
def address(_: Any, array: Any, at: Any) -> Any:
    """Where an element of memory lies, which must outlive what is done there; None of None."""
    if isinstance(array, types.NoneType):
        return types.none(array, types.int64), lambda context, *_: context.get_dummy_value()
    kind = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return pointer(context, builder, sig.args[0], *arguments)

    return kind(array, types.int64), generate


@intrinsic
def load(_: Any, array: Any, row: Any) -> Any:
    """Row of memory (r, 8), C order."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        offset = builder.mul(arguments[1], INT(WIDTH))
        return read(builder, pointer(context, builder, sig.args[0], arguments[0], offset))

    return LANES(array, types.int64), generate


@intrinsic
def store(_: Any, array: Any, row: Any, value: Any) -> Any:
    """Write a row of memory (r, 8), C order."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        offset = builder.mul(arguments[1], INT(WIDTH))
        write(builder, pointer(context, builder, sig.args[0], arguments[0], offset), arguments[2])

    return types.void(array, types.int64, LANES), generate


@intrinsic
def put(_: Any, memory: Any, at: Any, value: Any) -> Any:
    """Write lanes side by side, the first to an element of memory."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        write(builder, pointer(context, builder, sig.args[0], *arguments[:2]), arguments[2])

    return types.void(memory, types.int64, LANES), generate


@intrinsic
def load_some(_: Any, memory: Any, at: Any, left: Any) -> Any:
    """The first `left` of eight neighbours at an element of memory; zeros for the others."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = pointer(context, builder, sig.args[0], *arguments[:2])
        return read_some(builder, address, 1, arguments[2])

    return LANES(memory, types.int64, types.int64), generate


@intrinsic
def put_some(_: Any, memory: Any, at: Any, left: Any, value: Any) -> Any:
    """Write the first `left` lanes side by side, the first to an element of memory."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        address = pointer(context, builder, sig.args[0], *arguments[:2])
        write_some(builder, address, arguments[3], arguments[2])

    return types.void(memory, types.int64, types.int64, LANES), generate


@intrinsic
def stream(_: Any, memory: Any, at: Any, value: Any) -> Any:
    """Write lanes as `put` does, past the cache, to an element that begins a line of it.

    Nothing of the line is read first; others see it after `settle_streams`.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        place = pointer(context, builder, sig.args[0], *arguments[:2])
        own = builder.store(arguments[2], builder.bitcast(place, VECTOR.as_pointer()), align=64)
        own.set_metadata("nontemporal", builder.module.add_metadata([INDEX(1)]))

    return types.void(memory, types.int64, LANES), generate


@intrinsic
def settle_streams(_: Any) -> Any:
    """Let everyone see what was written by `stream`."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")

    return types.void(), generate


@intrinsic
def put_codes(_: Any, memory: Any, at: Any, value: Any) -> Any:
    """Write lanes as bytes, whole numbers, side by side, the first to an element of memory."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        codes = builder.fptosi(arguments[2], _CODES)
        place = pointer(context, builder, sig.args[0], *arguments[:2])
        builder.store(codes, builder.bitcast(place, _CODES.as_pointer()), align=1)

    return types.void(memory, types.int64, LANES), generate


@intrinsic
def put_bits(_: Any, memory: Any, at: Any, where: Any) -> Any:
    """Write a mask as a byte to an element of memory, its first lane the lowest bit."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        code = builder.bitcast(arguments[2], _CODES.element)
        builder.store(code, pointer(context, builder, sig.args[0], *arguments[:2]))

    return types.void(memory, types.int64, MASK), generate


@intrinsic
def transpose(
    _: Any, source: Any, at: Any, pitch: Any, target: Any, places: Any, first: Any
) -> Any:
    """Eight neighbours of each of eight pieces of memory, `pitch` apart, to rows of lanes.

    The first of each, source[at + pitch lane], are row places[first] of the target, and so on.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        start = pointer(context, builder, sig.args[0], *arguments[:2])
        apart = [builder.mul(arguments[2], INT(lane)) for lane in range(WIDTH)]
        vectors = [read(builder, builder.gep(start, [offset])) for offset in apart]
        row = pointer(context, builder, sig.args[4], *arguments[4:])
        for i, vector in enumerate(transposed(builder, vectors)):
            place = builder.load(builder.gep(row, [INT(i)]))
            offset = builder.mul(place, INT(WIDTH))
            write(builder, pointer(context, builder, sig.args[3], arguments[3], offset), vector)

    return types.void(source, at, pitch, target, places, first), generate


@intrinsic
def gather(_: Any, memory: Any, places: Any, row: Any, shift: Any, where: Any, other: Any) -> Any:
    """Elements of an array by number, a row of `places` (r, 8), C order, plus a shift.

    They are read where a mask holds; elsewhere lanes of `other` stand.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        kinds = sig.args
        offset = builder.mul(arguments[2], INT(WIDTH))
        address = pointer(context, builder, kinds[1], arguments[1], offset)
        numbers = builder.load(builder.bitcast(address, WORDS.as_pointer()), align=8)
        first = pointer(context, builder, kinds[0], arguments[0], arguments[3])
        nothing = ir.Constant(WORDS, ir.Undefined)
        base = builder.insert_element(nothing, builder.ptrtoint(first, INT), INDEX(0))
        everywhere = builder.shuffle_vector(base, nothing, PICKS([0] * WIDTH))
        bytes_on = builder.shl(numbers, ir.Constant(WORDS, [3] * WIDTH))
        pointers = ir.VectorType(DOUBLE.as_pointer(), WIDTH)
        found = builder.inttoptr(builder.add(everywhere, bytes_on), pointers)
        name = f"llvm.masked.gather.v{WIDTH}f64.v{WIDTH}p0"
        own = declared(builder, name, VECTOR, pointers, INDEX, BITS, VECTOR)
        return builder.call(own, [found, INDEX(8), *arguments[4:]])

    return LANES(memory, places, types.int64, types.int64, MASK, LANES), generate
