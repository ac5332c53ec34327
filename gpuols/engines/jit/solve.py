"""Solve: sums of eight regressions to moments, answers, error bound and status, lane by lane.

As `gpuols.engines.solve` in double. The slopes are D A⁻¹ D sxy; the intercept comes last, from the
means, in about 106 bits.

Source: Ogita, Rump & Oishi (2005), Accurate sum and dot product, for the compensated intercept.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.bounds import in_range, is_finite, larger, relative
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.design import Design, Room, examine
from gpuols.engines.jit.doubled import two_sum
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, fma, root
from gpuols.engines.jit.linear import finish, halve, packed
from gpuols.engines.jit.memory import Memory, load, put, put_codes, store
from gpuols.errors import Status
from gpuols.numerics.bound import UNIT

_OK, _UNTRUSTED = float(Status.OK), float(Status.UNTRUSTED)
_TOO_FEW_ROWS, _NONFINITE = float(Status.TOO_FEW_ROWS), float(Status.NONFINITE)


class Target(NamedTuple):
    """Where moments, answers and statuses go: those of `gpuols.engines.outputs`.

    Attributes
    ----------
    moments, answers, status : Memory
        Of all regressions, entry by entry.
    pitch : int
        Regressions from one entry to the next.
    start : int
        The first of eight regressions.
    """

    moments: Memory
    answers: Memory
    status: Memory
    pitch: int
    start: int


@compiled
def deliver(target: Target, entry: int, value: Lanes) -> None:
    """Write an entry of the answers."""
    put(target.answers, entry * target.pitch + target.start, value)


@compiled
def product_of(c: int, j: int, k: int) -> int:
    """Place among the products of that of columns c and j, or of response c with itself, j = k."""
    return packed(c, j) if c < k else k * (k + 1) // 2 + (c - k) * (k + 1) + j


@compiled
def centre(v: Memory, k: int, m: int, centered: bool) -> None:
    """Sums about the anchor to means and moments about the mean, in place."""
    q, weight = k + m, load(v, 1)
    some = choose(weight == 0.0, every(1.0), weight)
    first = 3 + 3 * q
    for c in range(q):
        mean = load(v, 3 + q + c) / some
        store(v, 3 + q + c, mean)
        if not centered:
            continue
        for j in range(min(c, k)):
            at = first + product_of(c, j, k)
            store(v, at, load(v, at) - weight * mean * load(v, 3 + q + j))
        at = first + product_of(c, min(c, k), k)
        store(v, at, load(v, at) - weight * mean * mean)


@compiled
def intercept_of(v: Memory, k: int, q: int, r: int, scale: Memory, b: Memory) -> Lanes:
    """Intercept of response r with slopes in scaled units."""
    value, rest = two_sum(load(v, 3 + k + r), load(v, 3 + q + k + r))
    for j in range(k):
        mean, low = two_sum(load(v, 3 + j), load(v, 3 + q + j))
        center, slope = 0.0 - mean * load(scale, j), load(b, j)
        product = slope * center
        error = fma(slope, center, 0.0 - product)
        value, carry = two_sum(value, product)
        rest = rest + (carry + error - slope * (low * load(scale, j)))
    return value + rest


@compiled
def answer(
    v: Memory,
    k: int,
    m: int,
    centered: bool,
    r: int,
    tol: float,
    design: Design,
    room: Room,
    target: Target,
) -> Lanes:
    """Answers to response r, into rows of answers; its statuses."""
    q, free, b, scale = k + m, 1 if centered else 0, room.half, room.scale
    raw, mean = load(v, 3 + 2 * q + k + r), load(v, 3 + q + k + r)
    products = 3 + 3 * q + product_of(k + r, 0, k)
    for j in range(k):
        store(b, j, load(v, products + j) * load(scale, j))
    halve(room.lower, k, b)
    finish(room.lower, k, b)
    explained, shrunk, squares = every(0.0), every(0.0), raw
    for j in range(k):
        own, by = load(b, j), load(scale, j)
        explained = explained + own * (load(v, products + j) * by)
        if design.penalised:
            shrunk = shrunk + design.penalty * (by * by) * own * own
        squares = squares + load(v, 3 + 2 * q + j) * (by * by) * own * own
    ssr = load(v, products + k) - explained - shrunk
    ssr = choose((ssr < 0.0) | (design.df == 0.0), every(0.0), ssr)

    deviation = root(ssr / choose(design.df > 0.0, design.df, every(np.nan)))
    noise = design.gamma * root(design.leverage * squares)
    error, level = every(0.0), every(0.0)
    for j in range(k):
        se = load(room.deviation, j) * deviation
        error = larger(error, relative(load(room.reach, j) * noise, load(b, j), se))
    if centered:
        level = intercept_of(v, k, q, r, scale, b)
        own = design.reach * (noise + design.gamma * root(raw))
        error = larger(error, relative(own, level, design.deviation * deviation))
    of_ssr = design.gamma * squares
    if design.penalised:
        of_ssr = of_ssr + 2.0 * noise * root(shrunk)
    error = larger(error, 0.5 * (design.of_variances + of_ssr / ssr)) + (8.0 + 0.5 * k) * UNIT
    error = choose(design.fine & in_range(raw), error, every(np.inf))

    finite, few = design.sound & is_finite(mean) & (raw == raw), design.df <= 0.0
    known = finite & design.solved & ~(design.df < 0.0)
    trusted = design.solved & design.distinct & (error <= tol)
    code = choose(trusted, every(_OK), every(_UNTRUSTED))
    code = choose(few, every(_TOO_FEW_ROWS), code)
    p, nothing = k + free, every(np.nan)
    if centered:
        deliver(target, r, choose(known, level, nothing))
    for j in range(k):
        deliver(target, (free + j) * m + r, choose(known, load(b, j) * load(scale, j), nothing))
    deliver(target, p * (m + 1) + r, choose(known, ssr, nothing))
    deliver(target, p * (m + 1) + m + r, choose(known & ~few, error, every(np.inf)))
    return choose(finite, code, every(_NONFINITE))


@compiled
def deliver_design(
    k: int, m: int, centered: bool, ranked: Mask, design: Design, room: Room, target: Target
) -> None:
    """What does not depend on the responses, into rows of answers, where the rank is known."""
    free = 1 if centered else 0
    p, enough, nothing = k + free, ranked & design.solved & ~(design.df < 0.0), every(np.nan)
    if centered:
        deliver(target, p * m, choose(enough, design.level, nothing))
    for j in range(k):
        square = load(room.scale, j) * load(room.scale, j)
        own = load(room.variance, j) * square
        deliver(target, p * m + free + j, choose(enough, own, nothing))
    deliver(target, p * (m + 1) + 2 * m, choose(enough, design.df, nothing))
    deliver(target, p * (m + 1) + 2 * m + 1, choose(enough, every(float(p)), every(-1.0)))


@compiled
def deliver_moments(v: Memory, k: int, m: int, out: Memory, pitch: int, at: int) -> None:
    """Moments, the products of X whole, to out[at:], entries `pitch` apart."""
    q = k + m
    first = 3 + 3 * q
    for e in range(first):
        put(out, at, load(v, e))
        at += pitch
    for i in range(k):
        for j in range(k):
            put(out, at, load(v, first + packed(max(i, j), min(i, j))))
            at += pitch
    for i in range(k):
        for r in range(m):
            put(out, at, load(v, first + product_of(k + r, i, k)))
            at += pitch
    for r in range(m):
        put(out, at, load(v, first + product_of(k + r, k, k)))
        at += pitch


@kept
def solve(
    v: Memory,
    k: int,
    m: int,
    centered: bool,
    ridge: Memory,
    tol: float,
    room: Room,
    target: Target,
) -> Mask:
    """Moments and answers of eight regressions, given their sums about their anchors, changed.

    `ridge` are the eight penalties. Gives which of them call for a closer look.
    """
    centre(v, k, m, centered)
    design = examine(v, k, m, centered, ridge, room)
    calls = every(0.0) > 0.0
    ranked = design.fine & design.distinct & (0.5 * design.of_variances <= tol)
    # Where none of the eight has a penalty, that bound is finite with no degrees of freedom, too.
    ranked = ranked & (design.df > 0.0)
    for r in range(m):
        code = answer(v, k, m, centered, r, tol, design, room, target)
        put_codes(target.status, r * target.pitch + target.start, code)
        calls, ranked = calls | ~(code == _OK), ranked | ~(code == _NONFINITE)
    deliver_design(k, m, centered, ranked, design, room, target)
    deliver_moments(v, k, m, target.moments, target.pitch, target.start)
    return calls
