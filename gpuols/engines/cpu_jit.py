"""The compiled CPU engine: batches and groups by code that Numba compiles, the rest as by `cpu`.

Rows are read once, and moments and answers come together, eight regressions side by side. Sums obey
the bound of the NumPy engine, whose own second looks are. What is compiled is kept on disk.
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
    fit_shared,
    moments_batch,
    moments_groups,
    moments_masked,
    moments_shared,
    reduce_batch,
    reduce_groups,
    reduce_shared,
    run,
    solve,
    unscaled_covariance,
)
from gpuols.engines.cpu_jit_groups import fit_groups
from gpuols.engines.jit.batch import Lines, Outputs, columns_of, fit_some, rooms_for
from gpuols.engines.jit.rows import order_of
from gpuols.engines.launches import Shape
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Stacked, Table
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments

__all__ = [
    "NAME",
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
    "unscaled_covariance",
]

NAME = "cpu:numba"

_COPIED = 2**21  # numbers of a task whose rows must be copied first


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
        L = (B,).
    rejected : (1,)
        How many regressions call for a closer look.
    """
    (n, k), m, count = x.shape[-2:], y.shape[-1], len(ridge)
    shape = Shape(n, k, m, "double", centered, weights is not None or drop, drop)
    tables = [None if a is None else _Rows(a, lead, i) for a, i in ((x, 2), (y, 2), (weights, 1))]
    outputs = Outputs(
        np.empty((shape.moments, count)),
        np.empty((shape.answers, count)),
        np.empty((m, count), np.int8),
    )
    options, order, calls = (n, k, m, centered, drop, tol), order_of(k, m), [0]

    def work(span: slice, _: Workspace) -> int:
        rooms = rooms_for(shape, order)
        weighted = rooms.weights if shape.weighted else None
        for part in _parts(span, tables):
            lines = [table and table.lines(part) for table in tables]
            given = *lines, weighted, options, columns_of(k, m), rooms, ridge, outputs
            calls.append(fit_some(*given, part.start, part.stop - part.start))
        return int(span.stop - span.start)

    spans = plan.reading(count, n=n, columns=k + m, batch_size=batch_size)
    run(spans, work, report, count)
    precise = np.zeros((count, m), bool)
    moments = moments_from(outputs.moments, shape)
    solution = solution_from(outputs.answers, outputs.status, precise, shape)
    return moments, solution, np.array([sum(calls)])


class _Rows:
    """Rows (..., n, ...) of a batch of shape L, of which L broadcasts to the leading axes."""

    def __init__(self, table: NDArray[Any], lead: tuple[int, ...], inner: int) -> None:
        own = table.shape[-inner:]
        full = np.broadcast_to(table, (*lead, *own))
        self.size = math.prod(own)
        self.table: Table = full if len(lead) == 1 else Stacked(full, lead)
        self.there = _there(full, len(lead), self.size)

    def lines(self, span: slice) -> Lines:
        """Those of a range of regressions, where they are if they lie side by side as doubles."""
        if self.there is not None:
            memory, _, step = self.there
            return Lines(memory, span.start * step, step)
        copied = np.array(self.table[span, :], np.float64, order="C").reshape(-1)
        copied.flags.writeable = False
        return Lines(copied, 0, self.size)


def _there(full: NDArray[Any], axes: int, size: int) -> Lines | None:
    """Rows where they are; None if they do not lie side by side as doubles, evenly apart."""
    one = full[(0,) * axes] if full.size else full
    if full.dtype != np.float64 or not (full.flags.aligned and one.flags.c_contiguous):
        return None
    step = full.strides[0] // 8 if axes == 1 else size
    if step < 0 or (axes > 1 and not full.flags.c_contiguous) or not full.size:
        return None
    length = (len(full) - 1) * step + size if axes == 1 else full.size
    return Lines(np.lib.stride_tricks.as_strided(full, (length,), (8,), writeable=False), 0, step)


def _parts(span: slice, tables: list[_Rows | None]) -> list[slice]:
    """Ranges of regressions to answer together; short ones where rows are to be copied."""
    copied = sum(table.size for table in tables if table is not None and table.there is None)
    step = max(1, _COPIED // copied) if copied else span.stop - span.start
    return [slice(i, min(i + step, span.stop)) for i in range(span.start, span.stop, step)]
