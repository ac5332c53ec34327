"""Responses that share a design, for the compiled CPU engine.

The design is factored by NumPy, in double-double where that was asked for; what follows from it for
each response is compiled. Where columns are redundant NumPy solves, from compiled sums.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import cpu
from gpuols.engines.anchors import weighted_rows
from gpuols.engines.answers import answer
from gpuols.engines.design import Design
from gpuols.engines.jit.batch import Outputs
from gpuols.engines.jit.columns import columns_from
from gpuols.engines.jit.premise import Premise
from gpuols.engines.jit.responses import fit_responses, room_for
from gpuols.engines.outputs import Outputs as Found
from gpuols.engines.responses import moments_of, solution_of
from gpuols.engines.sheets import Sheets, parts
from gpuols.engines.solution import Solution
from gpuols.engines.solve import is_sound, to_lanes
from gpuols.engines.trust import error_of_variances, has_rank, in_range
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.numerics import bound


def fit_shared(
    x: NDArray[Any],
    weights: NDArray[Any] | None,
    y: NDArray[Any],
    design: Moments,
    factored: Design,
    ridge: NDArray[np.float64],
    *,
    tol: float,
    singular: str,
    batch_size: int | None = None,
    report: plan.Report | None = None,
) -> tuple[Moments, Solution, NDArray[np.int64]]:
    """Moments and answers of responses on a design, in double; arguments as `Cuda.fit_shared`.

    Returns
    -------
    moments, solution : Moments, Solution
        L = (), m responses.
    rejected : (1,)
        How many responses call for a closer look.
    """
    (n, k), m = x.shape, y.shape[1]
    p = k + design.centered
    premise = _premise(x, weights, design, factored, ridge)
    outputs = Outputs(np.empty((4 + k, m)), np.empty((p + 2, m)), np.empty((1, m), np.int8))
    sheets, calls = Sheets(y.T, (m,)), [0]

    def work(span: slice, space: Workspace) -> int:
        room = room_for(n, k, space)
        for part in parts(span, [sheets]):
            where = part.start, part.stop - part.start
            given = sheets.at(part), premise, design.centered, tol, room, outputs
            calls.append(fit_responses(*given, *where))
        return int(span.stop - span.start)

    spans = plan.column_chunks(m, k=k, n=n, batch_size=batch_size)
    cpu.run(spans, work, report, m)
    found = Found(m, True, *outputs, None)
    moments = moments_of(found, design)
    if factored.slopes[0] == k:
        alone = cpu.solve(design, ridge, tol=tol, singular=singular, design=factored)
        return moments, solution_of(found, alone), np.array([sum(calls)])
    solution = Solution.empty_shared(p, m)

    def solve(span: slice, _: Workspace) -> int:
        part = moments.take_responses(np.arange(span.start, span.stop))
        own = cpu.solve(part, ridge, tol=tol, singular=singular, design=factored)
        solution.store_responses(span, own)
        return 0

    cpu.run(spans, solve)
    return moments, solution, np.array([m])


def _premise(
    x: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
    factored: Design,
    ridge: NDArray[np.float64],
) -> Premise:
    """What compiled code is to know of a design."""
    (n, k), free = x.shape, design.centered
    with np.errstate(all="ignore"):
        w = np.ones(n) if weights is None else np.array(weights, np.float64)
        table = np.ones((1 + k, n))
        np.subtract(x.T, design.anchor[:, None], out=table[1:])
        table[:, w == 0.0] = 0.0
        lanes = to_lanes(design)
        found = answer(lanes, k, factored, shared=True)
        reach, level = (np.append(part, 1.0)[:1] for part in (found.reach, found.variance))
        numbers = [
            lanes.sumw,
            np.reshape(ridge, 1),
            bound.gamma(lanes.nobs),
            factored.leverage,
            found.df,
            error_of_variances(lanes, k, factored, found),
            reach,
            level,
        ]
        solved, exactly = factored.solved, factored.precise is not None
        facts = [
            solved & (lanes.nobs > 0) if exactly else solved,
            is_sound(lanes, k),
            in_range(lanes, k, factored),
            np.ones(1) if exactly else has_rank(lanes, k, factored),
        ]
        own = factored.scale, factored.spread, factored.variance
        return Premise(
            columns=columns_from(w * table),
            weights=w,
            anchors=_anchor_rows(w) if free else np.full(3, -1),
            numbers=np.concatenate(numbers),
            facts=np.concatenate(facts, dtype=np.float64),
            vectors=np.stack([a[:, 0] for a in (lanes.anchor, lanes.mean, lanes.raw, *own)]),
            lower=factored.lower[(*np.tril_indices(k), 0)],
        )


def _anchor_rows(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """First, middle and last row of positive weight, (3,); -1 where there is none."""
    valid = weights > 0
    if not valid.any():
        return np.full(3, -1)
    return np.concatenate(weighted_rows(valid[None]))
