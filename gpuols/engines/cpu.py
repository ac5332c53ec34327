"""The NumPy engine: the specification of what every engine does.

It reads rows into moments (`gram` for batches and groups, `shared` for many responses on one
design, `masked` where each has weights or missing rows of its own, `precise` in double-double),
factors designs (`design`), solves (`answers`, `solve`), and spreads chunks over threads
(`threads`).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.fitted import Looks
from gpuols.engines.gram import sum_batch
from gpuols.engines.masked import sum_masked
from gpuols.engines.precise import (
    sum_precise,
    sum_residuals,
    sum_shared_precise,
    sum_shared_residuals,
)
from gpuols.engines.shared import sum_shared
from gpuols.engines.solution import Solution
from gpuols.engines.solve import factor_design, solve, unscaled_covariance
from gpuols.engines.tables import Gathered, LongTable, Table
from gpuols.engines.threads import run
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments

__all__ = [
    "NAME",
    "WIDEST",
    "Solution",
    "at_work",
    "check_moments",
    "factor_design",
    "fit_batch",
    "fit_groups",
    "fit_shared",
    "moments_batch",
    "moments_groups",
    "moments_masked",
    "moments_shared",
    "reduce_batch",
    "reduce_groups",
    "reduce_shared",
    "run",
    "solve",
    "unscaled_covariance",
]

NAME = "cpu:numpy"

# Rows are summed chunk by chunk, and all moments solved afterwards: see `problems.pipeline`.
fit_batch = fit_groups = fit_shared = None
WIDEST = 0
# They are summed so in double-double, too.
reduce_batch = reduce_groups = reduce_shared = None


def check_moments() -> None:
    """Raise if the engine does not solve moments; this one does."""


def at_work() -> AbstractContextManager[None]:
    """Context in which the engine's arrays can be used; these always can."""
    return nullcontext()


def moments_batch(
    x: Table,
    y: Table,
    weights: Table | None,
    which: Any,
    *,
    centered: bool,
    drop: bool,
    precise: bool = False,
    fitted: Looks = (),
    space: Workspace,
) -> Moments:
    """Moments of some regressions of a batch.

    Parameters
    ----------
    x : (B, n, k)
        Regressors, any real dtype and strides.
    y : (B, n, m)
        Responses.
    weights : (B, n) or None
        Inverse variances.
    which : slice or (b,)
        The regressions wanted; numbers only where `precise`.
    centered : bool
        Whether the model has an intercept.
    drop : bool
        Whether a row in which a value is missing, of any response, is left out.
    precise : bool
        Whether to sum in double-double.
    fitted : sequence of Moments
        Moments of these regressions in double-double, L = (b,), and of earlier residuals: those of
        the fit they lead to, without a penalty, are summed in the responses' place, in
        double-double, and sxx is left out.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (b,).
    """
    with np.errstate(all="ignore"):
        if fitted:
            return sum_residuals(x, y, weights, which, fitted, drop=drop)
        if precise:
            return sum_precise(x, y, weights, which, centered=centered, drop=drop)
        return sum_batch(x, y, weights, which, centered=centered, drop=drop, space=space)


def moments_shared(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
    *,
    precise: bool = False,
    fitted: Looks = (),
    space: Workspace,
) -> Moments:
    """Moments of some responses on a design they share.

    Parameters
    ----------
    x : (n, k)
        Regressors.
    y : (n, m)
        Responses.
    weights : (n,) or None
        Inverse variances.
    design : Moments
        Moments of x alone, L = (), m = 0, from `moments_batch`; in double-double if `precise`.
    precise : bool
        Whether to sum in double-double.
    fitted : sequence of Moments
        As in `moments_batch`, L = (), of these m responses.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (), m responses.
    """
    with np.errstate(all="ignore"):
        if fitted:
            return sum_shared_residuals(x, y, weights, fitted)
        if precise:
            return sum_shared_precise(x, y, weights, design)
        return sum_shared(x, y, weights, design, space)


def moments_masked(
    x: NDArray[Any],
    y: Table,
    weights: Table | None,
    which: slice,
    *,
    centered: bool,
    drop: bool,
    space: Workspace,
) -> Moments:
    """Moments of some responses on one design, each with weights or missing rows of its own.

    They are those of `moments_batch` with x repeated for every response, formed faster.

    Parameters
    ----------
    x : (n, k)
        Regressors.
    y : (B, n, 1)
        Responses.
    weights : (B, n) or None
        Inverse variances.
    which : slice
        The range of responses wanted, b of them.
    centered : bool
        Whether the model has an intercept.
    drop : bool
        As in `moments_batch`.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (b,).
    """
    with np.errstate(all="ignore"):
        return sum_masked(x, y, weights, which, centered=centered, drop=drop, space=space)


def moments_groups(
    x: LongTable,
    y: LongTable,
    weights: LongTable | None,
    index: NDArray[np.int64],
    responses: NDArray[np.int64] | None = None,
    *,
    centered: bool,
    drop: bool,
    precise: bool = False,
    fitted: Looks = (),
    space: Workspace,
) -> Moments:
    """Moments of some groups of equal size: a batch whose rows are gathered by number.

    Parameters
    ----------
    x : (N, k)
        Regressors, one long table.
    y : (N, m)
        Responses.
    weights : (N,) or None
        Inverse variances.
    index : (g, n)
        Row numbers of each group.
    responses : (g,), optional
        The one response of each group, a column of y; without it, all m.
    centered, drop, precise, fitted
        As in `moments_batch`.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (g,).
    """
    gathered = None if weights is None else Gathered(weights, index)
    return moments_batch(
        Gathered(x, index),
        Gathered(y, index, responses),
        gathered,
        slice(0, len(index)),
        centered=centered,
        drop=drop,
        precise=precise,
        fitted=fitted,
        space=space,
    )
