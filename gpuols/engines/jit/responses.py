"""Responses: rows of many responses on one design to moments and answers, sixteen side by side.

What follows from the design is known beforehand: a response is a panel's sums of products, then
`solve.answer` with the same design in all lanes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.anchors import median
from gpuols.engines.jit.batch import Outputs
from gpuols.engines.jit.columns import Columns, columns_at, multiply
from gpuols.engines.jit.compiling import compiled, kept, portable
from gpuols.engines.jit.design import Room, room_in, room_size
from gpuols.engines.jit.lanes import WIDTH, Lanes, choose, every, fma
from gpuols.engines.jit.memory import Memory, address, load, put_some, store
from gpuols.engines.jit.panels import (
    PANEL,
    ROWS,
    SIDE,
    STRIP,
    VECTORS,
    Sheet,
    bring,
    collapse,
    settle,
    sheet_at,
    stack_size,
)
from gpuols.engines.jit.premise import Premise, furnish
from gpuols.engines.jit.solve import Target, answer, product_of
from gpuols.engines.jit.straight import BLOCK, WIDE_STRIP, WIDEST, add_straight, is_straight
from gpuols.engines.workspace import Workspace
from gpuols.errors import Status

Array = NDArray[np.float64]

_OK = float(Status.OK)


class Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say; `stack` has parts of a size."""

    panels: Memory
    near: Memory
    stack: Memory
    size: int
    sums: Memory
    solving: Room
    answers: Memory
    code: Memory


