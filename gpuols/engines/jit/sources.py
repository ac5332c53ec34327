"""Sources: rows of regressions where they lie in host memory, whatever their strides."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.tables import frozen, memory_of

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Source(NamedTuple):
    """Rows of many regressions in the memory of an array; all else counts its elements.

    Attributes
    ----------
    memory : (numbers,)
        Which holds them; of none where there are no weights.
    starts : (b,)
        Where each regression begins.
    row, column : int
        From one to the next.
    """

    memory: Array
    starts: Numbers
    row: int
    column: int


class Rows(NamedTuple):
    """Rows of b regressions.

    Attributes
    ----------
    x, y, w : Source
        Where they lie.
    firsts : (b + 1,)
        Where each regression's begin among those of all.
    """

    x: Source
    y: Source
    w: Source
    firsts: Numbers


def source_of(table: NDArray[Any] | None, inner: int, places: Numbers) -> Source:
    """Rows of some regressions of a table (L..., n, ...), given by number.

    They are read where they lie, if as doubles; others are copied. `inner` axes follow those of L;
    without a table there is no memory.
    """
    if table is None:
        return Source(frozen(np.empty(0)), np.zeros(len(places), np.int64), 0, 0)
    if table.dtype != np.float64 or not table.flags.aligned:
        table = np.array(pick(table, inner, places), np.float64, order="C")
        places = np.arange(len(places))
    starts, memory = np.zeros(len(places), np.int64), memory_of(table)
    steps = [step // 8 for step in table.strides]
    sides = list(zip(table.shape, steps, strict=True))
    starts += sum((size - 1) * -step for size, step in sides if step < 0)
    lead = table.ndim - inner
    for size, step in reversed(sides[:lead]):
        places, index = np.divmod(places, size)
        starts += index * step
    row, column = (*steps[lead:], 0)[:2]
    return Source(memory, starts, row, column)


def pick(table: NDArray[Any] | None, inner: int, places: Numbers) -> NDArray[Any] | None:
    """Rows (b, n, ...) of some regressions of a table (L..., n, ...), if it is one, by number."""
    if table is None:
        return None
    lead = table.shape[: table.ndim - inner]
    return table[np.unravel_index(places, lead)] if lead else table[None]
