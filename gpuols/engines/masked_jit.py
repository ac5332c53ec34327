"""Responses on one design, each with weights or missing rows of its own, by compiled code."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import cpu
from gpuols.engines.jit.batch import Outputs
from gpuols.engines.jit.marks import ABSENT, WILD, Table, rooms_for
from gpuols.engines.jit.masked import fit_masked as fit_some
from gpuols.engines.jit.panels import columns_from
from gpuols.engines.launches import Shape
from gpuols.engines.masked import HEAVY
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.products import Products
from gpuols.engines.sheets import Sheets, nowhere, parts
from gpuols.engines.solution import Solution
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.selection import ranges

_TABLE = 2**22  # numbers of a table of products
_COPIED = 2**21  # numbers copied together


def suits(shape: Shape) -> bool:
    """Whether a table of the products of the columns is worth its memory."""
    return shape.n * (1 + shape.k) * (2 + shape.k) // 2 <= _TABLE


def fit_masked(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    lead: tuple[int, ...],
    ridge: NDArray[np.float64],
    shape: Shape,
    fit_batch: Callable[..., tuple[Moments, Solution, NDArray[np.int64]]],
    *,
    tol: float,
    batch_size: int | None,
    report: plan.Report | None,
) -> tuple[Moments, Solution, NDArray[np.int64]]:
    """Moments and answers in double; arguments but these as `cpu_jit.fit_batch`, which see.

    Parameters
    ----------
    shape : Shape
        What kind of regressions.
    fit_batch : callable
        What answers those as a batch that have rows of the design whose products are not finite, or
        weights that could hide an underflow.
    """
    count, kind, table = len(ridge), (weights is not None, shape.drop), _table(x, shape)
    responses = Sheets(y[..., 0], lead)
    inverse = None if weights is None else Sheets(weights, lead)
    sheets = responses, inverse
    outputs = Outputs(
        np.empty((shape.moments, count)),
        np.empty((shape.answers, count)),
        np.empty((1, count), np.int8),
    )
    doubtful, calls = np.zeros(count, bool), [0]

    def work(span: slice, _: Workspace) -> int:
        entries = shape.sums, shape.moments, shape.answers
        rooms = rooms_for(shape.n, shape.k, table, entries)
        for part in parts(span, sheets):
            given = [sheet.at(part) if sheet else nowhere() for sheet in sheets]
            options = table, kind, shape.centered, tol, ridge, rooms, outputs, doubtful
            calls.append(fit_some(*given, *options, part.start, part.stop - part.start))
        return int(span.stop - span.start)

    spans = plan.masked_chunks(count, n=shape.n, k=shape.k, batch_size=batch_size)
    cpu.run(spans, work, report, count)
    moments = moments_from(outputs.moments, shape)
    precise = np.zeros((count, 1), bool)
    solution = solution_from(outputs.answers, outputs.status, precise, shape)
    again = np.flatnonzero(doubtful)
    settings = {"centered": shape.centered, "drop": shape.drop, "tol": tol}
    for part in ranges(len(again), max(1, _COPIED // max(shape.n, 1))):
        own = again[part]
        some, heavy = responses.table[own, :][..., None], inverse and inverse.table[own, :]
        design = x.reshape(1, shape.n, shape.k)
        of, found, more = fit_batch(design, some, heavy, own.shape, ridge[own], **settings)
        moments.store(own, of)
        solution.store(own, found)
        calls.append(int(more[0]))
    return moments, solution, np.array([sum(calls)])


def _table(x: NDArray[Any], shape: Shape) -> Table:
    """What all responses share of a design (..., n, k)."""
    with np.errstate(all="ignore"):
        design = Products.read([x.reshape(shape.n, shape.k)], shape.centered, shape.drop)
        products = design.table(slice(0, shape.n), Workspace())
    kinds = np.where(design.there, np.where(design.tame, 0.0, WILD), ABSENT)
    columns = columns_from(products[: 1 + shape.k])
    return Table(columns_from(products), columns, design.anchor, kinds, HEAVY)
