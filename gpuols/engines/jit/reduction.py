"""Reduction: rows of many regressions to moments and answers in double-double, eight at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.centring import Settling, centre, is_far, settling_for, take
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.memory import store
from gpuols.engines.jit.precise import Summing, sum_pieces, summing_for
from gpuols.engines.jit.ranked import Judging, judging_for
from gpuols.engines.jit.solve import deliver_moments
from gpuols.engines.jit.sources import Array, Numbers, Rows
from gpuols.engines.jit.survey import look_over
from gpuols.engines.jit.verdict import judge
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace
from gpuols.numerics.bound import PIECE


class Kind(NamedTuple):
    """What regressions are to be reduced, and how.

    Attributes
    ----------
    k, m : int
        Columns and responses.
    lanes : int
        Which their rows are dealt to.
    centered, weighted, drop : bool
        As in `launches.Shape`.
    given : int
        Columns, the first ones, whose anchors are given; with some, the products among the columns
        of X are left out.
    answered, whole : bool
        Whether answers are wanted, and whether only where no column is redundant.
    tol : float
        Largest error bound that is called OK.
    """

    k: int
    m: int
    lanes: int
    centered: bool
    weighted: bool
    drop: bool
    given: int
    answered: bool
    whole: bool
    tol: float


class Rooms(NamedTuple):
    """What a thread works in."""

    summing: Summing
    settling: Settling
    judging: Judging
    status: NDArray[np.int8]


class Found(NamedTuple):
    """What is found of b regressions.

    Attributes
    ----------
    near, largest : (b, q)
        Anchors, and the largest numbers of some weight.
    moments : (2, entries, b)
        High and low parts of their moments.
    answers, status : (entries, b), (m, b)
        Those of `engines.outputs`, where they are wanted.
    slopes : (1, b)
        Columns that are in, likewise.
    """

    near: Array
    largest: Array
    moments: Array
    answers: Array
    status: NDArray[np.int8]
    slopes: Array


def rooms_for(space: Workspace, shape: Shape, fits: int) -> Rooms:
    """Room for regressions of a shape, of so many rows at most, with so many numbers of fits."""
    return Rooms(
        summing_for(space, shape, fits),
        settling_for(space, shape),
        judging_for(space, shape),
        np.zeros((shape.m, 8), np.int8),
    )


@compiled
def pieces_of(rows: Rows, which: Numbers) -> Numbers:
    """Pieces of some regressions, at least one of each: number, first row, rows."""
    total = 0
    for b in which:
        total += max(1, -((rows.firsts[b] - rows.firsts[b + 1]) // PIECE))
    pieces, at = np.empty((total, 3), np.int64), 0
    for b in which:
        left, first = rows.firsts[b + 1] - rows.firsts[b], 0
        while left > 0 or first == 0:
            pieces[at, 0], pieces[at, 1], pieces[at, 2] = b, first, max(0, min(left, PIECE))
            left, first, at = left - PIECE, first + PIECE, at + 1
    return pieces


@compiled
def settle(
    which: Numbers, sums: Array, facts: Array, kind: Kind, rooms: Rooms, found: Found
) -> Numbers:
    """Moments, and answers, from the sums of some regressions; whose anchors are far from means."""
    k, m, own = kind.k, kind.m, rooms.settling
    far, number = np.empty(len(which), np.int64), 0
    for base in range(0, len(which), 8):
        count = take(which, base, sums, facts, found.near, kind.weighted, own)
        centre(own, k, m, kind.centered)
        for slot in range(count):
            b = which[base + slot]
            if is_far(own, slot, k, k + m, kind.given, b, facts) and kind.centered:
                far[number] = b
                number += 1
        deliver_moments(own.high, k, m, own.moments, 8, 0)
        put(own.moments, found.moments[0], which, base, count)
        deliver_moments(own.low, k, m, own.moments, 8, 0)
        put(own.moments, found.moments[1], which, base, count)
        if kind.answered:
            slopes = judge(
                own, k, m, kind.centered, kind.tol, kind.whole, rooms.judging, rooms.status
            )
            store(rooms.judging.flags, 0, slopes)
            put(rooms.judging.flags, found.slopes, which, base, count)
            put(rooms.judging.answers, found.answers, which, base, count)
            put(rooms.status, found.status, which, base, count)
    return far[:number]


@compiled
def put(
    source: NDArray[np.generic], out: NDArray[np.generic], which: Numbers, base: int, count: int
) -> None:
    """Columns of an array (r, 8) into some of another, from number `base` of `which` on."""
    for e in range(source.shape[0]):
        for slot in range(count):
            out[e, which[base + slot]] = source[e, slot]


@kept
def reduce_some(rows: Rows, kind: Kind, fits: Array, rooms: Rooms, found: Found) -> Array:
    """Moments of regressions, about the mean at once where their anchors are far from it.

    `fits` (b, m (3 + 2 k)) are those of `dealing.Table`. Gives what `survey` finds.
    """
    k, q = kind.k, kind.k + kind.m
    count = len(rows.firsts) - 1
    heavy = np.empty(rows.firsts[count] if kind.weighted else 0)
    near, high, low = found.near, found.moments[0], found.moments[1]
    facts = look_over(rows, k, kind.m, kind.centered, kind.drop, kind.given, heavy, near)
    first = k * (k + 1) // 2 if kind.given else 0
    sums, ignored = np.empty((count, rooms.summing.tree.shape[1])), np.empty_like(near)
    which, largest = np.arange(count), found.largest
    for _ in range(2):
        pieces = pieces_of(rows, which)
        sum_pieces(
            rows, heavy, pieces, kind.lanes, near, fits, k, first, rooms.summing, largest, sums
        )
        which, largest = settle(which, sums, facts, kind, rooms, found), ignored
        for b in which:
            for c in range(kind.given, q):
                mean = low[3 + q + c, b] + high[3 + q + c, b]
                near[b, c] = mean + near[b, c]
    result: Array = facts
    return result
