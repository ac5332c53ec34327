"""How a verb runs: check, choose an engine, compute, wrap up."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from gpuols import costs, summary
from gpuols.engines import Engine, choose, cpu
from gpuols.engines.transfer import at, to_host
from gpuols.errors import FitError, Status
from gpuols.missing import keeps_apart, refuse_missing
from gpuols.moments import Moments
from gpuols.options import Options
from gpuols.places import CPU
from gpuols.plan import Load
from gpuols.problems.pipeline import Answer, Job
from gpuols.records import changed
from gpuols.result import Result
from gpuols.rows import Rows, read_ridge

Problem = Callable[[Rows, Job], Answer]


def call(
    rows: Rows,
    options: Options,
    problem: Problem,
    lead: tuple[int, ...],
    ridge: Any,
    keys: Any = None,
    *,
    load: Callable[[Rows, bool], Load],
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
    keys : array, tuple of arrays or None
        Keys of the groups.
    load : callable
        What the problem takes on a device, given the rows and whether some may be left out.

    Returns
    -------
    Result
        Of the kind of array that came in.

    Raises
    ------
    FitError
        As `wrap`.
    """
    penalties = read_ridge(ridge, lead, rows.m if keeps_apart(rows, options) else None)
    job = Job(_engine_for(rows, options, load), options, penalties)
    return wrap(_answer(rows, problem, job), job, rows.kind, rows.place, keys)


def reduce_rows(
    rows: Rows, options: Options, problem: Problem, *, load: Callable[[Rows, bool], Load]
) -> Moments:
    """Reduce rows to moments, which are small and lie on the host; parameters as `call`."""
    job = Job(_engine_for(rows, options, load), options, None)
    return _answer(rows, problem, job).moments.map(to_host)


def _engine_for(rows: Rows, options: Options, load: Callable[[Rows, bool], Load]) -> Engine:
    """Engine for the device option; with "auto" the one that is expected to take less time."""
    wanted = options.device
    # There are no rates for double-double.
    if wanted == "auto" and rows.place == CPU and options.solver != "accurate":
        wanted = costs.device_for(partial(load, rows, options.missing == "drop"))
    return choose(wanted, rows.place)


def wrap(answer: Answer, job: Job, kind: str, place: str = CPU, keys: Any = None) -> Result:
    """Make a result of moments and answers.

    Parameters
    ----------
    answer : Answer
        The moments with the names of columns, where they have some, and the answers.
    job : Job
        What was asked; its penalties have the shape L of the moments.
    kind : str
        Kind of array to hand out.
    place : str
        Where the moments and answers are, and what is handed out is to be.
    keys : array, tuple of arrays or None
        Keys of the groups.

    Returns
    -------
    Result
        With its statistics still to be computed.

    Raises
    ------
    FitError
        If singular="raise" and a regression is RANK_DEFICIENT.
    """
    moments, options = answer.moments, job.options
    assert answer.solution is not None
    assert job.ridge is not None
    terms = moments.terms or _numbered(moments.k)
    result = Result(
        engine=_engine_of(answer, job),
        terms=("Intercept", *terms) if moments.centered else terms,
        keys=keys,
        kind=kind,
        single=moments.single,
        apart=moments.apart,
        tol=float(options.tol),
        singular=options.singular,
        _moments=moments,
        _solution=answer.solution,
        _ridge=job.ridge,
        _refined=answer.refined,
        place=place,
    )
    if options.singular == "raise":
        _refuse_deficient(result)
    return result


@cache
def _numbered(k: int) -> tuple[str, ...]:
    """Names of columns that came without."""
    return tuple(f"x{j}" for j in range(k))


def _engine_of(answer: Answer, job: Job) -> str:
    """What ran: a device's work may leave something to the CPU."""
    if job.engine.fit_batch is None or not answer.helped:
        return job.engine.NAME
    return f"{job.engine.NAME}+{cpu.NAME}"


def _refuse_deficient(result: Result) -> None:
    status = to_host(result.status)
    deficient = status == Status.RANK_DEFICIENT
    if deficient.any():
        told = np.where(deficient, status, Status.OK)
        told = told[..., None] if result.single else told
        raise FitError(summary.complaint(told, result.keys, result.single))


def _answer(rows: Rows, problem: Problem, job: Job) -> Answer:
    if job.options.missing == "raise":
        refuse_missing(rows)
    with at(rows.place, rows.kind), job.engine.at_work():
        answer = problem(rows, job)
    named = changed(
        answer.moments,
        single=rows.single,
        apart=keeps_apart(rows, job.options),
        terms=rows.terms,
        responses=rows.responses,
    )
    return changed(answer, moments=named)
