"""Rows of regressions to moments in double-double, and to answers, by compiled code.

A regression whose columns or weights lie so far from one that they must be divided by a power of
two first is told, but not summed.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.dealing import lanes_of
from gpuols.engines.fitted import Looks
from gpuols.engines.jit.reduction import Found, Kind, reduce_some, rooms_for
from gpuols.engines.jit.sources import Rows
from gpuols.engines.launches import Shape
from gpuols.engines.outputs import moments_from, solution_from
from gpuols.engines.residuals import Model
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.sums import Low

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_LARGE = 2.0**249  # numbers up to which, and from one over which on, no units are needed


def given_by(looks: Looks) -> tuple[Array | None, Array | None]:
    """Anchors (b, q) and fits (b, m, 3 + 2 k) of the residuals to be summed, if they are."""
    return (looks[0].anchor, fits_of(looks)) if looks else (None, None)


def fits_of(looks: Looks) -> Array:
    """Fits (b, m, 3 + 2 k) that looks lead to, in the order of `jit.dealing.Table`."""
    with np.errstate(all="ignore"):
        return Model.of(looks).numbers.transpose(2, 0, 1)


def reduce_rows(
    space: Workspace,
    shape: Shape,
    rows: Rows,
    anchors: Array | None = None,
    fits: Array | None = None,
    asked: Verdicts | None = None,
) -> tuple[Moments, Numbers]:
    """Moments of b regressions, of n rows at most.

    Parameters
    ----------
    space : Workspace
        Buffers of the calling thread.
    shape : Shape
        What kind of regressions.
    rows : Rows
        Theirs.
    anchors : (b, a), optional
        Those of the first columns, the products of whose squares are left out.
    fits : (b, ...), optional
        As `jit.dealing.Table` has them: residuals take the responses' place.
    asked : Verdicts, optional
        Where answers go, but of the regressions that are left, of those with penalties, and where
        the shortest of many solutions is wanted.

    Returns
    -------
    moments : Moments
        L = (b,).
    left : (l,)
        Regressions that are left to the NumPy engine.
    """
    k, q, count = shape.k, shape.columns, len(rows.firsts) - 1
    near, given = np.zeros((count, q)), 0
    if anchors is not None:
        given = anchors.shape[1]
        near[:, :given] = anchors
    own = np.empty((count, 0)) if fits is None else np.ascontiguousarray(fits.reshape(count, -1))
    answered = asked is not None and shape.m > 0
    some = count if answered else 0
    found = Found(
        near,
        np.zeros((count, q)),
        np.empty((2, shape.moments, count)),
        np.empty((shape.answers, some)),
        np.empty((shape.m, some), np.int8),
        np.empty((1, some)),
    )
    kind = Kind(
        k,
        shape.m,
        lanes_of(shape.n),
        shape.centered,
        shape.weighted,
        shape.drop,
        given,
        answered,
        asked is not None and asked.singular == "nan",
        0.0 if asked is None else float(asked.tol),
    )
    facts = reduce_some(rows, kind, own, rooms_for(space, shape, own.shape[1]), found)
    high, low = (moments_from(part, shape) for part in found.moments)
    if fits is not None:
        high.anchor[:, k:] = 0.0
    lows = Low(sumw=low.sumw, mean=low.mean, sxx=low.sxx, sxy=low.sxy, syy=low.syy)
    units = np.zeros((count, q + 1), np.int32)
    extreme = _extreme(found.largest.T, *facts.T[2:])
    if answered and asked is not None:
        _store(shape, found, extreme, asked)
    return replace(high, low=lows, units=units, precise=True), np.flatnonzero(extreme)


def _store(shape: Shape, found: Found, extreme: NDArray[np.bool_], asked: Verdicts) -> None:
    """Put the answers that stand into their places."""
    fine = ~extreme & (asked.ridge == 0)
    if asked.singular == "min_norm":
        fine &= found.slopes[0] == shape.k
    which = np.flatnonzero(fine)
    where, precise = asked.places[which], np.ones((len(which), shape.m), bool)
    answers: Any = found.answers[:, which]
    asked.solution.store(where, solution_from(answers, found.status[:, which], precise, shape))
    asked.done[where] = True


def _extreme(largest: Array, heaviest: Array, lightest: Array) -> NDArray[np.bool_]:
    """Whose columns or weights may need units: the largest numbers are (q, b)."""
    some = heaviest > 0
    with np.errstate(all="ignore"):
        ratio = np.sqrt(np.where(some, lightest / heaviest, 1.0))
        small = (largest > 0) & ~(largest * ratio >= 1.0 / _LARGE)
    wide = (largest > _LARGE) | small
    beyond = some & ((heaviest > _LARGE) | (heaviest < 1.0 / _LARGE))
    return np.asarray(wide.any(axis=0) | beyond)
