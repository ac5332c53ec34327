"""How a verb runs: check, choose an engine, compute, wrap up."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpuols.engines import choose
from gpuols.engines.solution import Solution
from gpuols.missing import refuse_missing
from gpuols.moments import Moments
from gpuols.options import Options
from gpuols.problems.pipeline import Answer, Job
from gpuols.result import Result
from gpuols.rows import Rows, read_ridge

Problem = Callable[[Rows, Job], Answer]


def call(
    rows: Rows, options: Options, problem: Problem, lead: tuple[int, ...], ridge: Any
) -> Result:
    """Fit rows.

    Parameters
    ----------
    rows : Rows
        The data.
    options : Options
        Checked options.
    problem : callable
        The problem shape: what turns rows and a job into answers.
    lead : tuple of int
        Shape L of the batch.
    ridge : scalar or array broadcastable to L
        Penalty as the user gave it.

    Returns
    -------
    Result
        Of the kind of array that came in.
    """
    job = Job(choose(options.device), options, read_ridge(ridge, lead))
    moments, solution = _answer(rows, problem, job)
    return wrap(moments, solution, job, rows.kind)


def reduce_rows(rows: Rows, options: Options, problem: Problem) -> Moments:
    """Reduce rows to moments; parameters as `call`."""
    return _answer(rows, problem, Job(choose(options.device), options, None))[0]


def wrap(moments: Moments, solution: Solution | None, job: Job, kind: str) -> Result:
    """Make a result of moments and answers.

    Parameters
    ----------
    moments : Moments
        With the names of columns, where they have some.
    solution : Solution
        The answers.
    job : Job
        What was asked; its penalties have the shape L.
    kind : str
        Kind of array to hand out.

    Returns
    -------
    Result
        Without keys.
    """
    assert solution is not None
    assert job.ridge is not None
    terms = moments.terms or tuple(f"x{j}" for j in range(moments.k))
    return Result(
        engine=job.engine.NAME,
        terms=("Intercept", *terms) if moments.centered else terms,
        keys=None,
        kind=kind,
        single=moments.single,
        tol=float(job.options.tol),
        _moments=moments,
        _solution=solution,
        _ridge=job.ridge,
    )


def _answer(rows: Rows, problem: Problem, job: Job) -> Answer:
    if job.options.missing == "raise":
        refuse_missing(rows)
    moments, solution = problem(rows, job)
    named = replace(moments, single=rows.single, terms=rows.terms, responses=rows.responses)
    return named, solution
