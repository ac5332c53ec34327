"""What every problem shape shares: chunks in, moments and answers out, in their places."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import Engine
from gpuols.engines.solution import Solution
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.options import Options

Array = NDArray[np.float64]
Where = slice | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Job:
    """How to answer: the engine, the options, and the penalty of each regression.

    Attributes
    ----------
    engine : Engine
        What computes.
    options : Options
        Checked options.
    ridge : L or None
        Penalties; None where only moments are wanted.
    """

    engine: Engine
    options: Options
    ridge: Array | None


Answer = tuple[Moments, Solution | None]


def reduce_each(
    job: Job,
    shape: tuple[int, int, int],
    tasks: Sequence[tuple[Where, Callable[[Workspace], Moments]]],
) -> Moments:
    """Moments of independent regressions.

    Parameters
    ----------
    job : Job
        How to answer.
    shape : tuple of int
        Regressions in all, columns k, responses m.
    tasks : sequence of (where, reduce)
        Which regressions, and what forms their moments.

    Returns
    -------
    Moments
        L = (count,).
    """
    count, k, m = shape
    moments = Moments.empty(count, k, m, centered=job.options.add_intercept)

    def work(task: tuple[Where, Callable[[Workspace], Moments]], space: Workspace) -> int:
        where, reduce_rows = task
        part = reduce_rows(space)
        moments.store(where, part)
        return int(part.nobs.size)

    job.engine.run(tasks, work, plan.reporter(job.options.progress), count)
    return moments


def answer_moments(
    job: Job, moments: Moments, report: plan.Report | None = None
) -> Solution | None:
    """Answers from moments alone.

    Parameters
    ----------
    job : Job
        How to answer; its penalties have the shape L of the moments.
    moments : Moments
        L of any shape; L = () with an axis of responses is one design that they share.
    report : callable, optional
        Called with (done, total).

    Returns
    -------
    Solution or None
        The same L; None where only moments are wanted.
    """
    if job.ridge is None:
        return None
    ridge = job.ridge.reshape(-1)
    if not moments.lead and not moments.single:
        return _answer_responses(job, moments, job.ridge, report)
    flat = moments.reshape((ridge.size,))
    solution = Solution.empty(ridge.size, moments.k + moments.centered, moments.m)

    def work(where: slice, _: Workspace) -> int:
        solution.store(where, job.engine.solve(flat[where], ridge[where], job.options.tol))
        return int(where.stop - where.start)

    spans = plan.solving(ridge.size, k=moments.k, m=moments.m, batch_size=job.options.batch_size)
    job.engine.run(spans, work, report, ridge.size)
    return solution.reshape(moments.lead)


def _answer_responses(
    job: Job, moments: Moments, ridge: Array, report: plan.Report | None
) -> Solution:
    """Answers to the responses of one design, L = (), a range of them at a time."""
    solution = Solution.empty_shared(moments.k + moments.centered, moments.m)

    def work(columns: slice, _: Workspace) -> int:
        part = moments.take_responses(np.arange(columns.start, columns.stop))
        solution.store_responses(columns, job.engine.solve(part, ridge, job.options.tol))
        return int(columns.stop - columns.start)

    spans = plan.column_chunks(moments.m, k=moments.k, n=moments.k, batch_size=None)
    job.engine.run(spans, work, report, moments.m)
    return solution
