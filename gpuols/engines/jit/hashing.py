"""Hashing: equal integers found by a table, in functions that Numba compiles.

Open addressing, linear probing, a quarter of the slots taken at most: what misses its slot costs
more than a larger table. Integers are compared, never their hashes.

Source: Knuth (1998), The Art of Computer Programming 3, 6.4, for Fibonacci hashing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled, kept

Found = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the leading bits of the golden ratio less one
_BITS = 10  # of the number of slots at first


@compiled
def slot_of(value: int, bits: int) -> np.int64:
    """Where among 2 ** bits slots to look for a value first."""
    word = np.uint64(value)
    mixed = (word ^ (word >> np.uint64(32))) * _GOLDEN
    return np.int64(mixed >> np.uint64(64 - bits))


@compiled
def grown(distinct: Any, count: int, bits: int) -> Any:
    """Table of so many distinct values: the label of each in a slot, -1 in the others."""
    table = np.full(1 << bits, -1, np.int32)
    for label in range(count):
        slot = slot_of(distinct[label], bits)
        while table[slot] >= 0:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = label
    return table


@compiled
def longer(array: Any) -> Any:
    """The same with as much room again."""
    joined = np.zeros(2 * len(array), array.dtype)
    joined[: len(array)] = array
    return joined


@compiled
def label_some(
    values: Any,
    start: int,
    bits: int,
    table: Any,
    labels: Any,
    distinct: Any,
    first: Any,
    counts: Any,
    count: int,
) -> tuple[int, int]:
    """Label values from `start` on until there is no room for another distinct one.

    `count` is how many there are. Gives that, and where it stopped.
    """
    for i in range(start, len(values)):
        value = values[i]
        slot = slot_of(value, bits)
        while table[slot] >= 0 and distinct[table[slot]] != value:
            slot = (slot + 1) & (len(table) - 1)
        label = table[slot]
        if label < 0:
            if count == len(distinct):
                return count, i
            table[slot] = label = count
            distinct[count], first[count] = value, i
            count += 1
        labels[i] = label
        counts[label] += 1
    return count, len(values)


def _label(fingerprint: int) -> Callable[..., Found]:
    def label(values: NDArray[np.int64]) -> Found:
        """Number the distinct values as they come.

        Parameters
        ----------
        values : (n,)
            Any integers.

        Returns
        -------
        labels : (n,)
            Number of each value.
        distinct, first, counts : (d,)
            The value that has each number, where it is first, and how often it is there.
        """
        labels, bits, room = np.empty(len(values), np.int32), _BITS, 1 << (_BITS - 2)
        distinct, first = np.empty(room, np.int64), np.empty(room, np.int64)
        counts, count, done = np.zeros(room, np.int64), 0, 0 * fingerprint
        while True:
            table = grown(distinct, count, bits)
            count, done = label_some(
                values, done, bits, table, labels, distinct, first, counts, count
            )
            if done == len(values):
                return labels, distinct[:count], first[:count], counts[:count]
            distinct, first, counts = longer(distinct), longer(first), longer(counts)
            bits += 1

    return label


label = kept(_label)


def _order(fingerprint: int) -> Callable[..., None]:
    def order(
        labels: NDArray[np.int32],
        at: NDArray[np.int64],
        start: int,
        out: NDArray[Any],
    ) -> None:
        """Write the numbers of rows, from `start` on, where their labels say next, `at` (d,)."""
        for i in range(0 * fingerprint, len(labels)):
            place = at[labels[i]]
            out[place] = start + i
            at[labels[i]] = place + 1

    return order


order = kept(_order)
