"""Verdict: moments in double-double to answers, error bound and status, lane by lane.

As `gpuols.engines.answers` and `trust` in double-double, to the bit, of eight regressions without
penalties and looks at residuals.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.bounds import is_finite, larger, relative
from gpuols.engines.jit.centring import Settling, entry
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.doubled import Pair, add, keep, multiply, pair, subtract
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, root, size
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.pivots import times_column
from gpuols.engines.jit.ranked import (
    Design,
    Judging,
    examine,
    factor_design,
    gamma_of,
    mean_of,
    substitute_responses,
)
from gpuols.engines.jit.solve import product_of
from gpuols.errors import Status
from gpuols.numerics.bound import UNIT

_OK, _UNTRUSTED = float(Status.OK), float(Status.UNTRUSTED)
_RANK_DEFICIENT, _TOO_FEW_ROWS = float(Status.RANK_DEFICIENT), float(Status.TOO_FEW_ROWS)
_NONFINITE = float(Status.NONFINITE)

_CLEAR = 1e-10  # error of the inverse up to which what can't be told from zero is zero


@compiled
def worse(
    error: Lanes, number: Lanes, reach: Lanes, step: Lanes, lost: Lanes, deviation: Lanes
) -> Lanes:
    """The error bound with that of a number beside, whose variance is `reach`² times another."""
    se = reach * deviation
    error = larger(error, relative(reach * step, number, se))
    return larger(error, relative(reach * lost, number, se))


class Remainder(NamedTuple):
    """What a response's slopes leave to be judged.

    Attributes
    ----------
    ssr, scatter, raw : Lanes
        Sum of squared residuals; Σ x_j² b_j² over the columns, with `raw`; squares of the response.
    step, lost, deviation : Lanes
        What rounding may do to S b, and what an exact fit may hide; root of the residual variance.
    unseen : Lanes
        What rounding leaves of the squares.
    fitted : Pair
        x̄'b.
    few, blank : Mask
        Whether no degrees of freedom are left; whether a number as small as its error is zero.
    """

    ssr: Lanes
    scatter: Lanes
    raw: Lanes
    step: Lanes
    lost: Lanes
    deviation: Lanes
    unseen: Lanes
    fitted: Pair
    few: Mask
    blank: Mask


@compiled
def fit_slopes(own: Settling, k: int, m: int, r: int, design: Design, room: Judging) -> Remainder:
    """Slopes of response r, put into `room.b`, and what they leave."""
    q, nothing = k + m, every(0.0)
    first, raw = 3 + 3 * q + product_of(k + r, 0, k), load(own.high, 3 + 2 * q + k + r)
    for j in range(k):
        keep(room.z, 2 * j, entry(own, first + j))
    explained, fitted, scatter = (nothing, nothing), (nothing, nothing), nothing
    for j in range(k):
        b, z = times_column(room.lower, j, room.z, k), pair(room.z, 2 * j)
        scale = load(room.scale, j)
        keep(room.b, 2 * j, b)
        explained = add(explained, multiply(z, z))
        fitted = add(fitted, multiply(b, pair(room.center, 2 * j)))
        scatter = scatter + load(own.high, 3 + 2 * q + j) * (scale * scale) * (b[0] * b[0])
    scatter = scatter + raw
    unseen = design.gamma * scatter
    ssr, few = subtract(entry(own, first + k), explained)[0], design.df <= 0.0
    exact = (ssr <= unseen) | few
    ssr = choose(exact, nothing, ssr)
    return Remainder(
        ssr,
        scatter,
        raw,
        design.gamma * root(design.leverage * scatter),
        choose(ssr == 0.0, root(2.0 * unseen / design.df), nothing),
        root(ssr / choose(design.df > 0.0, design.df, every(np.nan))),
        unseen,
        fitted,
        few,
        exact & (design.gamma * design.leverage <= _CLEAR),
    )


@compiled
def bound_error(
    own: Settling,
    k: int,
    m: int,
    centered: bool,
    r: int,
    design: Design,
    left: Remainder,
    room: Judging,
) -> tuple[Lanes, Lanes]:
    """Error bound and intercept of response r; slopes that can't be told from zero are made so."""
    nothing = every(0.0)
    error, doubtful, level = nothing, nothing > 0.0, nothing
    for j in range(k):
        reach, b = root(load(room.spread, j)), load(room.b, 2 * j)
        b = choose(left.blank & (size(b) <= reach * left.step), nothing, b)
        store(room.b, 2 * j, b)
        error = worse(error, b, reach, left.step, left.lost, left.deviation)
        doubtful = doubtful | ((b == 0.0) & (load(room.kept, j) > 0.0))
    if centered:
        reach, above = root(design.reach), left.step + design.gamma * root(left.raw)
        level = subtract(mean_of(own, k + r, k + m), left.fitted)[0]
        level = choose(left.blank & (size(level) <= reach * above), nothing, level)
        error = worse(error, level, reach, above, left.lost, left.deviation)
        doubtful = doubtful | (level == 0.0)
    of_ssr = choose(left.ssr == 0.0, nothing, left.unseen / left.ssr)
    of_se = larger(nothing, 0.5 * (design.of_variances + of_ssr))
    error = choose((left.ssr == 0.0) & (left.scatter == 0.0), error, larger(error, of_se))
    error = choose(doubtful & (left.lost > 0.0), every(np.inf), error)
    return error + (8.0 * UNIT + 0.5 * k * UNIT), level


