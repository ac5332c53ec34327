"""Batch: rows of many regressions to moments and answers, eight side by side."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.design import Room, room_for
from gpuols.engines.jit.rows import (
    count_rows,
    fetch_anchors,
    find_anchors,
    is_narrow,
    pitch_of,
    rows_of,
    stack_for,
    sum_one,
    weigh,
)
from gpuols.engines.jit.solve import solve
from gpuols.engines.launches import Shape

Array = NDArray[np.float64]


class Lines(NamedTuple):
    """Rows of many regressions, side by side in the memory of an array.

    Attributes
    ----------
    memory : (numbers,)
        Which holds them.
    start, step : int
        Elements where those of the first regression begin, and from one to the next.
    """

    memory: Array
    start: int
    step: int


class Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say."""

    order: NDArray[np.int64]
    stack: Array
    near: Array
    table: Array
    heavy: Array
    weights: Array
    sums: Array
    solving: Room
    moments: Array
    answers: Array
    status: NDArray[np.int8]


class Outputs(NamedTuple):
    """Moments (entries, B), answers (entries, B), statuses (m, B): those of `engines.outputs`."""

    moments: Array
    answers: Array
    status: NDArray[np.int8]


def rooms_for(shape: Shape, order: NDArray[np.int64]) -> Rooms:
    """Room for regressions of one shape, whose products `order_of` finds."""
    n, k, m = shape.n, shape.k, shape.m
    size = 0 if is_narrow(k, m) else rows_of(k, m) * pitch_of(k, m)
    return Rooms(
        order=order,
        stack=stack_for(n, k, m),
        near=np.zeros(shape.columns),
        table=np.zeros(size),
        heavy=np.zeros(size if shape.weighted else 0),
        weights=np.empty(n if shape.weighted else 0),
        sums=np.empty((shape.sums, 8)),
        solving=room_for(k),
        moments=np.empty((shape.moments, 8)),
        answers=np.empty((shape.answers, 8)),
        status=np.empty((m, 8), np.int8),
    )


def columns_of(k: int, m: int) -> tuple[int, ...] | None:
    """Tuple as long as there are columns, where code is made for that many."""
    return (0,) * k if is_narrow(k, m) else None


@compiled
def put(source: Any, out: Any, start: int, count: int) -> None:
    """Columns of an array (r, 8) into neighbouring ones of another."""
    for e in range(source.shape[0]):
        for lane in range(count):
            out[e, start + lane] = source[e, lane]


def _fit_some(fingerprint: int) -> Callable[..., int]:
    def fit_some(
        x: Lines,
        y: Lines,
        w: Lines | None,
        weighted: Array | None,
        options: tuple[int, int, int, bool, bool, float],
        columns: tuple[int, ...] | None,
        rooms: Rooms,
        ridge: Array,
        outputs: Outputs,
        first: int,
        count: int,
    ) -> int:
        """Answer regressions, the first of which is number `first` of the outputs.

        `weighted` is the room for weights, or None where no row has one or may be left out; the
        options are n, k, m, whether there is an intercept, whether rows that miss a value are left
        out, and the tolerance. Gives how many call for a closer look.
        """
        n, k, m, centered, drop, tol = options
        near, v = rooms.near, rooms.sums
        penalties, rejected = np.empty(8), 0 * fingerprint
        for base in range(0, count, 8):
            number = min(8, count - base)
            for lane in range(8):
                if lane >= number:
                    for e in range(v.shape[0]):
                        v[e, lane] = v[e, 0]
                    continue
                b = base + lane
                penalties[lane] = ridge[first + b]
                at_x, at_y = x.start + b * x.step, y.start + b * y.step
                if weighted is None:
                    if b + 1 < count:
                        fetch_anchors(x.memory, at_x + x.step, n, k)
                        fetch_anchors(y.memory, at_y + y.step, n, m)
                else:
                    at_w = 0 if w is None else w.start + b * w.step
                    memory = None if w is None else w.memory
                    weigh(x.memory, at_x, k, y.memory, at_y, m, memory, at_w, n, drop, weighted)
                rows = count_rows(weighted, n, v, lane)
                near[:] = 0.0
                if centered and rows[0] >= 0:
                    find_anchors(x.memory, at_x, k, rows, near)
                    find_anchors(y.memory, at_y, m, rows, near[k:])
                sum_one(
                    x.memory,
                    at_x,
                    y.memory,
                    at_y,
                    weighted,
                    n,
                    near,
                    columns,
                    k,
                    m,
                    rooms.order,
                    rooms.table,
                    rooms.heavy,
                    rooms.stack,
                    v,
                    lane,
                )
            penalties[number:] = penalties[0]
            calls = solve(
                v,
                k,
                m,
                centered,
                penalties,
                tol,
                rooms.solving,
                rooms.moments,
                rooms.answers,
                rooms.status,
            )
            for lane in range(number):
                rejected += calls[lane] != 0.0
            put(rooms.moments, outputs.moments, first + base, number)
            put(rooms.answers, outputs.answers, first + base, number)
            put(rooms.status, outputs.status, first + base, number)
        return rejected

    return fit_some


fit_some = kept(_fit_some)
