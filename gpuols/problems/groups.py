"""Regressions of unequal size in one long table, rows in any order.

Groups of the same number of rows are a batch whose rows are gathered by number: one class of
sizes after another, the same arithmetic as `gpuols.fit` on a group's rows, and no Python work
for each group. Where every response keeps rows of its own, a pair of group and response stands
for a group.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.fitted import Looks
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.missing import keeps_apart
from gpuols.moments import Moments
from gpuols.problems.pipeline import Answer, Job, Task, answer_each
from gpuols.rows import Rows


def answer(rows: Rows, grouping: Grouping, job: Job) -> Answer:
    """Moments and answers of the groups of a table.

    Parameters
    ----------
    rows : Rows
        The table, N rows.
    grouping : Grouping
        Which rows belong to which of the G groups.
    job : Job
        How to answer; its penalties are (G,), or (G, m) where responses are apart.

    Returns
    -------
    Answer
        Of the shape of the penalties.
    """
    apart = keeps_apart(rows, job.options)
    each, m = (rows.m, 1) if apart else (1, rows.m)
    starts = grouping.starts
    counts = np.repeat(grouping.counts, each)
    tables = rows.x, rows.y, rows.weights
    options = job.options
    kind: dict[str, Any] = {"centered": options.add_intercept, "drop": options.missing == "drop"}
    at_once = job.engine.fit_groups if rows.k + m <= job.engine.WIDEST else None
    closely = job.engine.reduce_groups

    def tasks(
        places: NDArray[np.int64] | None = None,
        fitted: Looks = (),
        asked: Verdicts | None = None,
    ) -> list[Task]:
        if places is not None and len(places) and closely is not None:
            return [(slice(0, len(places)), partial(reduce_at_once, places, fitted, asked))]
        every = np.arange(len(counts)) if places is None else places

        def reduce_rows(some: NDArray[np.int64], space: Workspace) -> Moments:
            pairs = every[some]
            groups, responses = np.divmod(pairs, each)
            return job.engine.moments_groups(
                *tables,
                _rows_of(grouping, starts[groups], int(counts[pairs[0]])),
                responses if apart else None,
                **kind,
                precise=places is not None,
                fitted=[look[some] for look in fitted],
                space=space,
            )

        chunks = _same_size(counts[every], rows.k + m, options.batch_size)
        return [(some, partial(reduce_rows, some)) for some in chunks]

    def reduce_at_once(
        which: NDArray[np.int64], fitted: Looks, asked: Verdicts | None, _: Workspace
    ) -> Moments:
        assert closely is not None
        settings = {"apart": apart, "fitted": fitted, "asked": asked, **kind}
        size = options.batch_size
        return closely(tables, grouping, which, batch_size=size, **settings)

    def fit_all(report: plan.Report | None) -> Any:
        assert at_once is not None
        settings = {"tol": options.tol, "batch_size": options.batch_size, **kind}
        return at_once(*tables, grouping, ridge, apart=apart, report=report, **settings)

    ridge = None if job.ridge is None else job.ridge.reshape(counts.shape)
    first = None if at_once is None else fit_all
    flat = answer_each(replace(job, ridge=ridge), (len(counts), rows.k, m), tasks, first)
    return flat.reshape((len(grouping.counts), each) if apart else counts.shape)


def load(rows: Rows, drop: bool, grouping: Grouping) -> plan.Load:
    """What fitting takes on a device, whatever is to be left out."""
    numbers, counts = sum(table.size for _, table in rows.arrays), grouping.counts
    shape = {"k": rows.k, "m": rows.m, "itemsize": rows.itemsize}
    largest = int(counts.max(initial=0))
    return plan.load(numbers, rows=rows.n, count=len(counts), largest=largest, **shape)


def _rows_of(grouping: Grouping, starts: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Row numbers (groups, size) of groups; of one alone without a copy."""
    if grouping.order is None:
        return starts[:, None] + np.arange(size)
    if len(starts) == 1:
        return np.asarray(grouping.order[None, starts[0] : starts[0] + size])
    return np.asarray(grouping.order[starts[:, None] + np.arange(size)], np.intp)


def _same_size(
    counts: NDArray[np.int64], columns: int, batch_size: int | None
) -> list[NDArray[np.int64]]:
    """Numbers of the groups, cut into chunks of equal size; the largest groups first."""
    by_size = np.argsort(-counts, kind="stable")
    edges = np.flatnonzero(np.diff(counts[by_size])) + 1
    chunks = []
    for groups in np.split(by_size, edges) if len(counts) else []:
        size = int(counts[groups[0]])
        spans = plan.reading(len(groups), n=size, columns=columns, batch_size=batch_size)
        chunks += [groups[span] for span in spans]
    return chunks
