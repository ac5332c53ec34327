"""Centring: sums about anchors to moments about the mean in double-double, lane by lane.

As `gpuols.engines.centring`, to the bit.
"""

from typing import NamedTuple

import numpy as np

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.doubled import Pair, divide, multiply, subtract
from gpuols.engines.jit.lanes import choose, every
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.solve import product_of
from gpuols.engines.jit.sources import Array, Numbers
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace

_LEAST = 2.0**-1000  # weight, in the largest: below it nothing is promised
_FAR = 16.0  # squares about the anchor in those about the mean: four standard deviations


class Settling(NamedTuple):
    """What centring works in: sums as in `jit.rows`, means and moments of eight regressions.

    Attributes
    ----------
    high, low : (sums, 8)
        Both parts of the sums, and of moments about the mean.
    mean : (2 q, 8)
        Means, high and low parts.
    moments : (entries, 8)
        As in `engines.outputs`.
    """

    high: Array
    low: Array
    mean: Array
    moments: Array


def settling_for(space: Workspace, shape: Shape) -> Settling:
    """Room for regressions of a shape."""
    sums = space.array("both", (2, shape.sums, 8))
    return Settling(
        high=sums[0],
        low=sums[1],
        mean=space.array("mean", (2 * shape.columns, 8)),
        moments=space.array("moments", (shape.moments, 8)),
    )


@compiled
def take(
    which: Numbers, base: int, sums: Array, facts: Array, near: Array, heavy: bool, room: Settling
) -> int:
    """Fetch the sums of up to eight regressions; how many there are."""
    q, count = near.shape[1], min(8, len(which) - base)
    high, low = room.high, room.low
    for slot in range(8):
        b = which[base + slot if slot < count else base]
        high[0, slot], high[2, slot] = facts[b, 0], facts[b, 1]
        if heavy:
            high[1, slot], low[1, slot] = sums[b, 0], sums[b, 1]
        else:
            high[1, slot], low[1, slot] = facts[b, 0], 0.0
        for c in range(q):
            high[3 + c, slot] = near[b, c]
            high[3 + q + c, slot], low[3 + q + c, slot] = sums[b, 2 + 2 * c], sums[b, 3 + 2 * c]
        for e in range(1 + q, sums.shape[1] // 2):
            at = 2 + 2 * q + e
            high[at, slot], low[at, slot] = sums[b, 2 * e], sums[b, 2 * e + 1]
    return count


@compiled
def entry(room: Settling, e: int) -> Pair:
    """Both parts of a sum."""
    return load(room.high, e), load(room.low, e)


@compiled
def replace(room: Settling, e: int, value: Pair) -> None:
    """Write both parts of a sum."""
    store(room.high, e, value[0])
    store(room.low, e, value[1])


@compiled
def centre(room: Settling, k: int, m: int, centered: bool) -> None:
    """Sums about the anchor to means and moments about the mean, in place."""
    q, high = k + m, room.high
    first, mean = 3 + 3 * q, room.mean
    weight = choose(load(high, 1) > 0.0, load(high, 1), every(1.0)), load(room.low, 1)
    for c in range(q):
        store(high, 3 + 2 * q + c, load(high, first + product_of(c, min(c, k), k)))
        value = divide(entry(room, 3 + q + c), weight)
        store(mean, 2 * c, value[0])
        store(mean, 2 * c + 1, value[1])
    if centered:
        for c in range(q):
            value = load(mean, 2 * c), load(mean, 2 * c + 1)
            for j in range(min(c, k)):
                at = first + product_of(c, j, k)
                part = multiply(entry(room, 3 + q + j), value)
                replace(room, at, subtract(entry(room, at), part))
            at = first + product_of(c, min(c, k), k)
            part = multiply(entry(room, 3 + q + c), value)
            replace(room, at, subtract(entry(room, at), part))
    for c in range(q):
        replace(room, 3 + q + c, (load(mean, 2 * c), load(mean, 2 * c + 1)))


@compiled
def is_far(room: Settling, slot: int, k: int, q: int, first: int, b: int, facts: Array) -> bool:
    """Whether some column of a regression, from the `first` on, has an anchor far from its mean.

    Nothing is promised of responses beside whose largest weight another tells nothing.
    """
    found = False
    for c in range(q):
        at, own = 3 + 2 * q + c, 3 + 3 * q + product_of(c, min(c, k), k)
        if c >= k and facts[b, 3] < _LEAST * facts[b, 2]:
            room.high[at, slot] = np.inf
        found = found or (c >= first and room.high[at, slot] > _FAR * room.high[own, slot])
    return found
