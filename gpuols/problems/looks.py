"""Looks at residuals: whose fits need one, and for how long they help."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.errors import Status
from gpuols.moments import Moments

Array = NDArray[np.float64]

_LOOKS = 8  # at most, each from the fit that the last has left


def look_again(
    again: NDArray[np.int64],
    moments: Moments,
    look: Callable[[NDArray[np.int64], Looks], Moments],
    solve: Callable[[NDArray[np.int64], Looks], Solution],
    take: Callable[[Moments, NDArray[np.int64]], Moments],
    tol: float,
) -> Iterator[tuple[NDArray[np.int64], Solution]]:
    """Look at residuals while that helps.

    Parameters
    ----------
    again : (r,)
        Whose, by number among `moments`.
    moments : Moments
        In double-double.
    look, solve, take : callable
        What sums residuals, what solves with them, and what picks from moments.
    tol : float
        Largest error bound that is called OK.

    Yields
    ------
    Numbers, and better answers to those.
    """
    fitted = [take(moments, again)]
    for _ in range(_LOOKS):
        if not len(again):
            break
        fitted.append(look(again, fitted))
        better = solve(again, fitted)
        yield again, better
        wanted = _unclear(better, fitted, tol).reshape(len(again), -1)
        more = np.flatnonzero(wanted.any(axis=1))
        again, fitted = again[more], [take(part, more) for part in fitted]


def rejected(moments: Moments, solution: Solution, tol: float) -> NDArray[np.bool_]:
    """Which answers, L+(m,), need a second look.

    Those that can't be trusted, those with no more rows than columns, whose rank is to be found,
    and squares that overflow; a NaN among the rows stays one.
    """
    k = moments.k
    missing = np.isnan(moments.raw)
    lost = missing[..., :k].any(axis=-1, keepdims=True) | missing[..., k:]
    # CuPy knows no enumerations.
    fine, deficient = int(Status.OK), int(Status.RANK_DEFICIENT)
    known = (solution.status == fine) | (solution.status == deficient)
    rejected: NDArray[np.bool_] = ~(known & (solution.error_bound <= tol)) & ~lost
    return rejected


def hidden(moments: Moments, solution: Solution, ridge: Array, tol: float) -> NDArray[np.bool_]:
    """Which answers in double-double, L+(m,), need a look at their residuals.

    Those that can't be trusted, and those whose residuals are less than rounding leaves of the
    responses; nothing is to be seen where the responses are constant.
    """
    known = (solution.status == Status.OK) | (solution.status == Status.RANK_DEFICIENT)
    exact = (solution.ssr == 0) & (moments.raw[..., moments.k :] > 0) & known
    return np.asarray((exact | _untrusted(solution, tol)) & (ridge == 0)[..., None])


def _unclear(solution: Solution, looks: Looks, tol: float) -> NDArray[np.bool_]:
    """Which answers, L+(m,), another look may still help: residuals shrank with the last."""
    wanted = _untrusted(solution, tol)
    if len(looks) < 3:
        return wanted
    last, before = (look.raw[..., look.k :] for look in (looks[-1], looks[-2]))
    return np.asarray(wanted & (last < 1e-3 * before))


def _untrusted(solution: Solution, tol: float) -> NDArray[np.bool_]:
    """Which answers, L+(m,), have an error bound above the tolerance."""
    known = (solution.status != Status.NONFINITE) & (solution.status != Status.TOO_FEW_ROWS)
    return np.asarray(known & ~(solution.error_bound <= tol))
