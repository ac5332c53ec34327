"""The NumPy engine: the specification of what every engine does.

It reads rows into moments (`gram` for batches and groups, `shared` for many responses on one
design), solves moments (`solution`), and spreads chunks over threads (`threads`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.gram import sum_batch
from gpuols.engines.shared import sum_shared
from gpuols.engines.solution import Solution
from gpuols.engines.solve import solve, unscaled_covariance
from gpuols.engines.tables import Gathered, Table
from gpuols.engines.threads import run
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments

__all__ = [
    "NAME",
    "Solution",
    "moments_batch",
    "moments_groups",
    "moments_shared",
    "run",
    "solve",
    "unscaled_covariance",
]

NAME = "cpu:numpy"


def moments_batch(
    x: Table,
    y: Table,
    weights: Table | None,
    which: slice,
    *,
    centered: bool,
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
    which : slice
        The range of regressions wanted, b of them.
    centered : bool
        Whether the model has an intercept.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (b,).
    """
    with np.errstate(all="ignore"):
        return sum_batch(x, y, weights, which, centered=centered, space=space)


def moments_shared(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    design: Moments,
    *,
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
        Moments of x alone, L = (), m = 0, from `moments_batch`.
    space : Workspace
        Buffers of the calling thread.

    Returns
    -------
    Moments
        L = (), m responses.
    """
    with np.errstate(all="ignore"):
        return sum_shared(x, y, weights, design, space)


def moments_groups(
    x: NDArray[Any],
    y: NDArray[Any],
    weights: NDArray[Any] | None,
    index: NDArray[np.int64],
    *,
    centered: bool,
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
    centered : bool
        Whether the model has an intercept.
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
        Gathered(y, index),
        gathered,
        slice(0, len(index)),
        centered=centered,
        space=space,
    )
