"""Premise: what is known of a design that many responses share, in all lanes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.columns import Columns
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.design import Design, Room
from gpuols.engines.jit.lanes import every, root
from gpuols.engines.jit.linear import packed
from gpuols.engines.jit.memory import Memory, load, store

Array = NDArray[np.float64]


class Premise(NamedTuple):
    """What is known of a design of k columns, all of which are kept.

    Attributes
    ----------
    columns : Columns
        w and w (x - a), (n, 1 + k), zero in rows of no weight.
    weights : (n,)
        w.
    anchors : (3,)
        Rows whose median is a response's anchor; negative where it is zero.
    numbers : (8,)
        W, λ, γ, V², residual degrees of freedom, the bound on the variances, and the variance of
        the intercept over the residual variance, without a penalty and with it.
    facts : (4,)
        One, or zero, for each of the last four attributes of `Design`.
    vectors : (6, k)
        Anchors, means less anchors, sums of squares about the anchors; D; the diagonals of A⁻¹ and
        of A⁻¹ D S D A⁻¹.
    lower : (k (k + 1) / 2,)
        L, packed row by row.
    """

    columns: Columns
    weights: Array
    anchors: NDArray[np.int64]
    numbers: Array
    facts: Array
    vectors: Array
    lower: Array


@compiled
def furnish(premise: Premise, k: int, v: Memory, room: Room) -> Design:
    """Put a design into all lanes: what `answer` reads of it among sums and room."""
    vectors, q = premise.vectors, k + 1
    store(v, 1, every(premise.numbers[0]))
    for j in range(k):
        for e in range(3):
            store(v, 3 + e * q + j, every(vectors[e, j]))
        store(room.scale, j, every(vectors[3, j]))
        store(room.spread, j, every(vectors[4, j]))
        store(room.variance, j, every(vectors[5, j]))
        store(room.reach, j, root(load(room.spread, j)))
        store(room.deviation, j, root(load(room.variance, j)))
    for e in range(len(premise.lower)):
        store(room.lower, e, every(premise.lower[e]))
    for j in range(k):
        store(room.lower, packed(j, j), 1.0 / load(room.lower, packed(j, j)))
    of, facts = premise.numbers, premise.facts
    return Design(
        of[1] != 0.0,
        every(of[1]),
        every(of[2]),
        every(of[3]),
        every(of[4]),
        every(of[5]),
        root(every(of[6])),
        every(of[7]),
        root(every(of[7])),
        every(facts[0]) > 0.0,
        every(facts[1]) > 0.0,
        every(facts[2]) > 0.0,
        every(facts[3]) > 0.0,
    )
