"""Sheets: numbers of many regressions as panels are filled from, copied where they must be."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.panels import Sheet
from gpuols.engines.tables import COPIED, Table, are_doubles, flattened, frozen, memory_of
from gpuols.engines.workspace import LINE
from gpuols.selection import ranges


class Sheets:
    """Numbers (B, n), any real dtype and strides.

    Parameters
    ----------
    array : (..., n)
        The numbers.
    lead : tuple of int
        Shape L that the leading axes broadcast to, B in all.
    """

    def __init__(self, array: NDArray[Any], lead: tuple[int, ...]) -> None:
        rows = array.shape[-1]
        self.table = flattened(array, lead, 1)
        self.there = _there(self.table)
        self.ahead = self.there.ahead if self.there else 0
        self.step = None if self.there else max(1, COPIED // max(rows, 1))

    def at(self, span: slice) -> Sheet:
        """Those of a range of regressions, where they are if they are neighbours as doubles."""
        if self.there is not None:
            start = span.start * self.there.across
            memory, _, down, across, ahead = self.there
            lead = (ahead - start) % LINE if across == 1 else 0
            return Sheet(memory, start, down, across, lead)
        copied = np.array(self.table[span, :], np.float64, order="C")
        return Sheet(memory_of(copied), 0, 1, copied.shape[1], 0)


def nowhere() -> Sheet:
    """A sheet that nothing is read of."""
    return Sheet(frozen(np.zeros(0)), 0, 1, 1, 0)


def parts(span: slice, sheets: Sequence[Sheets | None]) -> Iterator[slice]:
    """Ranges of regressions to answer together; short ones where numbers are to be copied."""
    steps = [sheet.step for sheet in sheets if sheet is not None and sheet.step is not None]
    count = span.stop - span.start
    for part in ranges(count, min([count or 1, *steps])):
        yield slice(span.start + part.start, span.start + part.stop)


def _there(full: Table) -> Sheet | None:
    """Numbers (B, n) where they are; None if they are not neighbours along an axis, as doubles."""
    if not are_doubles(full):
        return None
    across, down = (
        1 if size == 1 else step // 8 for size, step in zip(full.shape, full.strides, strict=True)
    )
    if 1 not in (across, down):
        return None
    memory = memory_of(full)
    ahead = -memory.ctypes.data // 8 % LINE if across == 1 else 0
    return Sheet(memory, 0, down, across, ahead)