def room_for(n: int, k: int, space: Workspace) -> tuple[Array, NDArray[np.int64]]:
    """Memory for a thread to work in, and where its parts begin, as `rooms_in` names them."""
    q, sides = k + 1, strip_of(k) * SIDE
    sizes = (
        STRIP * VECTORS * WIDTH,
        sides * WIDTH,
        stack_size(n, sides * entries_of(k)),
        (3 + 3 * q + q * (q + 1) // 2) * WIDTH,
        room_size(k),
        (2 * k + 4) * WIDTH,
        WIDTH,
    )
    return space.room(sizes)


@compiled
def rooms_in(memory: Memory, starts: NDArray[np.int64], k: int) -> Rooms:
    """The parts of a thread's memory."""
    return Rooms(
        address(memory, starts[0]),
        address(memory, starts[1]),
        address(memory, starts[2]),
        strip_of(k) * SIDE * entries_of(k) * WIDTH,
        address(memory, starts[3]),
        room_in(address(memory, starts[4]), k),
        address(memory, starts[5]),
        address(memory, starts[6]),
    )


@portable
def strip_of(k: int) -> int:
    """Panels that are summed together, at most."""
    return WIDE_STRIP if k < WIDEST else STRIP


@portable
def entries_of(k: int) -> int:
    """Sums of a response: its square, and its products with w and the columns, an even number."""
    return 1 + (k + 2) // 2 * 2


@compiled
def find_anchors(
    sheet: Sheet, rows: tuple[int, int, int], first: int, count: int, near: Memory
) -> None:
    """Anchors of `count` responses, the first of which is `first`, from three rows."""
    for lane in range(count):
        at = sheet.start + (first + lane) * sheet.across
        near[lane] = median(
            sheet.memory[at + rows[0] * sheet.down],
            sheet.memory[at + rows[1] * sheet.down],
            sheet.memory[at + rows[2] * sheet.down],
        )


@compiled
def shift(
    panels: Memory,
    vector: int,
    near: Memory,
    side: int,
    weights: Memory,
    start: int,
    rows: int,
    out: Memory,
    to: int,
) -> None:
    """Subtract anchors `side`, `side` + 1 from a panel; weighted sums of squares to `out`.

    Numbers in rows of no weight become zero.
    """
    anchor, other = load(near, side), load(near, side + 1)
    squares = others = every(0.0)
    for i in range(rows):
        weight = weights[start + i]
        u, v = load(panels, vector) - anchor, load(panels, vector + 1) - other
        if weight == 0.0:
            u = v = every(0.0)
        store(panels, vector, u)
        store(panels, vector + 1, v)
        squares, others = fma(weight * u, u, squares), fma(weight * v, v, others)
        vector += SIDE
    store(out, to, squares)
    store(out, to + 1, others)


@compiled
def sum_strip(
    sheet: Sheet, columns: Columns, weights: Memory, k: int, first: int, count: int, rooms: Rooms
) -> None:
    """Sums about the anchor of the responses of a strip, to the bottom of a stack."""
    n, vectors, near = columns.rows, SIDE * entries_of(k), rooms.near
    straight, panels = is_straight(sheet, columns), (count + PANEL - 1) // PANEL
    depth, number, start = 0, 0, 0
    while start < n or number == 0:
        rows, out = min(ROWS, n - start), address(rooms.stack, depth * rooms.size)
        if straight:
            for vector in range(panels * vectors):
                store(out, vector, every(0.0))
            for block in range(start, start + rows, BLOCK):
                some = min(BLOCK, start + rows - block)
                at, width = sheet.start + first + block * sheet.down, columns.total
                for panel in range(panels):
                    left = columns.memory, block * width, width, weights, block
                    right = sheet.memory, at + PANEL * panel, sheet.down, count - PANEL * panel
                    add_straight(*left, *right, near, SIDE * panel, some, out, panel * vectors)
        else:
            bring(sheet, start, rows, first, count, rooms.panels)
            for panel in range(panels):
                vector, to, side = panel * VECTORS, panel * vectors, panel * SIDE
                shift(rooms.panels, vector, near, side, weights, start, rows, out, to)
            multiply(columns, start, rows, rooms.panels, panels, out, SIDE, vectors)
        depth, number, start = depth + 1, number + 1, start + rows
        depth = settle(rooms.stack, rooms.size, depth, number)
    collapse(rooms.stack, rooms.size, depth)


@compiled
def centre(sums: Memory, at: int, anchor: Lanes, k: int, centered: bool, v: Memory) -> None:
    """Sums of eight responses to moments about the mean, where `answer` reads them."""
    q, weight = k + 1, load(v, 1)
    some = choose(weight == 0.0, every(1.0), weight)
    square, mean = load(sums, at), load(sums, at + SIDE) / some
    store(v, 3 + k, anchor)
    store(v, 3 + q + k, mean)
    store(v, 3 + 2 * q + k, square)
    first = 3 + 3 * q
    for j in range(k):
        entry = load(sums, at + SIDE * (2 + j))
        if centered:
            entry = entry - weight * load(v, 3 + q + j) * mean
        store(v, first + product_of(k, j, k), entry)
    if centered:
        square = square - weight * mean * mean
    store(v, first + product_of(k, k, k), square)


@compiled
def deliver(
    v: Memory, k: int, p: int, rooms: Rooms, outputs: Outputs, first: int, count: int
) -> int:
    """Write moments and answers of up to eight responses; how many call for a closer look."""
    q, size = k + 1, outputs.moments.shape[1]
    places = 3 + k, 3 + q + k, 3 + 2 * q + k, 3 + 3 * q + product_of(k, k, k)
    for e in range(4):
        put_some(outputs.moments, e * size + first, count, load(v, places[e]))
    for j in range(k):
        own = load(v, 3 + 3 * q + product_of(k, j, k))
        put_some(outputs.moments, (4 + j) * size + first, count, own)
    for e in range(p + 2):
        own = load(rooms.answers, e if e < p else e + p)
        put_some(outputs.answers, e * size + first, count, own)
    rejected = 0
    for lane in range(count):
        outputs.status[0, first + lane] = np.int8(rooms.code[lane])
        rejected += rooms.code[lane] != _OK
    return rejected


@kept
def fit_responses(
    sheet: Sheet,
    premise: Premise,
    centered: bool,
    tol: float,
    room: tuple[Array, NDArray[np.int64]],
    outputs: Outputs,
    first: int,
    count: int,
) -> int:
    """Answer responses, the first of which is number `first` of the outputs.

    Moments are anchors, means less these, sums of squares about the anchors and the means, and
    products with the columns, (4 + k, m); answers are coefficients, sums of squared residuals
    and error bounds, (p + 2, m). Gives how many call for a closer look.
    """
    k, rejected = premise.vectors.shape[1], 0
    rooms = rooms_in(address(room[0], 0), room[1], k)
    v, solving, own = rooms.sums, rooms.solving, rooms.answers
    target = Target(own, own, own, WIDTH, 0)
    p = k + 1 if centered else k
    design = furnish(premise, k, v, solving)
    anchors = premise.anchors[0], premise.anchors[1], premise.anchors[2]
    columns, weights = columns_at(premise.columns), address(premise.weights, 0)
    source = sheet_at(sheet)
    for side in range(SIDE * strip_of(k)):
        store(rooms.near, side, every(0.0))
    entries, whole = entries_of(k), STRIP * PANEL
    if is_straight(source, columns):
        whole = WIDE_STRIP * PANEL
    base, number = 0, sheet.ahead or whole
    while base < count:
        number = min(number, count - base)
        if anchors[0] >= 0:
            find_anchors(source, anchors, base, number, rooms.near)
        sum_strip(source, columns, weights, k, base, number, rooms)
        for lane in range(0, number, WIDTH):
            side = lane // WIDTH
            at = side // SIDE * SIDE * entries + side % SIDE
            centre(rooms.stack, at, load(rooms.near, side), k, centered, v)
            code = answer(v, k, 1, centered, 0, tol, design, solving, target)
            store(rooms.code, 0, code)
            place, own = first + base + lane, min(WIDTH, number - lane)
            rejected += deliver(v, k, p, rooms, outputs, place, own)
        base, number = base + number, whole
    return rejected
