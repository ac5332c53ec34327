"""Bits: which rows responses have, a word of 64 bits for 64 rows, and sums of rows by their bits.

The words of a response lie side by side.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gpuols.engines.jit.columns import Sums
from gpuols.engines.jit.compiling import compiled, portable
from gpuols.engines.jit.lanes import BIT, INT, WIDTH
from gpuols.engines.jit.memory import read
from gpuols.engines.jit.panels import ROWS

WORD = 64
PIECE = ROWS // WORD  # words of a piece
TOGETHER = 8  # vectors of a row that are summed in registers

_CODES = ir.VectorType(ir.IntType(8), WORD)


@portable
def words_in(n: int) -> int:
    """Words of a response, those of whole pieces."""
    return (n + ROWS - 1) // ROWS * PIECE


@intrinsic
def write_words(_: Any, codes: Any, whole: Any, out: Any, apart: Any) -> Any:
    """Words of a piece of eight responses, `apart` from one to the next.

    A row has a byte of `codes`, and in it a bit for each of the eight; there are but rows of
    `whole`.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        codes, whole, out, apart = arguments
        for number in range(PIECE):
            place = builder.bitcast(builder.gep(codes, [INT(WORD * number)]), _CODES.as_pointer())
            block = builder.load(place, align=1)
            there = builder.load(builder.gep(whole, [INT(number)]))
            for lane in range(WIDTH):
                wanted = builder.and_(block, ir.Constant(_CODES, [1 << lane] * WORD))
                found = builder.icmp_unsigned("!=", wanted, ir.Constant(_CODES, [0] * WORD))
                word = builder.and_(builder.bitcast(found, INT), there)
                offset = builder.add(builder.mul(apart, INT(lane)), INT(number))
                builder.store(word, builder.gep(out, [offset]))

    return types.void(codes, whole, out, types.int64), generate


@intrinsic
def ones(_: Any, word: Any) -> Any:
    """How many bits are set."""
    return types.int64(types.int64), lambda context, builder, sig, given: builder.ctpop(*given)


@intrinsic
def first_of(_: Any, word: Any) -> Any:
    """Which is the first bit that is set, 64 where none is."""

    def generate(context: Any, builder: Any, sig: Any, given: Any) -> Any:
        return builder.cttz(given[0], BIT(0))

    return types.int64(types.int64), generate


@intrinsic
def last_of(_: Any, word: Any) -> Any:
    """Which is the last bit that is set, -1 where none is."""

    def generate(context: Any, builder: Any, sig: Any, given: Any) -> Any:
        above = builder.ctlz(given[0], BIT(0))
        return builder.sub(INT(WORD - 1), above)

    return types.int64(types.int64), generate


@compiled
def bit_of(word: int, number: int) -> int:
    """Which bit is set after `number` others that are."""
    place, width = 0, WORD // 2
    while width:
        below = ones(word & ((1 << width) - 1))
        if number >= below:
            number, place, word = number - below, place + width, word >> width
        width //= 2
    return place


@contextmanager
def _while_any(builder: Any, slot: Any) -> Iterator[Any]:
    """A loop, given the word in a slot, as long as that has a bit."""
    look, body, end = (
        builder.append_basic_block(f"bits.{name}") for name in ("look", "body", "end")
    )
    builder.branch(look)
    builder.position_at_end(look)
    word = builder.load(slot)
    builder.cbranch(builder.icmp_signed("!=", word, INT(0)), body, end)
    builder.position_at_end(body)
    yield word
    builder.branch(look)
    builder.position_at_end(end)


@intrinsic
def add_rows(
    _: Any,
    table: Any,
    pitch: Any,
    width: Any,
    words: Any,
    whole: Any,
    turned: Any,
    number: Any,
    out: Any,
) -> Any:
    """Sums over rows of a table, so many vectors of each: those whose bits are set in some words.

    Where `turned` is -1 they are those whose bits are set in `whole` alone. Rows are added in
    order, each sum is one chain.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        table, pitch, width, words, whole, turned, number, out = arguments
        slot = cgutils.alloca_once(builder, INT)
        for vectors in range(1, TOGETHER + 1):
            with builder.if_then(builder.icmp_signed("==", width, INT(vectors))):
                sums = Sums(builder, vectors)
                with cgutils.for_range(builder, number) as loop:
                    word, other = (
                        builder.load(builder.gep(own, [loop.index])) for own in (words, whole)
                    )
                    builder.store(builder.xor(word, builder.and_(other, turned)), slot)
                    first = builder.mul(loop.index, builder.mul(pitch, INT(WORD)))
                    block = builder.gep(table, [first])
                    with _while_any(builder, slot) as left:
                        bit = builder.cttz(left, BIT(1))
                        row = builder.gep(block, [builder.mul(bit, pitch)])
                        for v in range(vectors):
                            sums.plus(v, read(builder, builder.gep(row, [INT(WIDTH * v)])))
                        rest = builder.and_(left, builder.sub(left, INT(1)))
                        builder.store(rest, slot)
                sums.write(out)

    one = types.int64
    return types.void(table, one, one, words, whole, one, one, out), generate
