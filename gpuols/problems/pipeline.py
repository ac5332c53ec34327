"""What every problem shape shares: rows in, moments and answers out, in their places.

With solver="auto" every regression is summed and solved in double first. Exactly those that the
error bound rejects are summed and solved again in double-double, a million of which ten are bad
at the cost of ten. Where that still leaves doubt, their residuals are summed by themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import getitem
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import Engine
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.transfer import to_host, to_place
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.options import Options
from gpuols.places import place_of
from gpuols.problems.looks import hidden, look_again, rejected
from gpuols.records import changed, filled
from gpuols.refined import Refined

Array = NDArray[np.float64]
Where = slice | NDArray[np.int64]
Task = tuple[Where, Callable[[Workspace], Moments]]


@filled
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

    def of(self, places: NDArray[np.int64]) -> "Job":
        """The same for some of the regressions."""
        return changed(self, ridge=None if self.ridge is None else self.ridge[places])

    def solve(
        self, moments: Moments, ridge: Array, design: Any = None, looks: Looks = ()
    ) -> Solution:
        """Answers from moments, by the options."""
        tol, singular = self.options.tol, self.options.singular
        return self.engine.solve(
            moments, ridge, tol=tol, singular=singular, design=design, looks=looks
        )


@filled
@dataclass(frozen=True, eq=False)
class Answer:
    """Moments and answers of the regressions of a batch of shape L.

    Attributes
    ----------
    moments : Moments
        Of all.
    solution : Solution or None
        None where only moments are wanted.
    refined : Refined or None
        Of the designs that had a second look.
    helped : bool
        Whether the NumPy engine summed or solved something of what a device was asked for.
    """

    moments: Moments
    solution: Solution | None
    refined: Refined | None = None
    helped: bool = False

    def reshape(self, lead: tuple[int, ...]) -> "Answer":
        """The same with another shape of the batch."""
        if lead == self.moments.lead:
            return self
        solution = self.solution and self.solution.reshape(lead)
        return changed(self, moments=self.moments.reshape(lead), solution=solution)


class Tasks(Protocol):
    """How a problem shape cuts the reading of rows into tasks."""

    def __call__(
        self,
        places: NDArray[np.int64] | None = None,
        fitted: Looks = (),
        asked: Verdicts | None = None,
    ) -> Sequence[Task]:
        """Tasks: where the moments go, and what forms them.

        Parameters
        ----------
        places : (r,), optional
            Regressions to sum in double-double; without, all, in double.
        fitted : sequence of Moments
            Theirs, L = (r,), and of earlier residuals: what they leave is to be summed.
        asked : Verdicts, optional
            Where answers go that the engine gives along with sums in double-double.
        """


First = Callable[[plan.Report | None], tuple[Moments, Solution, Any]]


def answer_each(
    job: Job, shape: tuple[int, int, int], tasks: Tasks, first: First | None = None
) -> Answer:
    """Moments and answers of independent regressions.

    Parameters
    ----------
    job : Job
        How to answer; its penalties are (count,).
    shape : tuple of int
        Regressions in all, columns k, responses m.
    tasks : callable
        How their rows are read.
    first : callable, optional
        What answers all of them in double at once: moments, answers, and how many of the
        regressions call for a closer look; L has `count` regressions in all.

    Returns
    -------
    Answer
        L = (count,), or that of what `first` gave.
    """
    count = shape[0]
    report = plan.reporter(job.options.progress)
    if job.options.solver == "accurate":
        closer, better, helped = _look_closely(job, shape, tasks, np.arange(count), report)
        return Answer(closer, better, helped=helped)
    if first is None:
        moments = _reduce(job, shape, tasks(), report)
        solution = answer_moments(job, moments)
        calls: Any = (count,)
    else:
        moments, solution, calls = first(report)
    plainly = partial(Answer, moments, helped=first is None)
    if job.ridge is None:
        return plainly(None)
    assert solution is not None
    # On a device this waits until nobody reads the rows any more: they may be freed then.
    number = int(calls[0])
    if job.options.solver == "cholesky" or not number:
        return plainly(solution)
    places = to_host(np.flatnonzero(rejected(moments, solution, job.options.tol).any(axis=-1)))
    if not len(places):
        return plainly(solution)
    closer, better, helped = _look_closely(job, shape, tasks, places)
    assert better is not None
    moments, solution = moments.reshape((count,)), solution.reshape((count,))
    moments, solution = with_room_for(moments, solution, closer)
    place = place_of(solution.params)
    where, there = to_place(places, place), partial(to_place, place=place)
    moments.store(where, closer.map(there))
    solution.store(where, better.map(there))
    return Answer(moments, solution, Refined(places, closer), helped or first is None)


def with_room_for(
    moments: Moments, solution: Solution, closer: Moments
) -> tuple[Moments, Solution]:
    """Moments and answers that can hold the units of a closer look; with some, in host memory."""
    if closer.units is None or not closer.units.any():
        return moments, solution
    return moments.map(to_host).with_room_for(closer), solution.map(to_host)


def _look_closely(
    job: Job,
    shape: tuple[int, int, int],
    tasks: Tasks,
    places: NDArray[np.int64],
    report: plan.Report | None = None,
) -> tuple[Moments, Solution | None, bool]:
    """Moments and answers in double-double of some regressions, L = (r,), and `Answer.helped`."""
    shape = (len(places), *shape[1:])
    some = job.of(places)
    if some.ridge is None:
        return _reduce(job, shape, tasks(places), report, precise=True), None, False
    p, tol = shape[1] + job.options.add_intercept, job.options.tol
    asked = Verdicts.empty(some.ridge, (p, shape[2]), tol, job.options.singular)
    moments = _reduce(job, shape, tasks(places, asked=asked), report, precise=True)

    def look(again: NDArray[np.int64], fitted: Looks) -> Moments:
        own = len(again), *shape[1:]
        return _reduce(job, own, tasks(places[again], fitted), precise=True)

    def solve(again: NDArray[np.int64], fitted: Looks) -> Solution:
        better = answer_moments(some.of(again), fitted[0], looks=fitted[1:])
        assert better is not None
        return better

    solution = asked.completed(lambda missing: solve(missing, [moments[missing]]))
    again = np.flatnonzero(hidden(moments, solution, some.ridge, tol).any(axis=-1))
    for found, better in look_again(again, moments, look, solve, getitem, tol):
        solution.store(found, better)
    return moments, solution, len(again) > 0 or not asked.done.all()


def _reduce(
    job: Job,
    shape: tuple[int, int, int],
    tasks: Sequence[Task],
    report: plan.Report | None = None,
    *,
    precise: bool = False,
) -> Moments:
    """Moments of independent regressions, L = (count,)."""
    count, k, m = shape
    moments = Moments.empty(count, k, m, centered=job.options.add_intercept, precise=precise)

    def work(task: Task, space: Workspace) -> int:
        where, reduce_rows = task
        part = reduce_rows(space)
        moments.store(where, part)
        return int(part.nobs.size)

    job.engine.run(tasks, work, report, count)
    return moments


def answer_moments(
    job: Job, moments: Moments, report: plan.Report | None = None, looks: Looks = ()
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
    looks : sequence of Moments
        Those of the residuals, L = (b,).

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
        closer = [look[where] for look in looks]
        solution.store(where, job.solve(flat[where], ridge[where], looks=closer))
        return int(where.stop - where.start)

    spans = plan.solving(
        ridge.size,
        k=moments.k,
        m=moments.m,
        batch_size=job.options.batch_size,
        precise=moments.precise,
    )
    job.engine.run(spans, work, report, ridge.size)
    return solution.reshape(moments.lead)


def _answer_responses(
    job: Job, moments: Moments, ridge: Array, report: plan.Report | None
) -> Solution:
    """Answers to the responses of one design, L = (), a range of them at a time."""
    solution = Solution.empty_shared(moments.k + moments.centered, moments.m)

    def work(columns: slice, _: Workspace) -> int:
        part = moments.take_responses(np.arange(columns.start, columns.stop))
        solution.store_responses(columns, job.solve(part, ridge))
        return int(columns.stop - columns.start)

    spans = plan.column_chunks(moments.m, k=moments.k, n=moments.k, batch_size=None)
    job.engine.run(spans, work, report, moments.m)
    return solution
