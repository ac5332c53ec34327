"""One design that many responses share: its Gram matrix is formed and factored once.

Except with solver="cholesky" that is done in double-double, which costs next to nothing beside
the responses, so that rank and the variances are settled for all of them. The responses are
summed and solved in double, and those that the error bound rejects again in double-double, each
for itself. Each range of responses is solved while its sums are in cache, on a device while they
are in registers. Second looks are summed there, too; the design is always the NumPy engine's work,
and what it takes to solve from sums in double-double.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.transfer import Columns, to_host, to_place
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.places import place_of
from gpuols.problems.looks import hidden, look_again, rejected
from gpuols.problems.pipeline import (
    Answer,
    Job,
    with_room_for,
)
from gpuols.refined import Refined
from gpuols.rows import Rows


def applies(rows: Rows, job: Job) -> bool:
    """Whether the rows are one design with one weighting, one penalty and many responses."""
    return is_shared(rows) and (job.ridge is None or not any(job.ridge.strides))


def is_shared(rows: Rows) -> bool:
    """Whether they are one design with one weighting and many responses."""
    one_design = math.prod(rows.x.shape[:-2]) == 1
    one_weighting = rows.weights is None or math.prod(rows.weights.shape[:-1]) == 1
    if not (one_design and one_weighting):
        return False
    return math.prod(rows.lead) > 1 if rows.single else rows.lead == ()


def answer(rows: Rows, job: Job) -> Answer:
    """Moments and answers of responses on one design.

    Parameters
    ----------
    rows : Rows
        The data.
    job : Job
        How to answer.

    Returns
    -------
    Answer
        Of the batch's shape L: () for responses as columns.
    """
    n, k = rows.n, rows.k
    x = rows.x.reshape(n, k)
    weights = None if rows.weights is None else rows.weights.reshape(n)
    y = _as_columns(rows) if rows.single else rows.y
    ridge = None if job.ridge is None else job.ridge.reshape(-1)[:1].reshape(())
    columns = _Columns(x, y, weights, replace(job, ridge=ridge)).answer()
    if not rows.single:
        return columns
    m = y.shape[1]
    refined = columns.refined and Refined(
        np.arange(m),
        columns.refined.moments.map(lambda a: np.broadcast_to(a[0], (m, *a.shape[1:]))),
    )
    solution = columns.solution and columns.solution.by_response()
    several = Answer(columns.moments.by_response(), solution, refined, columns.helped)
    return several.reshape(rows.lead)


def _as_columns(rows: Rows) -> Any:
    """Responses that came as rows (..., n), as the columns of (n, m)."""
    full = np.broadcast_to(rows.y[..., 0], (*rows.lead, rows.n))
    return full.reshape(math.prod(rows.lead), rows.n).T


class _Columns:
    """Responses y (n, m) on one design x (n, k), L = (), in host memory or on a device."""

    def __init__(self, x: Any, y: Any, weights: Any, job: Job) -> None:
        self.given, self.y, self.job = (x, weights), y, job
        self.columns = Columns(y)
        solver, singular = job.options.solver, job.options.singular
        closely = solver == "accurate" or (solver == "auto" and job.ridge is not None)
        self.design = self._reduce_design(closely)
        self.factored = None
        if job.ridge is not None:
            factored = job.engine.factor_design(self.design, job.ridge, singular=singular)
            self.factored = factored
        units = self.design.units
        self.only_closely = solver == "accurate" or (units is not None and bool(units.any()))

    @cached_property
    def table(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The design and the weights in host memory."""
        x, weights = self.given
        return to_host(x), None if weights is None else to_host(weights)

    def answer(self) -> Answer:
        """Moments and answers of all responses."""
        options, every = self.job.options, np.arange(self.y.shape[1])
        report = plan.reporter(options.progress)
        if self.only_closely:
            return Answer(*self._read(self.design, every, report), helped=True)
        moments, solution, calls = self._read_plainly(every, report)
        # On a device this waits until nobody reads the rows any more: they may be freed then.
        number = int(calls[0])
        if solution is None or options.solver == "cholesky":
            return Answer(moments, solution, helped=True)
        again = np.zeros(0, np.int64)
        if number:
            again = to_host(np.flatnonzero(rejected(moments, solution, options.tol)))
        if len(again):
            closer, better = self._read(self.design, again)
            assert better is not None
            moments, solution = with_room_for(moments, solution, closer)
            place = place_of(solution.params)
            where, there = to_place(again, place), partial(to_place, place=place)
            moments.store_responses(where, closer.map(there))
            solution.store_responses(where, better.map(there))
        refined = Refined(np.zeros(1, np.int64), self.design.reshape((1,)))
        return Answer(moments, solution, refined, helped=True)

    def _read_plainly(
        self, every: NDArray[np.int64], report: plan.Report | None
    ) -> tuple[Moments, Solution | None, Any]:
        """Moments and answers in double, and how many of all may call for a closer look."""
        plain, job = replace(self.design, low=None, units=None, precise=False), self.job
        if job.engine.fit_shared is None or plain.k > job.engine.WIDEST:
            return *self._read(plain, every, report), every.shape
        ridge = np.zeros(()) if job.ridge is None else job.ridge
        factored = self.factored or job.engine.factor_design(plain, ridge)
        moments, solution, calls = job.engine.fit_shared(
            *self.given,
            self.y,
            plain,
            factored,
            ridge,
            tol=job.options.tol,
            singular=job.options.singular,
            batch_size=job.options.batch_size,
            report=report,
        )
        return moments, None if job.ridge is None else solution, calls

    def _read(
        self,
        design: Moments,
        columns: NDArray[np.int64],
        report: plan.Report | None = None,
    ) -> tuple[Moments, Solution | None]:
        """Moments and answers of some responses, in double-double where the design is."""
        units, job = design.units, self.job
        if job.engine.reduce_shared is not None and units is not None and not units.any():
            return self._read_at_once(job.engine.reduce_shared, columns, report)
        x, weights = self.table
        moments = design.with_responses(len(columns))
        solution = self._room(len(columns))

        def work(span: slice, space: Workspace) -> int:
            def reduce(chosen: Any, fitted: Looks = ()) -> Moments:
                return job.engine.moments_shared(
                    x,
                    self.columns[chosen],
                    weights,
                    design,
                    precise=design.precise,
                    fitted=fitted,
                    space=space,
                )

            part = reduce(_contiguous(columns, span))
            moments.store_responses(span, part)
            if solution is not None and job.ridge is not None:
                answers = job.solve(part, job.ridge, self.factored)
                if design.precise:
                    self._look_at_residuals(part, answers, columns[span], reduce)
                solution.store_responses(span, answers)
            return int(span.stop - span.start)

        spans = self._spans(len(columns), precise=design.precise)
        job.engine.run(spans, work, report, len(columns))
        return moments, solution

    def _read_at_once(
        self,
        sums: Callable[..., Moments],
        columns: NDArray[np.int64],
        report: plan.Report | None,
    ) -> tuple[Moments, Solution | None]:
        """The same in double-double, by an engine that sums many responses at once."""
        x, weights = self.given
        job, m, tables = self.job, len(columns), (x, self.y, weights)
        reduce = partial(sums, tables, self.design, batch_size=job.options.batch_size)
        moments, solution = reduce(columns), self._room(m)

        def work(span: slice, _: Workspace) -> int:
            if solution is not None and job.ridge is not None:
                part = moments.take_responses(np.arange(span.start, span.stop))
                solution.store_responses(span, job.solve(part, job.ridge, self.factored))
            return int(span.stop - span.start)

        spans = self._spans(m, precise=True)
        job.engine.run(spans, work, report, m)
        if solution is None:
            return moments, None
        for span in spans:
            own = np.arange(span.start, span.stop)
            part, answers = moments.take_responses(own), solution.take_responses(own)
            self._look_at_residuals(
                part, answers, columns[span], lambda some, looks: reduce(some, fitted=looks)
            )
            solution.store_responses(span, answers)
        return moments, solution

    def _room(self, m: int) -> Solution | None:
        """Room for answers to so many responses, if they are wanted."""
        if self.job.ridge is None:
            return None
        return Solution.empty_shared(self.design.k + self.design.centered, m)

    def _spans(self, m: int, *, precise: bool) -> list[slice]:
        """Ranges of so many responses to solve together."""
        n, k = self.given[0].shape
        return plan.column_chunks(
            m, k=k, n=n, batch_size=self.job.options.batch_size, precise=precise
        )

    def _look_at_residuals(
        self,
        moments: Moments,
        answers: Solution,
        columns: NDArray[np.int64],
        sums: Callable[[NDArray[np.int64], Looks], Moments],
    ) -> None:
        """Replace answers whose residuals are less than rounding leaves of the responses."""
        job = self.job
        assert job.ridge is not None
        ridge, tol = job.ridge, job.options.tol

        def look(again: NDArray[np.int64], fitted: Looks) -> Moments:
            return sums(columns[again], fitted)

        def solve(_: NDArray[np.int64], fitted: Looks) -> Solution:
            return job.solve(fitted[0], ridge, self.factored, fitted[1:])

        again = np.flatnonzero(hidden(moments, answers, ridge, tol))
        for found, better in look_again(again, moments, look, solve, Moments.take_responses, tol):
            answers.store_responses(found, better)

    def _reduce_design(self, precise: bool) -> Moments:
        """Moments of X alone, L = (), m = 0, in host memory."""
        engine, found = self.job.engine, list[Moments]()
        kind: dict[str, Any] = {"centered": self.job.options.add_intercept, "drop": False}

        def work(which: slice, space: Workspace) -> int:
            tables = _as_batch(*self.table)
            found.append(engine.moments_batch(*tables, which, precise=precise, space=space, **kind))
            return 0

        k = self.given[0].shape[1]
        at_once = engine.reduce_batch if precise else engine.fit_batch
        if at_once is None or not k or (k > engine.WIDEST and not precise):
            engine.run([slice(0, 1)], work)
        elif precise:
            found.append(at_once(_as_batch(*self.given), (1,), np.zeros(1, np.int64), **kind))
        else:
            tol, tables = self.job.options.tol, _as_batch(*self.given)
            found.append(at_once(*tables, (1,), np.zeros(1), tol=tol, **kind)[0])
        return found[0].map(to_host).reshape(())


def _as_batch(x: Any, weights: Any) -> tuple[Any, Any, Any]:
    """X, y and weights of a batch of one without responses."""
    return x[None], x[None, :, :0], None if weights is None else weights[None]


def _contiguous(columns: NDArray[np.int64], span: slice) -> Any:
    """Some of the columns, as a slice, which copies nothing, where they are neighbours."""
    first, last = columns[span][[0, -1]] if span.stop > span.start else (0, -1)
    neighbours = last - first == span.stop - span.start - 1
    return slice(int(first), int(last) + 1) if neighbours else columns[span]
