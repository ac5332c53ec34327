"""Ranks of 64-bit integers among the distinct ones.

Ranking by a sort of the rows would cost more than all the rest of a grouping. Small integers are
looked up in a table, others hashed in rounds: a table without chains keeps one value a slot, and
the rows whose value lost its slot go on to a smaller round under another multiplier. Each step is
one NumPy call on a block that stays in cache; only the distinct integers are sorted. Integers are
compared, never their hashes: different ones never merge.
"""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Words = NDArray[np.uint64]

_BLOCK = 1 << 16
_SAMPLE = 1 << 14
# Odd numbers without pattern: the leading bits of φ - 1, π - 3, e - 2 and √2 - 1.
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0x243F6A8885A308D3, 0xB7E151628AED2A6B, 0x6A09E667F3BCC909)


def join(left: Words, right: Words) -> Words:
    """Join two digits, each from 0 up, into one; where they don't fit, their ranks do."""
    if (int(left.max()) + 1) * (int(right.max()) + 1) >= 2**64:
        left, right = rank(left).view(np.uint64), rank(right).view(np.uint64)
    return left * np.uint64(int(right.max()) + 1) + right


def rank(values: Words) -> Codes:
    """Ranks of the values among the distinct ones; they may be overwritten by them."""
    if (values[1:] >= values[:-1]).all():
        return np.cumsum(np.diff(values, prepend=values[:1]) != 0, dtype=np.int64)
    size = int(values.max()) + 1
    if size <= 4 * values.size:
        labels, is_taken = values.view(np.int64), np.zeros(size, bool)
        is_taken[labels] = True
        ascending = np.flatnonzero(is_taken)
    else:
        labels, distinct = _label(values, _MULTIPLIERS)
        size, ascending = distinct.size, np.argsort(distinct)
    rank_of = np.empty(size, np.int64)
    rank_of[ascending] = np.arange(ascending.size)
    for start in range(0, labels.size, _BLOCK):
        block = labels[start : start + _BLOCK]
        block[:] = rank_of[block]
    return labels


def _label(values: Words, multipliers: tuple[int, ...]) -> tuple[Codes, Words]:
    """Find the distinct values, in any order, and labels such that distinct[labels] == values."""
    size = min(values.size, _SAMPLE)
    sample = values[np.random.default_rng(0).integers(0, values.size, size)]
    n_repeats = size - np.unique(sample).size
    n_distinct = size * size // (2 * n_repeats + 1)  # the birthday problem
    if not multipliers or 4 * n_distinct > values.size:
        distinct, labels = np.unique(values, return_inverse=True)
        return labels, distinct
    labels, distinct, missed = _hash(values, multipliers[0], (4 * n_distinct).bit_length())
    if missed.size:
        more_labels, more = _label(values[missed], multipliers[1:])
        labels[missed] = more_labels + distinct.size
        distinct = np.concatenate([distinct, more])
    return labels, distinct


def _hash(values: Words, multiplier: int, bits: int) -> tuple[Codes, Words, Codes]:
    """Label the values that keep their slot of a table; return labels, these values, the misses.

    A slot that nothing took holds values[0], whose slot is another: so it is told apart. Each 11th
    row fills a long column's table well enough (11 is seldom a factor of the keys' period).
    """

    def find_slot(block: Words) -> Codes:
        return ((block * np.uint64(multiplier)) >> np.uint64(64 - bits)).view(np.int64)

    table = np.full(1 << bits, values[0])
    sample = values[:: 11 if values.size > 1 << 20 else 1]
    table[find_slot(sample)] = sample
    taken = np.flatnonzero(find_slot(table) == np.arange(table.size))
    label = np.zeros(table.size, np.int64)
    label[taken] = np.arange(taken.size)
    labels, missed = np.empty(values.size, np.int64), []
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        slot = find_slot(block)
        labels[start : start + _BLOCK] = label[slot]
        missed.append(np.flatnonzero(table[slot] != block) + start)
    return labels, table[taken], np.concatenate(missed)
