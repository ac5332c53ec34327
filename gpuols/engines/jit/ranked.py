"""Ranked: designs scaled and factored in double-double, their rank known, lane by lane.

As `gpuols.engines.design` in double-double, to the bit, of eight regressions without penalties:
S in units of powers of two, D S D = L L', redundant columns dropped.
"""

import math
from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.bounds import is_finite
from gpuols.engines.jit.centring import Settling, entry
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.doubled import Pair, keep, two_sum
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, near_root
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.pivots import factor, invert, place, substitute, times_row
from gpuols.engines.jit.solve import product_of
from gpuols.engines.jit.sources import Array
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace
from gpuols.numerics.bound import LANE, PIECE
from gpuols.numerics.pivots import DIGITS_OF_X, TOLERANCE

_STEEPEST = 2.0**240  # scale
_OF_MEAN, _OF_ZERO = TOLERANCE**2, DIGITS_OF_X**2


class Judging(NamedTuple):
    """What solving works in, each (rows, 8): pairs have two rows, high and low part.

    Attributes
    ----------
    lower : pairs of a triangle
        L, then its inverse.
    center, z, b : pairs of k
        Means of the columns, L⁻¹ X'y and slopes, in scaled units.
    scale, spread, noise, lowest, terms, kept : (k, 8)
        Powers of two, diagonal of the inverse, and what `pivots.factor` takes and gives.
    flags : (1, 8)
        Whatever is to be read lane by lane.
    answers : (entries, 8)
        As in `engines.outputs`.
    """

    lower: Array
    center: Array
    z: Array
    b: Array
    scale: Array
    spread: Array
    noise: Array
    lowest: Array
    terms: Array
    kept: Array
    flags: Array
    answers: Array


class Design(NamedTuple):
    """What every response of a regression needs to know of its design.

    Attributes
    ----------
    gamma, leverage, slopes, df : Lanes
        γ₂; V²; columns that are in; residual degrees of freedom.
    of_variances, reach : Lanes
        Bound on the relative error of the variances; 1/W + ‖L⁻¹ D x̄‖².
    sound, some : Mask
        Whether numbers are finite; whether there are rows.
    """

    gamma: Lanes
    leverage: Lanes
    slopes: Lanes
    df: Lanes
    of_variances: Lanes
    reach: Lanes
    sound: Mask
    some: Mask


def judging_for(space: Workspace, shape: Shape) -> Judging:
    """Room for regressions of a shape."""
    k = shape.k
    sizes = k * (k + 1), 2 * k, 2 * k, 2 * k, k, k, k, k, k, k, 1, shape.answers
    names = Judging._fields
    return Judging(
        *(
            space.array(f"judging {name}", (rows, 8))
            for name, rows in zip(names, sizes, strict=True)
        )
    )


@compiled
def gamma_of(rows: float) -> float:
    """Rounding error of the sums of so many rows, as `numerics.bound.gamma_precise`."""
    rows = max(rows, 1.0)
    longest = min(rows, float(LANE)) + math.ceil(math.log2(max(rows / LANE, 1.0)))
    return (4.0 + math.sqrt(min(rows, float(PIECE))) + longest / 4.0) * 2.0**-104


@compiled
def mean_of(own: Settling, c: int, q: int) -> Pair:
    """Mean of a column."""
    mean = entry(own, 3 + q + c)
    high, low = two_sum(load(own.high, 3 + c), mean[0])
    return two_sum(high, low + mean[1])


@compiled
def factor_design(
    own: Settling, k: int, m: int, centered: bool, gamma: Lanes, room: Judging
) -> Lanes:
    """Scale and factor S; how many columns are in."""
    q, high = k + m, own.high
    first, weight = 3 + 3 * q, load(high, 1)
    for j in range(k):
        about_mean = load(high, first + product_of(j, j, k))
        scale = near_root(about_mean)
        scale = choose(scale > _STEEPEST, every(_STEEPEST), scale)
        scale = choose(scale < 1.0 / _STEEPEST, every(1.0 / _STEEPEST), scale)
        square, about_zero = scale * scale, about_mean
        center = mean_of(own, j, q)
        keep(room.center, 2 * j, (center[0] * scale, center[1] * scale))
        if centered:
            mean = (load(high, 3 + j) + load(high, 3 + q + j)) + load(own.low, 3 + q + j)
            about_zero = about_mean + weight * mean * mean
        of_mean, of_zero = _OF_MEAN * about_mean, _OF_ZERO * about_zero
        store(
            room.lowest,
            j,
            choose((of_mean > of_zero) | ~(of_zero == of_zero), of_mean, of_zero) * square,
        )
        store(room.noise, j, gamma * load(high, 3 + 2 * q + j) * square)
        store(room.scale, j, scale)
    for i in range(k):
        for j in range(i + 1):
            both, a = (
                load(room.scale, i) * load(room.scale, j),
                entry(own, first + product_of(i, j, k)),
            )
            keep(room.lower, place(i, j), (a[0] * both, a[1] * both))
    most = load(high, 0) - (1.0 if centered else 0.0)
    return factor(room.lower, room.lowest, room.noise, most, k, room.terms, room.kept)


@compiled
def substitute_responses(own: Settling, k: int, m: int, room: Judging) -> None:
    """L⁻¹ X'y of all responses in place of X'y."""
    nothing = every(0.0)
    for r in range(m):
        first = 3 + 3 * (k + m) + product_of(k + r, 0, k)
        for j in range(k):
            inside, scale = load(room.kept, j) > 0.0, load(room.scale, j)
            c = entry(own, first + j)
            c = choose(inside, c[0] * scale, nothing), choose(inside, c[1] * scale, nothing)
            keep(room.z, 2 * j, c)
        substitute(room.lower, k, room.z)
        for j in range(k):
            store(own.high, first + j, load(room.z, 2 * j))
            store(own.low, first + j, load(room.z, 2 * j + 1))


@compiled
def examine(
    own: Settling, k: int, m: int, centered: bool, gamma: Lanes, slopes: Lanes, room: Judging
) -> Design:
    """All that follows from the factor alone; the inverse takes its place."""
    q, high, free = k + m, own.high, 1.0 if centered else 0.0
    invert(room.lower, k, room.kept)
    weight = load(high, 1)
    sound, length, leverage = is_finite(weight), every(0.0), every(0.0)
    for j in range(k):
        spread, scale, raw = every(0.0), load(room.scale, j), load(high, 3 + 2 * q + j)
        for i in range(j, k):
            half = load(room.lower, place(i, j))
            spread = spread + half * half
        store(room.spread, j, spread)
        half = times_row(room.lower, j, room.center)[0]
        length = length + half * half
        leverage = leverage + raw * (scale * scale) * spread
        sound = sound & is_finite(load(high, 3 + q + j)) & (raw == raw)
    df = load(high, 0) - free - slopes
    known = choose(df > 0.0, df, every(np.nan))
    return Design(
        gamma=gamma,
        leverage=leverage,
        slopes=slopes,
        df=df,
        of_variances=gamma * leverage * (1.0 + 0.0 / known),
        reach=1.0 / weight + length,
        sound=sound,
        some=load(high, 0) > 0.0,
    )
