"""Masked: responses on one design, each with weights or missing rows of its own.

With z = x - a about one anchor a of the design, u = y - b about one of the response, and w = 0 in
rows that are not there, the sums of a response are those of w times the table [1, z, z ⊗ z], of w u
times [1, z], and of w u², as in `gpuols.engines.masked`.

Rows of X whose products are not finite are zero in the table; a response that has one is called
doubtful, as is one of very large weights.

Moments and answers are many numbers that nobody reads soon: they are written past the cache, where
eight begin a line of it, for else each line is read before it is written.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit import gaps, weighing
from gpuols.engines.jit.compiling import compiled, inlined, kept
from gpuols.engines.jit.delivery import deliver
from gpuols.engines.jit.lanes import WIDTH, choose, every, tally
from gpuols.engines.jit.memory import Memory, address, load, settle_streams, store
from gpuols.engines.jit.panels import PANEL, ROWS, SIDE, STRIP, Sheet, collapse, settle, sheet_at
from gpuols.engines.jit.solve import Target, solve
from gpuols.engines.jit.strips import Parts, Rooms, Strip, Table, layout, rooms_in, table_at

Array = NDArray[np.float64]


@compiled
def sum_strip(strip: Strip, table: Table, k: int, rooms: Rooms) -> None:
    """Sums about the anchors of a strip, to the bottom of a stack.

    They lie as `layout` says.
    """
    n, depth, (_, vectors) = table.columns.rows, 0, layout(table)
    size = STRIP * vectors * WIDTH
    if strip.weighted:
        weighing.look(strip, table, rooms)
    else:
        gaps.look(strip, table, rooms)
    for start in range(0, max(n, 1), ROWS):
        rows, out = min(ROWS, n - start), address(rooms.stack, depth * size)
        if strip.weighted:
            weighing.sum_piece(strip, table, start, rows, rooms, out)
        else:
            gaps.sum_piece(strip, table, k, start, rows, rooms, out)
        depth = settle(rooms.stack, size, depth + 1, start // ROWS + 1)
    collapse(rooms.stack, size, depth)


@inlined
def arrange(rooms: Rooms, k: int, at: int, cross: int, weighted: bool, side: int) -> None:
    """Sums of eight responses, every other vector of a stack, to where `solve` reads them.

    The first is vector `at` of the stack, those with the responses begin at vector `cross`.
    """
    v, stack, q, pairs = rooms.sums, rooms.stack, k + 1, k * (k + 1) // 2
    first, power, size = 3 + 3 * q, rooms.marks.power, rooms.marks.size
    store(v, 0, load(rooms.marks.seen, side))
    store(v, 1, load(stack, at + 2 * SIDE))
    if weighted:
        for lane in range(WIDTH * side, WIDTH * (side + 1)):
            log = power[lane] * math.log(2.0) + math.log(size[lane])
            v[2 * WIDTH + lane - WIDTH * side] = log
    for j in range(k):
        store(v, 3 + q + j, load(stack, at + SIDE * (3 + j)))
        store(v, first + pairs + j, load(stack, cross + SIDE * j))
        own = load(stack, at + SIDE * (3 + k + j * (j + 1) // 2 + j))
        store(v, 3 + 2 * q + j, own)
    for e in range(pairs):
        store(v, first + e, load(stack, at + SIDE * (3 + k + e)))
    store(v, 3 + k, load(rooms.near, side))
    store(v, 3 + q + k, load(stack, at + SIDE))
    store(v, 3 + 2 * q + k, load(stack, at))
    store(v, first + pairs + k, load(stack, at))


@inlined
def answer_some(
    k: int,
    centered: bool,
    tol: float,
    rooms: Rooms,
    ridge: Memory,
    target: Target,
    entries: tuple[int, int, int],
    count: int,
) -> int:
    """Answer up to eight responses from their sums; how many call for a closer look.

    `ridge` are their penalties, the entries those of the moments, the answers and the statuses.
    """
    for lane in range(WIDTH):
        rooms.penalties[lane] = ridge[min(lane, count - 1)]
    own = Target(rooms.moments, rooms.answers, rooms.status, WIDTH, 0)
    calls = solve(rooms.sums, k, 1, centered, rooms.penalties, tol, rooms.solving, own)
    deliver(own, entries, target, count)
    return int(tally(calls, count))


@kept
def fit_masked(
    y: Sheet,
    w: Sheet,
    table: Table,
    options: tuple[bool, bool, bool, float],
    ridge: Array,
    room: Parts,
    outputs: tuple[Array, Array, NDArray[np.int8]],
    doubtful: NDArray[np.int8],
    first: int,
    count: int,
) -> int:
    """Answer responses, the first of which is number `first` of the outputs.

    The options are those of `Strip`, and the tolerance. Gives how many call for a closer look;
    those that are doubtful are to be answered otherwise.
    """
    weighted, drop, centered, tol = options
    k, rejected, base = len(table.anchor), 0, 0
    rooms = rooms_in(room, k)
    own, design = (sheet_at(y), sheet_at(w)), table_at(table)
    cross, apart = layout(design)
    moments, answers = address(outputs[0], 0), address(outputs[1], 0)
    status = address(outputs[2], 0)
    entries, pitch = (len(outputs[0]), len(outputs[1]), 1), outputs[0].shape[1]
    penalties, doubts = address(ridge, 0), address(doubtful, 0)
    store(rooms.sums, 2, every(0.0))
    for j in range(k):
        store(rooms.sums, 3 + j, every(table.anchor[j]))
    number = y.ahead or STRIP * PANEL
    while base < count:
        number = min(number, count - base)
        strip = Strip(own[0], own[1], base, number, weighted, drop, centered)
        sum_strip(strip, design, k, rooms)
        for lane in range(0, number, WIDTH):
            place, some, side = first + base + lane, min(WIDTH, number - lane), lane // WIDTH
            at = side // SIDE * apart + side % SIDE
            arrange(rooms, k, at, at + cross, weighted, side)
            light = load(rooms.sums, 1) < design.heavy
            doubt = choose(light, load(rooms.marks.doubt, side), every(1.0))
            store(rooms.marks.doubt, side, doubt)
            for i in range(some):
                doubts[place + i] = np.int8(rooms.marks.doubt[lane + i])
            target = Target(moments, answers, status, pitch, place)
            given = k, centered, tol, rooms, address(penalties, place), target, entries
            rejected += answer_some(*given, some)
        base, number = base + number, STRIP * PANEL
    settle_streams()
    return rejected
