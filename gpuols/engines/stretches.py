"""Stretches: rows of groups one after the other, as compiled code reads them.

Groups that lie so in the table, as doubles, are read where they are; else some at a time are
copied. Rows in no order are dealt to buckets first (`jit.buckets`), as many as a budget of memory
holds at a time.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Lines, columns_of
from gpuols.engines.jit.buckets import (
    BUCKETS,
    OWNERS,
    Buckets,
    block_size,
    deal,
    finish,
    shift_of,
)
from gpuols.engines.jit.groups import Stretches
from gpuols.engines.labels import Labels
from gpuols.engines.reserve import take
from gpuols.engines.tables import LongTable, frozen, lines_of, memory_of
from gpuols.engines.threads import run
from gpuols.engines.workspace import Workspace
from gpuols.options import threads
from gpuols.plan import BUDGET
from gpuols.selection import ranges

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Tables = tuple[LongTable, LongTable, NDArray[Any] | None]

_READ = 2**18  # numbers of rows that are read together
_SETTLED = 2**16  # that a bucket brings together: half a megabyte
_SHARES = 16  # tasks for each thread: the last one is short
_DEALT = 2**14  # rows that must be copied before they are dealt


class Source(Protocol):
    """Where rows of groups come from."""

    def rounds(self, batch_size: int | None) -> Iterator[Sequence[slice]]:
        """Ranges of groups whose rows can be had now, before the next ones."""

    def rows(self, part: slice, space: Workspace) -> tuple[Stretches, Buckets]:
        """Rows of one of these ranges, and the buckets that they are in, if so."""


class InOrder:
    """Groups whose rows lie one group after the other.

    Parameters
    ----------
    tables : tuple
        X (N, k), y (N, m), and weights (N,) or None.
    counts : (G,)
        Rows of each group.
    apart : bool
        Whether each response is a regression of its own.
    """

    def __init__(self, tables: Tables, counts: Numbers, *, apart: bool) -> None:
        self._columns = [_Columns(table) for table in tables]
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._apart = apart
        empty = np.empty(0)
        none = None if tables[2] is None else empty
        self._nothing = Buckets(empty, np.empty((0, 0, 2), np.int64), empty, empty, none)

    def rounds(self, batch_size: int | None) -> Iterator[Sequence[slice]]:
        """Ranges of groups: all."""
        yield _between(_cut(self._counts, self._columns, _READ, batch_size))

    def rows(self, part: slice, _: Workspace) -> tuple[Stretches, Buckets]:
        """Rows of a range of groups, one stretch."""
        counts, start = self._counts[part], int(self._starts[part.start])
        x, y, w = (
            own.side_by_side(slice(start, start + int(counts.sum()))) for own in self._columns
        )
        assert x is not None
        assert y is not None
        if self._apart:
            y = memory_of(np.ascontiguousarray(y.reshape(-1, self._columns[1].width).T))
        return Stretches(x, y, w, counts, np.array([0, len(counts)])), self._nothing


class Dealt:
    """Groups whose rows lie in no order.

    Parameters
    ----------
    tables, counts
        As of `InOrder`; every group has rows.
    labels : Labels
        The group of each row.
    """

    def __init__(self, tables: Tables, counts: Numbers, labels: Labels) -> None:
        self._columns = [_Columns(table) for table in tables]
        self._counts, self._labels = counts, labels
        k, m, heavy = (columns.width for columns in self._columns)
        self._sizes, self._known = (k, m), columns_of(k, m)
        self._size = k + m + heavy
        self._records = np.empty(0)

    def rounds(self, batch_size: int | None) -> Iterator[Sequence[slice]]:
        """Ranges of groups whose rows fit the budget, in buckets."""
        edges = _cut(self._counts, self._columns, _SETTLED, batch_size)
        rows = np.append(0, np.cumsum(self._counts))[edges]
        most, first, end = BUDGET // (8 * max(1, self._size)), 0, len(edges) - 1
        while first < end:
            fit = int(np.searchsorted(rows, rows[first] + most, side="right")) - 1
            last = min(max(first + 1, fit), first + BUCKETS)
            self._deal(edges[first : last + 1])
            step = 1 if batch_size else -(-(last - first) // (_SHARES * threads()))
            yield _between(np.append(edges[first:last:step], edges[last]))
            first = last

    def rows(self, part: slice, space: Workspace) -> tuple[Stretches, Buckets]:
        """Rows of a range of groups, a stretch for each bucket."""
        first, last = np.searchsorted(self._edges, [part.start, part.stop])
        edges = self._edges[first : last + 1] - part.start
        stretches = self._stretches[first:last]
        longest = int(stretches[:, :, 1].sum(axis=1).max())
        x, y, w = (
            space.array(name, (longest * columns.width,)) if columns.there else None
            for name, columns in zip("xyw", self._columns, strict=True)
        )
        assert x is not None
        assert y is not None
        heavy = None if w is None else frozen(w)
        rows = Stretches(frozen(x), frozen(y), heavy, self._counts[part], edges)
        return rows, Buckets(self._records, stretches, x, y, w)

    def _deal(self, edges: Numbers) -> None:
        """Bring the rows of some ranges of groups together, a bucket each."""
        labels, lengths, number = self._labels, np.diff(edges), len(edges) - 1
        place_of = np.full(len(self._counts), -1, np.int32)
        groups = np.arange(edges[0], edges[-1]) - np.repeat(edges[:-1], lengths)
        place_of[edges[0] : edges[-1]] = np.repeat(np.arange(number), lengths) * OWNERS + groups
        places = [place_of[own] for own in labels.groups]
        numbers = np.zeros((number, len(places)), np.int64)
        for span, own in enumerate(places):
            some = own >= 0
            rows = labels.counts[span][some]
            numbers[:, span] = np.bincount(own[some] // OWNERS, rows, number)
        shift, block = shift_of(self._size), block_size(self._size)
        blocks = -(-numbers // (1 << shift))
        begins = (np.cumsum(blocks) - blocks.ravel()).reshape(blocks.shape) << shift
        self._edges, self._stretches = edges, np.stack([begins, numbers], axis=-1)
        if (room := int(blocks.sum()) * block) > self._records.size:
            self._records = take(room)

        def work(span: int, space: Workspace) -> int:
            at = begins[:, span].copy()
            buffers = space.array("buffers", (number * block,))
            given = self._sizes, self._known, at, buffers, self._records
            for rows, own in self._lines(labels.spans[span], labels.labels[span]):
                deal(own, places[span], *rows, *given)
            finish(at, buffers, self._size, self._records)
            return 1

        run(range(len(places)), work)

    def _lines(self, span: slice, labels: NDArray[np.int32]) -> Iterator[tuple[Any, Any]]:
        """Rows of a range, X, y and weights, with their labels."""
        placed = all(columns.lines is not None or not columns.there for columns in self._columns)
        for part in ranges(span.stop - span.start, span.stop if placed else _DEALT):
            rows = slice(span.start + part.start, span.start + part.stop)
            yield [columns.some(rows) for columns in self._columns], labels[part]


class _Columns:
    """Columns of a table (N, c), or (N,), or None, and where they lie, if as doubles row by row."""

    def __init__(self, table: Any) -> None:
        self.there = table is not None
        self._table = table[:, None] if self.there and table.ndim == 1 else table
        self.width = self._table.shape[1] if self.there else 0
        found = lines_of(self._table)
        self.lines = None if found is None else Lines(found[0], 0, found[1])

    def some(self, rows: slice) -> Lines | None:
        """A range of the rows; a copy where they do not lie so."""
        if not self.there:
            return None
        if self.lines is not None:
            return self.lines._replace(start=rows.start * self.lines.step)
        return Lines(self._copy(rows), 0, self.width)

    def side_by_side(self, rows: slice) -> Array | None:
        """Numbers of a range of the rows, one row next to the other."""
        if not self.there:
            return None
        if self.lines is not None and self.lines.step == self.width:
            return self.lines.memory[rows.start * self.width : rows.stop * self.width]
        return self._copy(rows)

    def _copy(self, rows: slice) -> Array:
        return memory_of(np.array(self._table[rows], np.float64, order="C"))


def _cut(
    counts: Numbers, columns: Sequence[_Columns], numbers: int, batch_size: int | None
) -> Numbers:
    """Edges of ranges of groups, of about so many numbers of rows, at most `batch_size` long."""
    rows = max(1, numbers // max(1, sum(own.width for own in columns)))
    starts = np.cumsum(counts) - counts
    begins = np.flatnonzero(np.diff(starts // rows, prepend=-1))
    if batch_size is not None:
        each = np.arange(len(counts))
        within = each - np.repeat(begins, np.diff(begins, append=len(counts)))
        begins = np.flatnonzero(within % batch_size == 0)
    return np.append(begins, len(counts))


def _between(edges: Numbers) -> list[slice]:
    """Ranges from one edge to the next."""
    return [slice(first, last) for first, last in pairwise(edges.tolist())]
