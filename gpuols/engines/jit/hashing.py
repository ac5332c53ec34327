"""Hashing: equal integers found by a table, in functions that Numba compiles.

Open addressing, linear probing, few of the slots taken: what misses its slot costs more than a
larger table does. Integers are compared, never their hashes.

Source: Knuth (1998), The Art of Computer Programming 3, 6.4, for Fibonacci hashing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled, kept

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the leading bits of the golden ratio less one
_BITS = 13  # of the number of slots at first
_NEAR = 18  # while they are a megabyte, an eighth of them is taken
_BLOCK = 2**12  # labels that are counted while they are in the cache


@compiled
def slot_of(value: int, bits: int) -> np.uint64:
    """Where among 2 ** bits slots to look for a value first."""
    word = np.uint64(value)
    mixed = (word ^ (word >> np.uint64(32))) * _GOLDEN
    return mixed >> np.uint64(64 - bits)


@compiled
def room_in(bits: int) -> int:
    """Distinct values for which there are 2 ** bits slots."""
    return 1 << (bits - 3 if bits <= _NEAR else bits - 2)


@compiled
def grown(distinct: Any, count: int, bits: int) -> Any:
    """Table of so many distinct values: the label of each in a slot, -1 in the others."""
    table, last = np.full(1 << bits, -1, np.int32), np.uint64((1 << bits) - 1)
    for label in range(count):
        slot = slot_of(distinct[label], bits)
        while table[slot] >= 0:
            slot = (slot + np.uint64(1)) & last
        table[slot] = label
    return table


@compiled
def longer(array: Any, room: int) -> Any:
    """The same with more room."""
    joined = np.zeros(room, array.dtype)
    joined[: len(array)] = array
    return joined


@compiled
def label_some(
    values: Any,
    start: int,
    stop: int,
    bits: int,
    table: Any,
    labels: Any,
    distinct: Any,
    first: Any,
    count: int,
) -> tuple[int, int]:
    """Label a range of values until there is no room for another distinct one.

    `count` is how many there are. Gives that, and where it stopped.
    """
    last = np.uint64(len(table) - 1)
    for i in range(start, stop):
        row = np.uint64(i)
        value = values[row]
        slot = slot_of(value, bits)
        label = table[slot]
        while label >= 0 and distinct[np.uint64(label)] != value:
            slot = (slot + np.uint64(1)) & last
            label = table[slot]
        if label < 0:
            if count == len(distinct):
                return count, i
            table[slot] = label = count
            distinct[count], first[count] = value, i
            count += 1
        labels[row] = label
    return count, stop


@kept
def label(values: NDArray[np.int64], labels: NDArray[np.int32]) -> Found:
    """Number the distinct values as they come.

    Parameters
    ----------
    values : (n,)
        Any integers.
    labels : (n,)
        Where the number of each goes.

    Returns
    -------
    distinct, first, counts : (d,)
        The value that has each number, where it is first, and how often it is there.
    """
    bits, room, count, done = _BITS, room_in(_BITS), 0, 0
    distinct, first = np.empty(room, np.int64), np.empty(room, np.int64)
    counts, table = np.zeros(room, np.int64), grown(distinct, 0, bits)
    while done < len(values):
        stop = min(done + _BLOCK, len(values))
        count, reached = label_some(values, done, stop, bits, table, labels, distinct, first, count)
        for i in range(done, reached):
            counts[np.uint64(labels[np.uint64(i)])] += 1
        if reached < stop:
            bits += 1
            room = room_in(bits)
            distinct, first = longer(distinct, room), longer(first, room)
            counts, table = longer(counts, room), grown(distinct, count, bits)
        done = reached
    return distinct[:count], first[:count], counts[:count]


@kept
def order(
    labels: NDArray[np.int32],
    at: NDArray[np.int64],
    start: int,
    out: NDArray[Any],
) -> None:
    """Write the numbers of rows, from `start` on, where their labels say next, `at` (d,)."""
    for i in range(len(labels)):
        label = np.uint64(labels[i])
        place = at[label]
        out[place] = start + i
        at[label] = place + 1
