"""Buckets: rows in no order brought together, group by group, in functions that Numba compiles.

Reading rows where they lie would wait for memory at every row. They are dealt first, read one after
the other, to buckets, ranges of groups whose rows fit a core's cache; there each group's are put
one after the other. What is dealt goes past the cache, a block at a time.

A record is a row of X, its responses, and its weight where rows have one. A block is some records,
whole lines of cache, and a line of their owners: of each the number, of 16 bits, that its group has
in the bucket.

Source: Balkesen, Teubner, Alonso & Özsu (2013), Main-memory hash joins on multi-core CPUs, for
partitioning with buffers.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Lines, sizes_of
from gpuols.engines.jit.compiling import compiled, kept, portable
from gpuols.engines.jit.lanes import DOUBLE, INT, WIDTH
from gpuols.engines.jit.memory import Memory, address, load, pointer, settle_streams, stream
from gpuols.engines.jit.products import fetch

Array = NDArray[Any]

OWNERS = 1 << 16  # groups of a bucket at most
BUCKETS = 1 << 15  # at a time, at most

_AHEAD = 2048  # numbers, from what is settled to what is brought near
_OWNER = ir.IntType(16)


class Buckets(NamedTuple):
    """Rows of groups as `deal` leaves them, and where those of a bucket are put in order.

    Attributes
    ----------
    records : (numbers,)
        The blocks of all buckets; nothing where rows lie in order.
    stretches : (b, s, 2)
        Of each bucket the first record that each call of `deal` has dealt, and how many.
    x, y, w : (numbers,)
        Room for the rows of one, weights or None.
    """

    records: Array
    stretches: NDArray[np.int64]
    x: Array
    y: Array
    w: Array | None


@portable
def shift_of(size: int) -> int:
    """Binary logarithm of the number of records, of so many numbers, that make a block."""
    return 5 if size <= 4 else 4 if size <= 8 else 3


@portable
def block_size(size: int) -> int:
    """Numbers of a block: about a kilobyte, or eight records."""
    return int((size << shift_of(size)) + WIDTH)


@intrinsic
def copy(_: Any, source: Any, at: Any, columns: Any, count: Any, out: Any, to: Any) -> Any:
    """Copy `count` neighbouring numbers to out[to:]; as many as `columns`, where it is a tuple."""
    known = None if isinstance(columns, types.NoneType) else columns.count

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        source, out = (
            pointer(context, builder, sig.args[i], arguments[i], arguments[i + 1]) for i in (0, 4)
        )

        def move(offset: Any, width: int) -> None:
            kind = ir.VectorType(DOUBLE, width).as_pointer()
            there, target = (builder.bitcast(builder.gep(a, [offset]), kind) for a in (source, out))
            builder.store(builder.load(there, align=8), target, align=8)

        if known is None:
            with cgutils.for_range(builder, arguments[3]) as loop:
                move(loop.index, 1)
        elif known:
            move(INT(0), known)

    return types.void(source, at, columns, count, out, to), generate


@compiled
def let_go(block: Memory, count: int, out: Memory) -> None:
    """Copy numbers, a multiple of eight, past the cache; where they go is on a line of it."""
    for line in range(count // WIDTH):
        stream(out, WIDTH * line, load(block, line))


@intrinsic
def put_owner(_: Any, memory: Any, at: Any, slot: Any, owner: Any) -> Any:
    """Write the owner of a block's record; `at` is where the owners begin."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        first = pointer(context, builder, sig.args[0], *arguments[:2])
        place = builder.gep(builder.bitcast(first, _OWNER.as_pointer()), [arguments[2]])
        builder.store(builder.trunc(arguments[3], _OWNER), place)

    return types.void(memory, at, slot, types.int64), generate


