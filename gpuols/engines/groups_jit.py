"""Groups of the compiled CPU engine: rows to moments and answers at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.jit.batch import columns_of, outputs_for, room_for
from gpuols.engines.jit.groups import fit_groups as fit_some
from gpuols.engines.jit.rows import places_of
from gpuols.engines.labels import Labels
from gpuols.engines.launches import Shape
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.solution import Solution
from gpuols.engines.stretches import Dealt, InOrder, Source, Tables
from gpuols.engines.tables import LongTable
from gpuols.engines.threads import run
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments


def fit_groups(
    x: LongTable,
    y: LongTable,
    weights: NDArray[Any] | None,
    grouping: Grouping,
    ridge: NDArray[np.float64] | None,
    *,
    apart: bool,
    centered: bool,
    drop: bool,
    tol: float,
    batch_size: int | None = None,
    report: plan.Report | None = None,
) -> tuple[Moments, Solution, NDArray[np.int64]]:
    """Moments and answers of groups in double; arguments as `cuda.Cuda.fit_groups`.

    Returns
    -------
    moments, solution : Moments, Solution
        L = (G,), or (G * m,) of one response each where they are apart.
    rejected : (1,)
        How many regressions call for a closer look.
    """
    k, counts = int(x.shape[1]), grouping.counts
    each, m = (int(y.shape[1]), 1) if apart else (1, int(y.shape[1]))
    largest = int(counts.max(initial=0))
    shape = Shape(largest, k, m, "double", centered, weights is not None or drop, drop)
    total = each * len(counts)
    penalties = np.zeros(total) if ridge is None else np.array(ridge).reshape(total)
    outputs, known, places = outputs_for(shape, total), columns_of(k, m), places_of(k, m)
    options, calls = (k, m, centered, drop, float(tol)), [0]
    source = _source((x, y, weights), grouping, each > 1)

    def work(part: slice, space: Workspace) -> int:
        rows, buckets = source.rows(part, space)
        own = np.empty(largest) if shape.weighted else None
        given = each, options, known, own, room_for(shape, space), places, penalties, outputs
        calls.append(fit_some(rows, buckets, *given, each * part.start))
        return int(each * (part.stop - part.start))

    done = 0
    for parts in source.rounds(batch_size):
        tell = None if report is None else _continued(report, done)
        run(parts, work, tell, total)
        done += each * (parts[-1].stop - parts[0].start) if parts else 0
    solution = solution_from(
        outputs.answers[:, :total], outputs.status[:, :total], np.zeros((total, m), bool), shape
    )
    return moments_from(outputs.moments[:, :total], shape), solution, np.array([sum(calls)])


def _source(tables: Tables, grouping: Grouping, apart: bool) -> Source:
    counts = grouping.counts
    if grouping.labels is not None:
        return Dealt(tables, counts, grouping.labels)
    if grouping.order is not None:
        return Dealt(tables, counts, Labels.of_order(grouping.order, counts))
    return InOrder(tables, counts, apart=apart)


def _continued(report: plan.Report, before: int) -> plan.Report:
    """Report of what is done, so many regressions having been done before."""
    return lambda done, total: report(before + done, total)
