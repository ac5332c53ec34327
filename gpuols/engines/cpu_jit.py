"""The compiled CPU engine: sums and answers by functions that Numba compiles.

What they leave is as `cpu` does it. Rows are read once, and moments and answers come together,
eight regressions side by side. Sums obey the bound of the NumPy engine; in double-double they have
its bits (`precise_jit`). What is compiled is kept on disk.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.cpu import (
    at_work,
    check_moments,
    factor_design,
    moments_batch,
    moments_groups,
    moments_masked,
    moments_shared,
    run,
    solve,
)
from gpuols.engines.groups_jit import fit_groups
from gpuols.engines.jit.batch import columns_of, fit_some, outputs_for, room_for
from gpuols.engines.jit.rows import places_of
from gpuols.engines.launches import Shape
from gpuols.engines.masked_jit import fit_masked, suits
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.precise_jit import sum_batch as reduce_batch
from gpuols.engines.precise_jit import sum_groups as reduce_groups
from gpuols.engines.precise_jit import sum_shared as reduce_shared
from gpuols.engines.shared_jit import fit_shared
from gpuols.engines.solution import Solution
from gpuols.engines.tables import COPIED, flattened, lines_of, memory_of
from gpuols.engines.threads import spread
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.selection import ranges

__all__ = [
    "NAME",
    "WIDEST",
    "at_work",
    "check_moments",
    "factor_design",
    "fit_batch",
    "fit_groups",
    "fit_shared",
    "moments_batch",
    "moments_groups",
    "moments_masked",
    "moments_shared",
    "reduce_batch",
    "reduce_groups",
    "reduce_shared",
    "run",
    "solve",
]

NAME = "cpu:numba"

# Of the NumPy engine's time one regression takes 0.7 with 128 columns, 1.2 with 192, and each of
# many 0.3 and 0.5; and a thread keeps the products of all columns several times.
WIDEST = 128

_NOTHING = (None, 0, 0)


def fit_batch(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    lead: tuple[int, ...],
    ridge: NDArray[np.float64],
    *,
    centered: bool,
    drop: bool,
    tol: float,
    masked: bool = False,
    batch_size: int | None = None,
    report: plan.Report | None = None,
) -> tuple[Moments, Solution, NDArray[np.int64]]:
    """Moments and answers of a batch in double; arguments as `cuda.Cuda.fit_batch`.

    Returns
    -------
    moments, solution : Moments, Solution
        Of the batch's shape L.
    rejected : (1,)
        How many regressions call for a closer look.
    """
    (n, k), m, count = x.shape[-2:], y.shape[-1], len(ridge)
    # Of whatever is one kind of array less is to be compiled.
    ridge, tol = np.array(ridge), float(tol)
    shape = Shape(n, k, m, "double", centered, weights is not None or drop, drop)
    if masked and suits(shape, weights is not None):
        settings: Any = {"tol": tol, "batch_size": batch_size, "report": report}
        return fit_masked(x, y, weights, lead, ridge, shape, fit_batch, **settings)
    if drop and weights is None:
        weights = np.ones(n)
    tables = [None if a is None else _Rows(a, lead, i) for a, i in ((x, 2), (y, 2), (weights, 1))]
    outputs, places, calls = outputs_for(shape, count), places_of(k, m), [0]
    given = n, (k, m, centered, drop, tol), columns_of(k, m)

    def work(span: slice, space: Workspace) -> int:
        room, own = room_for(shape, space), np.empty(n) if shape.weighted else None
        for part in _parts(span, tables):
            lines = [table.lines(part) if table else _NOTHING for table in tables]
            found = places, ridge, tuple(outputs), part.start, part.stop - part.start
            calls.append(fit_some(*lines, *given, own, room, *found))
        return int(span.stop - span.start)

    spread(_spans(shape, count, batch_size), work, report, count)
    precise = np.zeros((*lead, m), bool)
    moments = moments_from(outputs.moments[:, :count], shape, lead)
    answers, status = outputs.answers[:, :count], outputs.status[:, :count]
    solution = solution_from(answers, status, precise, shape, lead)
    return moments, solution, np.array([sum(calls)])


class _Rows:
    """Rows (..., n, ...) of a batch of shape L, of which L broadcasts to the leading axes."""

    def __init__(self, table: NDArray[Any], lead: tuple[int, ...], inner: int) -> None:
        self.size = math.prod(table.shape[table.ndim - inner :])
        self.table = flattened(table, lead, inner)
        self.there = lines_of(self.table)

    def lines(self, span: slice) -> tuple[NDArray[np.float64], int, int]:
        """`Lines` of a range of regressions: in place if side by side as doubles, else copied."""
        if self.there is not None:
            memory, step = self.there
            return memory, span.start * step, step
        copied = np.array(self.table[span, :], np.float64, order="C")
        return memory_of(copied), 0, self.size


def _spans(shape: Shape, count: int, batch_size: int | None) -> list[slice]:
    """Ranges of regressions for a thread each; eights but for the last, if nobody wants others."""
    if batch_size is not None:
        return ranges(count, batch_size)
    spans = plan.reading(-(-count // 8), n=8 * shape.n, columns=shape.columns, batch_size=None)
    return [slice(8 * span.start, min(8 * span.stop, count)) for span in spans]


def _parts(span: slice, tables: list[_Rows | None]) -> list[slice]:
    """Ranges of regressions to answer together; short ones where rows are to be copied."""
    copied = sum(table.size for table in tables if table is not None and table.there is None)
    if not copied:
        return [span]
    step = max(8, COPIED // copied // 8 * 8)
    return [slice(i, min(i + step, span.stop)) for i in range(span.start, span.stop, step)]