@intrinsic
def owner_of(_: Any, memory: Any, at: Any, slot: Any) -> Any:
    """The owner of a block's record; `at` is where the owners begin."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        first = pointer(context, builder, sig.args[0], *arguments[:2])
        place = builder.gep(builder.bitcast(first, _OWNER.as_pointer()), [arguments[2]])
        return builder.zext(builder.load(place), INT)

    return types.int64(memory, at, slot), generate


@kept
def deal(
    labels: NDArray[np.int32],
    places: NDArray[np.int32],
    x: Lines,
    y: Lines,
    w: Lines | None,
    sizes: tuple[int, int],
    columns: tuple[int, ...] | None,
    at: NDArray[np.int64],
    buffers: Array,
    records: Array,
) -> None:
    """Deal rows to the buckets of their groups.

    Parameters
    ----------
    labels : (n,)
        Of the rows.
    places : (d,)
        Of each label the number of its bucket times `OWNERS`, plus its group's number there;
        -1 for rows that are left out.
    x, y, w : Lines
        The rows, weights or None.
    sizes : tuple of int
        Columns k of X and responses m.
    columns : tuple or None
        Of k numbers, whose values are not looked at, where code is made for so many columns.
    at : (buckets,)
        The next record of each; changed.
    buffers : (buckets * block_size,)
        Blocks that wait to leave.
    records : (blocks * block_size,)
        Where they go, on a line of cache.
    """
    k, m = sizes_of(columns, sizes[0], sizes[1])
    size = k + m + (w is not None)
    shift, block = shift_of(size), block_size(size)
    last = (1 << shift) - 1
    rows_x, rows_y = address(x.memory, x.start), address(y.memory, y.start)
    rows_w: Any = None if w is None else address(w.memory, w.start)
    waiting, next_of = address(buffers, 0), address(at, 0)
    for i in range(len(labels)):
        place = np.int64(places[np.uint64(labels[np.uint64(i)])])
        if place < 0:
            continue
        bucket = place // OWNERS
        record = next_of[bucket]
        next_of[bucket] = record + 1
        slot, first = record & last, bucket * block
        own = first + slot * size
        copy(rows_x, i * x.step, columns, k, waiting, own)
        if m == 1:
            waiting[own + k] = rows_y[i * y.step]
        else:
            copy(rows_y, i * y.step, None, m, waiting, own + k)
        if w is not None:
            waiting[own + k + m] = rows_w[i * w.step]
        put_owner(waiting, first + (size << shift), slot, place & (OWNERS - 1))
        if slot == last:
            to = address(records, (record >> shift) * block)
            let_go(address(waiting, first), block, to)


@kept
def finish(at: NDArray[np.int64], buffers: Array, size: int, records: Array) -> None:
    """Let go the records, of `size` numbers, that `deal` has left in buffers."""
    shift, block = shift_of(size), block_size(size)
    for bucket in range(len(at)):
        if at[bucket] & ((1 << shift) - 1):
            first, to = bucket * block, (at[bucket] >> shift) * block
            for e in range(block):
                records[to + e] = buffers[first + e]
    settle_streams()


@compiled
def settle(
    records: Memory,
    stretches: Any,
    sizes: tuple[int, int],
    columns: Any,
    at: Memory,
    x: Memory,
    y: Memory,
    w: Memory,
    pitch: int,
) -> None:
    """Put the rows of each group of a bucket one after the other.

    Records, sizes and columns are those of `deal`; `stretches` (s, 2) are the first record that
    each call of it has dealt to the bucket, and how many; `at` is the row where each group begins,
    changed. Rows of X go to x, responses to y, weights, or None, to w. Responses lie row by row
    where `pitch` is 0, else one after the other, so many numbers apart.
    """
    k, m = sizes
    size = k + m + (w is not None)
    shift, block = shift_of(size), block_size(size)
    step, apart = (1, pitch) if pitch else (m, 1)
    for s in range(len(stretches)):
        start, number = stretches[s]
        for done in range(0, number, 1 << shift):
            first = ((start + done) >> shift) * block
            owners = first + (size << shift)
            for slot in range(min(number - done, 1 << shift)):
                own, owner = first + slot * size, owner_of(records, owners, slot)
                row = at[owner]
                at[owner] = row + 1
                fetch(records, own + _AHEAD)
                copy(records, own, columns, k, x, row * k)
                if m == 1:
                    y[row] = records[own + k]
                else:
                    for r in range(m):
                        y[row * step + r * apart] = records[own + k + r]
                if w is not None:
                    w[row] = records[own + k + m]
