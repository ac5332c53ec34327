"""Responses on one design, each with weights or missing rows of its own, by compiled code."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.jit.batch import outputs_for
from gpuols.engines.jit.columns import WIDEST, WIDEST_SHIFTED, columns_from
from gpuols.engines.jit.gaps import MOST, are_wide
from gpuols.engines.jit.marks import ABSENT, WILD
from gpuols.engines.jit.masked import fit_masked as fit_some
from gpuols.engines.jit.panels import PANEL, STRIP
from gpuols.engines.jit.strips import Table, room_for
from gpuols.engines.launches import Shape
from gpuols.engines.masked import HEAVY
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.products import Products
from gpuols.engines.sheets import Sheets, nowhere, parts
from gpuols.engines.solution import Solution
from gpuols.engines.tables import COPIED
from gpuols.engines.threads import spread
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.selection import ranges

_TABLE = 2**22  # numbers of a table of products


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
    count, table = len(ridge), _table(x, shape, weights is not None)
    responses = Sheets(y[..., 0], lead)
    inverse = None if weights is None else Sheets(weights, lead)
    sheets = responses, inverse
    # Eight responses that begin a line of the cache have their answers so, too.
    spare, calls = -responses.ahead % 8, [0]
    outputs, doubtful = outputs_for(shape, spare + count), np.zeros(spare + count, np.int8)
    penalties = np.concatenate([np.zeros(spare), ridge])
    options = weights is not None, shape.drop, shape.centered, float(tol)

    def work(span: slice, space: Workspace) -> int:
        room = room_for(shape, table, space)
        for part in parts(span, sheets):
            given = [sheet.at(part) if sheet else nowhere() for sheet in sheets]
            found = penalties, room, tuple(outputs), doubtful
            where = spare + part.start, part.stop - part.start
            calls.append(fit_some(*given, table, options, *found, *where))
        return int(span.stop - span.start)

    spread(_spans(shape, count, responses.ahead, batch_size), work, report, count)
    own = slice(spare, spare + count)
    moments = moments_from(outputs.moments[:, own], shape)
    precise = np.zeros((count, 1), bool)
    solution = solution_from(outputs.answers[:, own], outputs.status[:, own], precise, shape)
    again = np.flatnonzero(doubtful[own])
    settings = {"centered": shape.centered, "drop": shape.drop, "tol": tol}
    for part in ranges(len(again), max(1, COPIED // max(shape.n, 1))):
        some = again[part]
        rows, heavy = responses.table[some, :][..., None], inverse and inverse.table[some, :]
        design = x.reshape(1, shape.n, shape.k)
        of, found, more = fit_batch(design, rows, heavy, some.shape, ridge[some], **settings)
        moments.store(some, of)
        solution.store(some, found)
        calls.append(int(more[0]))
    return moments, solution, np.array([sum(calls)])


def _spans(shape: Shape, count: int, ahead: int, batch_size: int | None) -> list[slice]:
    """Ranges of responses for a thread each; whole strips inside, if nobody wants others."""
    spans = plan.masked_chunks(count, n=shape.n, k=shape.k, batch_size=batch_size)
    if batch_size is not None:
        return spans
    whole = STRIP * PANEL
    ends = [min(count, ahead + -(-(span.stop - ahead) // whole) * whole) for span in spans]
    return [slice(start, stop) for start, stop in pairwise([0, *ends]) if start < stop]


def _table(x: NDArray[Any], shape: Shape, weighted: bool) -> Table:
    """What all responses share of a design (..., n, k)."""
    with np.errstate(all="ignore"):
        design = Products.read([x.reshape(shape.n, shape.k)], shape.centered, shape.drop)
        products = design.table(slice(0, shape.n), Workspace())
    kinds = np.where(design.there, np.where(design.tame, 0.0, WILD), ABSENT)
    columns = columns_from(products[: 1 + shape.k], WIDEST_SHIFTED)
    together = shape.k <= MOST and not weighted and are_wide()
    whole = columns_from(products, len(products) + 1 if together else WIDEST)
    return Table(whole, columns, design.anchor, kinds, HEAVY, together)
