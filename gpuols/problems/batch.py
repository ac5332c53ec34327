"""A batch of regressions, or one design that many responses share.

X with no batch (leading axes of length 1 at most) and y with many responses is a shared design:
its Gram matrix is formed and factored once. Responses may be columns, y (n, m), or rows,
X[None] with y (m, n); the numbers are the same. Everything else is a batch; y (n,) alone, or
one row, is a batch of one. Where the penalty is an array, responses that came as rows share the
Gram matrix but are solved one by one, whatever the penalties are.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Stacked, Table
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.problems.pipeline import Answer, Job, answer_moments, reduce_each
from gpuols.rows import Rows


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
    Moments, Solution or None
        Of the batch's shape L.
    """
    if _is_shared(rows):
        return _answer_shared(rows, job)
    count = math.prod(rows.lead)
    x, y = _flat(rows.x, rows.lead, 2), _flat(rows.y, rows.lead, 2)
    weights = None if rows.weights is None else _flat(rows.weights, rows.lead, 1)
    spans = plan.reading(
        count, n=rows.n, columns=rows.k + rows.m, batch_size=job.options.batch_size
    )

    def reduce_rows(which: slice, space: Workspace) -> Moments:
        return job.engine.moments_batch(
            x, y, weights, which, centered=job.options.add_intercept, space=space
        )

    tasks = [(which, partial(reduce_rows, which)) for which in spans]
    moments = reduce_each(job, (count, rows.k, rows.m), tasks)
    ridge = None if job.ridge is None else job.ridge.reshape(count)
    solution = answer_moments(replace(job, ridge=ridge), moments)
    return moments.reshape(rows.lead), solution and solution.reshape(rows.lead)


def _is_shared(rows: Rows) -> bool:
    one_design = math.prod(rows.x.shape[:-2]) == 1
    one_weighting = rows.weights is None or math.prod(rows.weights.shape[:-1]) == 1
    if not (one_design and one_weighting):
        return False
    return math.prod(rows.lead) > 1 if rows.single else rows.lead == ()


def _answer_shared(rows: Rows, job: Job) -> Answer:
    n, k = rows.n, rows.k
    x = rows.x.reshape(n, k)
    weights = None if rows.weights is None else rows.weights.reshape(n)
    y = _as_columns(rows) if rows.single else rows.y
    one_penalty = job.ridge is None or not any(job.ridge.strides)
    shared = job if one_penalty else replace(job, ridge=None)
    moments, solution = _answer_columns(x, y, weights, shared)
    if not rows.single:
        return moments, solution
    moments = moments.by_response().reshape(rows.lead)
    if solution is None:
        return moments, answer_moments(job, moments)
    return moments, solution.by_response().reshape(rows.lead)


def _as_columns(rows: Rows) -> NDArray[Any]:
    """Responses that came as rows (..., n), as the columns of (n, m)."""
    full = np.broadcast_to(rows.y[..., 0], (*rows.lead, rows.n))
    return full.reshape(-1, rows.n).T


def _answer_columns(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None, job: Job
) -> Answer:
    """Moments and answers of the columns of y (n, m) on one design, L = ()."""
    (n, k), m = x.shape, y.shape[1]
    design = _reduce_design(x, weights, job)
    moments = design.with_responses(m)
    p = k + job.options.add_intercept
    ridge = None if job.ridge is None else job.ridge.reshape(-1)[:1].reshape(())
    solution = None if ridge is None else Solution.empty_shared(p, m)

    def work(columns: slice, space: Workspace) -> int:
        part = job.engine.moments_shared(x, y[:, columns], weights, design, space=space)
        moments.store_responses(columns, part)
        if solution is not None and ridge is not None:
            answers = job.engine.solve(part, ridge, job.options.tol)
            solution.store_responses(columns, answers)
        return int(columns.stop - columns.start)

    spans = plan.column_chunks(m, k=k, n=n, batch_size=job.options.batch_size)
    job.engine.run(spans, work, plan.reporter(job.options.progress), m)
    return moments, solution


def _reduce_design(x: NDArray[Any], weights: NDArray[Any] | None, job: Job) -> Moments:
    """Moments of X alone, L = (), m = 0."""
    found: list[Moments] = []

    def work(which: slice, space: Workspace) -> int:
        found.append(
            job.engine.moments_batch(
                x[None],
                np.empty((1, len(x), 0)),
                None if weights is None else weights[None],
                which,
                centered=job.options.add_intercept,
                space=space,
            )
        )
        return 0

    job.engine.run([slice(0, 1)], work)
    return found[0].reshape(())


def _flat(array: NDArray[Any], lead: tuple[int, ...], inner: int) -> Table:
    """Array (lead..., inner axes...) as (B, inner axes...), without a copy of the whole."""
    full = np.broadcast_to(array, (*lead, *array.shape[array.ndim - inner :]))
    if len(lead) == 1:
        return full
    if not lead:
        return full[None]
    return Stacked(full, lead)
