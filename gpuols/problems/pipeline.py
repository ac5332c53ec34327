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


def answer_each(
    job: Job,
    shape: tuple[int, int, int],
    tasks: Sequence[tuple[Where, Callable[[Workspace], Moments]]],
) -> Answer:
    """Moments and answers of independent regressions.

    Parameters
    ----------
    job : Job
        How to answer; its penalties are (count,).
    shape : tuple of int
        Regressions in all, columns k, responses m.
    tasks : sequence of (where, reduce)
        Which regressions, and what forms their moments.

    Returns
    -------
    Moments, Solution or None
        L = (count,).
    """
    count, k, m = shape
    centered = job.options.add_intercept
    moments = Moments.empty(count, k, m, centered=centered)
    solution = None if job.ridge is None else Solution.empty(count, k + centered, m)

    def work(task: tuple[Where, Callable[[Workspace], Moments]], space: Workspace) -> int:
        where, reduce_rows = task
        part = reduce_rows(space)
        moments.store(where, part)
        if solution is not None and job.ridge is not None:
            solution.store(where, job.engine.solve(part, job.ridge[where], job.options.tol))
        return int(part.nobs.size)

    job.engine.run(tasks, work, plan.reporter(job.options.progress), count)
    return moments, solution


def answer_moments(job: Job, moments: Moments) -> Solution:
    """Answers from moments alone.

    Parameters
    ----------
    job : Job
        How to answer; its penalties have the shape L of the moments.
    moments : Moments
        L of any shape; L = () is one design that all responses share.

    Returns
    -------
    Solution
        The same L.
    """
    assert job.ridge is not None
    if not moments.lead:
        return job.engine.solve(moments, job.ridge, job.options.tol)
    ridge = job.ridge.reshape(-1)
    flat = moments.reshape((ridge.size,))
    solution = Solution.empty(ridge.size, moments.k + moments.centered, moments.m)

    def work(where: slice, _: Workspace) -> int:
        solution.store(where, job.engine.solve(flat[where], ridge[where], job.options.tol))
        return int(where.stop - where.start)

    spans = plan.chunks(
        ridge.size,
        each=plan.solve_bytes(moments.k, moments.m),
        elements=moments.k**2 + 1,
        batch_size=job.options.batch_size,
    )
    job.engine.run(spans, work, plan.reporter(job.options.progress), ridge.size)
    return solution.reshape(moments.lead)


def reshape(found: Answer, lead: tuple[int, ...]) -> Answer:
    """Give moments and answers the shape of the user's batch."""
    moments, solution = found
    return moments.reshape(lead), None if solution is None else solution.reshape(lead)


def by_response(found: Answer) -> Answer:
    """Turn the responses of one design into a batch."""
    moments, solution = found
    return moments.by_response(), None if solution is None else solution.by_response()
