"""Integer keys numbered by hashing, in plain NumPy."""

from typing import Any

import numpy as np

_BITS = 18
_BLOCK = 2**16


def number(keys: Any) -> tuple[Any, Any]:
    """Keys that differ (B,), in no order, and the number of each row's key (N,).

    A slot of a table keeps the last key written to it; rows that find theirs there are done, the
    others go on to a fresh table, by another multiplier.

    Parameters
    ----------
    keys : (N,)
        int64.
    """
    group, rng = np.empty(len(keys), np.int64), np.random.default_rng(0)
    found: list[Any] = []
    rows, left = None, keys
    while len(left):
        kept, taken = np.zeros(2**_BITS, np.int64), np.zeros(2**_BITS, bool)
        slot = np.empty(len(left), np.int64)
        multiplier = rng.integers(0, 2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        for block in _blocks(len(left)):
            hashed = left[block].view(np.uint64) * multiplier
            slot[block] = place = (hashed >> np.uint64(64 - _BITS)).view(np.int64)
            kept[place], taken[place] = left[block], True
        code = np.cumsum(taken) + (sum(map(len, found)) - 1)
        missed = []
        for block in _blocks(len(left)):
            place = slot[block]
            group[block if rows is None else rows[block]] = code[place]
            missed.append(np.flatnonzero(kept[place] != left[block]) + block.start)
        again = np.concatenate(missed)
        rows = again if rows is None else rows[again]
        left = keys[rows]
        found.append(kept[taken])
    return np.concatenate(found), group


def _blocks(count: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
