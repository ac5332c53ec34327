"""Batch: rows of many regressions to moments and answers, eight side by side."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.anchors import count_rows, fetch_anchors, find_anchors, weigh
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.design import Room, room_in, room_size
from gpuols.engines.jit.lanes import tally
from gpuols.engines.jit.memory import Memory, address
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

Array = NDArray[np.float64]

_LINE = 8  # doubles of a line of cache


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

    B is a multiple of eight, for eight regressions are written together.
    """

    moments: Array
    answers: Array
    status: NDArray[np.int8]


class _Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say."""

    found: Memory
    sums: Memory
    solving: Room
    stack: Memory
    table: Memory
    heavy: Memory


def outputs_for(shape: Shape, count: int) -> Outputs:
    """Room for what is found of so many regressions."""
    full = -(-count // 8) * 8
    return Outputs(
        _lines(shape.moments * full).reshape(shape.moments, full),
        _lines(shape.answers * full).reshape(shape.answers, full),
        np.empty((shape.m, full), np.int8),
    )


def room_for(shape: Shape) -> tuple[Array, NDArray[np.int64]]:
    """Memory for a thread to work in, and where its parts begin."""
    n, k, m = shape.n, shape.k, shape.m
    table = table_size(k, m)
    sizes = [
        8 * found_size(k, m),
        8 * (shape.sums + 1),
        room_size(k),
        stack_size(n, k, m),
        table,
        table if shape.weighted else 0,
    ]
    ends = np.cumsum([-(-size // _LINE) * _LINE for size in sizes])
    memory = _lines(int(ends[-1]))
    memory[:] = 0.0
    return memory, np.concatenate([[0], ends[:-1]])


def _lines(size: int) -> Array:
    """So many numbers, the first at the start of a line of cache."""
    memory = np.empty(size + _LINE)
    first = -(memory.ctypes.data // 8) % _LINE
    return memory[first : first + size]


def columns_of(k: int, m: int) -> tuple[int, ...] | None:
    """Tuple as long as there are columns, where code is made for that many."""
    return (0,) * k if is_narrow(k, m) else None


@compiled
def rooms_in(memory: Memory, starts: Any, k: int) -> _Rooms:
    """The parts of a thread's memory."""
    return _Rooms(
        address(memory, starts[0]),
        address(memory, starts[1]),
        room_in(address(memory, starts[2]), k),
        address(memory, starts[3]),
        address(memory, starts[4]),
        address(memory, starts[5]),
    )


def _fit_some(fingerprint: int) -> Callable[..., int]:
    def fit_some(
        x: tuple[Array, int, int],
        y: tuple[Array, int, int],
        w: tuple[Array | None, int, int],
        options: tuple[int, int, int, bool, bool, float],
        columns: tuple[int, ...] | None,
        weights: Array | None,
        room: tuple[Array, NDArray[np.int64]],
        places: NDArray[np.int64],
        ridge: Array,
        outputs: tuple[Array, Array, NDArray[np.int8]],
        first: int,
        count: int,
    ) -> int:
        """Answer regressions, the first of which, a multiple of eight, is number `first`.

        Rows are those of `Lines`; the options n, k, m, whether there is an intercept, whether rows
        that miss a value are left out, and the tolerance; `weights` is room for those of a
        regression, None where no row has one or may be left out. Gives how many call for a closer
        look.
        """
        n, k, m, centered, drop, tol = options
        rooms = rooms_in(room[0], room[1], k)
        found, v = rooms.found, rooms.sums
        size, pitch = size_of(k, m), found_size(k, m)
        rows_x, rows_y, rows_w = address(x[0], x[1]), address(y[0], y[1]), address(w[0], w[1])
        heavy = address(weights, 0)
        where, blocks = address(places, 0), len(places)
        moments, answers, status = outputs
        ends = address(moments, 0), address(answers, 0), address(status, 0), moments.shape[1]
        penalties, rejected = np.empty(8), 0 * fingerprint
        for base in range(0, count, 8):
            number = min(8, count - base)
            for lane in range(8):
                own = address(found, lane * pitch)
                if lane >= number:
                    for e in range(pitch):
                        own[e] = found[e]
                    penalties[lane] = penalties[0]
                    continue
                b = base + lane
                penalties[lane] = ridge[first + b]
                at_x, at_y = b * x[2], b * y[2]
                near = address(own, size)
                if weights is None:
                    if b + 1 < count:
                        fetch_anchors(rows_x, at_x + x[2], n, k)
                        fetch_anchors(rows_y, at_y + y[2], n, m)
                else:
                    weigh(rows_x, at_x, k, rows_y, at_y, m, rows_w, b * w[2], n, drop, heavy)
                rows = count_rows(heavy, n, own, size + k + m)
                if centered and rows[0] >= 0:
                    find_anchors(rows_x, at_x, k, rows, near, 0)
                    find_anchors(rows_y, at_y, m, rows, near, k)
                else:
                    for c in range(k + m):
                        near[c] = 0.0
                sum_one(
                    rows_x,
                    at_x,
                    rows_y,
                    at_y,
                    heavy,
                    n,
                    near,
                    columns,
                    k,
                    m,
                    rooms.table,
                    rooms.heavy,
                    rooms.stack,
                    own,
                )
            turn(found, k, m, where, blocks, v)
            target = Target(*ends, first + base)
            calls = solve(v, k, m, centered, address(penalties, 0), tol, rooms.solving, target)
            rejected += tally(calls, number)
        return rejected

    return fit_some


fit_some = kept(_fit_some)
