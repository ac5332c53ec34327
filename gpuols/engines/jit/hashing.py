"""Hashing: equal integers found by a table, in functions that Numba compiles.

Open addressing, linear probing, few of the slots taken: what misses its slot costs more than a
larger table does. Integers are compared, never their hashes. Where many miss, as only integers made
for it do, they are hashed anew by a multiplier that nobody foresees.

Source: Knuth (1998), The Art of Computer Programming 3, 6.4, for Fibonacci hashing; Dietzfelbinger,
Hagerup, Katajainen & Penttonen (1997), A reliable randomized algorithm for the closest-pair
problem, for any odd multiplier.
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
_FARTHEST = 128  # slots from a value's own to its label, until it is hashed anew


@compiled
def slot_of(value: int, bits: int, by: np.uint64) -> np.uint64:
    """Where among 2 ** bits slots to look for a value first, given a multiplier."""
    word = np.uint64(value)
    mixed = (word ^ (word >> np.uint64(32))) * by
    return mixed >> np.uint64(64 - bits)


@compiled
def room_in(bits: int) -> int:
    """Distinct values for which there are 2 ** bits slots."""
    return 1 << (bits - 3 if bits <= _NEAR else bits - 2)


@compiled
def grown(distinct: Any, count: int, bits: int, by: np.uint64) -> Any:
    """Table of so many distinct values: the label of each in a slot, -1 in the others."""
    table, last = np.full(1 << bits, -1, np.int32), np.uint64((1 << bits) - 1)
    for label in range(count):
        slot = slot_of(distinct[label], bits, by)
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
    by: np.uint64,
    table: Any,
    labels: Any,
    distinct: Any,
    first: Any,
    count: int,
) -> tuple[int, int]:
    """Label a range of values until there is no room for another distinct one, or one is far off.

    `count` is how many there are. Gives that, and where it stopped.
    """
    last = np.uint64(len(table) - 1)
    for i in range(start, stop):
        row = np.uint64(i)
        value = values[row]
        slot = slot_of(value, bits, by)
        label, far = table[slot], 0
        while label >= 0 and distinct[np.uint64(label)] != value:
            slot = (slot + np.uint64(1)) & last
            label, far = table[slot], far + 1
        if far > _FARTHEST and by == _GOLDEN:
            return count, i
        if label < 0:
            if count == len(distinct):
                return count, i
            table[slot] = label = count
            distinct[count], first[count] = value, i
            count += 1
        labels[row] = label
    return count, stop


@kept
def label(values: NDArray[np.int64], labels: NDArray[np.int32], other: np.uint64) -> Found:
    """Number the distinct values as they come.

    Parameters
    ----------
    values : (n,)
        Any integers.
    labels : (n,)
        Where the number of each goes.
    other : int
        An odd number that nobody foresees, to hash by where values are made to collide.

    Returns
    -------
    distinct, first, counts : (d,)
        The value that has each number, where it is first, and how often it is there.
    """
    bits, by, room, count, done = _BITS, _GOLDEN, room_in(_BITS), 0, 0
    distinct, first = np.empty(room, np.int64), np.empty(room, np.int64)
    counts, table = np.zeros(room, np.int64), grown(distinct, 0, bits, by)
    while done < len(values):
        stop = min(done + _BLOCK, len(values))
        given = bits, by, table, labels, distinct, first, count
        count, reached = label_some(values, done, stop, *given)
        for i in range(done, reached):
            counts[np.uint64(labels[np.uint64(i)])] += 1
        if reached < stop:
            if count == room:
                bits += 1
                room = room_in(bits)
                distinct, first = longer(distinct, room), longer(first, room)
                counts = longer(counts, room)
            else:
                by = other
            table = grown(distinct, count, bits, by)
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