@compiled
def answer(
    own: Settling,
    k: int,
    m: int,
    centered: bool,
    r: int,
    tol: float,
    whole: bool,
    design: Design,
    room: Judging,
) -> Lanes:
    """Answers to response r, into the rows of answers; its statuses.

    With `whole` there are coefficients only where no column is redundant.
    """
    q, free, out, unknown = k + m, 1 if centered else 0, room.answers, every(np.nan)
    left = fit_slopes(own, k, m, r, design, room)
    error, level = bound_error(own, k, m, centered, r, design, left, room)
    finite = design.sound & is_finite(load(own.high, 3 + q + k + r)) & (left.raw == left.raw)
    deficient = design.slopes < float(k)
    known = finite & ~(design.df < 0.0) & design.some
    given = known & ~(deficient & (every(1.0 if whole else 0.0) > 0.0))
    if centered:
        store(out, r, choose(given, level, unknown))
    for j in range(k):
        own_slope = load(room.b, 2 * j) * load(room.scale, j)
        there = given & (load(room.kept, j) > 0.0)
        store(out, (free + j) * m + r, choose(there, own_slope, unknown))
    at = (k + free) * (m + 1) + r
    store(out, at, choose(known, left.ssr, unknown))
    store(out, at + m, choose(known & ~left.few, error, every(np.inf)))
    code = choose(error <= tol, every(_OK), every(_UNTRUSTED))
    code = choose(deficient, every(_RANK_DEFICIENT), code)
    code = choose(left.few, every(_TOO_FEW_ROWS), code)
    return choose(finite, code, every(_NONFINITE))


@compiled
def deliver_design(
    k: int, m: int, centered: bool, whole: bool, design: Design, room: Judging
) -> None:
    """What does not depend on the responses, into the rows of answers."""
    free, out, nothing, unknown = 1 if centered else 0, room.answers, every(0.0), every(np.nan)
    enough, at = ~(design.df < 0.0) & design.some & design.sound, (k + free) * m
    given = enough & ~((design.slopes < float(k)) & (every(1.0 if whole else 0.0) > 0.0))
    if centered:
        store(out, at, choose(given, design.reach, unknown))
    for j in range(k):
        scale = load(room.scale, j)
        own = load(room.spread, j) * (scale * scale)
        store(out, at + free + j, choose(given & (load(room.kept, j) > 0.0), own, unknown))
    at = (k + free) * (m + 1) + 2 * m
    store(out, at, choose(enough, design.df, unknown))
    columns = choose(design.some, every(float(free)), nothing) + design.slopes
    store(out, at + 1, choose(design.sound, columns, every(-1.0)))


@compiled
def judge(
    own: Settling,
    k: int,
    m: int,
    centered: bool,
    tol: float,
    whole: bool,
    room: Judging,
    status: NDArray[np.int8],
) -> Lanes:
    """Answers to eight regressions, given their moments, changed; how many columns are in.

    They go to the rows of answers; the statuses to `status` (m, 8).
    """
    for lane in range(8):
        room.flags[0, lane] = gamma_of(own.high[0, lane])
    gamma = load(room.flags, 0)
    slopes = factor_design(own, k, m, centered, gamma, room)
    substitute_responses(own, k, m, room)
    design = examine(own, k, m, centered, gamma, slopes, room)
    for r in range(m):
        store(room.flags, 0, answer(own, k, m, centered, r, tol, whole, design, room))
        for lane in range(8):
            status[r, lane] = np.int8(room.flags[0, lane])
    deliver_design(k, m, centered, whole, design, room)
    return slopes
