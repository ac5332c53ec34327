"""Work: the regressions of one call, any range of which one device can answer.

A range is of places along the longest axis of a batch, or of groups of a long table.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.batches import Batch
from gpuols.engines.launches import Shape
from gpuols.engines.link import Link
from gpuols.engines.lots import lines
from gpuols.engines.outputs import Outputs
from gpuols.engines.pieces import Piece, answer_pieces, classes
from gpuols.keys import Grouping

Report = Callable[[int, int], object]
Tables = tuple[Any, Any, Any]


class Work(Protocol):
    """What is to be answered.

    Attributes
    ----------
    tables : sequence of (...) or None
        The rows that go to a device piece by piece.
    count, units : int
        Regressions in all; units that a range counts.
    ends : sequence of int
        Sums of the sizes of the units.
    """

    @property
    def tables(self) -> Sequence[Any]:
        """The rows that go to a device piece by piece."""

    @property
    def count(self) -> int:
        """Regressions in all."""

    @property
    def units(self) -> int:
        """Units that a range counts."""

    @property
    def ends(self) -> Sequence[int] | NDArray[np.int64]:
        """Sums of the sizes of the units."""

    def answer(self, number: int, outputs: Outputs, link: Link, part: slice) -> None:
        """Answer a range on a device."""


@dataclass(frozen=True, eq=False)
class Options:
    """How regressions are answered.

    Attributes
    ----------
    shape : Shape
        What kind of regressions.
    ridge : (B,)
        Penalties.
    tol : float
        Largest error bound that is called OK.
    batch_size : int or None
        Regressions worked on together, instead of what the memory allows.
    """

    shape: Shape
    ridge: NDArray[np.float64]
    tol: float
    batch_size: int | None


@dataclass(frozen=True, eq=False)
class BatchWork:
    """A batch.

    Attributes
    ----------
    tables : (..., n, k), (..., n, m), (..., n) or None
        X, y and weights.
    lead : tuple of int
        Shape L that their leading axes broadcast to, at least one axis.
    options : Options
        How to answer.
    """

    tables: Tables
    lead: tuple[int, ...]
    options: Options

    @property
    def count(self) -> int:
        """Regressions in all."""
        return math.prod(self.lead)

    @property
    def units(self) -> int:
        """Places along the longest axis."""
        return max(self.lead)

    @property
    def ends(self) -> range:
        """All are of one size."""
        return range(1, self.units + 1)

    def answer(self, number: int, outputs: Outputs, link: Link, part: slice) -> None:
        """Answer a range of them on a device."""
        x, y, weights = self.tables
        tables = [spread(x, self.lead, 2), spread(y, self.lead, 2)]
        tables.append(None if weights is None else spread(weights, self.lead, 1))
        options = self.options
        batch = Batch(number, options.shape, options.tol, outputs, link)
        for places, rows in lines(tables, self.lead, part):
            batch.answer(places, rows, options.ridge, options.batch_size)


@dataclass(frozen=True, eq=False)
class GroupWork:
    """Groups of a long table.

    Attributes
    ----------
    tables : (N, k), (N, m), (N,) or None
        X, y and weights.
    grouping : Grouping
        Which rows belong to which group.
    apart : bool
        Whether every response keeps rows of its own.
    options : Options
        How to answer.
    """

    tables: Tables
    grouping: Grouping
    apart: bool
    options: Options

    @property
    def _responses(self) -> Sequence[int | None]:
        """Those that are answered one by one; None: all together."""
        return range(self.tables[1].shape[1]) if self.apart else (None,)

    @property
    def count(self) -> int:
        """Regressions in all."""
        return len(self.grouping.counts) * len(self._responses)

    @property
    def units(self) -> int:
        """Groups."""
        return len(self.grouping.counts)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Rows up to the end of each group."""
        return np.cumsum(self.grouping.counts)

    def answer(self, number: int, outputs: Outputs, link: Link, part: slice) -> None:
        """Answer a range of them on a device."""
        options, each = self.options, self._responses

        def answer_piece(piece: Piece) -> None:
            for n, groups in classes(piece.lengths, options.shape):
                shape = replace(options.shape, n=n)
                batch = Batch(number, shape, options.tol, outputs, link)
                for r, response in enumerate(each):
                    places = (piece.start + groups) * len(each) + r
                    rows = piece.of(groups, response)
                    batch.answer(places, rows, options.ridge, options.batch_size)

        shape, grouping = options.shape, self.grouping
        answer_pieces(self.tables, grouping, part, shape, number, link, answer_piece)


def spread(table: Any, lead: tuple[int, ...], inner: int) -> Any:
    """Table with all leading axes L, its last `inner` axes behind them."""
    shape = (*lead, *table.shape[table.ndim - inner :])
    return table if table.shape == shape else np.broadcast_to(table, shape)


def counted(report: Report | None, total: int) -> Callable[[int], None]:
    """What reports (done, total) when told how many more are done, by whatever thread.

    Parameters
    ----------
    report : callable or None
        Called with (done, total), one call at a time.
    total : int
        Regressions in all.

    Returns
    -------
    callable
        Takes the number.
    """
    done, lock = 0, Lock()

    def tell(number: int) -> None:
        nonlocal done
        with lock:
            done += number
            if report is not None:
                report(done, total)

    return tell
