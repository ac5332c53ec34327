"""Batch: rows of many regressions to moments and answers, eight side by side."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.anchors import count_rows, fetch_anchors, find_anchors, weigh
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.delivery import deliver
from gpuols.engines.jit.design import Room, room_in, room_size
from gpuols.engines.jit.lanes import tally
from gpuols.engines.jit.memory import Memory, address, settle_streams
from gpuols.engines.jit.rows import (
    found_size,
    is_narrow,
    size_of,
    stack_size,
    sum_one,
    table_size,
    turn,
)
from gpuols.engines.jit.solve import Target, solve
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace, aligned

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


class Outputs(NamedTuple):
    """Moments (entries, B), answers (entries, B), statuses (m, B): those of `engines.outputs`.

    Eight regressions are written together: best where each entry begins a line of cache.
    """

    moments: Array
    answers: Array
    status: NDArray[np.int8]


class Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say."""

    found: Memory
    sums: Memory
    solving: Room
    stack: Memory
    table: Memory
    heavy: Memory
    penalties: Memory
    answers: Target


def outputs_for(shape: Shape, count: int) -> Outputs:
    """Room for what is found of so many regressions; who keeps answers keeps no moments."""
    full = -(-count // 8) * 8
    return Outputs(
        aligned((shape.moments, full)),
        aligned((shape.answers, full)),
        np.empty((shape.m, full), np.int8),
    )


def room_for(shape: Shape, space: Workspace) -> tuple[Array, NDArray[np.int64], NDArray[np.int8]]:
    """Memory for a thread to work in, where its parts begin, and room for statuses."""
    return *space.room(_sizes(shape)), np.empty(8 * shape.m, np.int8)


@lru_cache
def _sizes(shape: Shape) -> tuple[int, ...]:
    """Numbers of the parts of a thread's memory, as `rooms_in` names them."""
    n, k, m = shape.n, shape.k, shape.m
    table = table_size(k, m)
    return (
        8 * found_size(k, m),
        8 * (shape.sums + 1),
        room_size(k),
        stack_size(n, k, m),
        table,
        table if shape.weighted else 0,
        8,
        8 * shape.moments,
        8 * shape.answers,
    )


def columns_of(k: int, m: int) -> tuple[int, ...] | None:
    """Tuple as long as there are columns, where code is made for that many."""
    return (0,) * k if is_narrow(k, m) else None


@compiled
def sizes_of(columns: Any, k: int, m: int) -> tuple[int, int]:
    """Columns and responses: constants where code is made for that many."""
    if columns is None:
        return k, m
    return len(columns), 1


@compiled
def rooms_in(memory: Memory, starts: Any, status: Memory, k: int) -> Rooms:
    """The parts of a thread's memory.

    Columns that fill up the table are multiplied, but never written: they are zero, since memory
    may hold denormal numbers, thirty times as slow.
    """
    for i in range(starts[4], starts[5]):
        memory[i] = 0.0
    moments, answers = address(memory, starts[7]), address(memory, starts[8])
    return Rooms(
        address(memory, starts[0]),
        address(memory, starts[1]),
        room_in(address(memory, starts[2]), k),
        address(memory, starts[3]),
        address(memory, starts[4]),
        address(memory, starts[5]),
        address(memory, starts[6]),
        Target(moments, answers, address(status, 0), 8, 0),
    )


@compiled
def find_one(
    x: Memory,
    y: Memory,
    w: Memory,
    n: int,
    options: tuple[int, int, bool, bool, float],
    columns: Any,
    weights: Memory,
    rooms: Rooms,
    lane: int,
) -> None:
    """Put what is found of a regression's rows where that of a lane goes.

    Memory is where its rows begin, or None; the options are k, m, whether there is an intercept,
    whether rows that miss a value are left out, and the tolerance.
    """
    centered, drop = options[2], options[3]
    k, m = sizes_of(columns, options[0], options[1])
    own = address(rooms.found, lane * found_size(k, m))
    near = address(own, size_of(k, m))
    if weights is not None:
        weigh(x, k, y, m, w, n, drop, weights)
    rows = count_rows(weights, n, near, k + m)
    if centered and rows[0] >= 0:
        find_anchors(x, k, rows, near, 0)
        find_anchors(y, m, rows, near, k)
    else:
        for c in range(k + m):
            near[c] = 0.0
    sum_one(x, y, weights, n, near, columns, k, m, rooms.table, rooms.heavy, rooms.stack, own)


@compiled
def answer_some(
    number: int,
    options: tuple[int, int, bool, bool, float],
    columns: Any,
    places: Any,
    rooms: Rooms,
    outputs: Outputs,
    first: int,
) -> int:
    """Answer up to eight regressions of which all is found, number `first` of the outputs and on.

    Gives how many call for a closer look.
    """
    centered, tol = options[2], options[4]
    k, m = sizes_of(columns, options[0], options[1])
    moments, answers, status = outputs
    size, penalties = found_size(k, m), rooms.penalties
    for lane in range(number, 8):
        penalties[lane] = penalties[0]
        for e in range(size):
            rooms.found[lane * size + e] = rooms.found[e]
    turn(rooms.found, k, m, address(places, 0), len(places), rooms.sums)
    calls = solve(rooms.sums, k, m, centered, penalties, tol, rooms.solving, rooms.answers)
    own = address(moments, 0), address(answers, 0), address(status, 0)
    target, entries = Target(*own, moments.shape[1], first), (len(moments), len(answers), m)
    deliver(rooms.answers, entries, target, number)
    return int(tally(calls, number))


@kept
def fit_some(
    x: tuple[Array, int, int],
    y: tuple[Array, int, int],
    w: tuple[Array | None, int, int],
    n: int,
    options: tuple[int, int, bool, bool, float],
    columns: tuple[int, ...] | None,
    weights: Array | None,
    room: tuple[Array, NDArray[np.int64], NDArray[np.int8]],
    places: NDArray[np.int64],
    ridge: Array,
    outputs: tuple[Array, Array, NDArray[np.int8]],
    first: int,
    count: int,
) -> int:
    """Answer regressions, the first of which is number `first` of the outputs.

    Rows are those of `Lines`, n of each; the options are those of `find_one`; `weights` is room
    for those of a regression, None where no row has one or may be left out. Gives how many call
    for a closer look.
    """
    k, m = sizes_of(columns, options[0], options[1])
    rooms = rooms_in(room[0], room[1], room[2], k)
    heavy, rejected = address(weights, 0), 0
    for base in range(0, count, 8):
        number = min(8, count - base)
        for lane in range(number):
            b = base + lane
            rooms.penalties[lane] = ridge[first + b]
            rows_x, rows_y = address(x[0], x[1] + b * x[2]), address(y[0], y[1] + b * y[2])
            rows_w = address(w[0], w[1] + b * w[2])
            if weights is None and b + 1 < count:
                fetch_anchors(address(rows_x, x[2]), n, k)
                fetch_anchors(address(rows_y, y[2]), n, m)
            find_one(rows_x, rows_y, rows_w, n, options, columns, heavy, rooms, lane)
        rejected += answer_some(number, options, columns, places, rooms, outputs, first + base)
    settle_streams()
    return rejected
