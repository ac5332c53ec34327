"""Labels: which group each row belongs to, found by compiled code, a range of rows a thread.

Every range numbers its distinct keys as they come; which they have in common is found from those
alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbits
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit import hashing
from gpuols.engines.tables import frozen
from gpuols.engines.threads import run
from gpuols.engines.workspace import Workspace
from gpuols.options import threads
from gpuols.selection import ranges

_LEAST = 2**17  # rows: fewer are not worth a range
_BLOCK = 2**16

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labels:
    """The group of each row, G in all.

    Attributes
    ----------
    spans : sequence of slice
        Ranges of rows that cover the table.
    labels : sequence of (n,)
        Of each range, the labels of its rows.
    groups, counts : sequence of (d,)
        Of each range, the group that a label stands for, and how many rows have it.
    first : (G,)
        First row of each group.
    """

    spans: Sequence[slice]
    labels: Sequence[NDArray[np.int32]]
    groups: Sequence[Numbers]
    counts: Sequence[Numbers]
    first: Numbers

    @classmethod
    def of_keys(cls, keys: NDArray[Any]) -> Self:
        """Labels of rows by their keys.

        Parameters
        ----------
        keys : (N,)
            64-bit integers, signed or not, N > 0.

        Returns
        -------
        Labels
            The groups in ascending order of their keys.
        """
        spans = ranges(len(keys), max(_LEAST, -(-len(keys) // threads())))
        found: list[Any] = [None] * len(spans)

        def work(place: int, _: Workspace) -> int:
            labels, distinct, first, counts = _label(keys[spans[place]])
            distinct = distinct.view(keys.dtype)
            ascending = np.argsort(distinct)
            rows = spans[place].start + first[ascending]
            found[place] = labels, counts, ascending, distinct[ascending], rows
            return 1

        run(range(len(spans)), work)
        labels, counts, ascending, distinct, rows = zip(*found, strict=True)
        joined = np.concatenate(distinct)
        order = np.argsort(joined, kind="stable")  # merges them, the first range's first
        ranked = joined[order]
        new = np.append(True, ranked[1:] != ranked[:-1])
        ranks = np.empty(len(joined), np.int64)
        ranks[order] = np.cumsum(new) - 1
        groups = [np.empty_like(own) for own in ascending]
        ends = np.cumsum([len(own) for own in ascending])
        for own, where, rank in zip(groups, ascending, np.split(ranks, ends[:-1]), strict=True):
            own[where] = rank
        return cls(spans, labels, groups, counts, np.concatenate(rows)[order[new]])

    @classmethod
    def of_order(cls, order: NDArray[Any], counts: Numbers) -> Self:
        """Labels of rows by their order, (N,), group after group, and the rows of each group."""
        labels = np.empty(len(order), np.int32)
        groups = np.arange(len(counts))
        labels[order] = np.repeat(groups, counts)
        first = order[np.cumsum(counts) - counts]
        return cls([slice(0, len(order))], [labels], [groups], [counts], first)

    def count(self) -> Numbers:
        """Rows of each group, (G,)."""
        total = np.zeros(len(self.first), np.int64)
        for groups, counts in zip(self.groups, self.counts, strict=True):
            total[groups] += counts
        return total

    def order(self) -> NDArray[Any]:
        """Rows, group after group, each one's in the order of the table, (N,)."""
        rows = self.spans[-1].stop
        order = np.empty(rows, np.int32 if rows < 2**31 else np.int64)
        total = self.count()
        at = np.cumsum(total) - total
        for span, labels, groups, counts in zip(
            self.spans, self.labels, self.groups, self.counts, strict=True
        ):
            hashing.order(labels, at[groups], span.start, order)
            at[groups] += counts
        return order


def group(keys: NDArray[Any]) -> tuple[Numbers, None, Labels | None]:
    """Group the rows that have equal keys.

    Parameters
    ----------
    keys : (N,)
        64-bit integers, signed or not, N > 0.

    Returns
    -------
    counts : (G,)
        Rows of each group, in ascending order of their keys.
    order : None
        As nothing is known of it.
    labels : Labels or None
        The group of each row; None where the rows lie group after group.
    """
    if _ascend(keys):
        edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        return np.diff(edges, prepend=0, append=len(keys)), None, None
    labels = Labels.of_keys(keys)
    return labels.count(), None, labels


def _ascend(keys: NDArray[Any]) -> bool:
    """Whether keys do; in disorder, that is soon seen."""
    blocks = (keys[block.start : block.stop + 1] for block in ranges(len(keys), _BLOCK))
    return all((block[1:] >= block[:-1]).all() for block in blocks)


def _label(values: NDArray[Any]) -> tuple[NDArray[np.int32], Numbers, Numbers, Numbers]:
    """Labels of 64-bit integers, and what `hashing.label` says of them."""
    labels = np.empty(len(values), np.int32)  # NumPy's memory is in large pages, Numba's is not
    words = frozen(np.ascontiguousarray(values).view(np.int64))
    return labels, *hashing.label(words, labels, np.uint64(randbits(64) | 1))
