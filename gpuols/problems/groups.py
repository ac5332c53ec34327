"""Regressions of unequal size in one long table, rows in any order.

Groups of the same number of rows are a batch whose rows are gathered by number: one class of
sizes after another, the same arithmetic as `gpuols.fit` on a group's rows, and no Python work
for each group.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments
from gpuols.problems.pipeline import Answer, Job, answer_moments, reduce_each
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
        How to answer; its penalties are (G,).

    Returns
    -------
    Moments, Solution or None
        L = (G,).
    """
    counts = grouping.counts
    starts = np.cumsum(counts) - counts

    def reduce_rows(groups: NDArray[np.int64], space: Workspace) -> Moments:
        index = _rows_of(grouping, starts[groups], int(counts[groups[0]]))
        return job.engine.moments_groups(
            rows.x,
            rows.y,
            rows.weights,
            index,
            centered=job.options.add_intercept,
            space=space,
        )

    tasks = [
        (groups, partial(reduce_rows, groups))
        for groups in _same_size(counts, rows.k + rows.m, job.options.batch_size)
    ]
    moments = reduce_each(job, (len(counts), rows.k, rows.m), tasks)
    return moments, answer_moments(job, moments)


def _rows_of(grouping: Grouping, starts: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Row numbers (groups, size) of groups; of one alone without a copy."""
    if grouping.order is None:
        return starts[:, None] + np.arange(size)
    if len(starts) == 1:
        return grouping.order[None, starts[0] : starts[0] + size]
    return np.asarray(grouping.order[starts[:, None] + np.arange(size)])


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
