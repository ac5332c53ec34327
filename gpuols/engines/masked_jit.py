"""Responses on one design, each with weights or missing rows of its own, by compiled code."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.jit.batch import outputs_for
from gpuols.engines.jit.columns import ALONE, WIDEST, WIDEST_SHIFTED, columns_from
from gpuols.engines.jit.lanes import WIDTH
from gpuols.engines.jit.marks import ABSENT, WILD
from gpuols.engines.jit.masked import fit_masked as fit_some
from gpuols.engines.jit.panels import PANEL, ROWS, SIDE, STRIP
from gpuols.engines.jit.strips import Table, Whole, room_for
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


def suits(shape: Shape, weighted: bool) -> bool:
    """Whether a table of the products of the columns is worth its memory."""
    products, unit = (1 + shape.k) * (2 + shape.k) // 2, 2 if weighted else WIDTH
    return shape.n * -(-products // unit) * unit <= _TABLE


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
        room = room_for(shape, table, weights is not None, space)
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


@np.errstate(all="ignore")
def _table(x: NDArray[Any], shape: Shape, weighted: bool) -> Table:
    """What all responses share of a design (..., n, k)."""
    design = Products.read([x.reshape(shape.n, shape.k)], shape.centered, shape.drop)
    products = design.table(slice(0, shape.n), Workspace())
    kinds = np.where(design.there, np.where(design.tame, 0.0, WILD), ABSENT)
    products[:, ~design.there] = 0.0
    columns = columns_from(products[1 : 1 + shape.k], WIDEST_SHIFTED, 1)
    of = columns, design.anchor, kinds, HEAVY
    if weighted:
        nothing = np.zeros(0, np.int64)
        none = Whole(np.zeros((0, 0)), nothing, nothing, nothing)
        return Table(columns_from(products, WIDEST), *of, none)
    full = columns_from(products, len(products) + WIDTH, WIDTH)
    starts = range(0, max(shape.n, 1), ROWS)
    totals = np.zeros((len(starts), full.total))
    for total, start in zip(totals, starts, strict=True):
        products[:, start : start + ROWS].sum(axis=1, out=total[: len(products)])
    totals[~np.isfinite(totals)] = np.nan
    there, wild = (_bits_of(rows, len(starts)) for rows in (design.there, kinds == WILD))
    places = SIDE * (ALONE + np.arange(full.total))
    return Table(full, *of, Whole(totals, there, wild, places))


def _bits_of(rows: NDArray[np.bool_], pieces: int) -> NDArray[np.int64]:
    """Words of pieces of rows, a bit for each."""
    full = np.zeros(pieces * ROWS, bool)
    full[: len(rows)] = rows
    return np.packbits(full, bitorder="little").view("<i8").astype(np.int64)
