"""Buckets: rows in no order brought together, group by group, in functions that Numba compiles.

Reading rows where they lie would wait for memory at every row. They are dealt first, read one after
the other, to buckets, ranges of groups whose rows fit a core's cache; there each group's are put
one after the other. What is dealt goes past the cache, eight records at a time.

A record is a row of X, its responses, and its weight where rows have one.

Source: Balkesen, Teubner, Alonso & Özsu (2013), Main-memory hash joins on multi-core CPUs, for
partitioning with buffers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Lines
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.lanes import DOUBLE, INDEX, INT, VECTOR, WIDTH
from gpuols.engines.jit.memory import pointer, read

Array = NDArray[Any]

TOGETHER = 8  # records that leave a buffer: whole lines of cache, whatever their size
OWNERS = 1 << 16  # groups of a bucket at most


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


@intrinsic
def stream(_: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """Copy numbers, a multiple of eight, past the cache; where they go is on a line of it."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        source, out = (
            pointer(context, builder, sig.args[i], arguments[i], arguments[i + 1]) for i in (0, 2)
        )
        past = builder.module.add_metadata([INDEX(1)])
        with cgutils.for_range(builder, builder.lshr(arguments[4], INT(3))) as loop:
            begin = builder.mul(loop.index, INT(WIDTH))
            value = read(builder, builder.gep(source, [begin]))
            target = builder.bitcast(builder.gep(out, [begin]), VECTOR.as_pointer())
            builder.store(value, target, align=8 * WIDTH).set_metadata("nontemporal", past)

    return types.void(source, at, out, to, count), generate


@intrinsic
def wait_for_stores(_: Any) -> Any:
    """Have all that was stored be there for other threads, too."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@compiled
def copy_record(
    x: Array,
    at_x: int,
    y: Array,
    at_y: int,
    sizes: tuple[int, int],
    columns: Any,
    out: Array,
    to: int,
    out_y: Array,
    to_y: int,
) -> None:
    """Copy a row of X and its responses; there is one where `columns` is a tuple."""
    copy(x, at_x, columns, sizes[0], out, to)
    if columns is None:
        copy(y, at_y, None, sizes[1], out_y, to_y)
    else:
        copy(y, at_y, (0,), 1, out_y, to_y)


def _deal(fingerprint: int) -> Callable[..., None]:
    def deal(
        labels: NDArray[np.int32],
        places: NDArray[np.int64],
        x: Lines,
        y: Lines,
        w: Lines | None,
        sizes: tuple[int, int],
        columns: tuple[int, ...] | None,
        at: NDArray[np.int64],
        buffers: Array,
        records: Array,
        owners: NDArray[np.uint16],
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
            As `columns_of` gives it.
        at : (buckets,)
            The next record of each; changed.
        buffers : (buckets * TOGETHER * numbers of a record,)
            Records that wait to leave.
        records : (records * numbers,)
            Where they go, on a line of cache.
        owners : (records,)
            Where the number goes that a record's group has in its bucket.
        """
        k, m = sizes
        size = k + m + (w is not None) + 0 * fingerprint
        for i in range(len(labels)):
            place = places[np.uint64(labels[i])]
            if place < 0:
                continue
            bucket = place // OWNERS
            record = at[np.uint64(bucket)]
            at[np.uint64(bucket)] = record + 1
            owners[np.uint64(record)] = place & (OWNERS - 1)
            slot = record & (TOGETHER - 1)
            first = bucket * TOGETHER * size
            own, at_x, at_y = first + slot * size, x.start + i * x.step, y.start + i * y.step
            copy_record(
                x.memory, at_x, y.memory, at_y, sizes, columns, buffers, own, buffers, own + k
            )
            if w is not None:
                buffers[own + k + m] = w.memory[w.start + i * w.step]
            if slot == TOGETHER - 1:
                stream(buffers, first, records, (record - slot) * size, TOGETHER * size)

    return deal


deal = kept(_deal)


def _finish(fingerprint: int) -> Callable[..., None]:
    def finish(at: NDArray[np.int64], buffers: Array, size: int, records: Array) -> None:
        """Let go the records, of `size` numbers, that `deal` has left in buffers."""
        for bucket in range(0 * fingerprint, len(at)):
            left = at[bucket] & (TOGETHER - 1)
            first, to = bucket * TOGETHER * size, (at[bucket] - left) * size
            for e in range(left * size):
                records[to + e] = buffers[first + e]
        wait_for_stores()

    return finish


finish = kept(_finish)


def _settle(fingerprint: int) -> Callable[..., None]:
    def settle(
        records: Array,
        owners: NDArray[np.uint16],
        stretches: NDArray[np.int64],
        sizes: tuple[int, int],
        columns: tuple[int, ...] | None,
        at: NDArray[np.int64],
        x: Array,
        y: Array,
        w: Array | None,
    ) -> None:
        """Put the rows of each group of a bucket one after the other.

        Parameters
        ----------
        records, owners, sizes, columns
            As for `deal`.
        stretches : (s, 2)
            First record of the bucket that each call of `deal` has dealt, and how many.
        at : (groups,)
            The row where each group begins; changed.
        x, y, w : (rows * k,), (rows * m,), (rows,)
            Where they go.
        """
        k, m = sizes
        size = k + m + (w is not None) + 0 * fingerprint
        for s in range(len(stretches)):
            start, number = stretches[s]
            for record in range(start, start + number):
                owner = owners[np.uint64(record)]
                own, row = record * size, at[owner]
                at[owner] = row + 1
                copy_record(records, own, records, own + k, sizes, columns, x, row * k, y, row * m)
                if w is not None:
                    w[row] = records[own + k + m]

    return settle


settle = kept(_settle)
