"""A batch of regressions, or one design that many responses share.

X with no batch (leading axes of length 1 at most) and y with many responses is a shared design
(`shared`). Responses may be columns, y (n, m), or rows, X[None] with y (m, n); the numbers are
the same. Everything else is a batch; y (n,) alone, or one row, is a batch of one.

Weights, missing rows or penalties of each response's own leave nothing to factor once, but the
first moments still come from one reading of X (`moments_masked`, or `masked` of `fit_batch`). That
is the same batch otherwise: tables of B regressions, of one response each.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Repeated, Table, flattened
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.lazy import lazy
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
    apart = keeps_apart(rows, job.options)
    if apart:
        rows = rows.by_response()
    if job.options.missing != "drop" and shared.applies(rows, job):
        return shared.answer(rows, job)
    return _Batch(rows, job, _is_masked(rows, apart)).answer().reshape(rows.lead)


class _Batch:
    """A batch of regressions, `masked` where one design serves all."""

    def __init__(self, rows: Rows, job: Job, masked: bool) -> None:
        self.rows, self.masked, self.count = rows, masked, math.prod(rows.lead)
        ridge = None if job.ridge is None else job.ridge.reshape(self.count)
        self.job = Job(job.engine, job.options, ridge)
        self.kind: dict[str, Any] = {
            "centered": job.options.add_intercept,
            "drop": job.options.missing == "drop",
        }

    def answer(self) -> Answer:
        """Moments and answers of all, L = (B,) or that of the rows."""
        engine, shape = self.job.engine, (self.count, self.rows.k, self.rows.m)
        at_once = engine.fit_batch is not None and shape[1] + shape[2] <= engine.WIDEST
        first = self.fit if at_once else None
        return answer_each(self.job, shape, self.tasks, first)

    @lazy
    def tables(self) -> tuple[Table, Table, Table | None]:
        """X (B, n, k), y (B, n, m) and weights (B, n)."""
        rows = self.rows
        weights = None if rows.weights is None else flattened(rows.weights, rows.lead, 1)
        return flattened(rows.x, rows.lead, 2), flattened(rows.y, rows.lead, 2), weights

    def tasks(
        self,
        places: NDArray[np.int64] | None = None,
        fitted: Looks = (),
        asked: Verdicts | None = None,
    ) -> list[Task]:
        """How the rows are read; as `pipeline.Tasks`."""
        rows, size = self.rows, self.job.options.batch_size
        if places is None and self.masked:
            spans = plan.masked_chunks(self.count, n=rows.n, k=rows.k, batch_size=size)
            return [(span, partial(self.reduce_masked, span)) for span in spans]
        if places is not None and self.job.engine.reduce_batch is not None:
            every = slice(0, len(places))
            return [(every, partial(self.reduce_at_once, places, fitted, asked))]
        number = self.count if places is None else len(places)
        spans = plan.reading(number, n=rows.n, columns=rows.k + rows.m, batch_size=size)
        if places is None:
            return [(span, partial(self.reduce_rows, span, False, ())) for span in spans]
        return [
            (span, partial(self.reduce_rows, places[span], True, [look[span] for look in fitted]))
            for span in spans
        ]

    def reduce_masked(self, span: slice, space: Workspace) -> Moments:
        """Moments of some responses on one design."""
        rows, (_, y, weights) = self.rows, self.tables
        design = rows.x.reshape(rows.n, rows.k)
        y = Repeated(rows.y, self.count) if rows.y.ndim == 2 else y
        return self.job.engine.moments_masked(design, y, weights, span, **self.kind, space=space)

    def reduce_rows(self, which: Any, precise: bool, fitted: Looks, space: Workspace) -> Moments:
        """Moments of some regressions."""
        return self.job.engine.moments_batch(
            *self.tables, which, **self.kind, precise=precise, fitted=fitted, space=space
        )

    def reduce_at_once(
        self, which: NDArray[np.int64], fitted: Looks, asked: Verdicts | None, _: Workspace
    ) -> Moments:
        """Moments in double-double, by an engine that sums many regressions at once."""
        closely, rows = self.job.engine.reduce_batch, self.rows
        assert closely is not None
        tables, size = (rows.x, rows.y, rows.weights), self.job.options.batch_size
        settings = {"fitted": fitted, "asked": asked, "batch_size": size, **self.kind}
        return closely(tables, rows.lead, which, **settings)

    def fit(self, report: plan.Report | None) -> tuple[Moments, Solution, Any]:
        """Moments and answers at once, and how many of all call for a closer look."""
        at_once, rows, options = self.job.engine.fit_batch, self.rows, self.job.options
        assert at_once is not None
        moments, solution, calls = at_once(
            rows.x,
            rows.y,
            rows.weights,
            rows.lead,
            np.zeros(self.count) if self.job.ridge is None else self.job.ridge,
            tol=options.tol,
            batch_size=options.batch_size,
            report=report,
            masked=self.masked,
            **self.kind,
        )
        return moments, solution, calls


def load(rows: Rows, drop: bool) -> plan.Load:
    """What fitting takes on a device, `drop`: with missing values to leave out."""
    if shared.is_shared(rows) and not drop:
        responses = math.prod(rows.lead) * rows.m
        return plan.shared_load(rows.n, rows.k, responses, itemsize=rows.itemsize)
    numbers = rows.x.size + rows.y.size + (0 if rows.weights is None else rows.weights.size)
    (n, k), m, count = rows.x.shape[-2:], rows.m, math.prod(rows.lead)
    sizes = {"rows": count * n, "count": count, "k": k, "m": m, "largest": n}
    return plan.load(numbers, **sizes, itemsize=rows.itemsize)


def _is_masked(rows: Rows, apart: bool) -> bool:
    """Whether one design serves all; X of one leading axis is a batch where L could be longer."""
    if not rows.single or rows.k > _TABLE:
        return False
    if rows.x.ndim == 2:
        return rows.lead != ()
    return not apart and math.prod(rows.x.shape[:-2]) == 1 and math.prod(rows.lead) > 1
