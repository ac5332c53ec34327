"""A batch of regressions, or one design that many responses share.

X with no batch (leading axes of length 1 at most) and y with many responses is a shared design
(`shared`). Responses may be columns, y (n, m), or rows, X[None] with y (m, n); the numbers are
the same. Everything else is a batch; y (n,) alone, or one row, is a batch of one.

Weights, missing rows or penalties of each response's own leave nothing to factor once, but the
first moments still come from one reading of X (`moments_masked`, or `masked` of `fit_batch`). That
is the same batch otherwise: tables of B regressions, of one response each.
"""

import math
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Stacked, Table
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.missing import keeps_apart
from gpuols.moments import Moments
from gpuols.problems import shared
from gpuols.problems.pipeline import Answer, Job, Task, answer_each
from gpuols.rows import Rows

# Columns up to which a table of their products is worth its k²/2 columns.
_TABLE = 64


def answer(rows: Rows, job: Job) -> Answer:
    """Moments and answers of the regressions of a batch.

    Parameters
    ----------
    rows : Rows
        The data.
    job : Job
        How to answer.

    Returns
    -------
    Answer
        Of the batch's shape L.
    """
    drop, apart = job.options.missing == "drop", keeps_apart(rows, job.options)
    if apart:
        rows = rows.by_response()
    at_once = job.engine.fit_batch if rows.k + rows.m <= job.engine.WIDEST else None
    closely = job.engine.reduce_batch
    if not drop and shared.applies(rows, job):
        return shared.answer(rows, job)
    count, size = math.prod(rows.lead), job.options.batch_size
    kind: dict[str, Any] = {"centered": job.options.add_intercept, "drop": drop}

    @cache
    def tables() -> tuple[Table, Table, Table | None]:
        weights = None if rows.weights is None else _flat(rows.weights, rows.lead, 1)
        return _flat(rows.x, rows.lead, 2), _flat(rows.y, rows.lead, 2), weights

    def tasks(
        places: NDArray[np.int64] | None = None,
        fitted: Looks = (),
        asked: Verdicts | None = None,
    ) -> list[Task]:
        if places is None and _is_masked(rows, apart):
            spans = plan.masked_chunks(count, n=rows.n, k=rows.k, batch_size=size)
            return [(span, partial(reduce_masked, span)) for span in spans]
        if places is not None and closely is not None:
            return [(slice(0, len(places)), partial(reduce_at_once, places, fitted, asked))]
        number = count if places is None else len(places)
        spans = plan.reading(number, n=rows.n, columns=rows.k + rows.m, batch_size=size)
        if places is None:
            return [(span, partial(reduce_rows, span, False, ())) for span in spans]
        return [
            (span, partial(reduce_rows, places[span], True, [look[span] for look in fitted]))
            for span in spans
        ]

    def reduce_masked(span: slice, space: Workspace) -> Moments:
        design, (_, y, weights) = rows.x.reshape(rows.n, rows.k), tables()
        return job.engine.moments_masked(design, y, weights, span, **kind, space=space)

    def reduce_rows(which: Any, precise: bool, fitted: Looks, space: Workspace) -> Moments:
        return job.engine.moments_batch(
            *tables(), which, **kind, precise=precise, fitted=fitted, space=space
        )

    def reduce_at_once(
        which: NDArray[np.int64], fitted: Looks, asked: Verdicts | None, _: Workspace
    ) -> Moments:
        assert closely is not None
        tables = rows.x, rows.y, rows.weights
        settings = {"fitted": fitted, "asked": asked, "batch_size": size, **kind}
        return closely(tables, rows.lead, which, **settings)

    def fit_all(report: plan.Report | None) -> tuple[Moments, Solution, Any]:
        assert at_once is not None
        penalties = np.zeros(count) if ridge is None else ridge
        settings = {"tol": job.options.tol, "batch_size": size, "report": report, **kind}
        settings["masked"] = _is_masked(rows, apart)
        moments, solution, calls = at_once(
            rows.x, rows.y, rows.weights, rows.lead, penalties, **settings
        )
        return moments, solution, calls

    ridge = None if job.ridge is None else job.ridge.reshape(count)
    first = None if at_once is None else fit_all
    flat = answer_each(Job(job.engine, job.options, ridge), (count, rows.k, rows.m), tasks, first)
    return flat.reshape(rows.lead)


def load(rows: Rows, drop: bool) -> plan.Load:
    """What fitting takes on a device, `drop`: with missing values to leave out."""
    if shared.is_shared(rows) and not drop:
        responses = math.prod(rows.lead) * rows.m
        return plan.shared_load(rows.n, rows.k, responses, itemsize=rows.itemsize)
    numbers = sum(table.size for _, table in rows.arrays)
    count, shape = math.prod(rows.lead), {"k": rows.k, "m": rows.m, "itemsize": rows.itemsize}
    return plan.load(numbers, rows=count * rows.n, count=count, largest=rows.n, **shape)


def _is_masked(rows: Rows, apart: bool) -> bool:
    """Whether one design serves all; X of one leading axis is a batch where L could be longer."""
    if not rows.single or rows.k > _TABLE:
        return False
    if rows.x.ndim == 2:
        return rows.lead != ()
    return not apart and math.prod(rows.x.shape[:-2]) == 1 and math.prod(rows.lead) > 1


def _flat(array: NDArray[Any], lead: tuple[int, ...], inner: int) -> Table:
    """Array (lead..., inner axes...) as (B, inner axes...), without a copy of the whole."""
    full = np.broadcast_to(array, (*lead, *array.shape[array.ndim - inner :]))
    if len(lead) == 1:
        return full
    if not lead:
        return full[None]
    return Stacked(full, lead)
