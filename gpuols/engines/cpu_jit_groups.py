"""Groups of the compiled CPU engine: rows to moments and answers at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines.jit.batch import Outputs, columns_of, room_for
from gpuols.engines.jit.groups import Stretches
from gpuols.engines.jit.groups import fit_groups as fit_some
from gpuols.engines.jit.rows import places_of
from gpuols.engines.labels import Labels
from gpuols.engines.launches import Shape
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.solution import Solution
from gpuols.engines.stretches import Dealt, InOrder, Source
from gpuols.engines.tables import LongTable, frozen
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
    penalties = (np.zeros(total) if ridge is None else ridge).reshape(len(counts), each).T
    penalties = np.ascontiguousarray(penalties)
    outputs = Outputs(
        np.empty((each, shape.moments, len(counts))),
        np.empty((each, shape.answers, len(counts))),
        np.empty((each, m, len(counts)), np.int8),
    )
    options, calls = (k, m, centered, drop, float(tol)), [0]
    source = _source(x, y, weights, grouping)

    def work(part: slice, space: Workspace) -> int:
        rows = source.rows(part, space)
        own = np.empty(largest) if shape.weighted else None
        given = options, columns_of(k, m), own, room_for(shape), places_of(k, m)
        for r in range(each):
            one = _one_response(rows, r, each) if apart else rows
            where = Outputs(*(array[r] for array in outputs))
            calls.append(fit_some(one, *given, penalties[r], where, part.start))
        return int(each * (part.stop - part.start))

    done = 0
    for parts in source.rounds(batch_size):
        tell = None if report is None else _continued(report, done)
        run(parts, work, tell, total)
        done += each * (parts[-1].stop - parts[0].start) if parts else 0
    numbers, answers, status = (_joined(array) for array in outputs)
    precise = np.zeros((total, m), bool)
    solution = solution_from(answers, status, precise, shape)
    return moments_from(numbers, shape), solution, np.array([sum(calls)])


def _source(x: LongTable, y: LongTable, weights: Any, grouping: Grouping) -> Source:
    tables, counts = (x, y, weights), grouping.counts
    if grouping.labels is not None:
        return Dealt(tables, counts, grouping.labels)
    if grouping.order is not None:
        return Dealt(tables, counts, Labels.of_order(grouping.order, counts))
    return InOrder(tables, counts)


def _one_response(rows: Stretches, r: int, m: int) -> Stretches:
    return rows._replace(y=frozen(np.ascontiguousarray(rows.y.reshape(-1, m)[:, r])))


def _continued(report: plan.Report, before: int) -> plan.Report:
    """Report of what is done, so many regressions having been done before."""
    return lambda done, total: report(before + done, total)


def _joined(array: NDArray[Any]) -> NDArray[Any]:
    """Entries (each, e, G) as (e, G * each)."""
    if len(array) == 1:
        return np.asarray(array[0])
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)).reshape(array.shape[1], -1)
