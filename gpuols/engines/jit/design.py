"""Design: the scaled and factored Gram matrices of eight regressions, lane by lane.

As `gpuols.engines.design` in double: with D powers of two that bring the diagonal of
A = D (S + λ I) D near one, A = L L'.

Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970) for
the covariance under a penalty.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.bounds import gamma_of, in_range, is_finite, larger, quotient
from gpuols.engines.jit.compiling import compiled, portable
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, root
from gpuols.engines.jit.linear import diagonals, factor, finish, halve, invert, packed, quadratic
from gpuols.engines.jit.memory import Memory, address, load, store
from gpuols.numerics.pivots import DIGITS_OF_X, NEAR, TOLERANCE


class Room(NamedTuple):
    """What solving works in, rows of memory each: triangles, and k numbers of a design.

    `reach` and `deviation` are the roots of `spread` and of `variance`.
    """

    lower: Memory
    inverse: Memory
    scale: Memory
    half: Memory
    spread: Memory
    variance: Memory
    reach: Memory
    deviation: Memory
    column: Memory


@portable
def room_size(k: int) -> int:
    """Numbers that room for designs of k columns takes up."""
    return 8 * (k * (k + 1) + 7 * k)


@compiled
def room_in(memory: Memory, k: int) -> Room:
    """Room for designs of k columns at the beginning of memory."""
    triangle, own = 4 * k * (k + 1), 8 * k
    first = 2 * triangle
    return Room(
        address(memory, 0),
        address(memory, triangle),
        address(memory, first),
        address(memory, first + own),
        address(memory, first + 2 * own),
        address(memory, first + 3 * own),
        address(memory, first + 4 * own),
        address(memory, first + 5 * own),
        address(memory, first + 6 * own),
    )


class Design(NamedTuple):
    """What every response of a regression needs to know of its design, lane by lane.

    Attributes
    ----------
    penalised : bool
        Whether any of the eight has a penalty.
    penalty, gamma, leverage, df : Lanes
        λ; γ; V²; residual degrees of freedom.
    of_variances : Lanes
        Bound on the relative error of the variances.
    reach, level, deviation : Lanes
        Root of 1/W + ‖L⁻¹ D x̄‖²; the intercept's variance over the residual variance, and its root.
    solved, sound, fine, distinct : Mask
        Whether there is a factor; numbers are finite, and in range; no pivot is near zero.
    """

    penalised: bool
    penalty: Lanes
    gamma: Lanes
    leverage: Lanes
    df: Lanes
    of_variances: Lanes
    reach: Lanes
    level: Lanes
    deviation: Lanes
    solved: Mask
    sound: Mask
    fine: Mask
    distinct: Mask


@compiled
def examine(v: Memory, k: int, m: int, centered: bool, ridge: Memory, room: Room) -> Design:
    """Factor designs, and what follows from them alone."""
    q, scale = k + m, room.scale
    first, any_penalty = 3 + 3 * q, False
    for lane in range(8):
        any_penalty = any_penalty or ridge[lane] != 0.0
    rows, penalty, weight = load(v, 0), load(ridge, 0), load(v, 1)
    gamma = gamma_of(rows)
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
        store(room.reach, j, root(spread))
        if any_penalty:
            freed = freed + choose(penalised, penalty * square * spread, every(0.0))
            ratio = larger(inflation, quotient(spread, load(room.variance, j)))
            inflation = choose(penalised & (raw > 0.0) & (spread > 0.0), ratio, inflation)
            store(room.deviation, j, root(load(room.variance, j)))
        else:
            store(room.deviation, j, load(room.reach, j))
        sound = sound & is_finite(step) & (raw == raw)
        fine = fine & in_range(about_mean) & in_range(raw)
        mean = load(v, 3 + j) + step
        about_zero = about_mean + free * weight * mean * mean
        lowest = larger(TOLERANCE * TOLERANCE * about_mean, DIGITS_OF_X * DIGITS_OF_X * about_zero)
        distinct = distinct & (penalised | (NEAR * lowest * (spread * square) < 1.0))
    counted = rows - free
    df = counted - float(k) + freed
    df = choose(penalised & (df <= 0.0), every(np.nan), df)
    df = choose(penalised & ~(counted > 0.0), rows - 1.0, df)
    reach = level = deviation = every(0.0)
    if centered:
        for j in range(k):
            store(room.half, j, (load(v, 3 + j) + load(v, 3 + q + j)) * load(scale, j))
        halve(room.lower, k, room.half)
        reach = 1.0 / weight
        for j in range(k):
            reach = reach + load(room.half, j) * load(room.half, j)
        level = reach
        reach = deviation = root(reach)
        if any_penalty:
            finish(room.lower, k, room.half)
            shrunk = 1.0 / weight + quadratic(v, first, k, scale, room.half)
            ratio = larger(inflation, quotient(level, shrunk))
            inflation = choose(penalised, ratio, inflation)
            level = choose(penalised, shrunk, level)
            deviation = root(level)
    if any_penalty:
        inflation = inflation + freed / choose(df > 0.0, df, every(np.nan))
    return Design(
        any_penalty,
        penalty,
        gamma,
        leverage,
        df,
        gamma * leverage * inflation,
        reach,
        level,
        deviation,
        solved,
        sound,
        fine,
        distinct,
    )
