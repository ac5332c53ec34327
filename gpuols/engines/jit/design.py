"""Design: the scaled and factored Gram matrices of eight regressions, lane by lane.

As `gpuols.engines.design` in double: with D powers of two that bring the diagonal of
A = D (S + λ I) D near one, A = L L'.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970) for
the covariance under a penalty.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.bounds import gamma_of, in_range, is_finite, larger, quotient
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, load, store
from gpuols.engines.jit.linear import diagonals, factor, finish, halve, invert, packed, quadratic
from gpuols.numerics.pivots import DIGITS_OF_X, TOLERANCE

Array = NDArray[Any]

_NEAR = 4.0  # times a threshold of rank


class Room(NamedTuple):
    """What solving works in, rows of an array each: triangles, and k numbers of a design."""

    lower: Array
    inverse: Array
    scale: Array
    half: Array
    spread: Array
    variance: Array
    column: Array
    flags: Array


class Design(NamedTuple):
    """What every response of a regression needs to know of its design, lane by lane.

    Attributes
    ----------
    penalty, gamma, leverage, df : Lanes
        λ; γ; V²; residual degrees of freedom.
    of_variances : Lanes
        Bound on the relative error of the variances.
    reach, level : Lanes
        1/W + ‖L⁻¹ D x̄‖², and the intercept's variance over the residual variance.
    solved, sound, fine, distinct : Mask
        Whether there is a factor; numbers are finite, and in range; no pivot is near zero.
    """

    penalty: Lanes
    gamma: Lanes
    leverage: Lanes
    df: Lanes
    of_variances: Lanes
    reach: Lanes
    level: Lanes
    solved: Mask
    sound: Mask
    fine: Mask
    distinct: Mask


@compiled
def room_for(k: int) -> Room:
    """Room for designs of k columns."""
    half = k * (k + 1) // 2
    a, n = np.empty((2 * half + 5 * k + 3, 8)), 2 * half
    return Room(
        a[:half],
        a[half:n],
        a[n : n + k],
        a[n + k : n + 2 * k],
        a[n + 2 * k : n + 3 * k],
        a[n + 3 * k : n + 4 * k],
        a[n + 4 * k : n + 5 * k],
        a[n + 5 * k :],
    )


@compiled
def examine(v: Array, k: int, m: int, centered: bool, ridge: Array, room: Room) -> Design:
    """Factor designs, and what follows from them alone."""
    q, scale = k + m, room.scale
    first, any_penalty = 3 + 3 * q, False
    for lane in range(8):
        room.flags[0, lane], room.flags[1, lane] = ridge[lane], gamma_of(v[0, lane])
        any_penalty = any_penalty or ridge[lane] != 0.0
    penalty, gamma, weight = load(room.flags, 0), load(room.flags, 1), load(v, 1)
    penalised, free = penalty > 0.0, 1.0 if centered else 0.0
    solved = factor(v, first, k, penalty, scale, room.lower)
    invert(room.lower, k, room.inverse)
    diagonals(
        v,
        first,
        k,
        penalty,
        any_penalty,
        scale,
        room.inverse,
        room.spread,
        room.variance,
        room.column,
    )

    sound, fine, distinct = is_finite(weight), in_range(weight), penalty == penalty
    leverage, freed, inflation = every(0.0), every(0.0), every(1.0)
    for j in range(k):
        raw, about_mean = load(v, 3 + 2 * q + j), load(v, first + packed(j, j))
        step, spread = load(v, 3 + q + j), load(room.spread, j)
        square = load(scale, j) * load(scale, j)
        leverage = leverage + raw * square * spread
        freed = freed + choose(penalised, penalty * square * spread, every(0.0))
        ratio = larger(inflation, quotient(spread, load(room.variance, j)))
        inflation = choose(penalised & (raw > 0.0) & (spread > 0.0), ratio, inflation)
        sound = sound & is_finite(step) & (raw == raw)
        fine = fine & in_range(about_mean) & in_range(raw)
        mean = load(v, 3 + j) + step
        about_zero = about_mean + free * weight * mean * mean
        lowest = larger(TOLERANCE * TOLERANCE * about_mean, DIGITS_OF_X * DIGITS_OF_X * about_zero)
        distinct = distinct & (penalised | (1.0 / (spread * square) > _NEAR * lowest))
    rows = load(v, 0) - free
    df = rows - float(k) + freed
    df = choose(penalised & (rows > 0.0) & (df <= 0.0), every(np.nan), df)
    reach = level = every(0.0)
    if centered:
        for j in range(k):
            store(room.half, j, (load(v, 3 + j) + load(v, 3 + q + j)) * load(scale, j))
        halve(room.lower, k, room.half)
        reach = 1.0 / weight
        for j in range(k):
            reach = reach + load(room.half, j) * load(room.half, j)
        level = reach
        if any_penalty:
            finish(room.lower, k, room.half)
            shrunk = 1.0 / weight + quadratic(v, first, k, scale, room.half)
            level = choose(penalised, shrunk, reach)
            inflation = choose(penalised, larger(inflation, quotient(reach, level)), inflation)
    known = choose(df > 0.0, df, every(np.nan))
    of_variances = gamma * leverage * (inflation + freed / known)
    return Design(
        penalty, gamma, leverage, df, of_variances, reach, level, solved, sound, fine, distinct
    )
