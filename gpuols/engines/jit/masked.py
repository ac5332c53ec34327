"""Masked: responses on one design, each with weights or missing rows of its own, sixteen together.

With z = x - a about one anchor a of the design, u = y - b about one of the response, and w = 0 in
rows that are not there, the sums of a response are those of w times the table [1, z, z ⊗ z], of w u
times [1, z], and of w u², as in `gpuols.engines.masked`. Sixteen responses side by side are a panel
of w and one of w u.

Rows of X whose products are not finite are zero in the table; a response that has one is called
doubtful, as is one of very large weights.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Outputs
from gpuols.engines.jit.compiling import compiled, kept
from gpuols.engines.jit.design import room_in
from gpuols.engines.jit.lanes import WIDTH, Lanes, choose, every, fma, tally
from gpuols.engines.jit.marks import (
    RUN,
    SIDES,
    Rooms,
    Table,
    find_anchors,
    forget,
    is_wanted,
    mark,
    measure,
    number_middles,
    seek,
)
from gpuols.engines.jit.memory import address, load, store
from gpuols.engines.jit.panels import (
    PANEL,
    ROWS,
    SIDE,
    STRIP,
    VECTORS,
    Sheet,
    bring,
    collapse,
    keep,
    multiply,
    settle,
)
from gpuols.engines.jit.solve import Target, solve

Array = NDArray[np.float64]


@compiled
def shift(rooms: Rooms, panel: int, rows: int, out: Array, to: int) -> None:
    """Responses of a panel less anchors, times weights, in place; sums of weighted squares."""
    vector, side = panel * VECTORS, panel * SIDE
    anchor, other = load(rooms.near, side), load(rooms.near, side + 1)
    squares = others = nothing = every(0.0)
    for at in range(vector, vector + SIDE * rows, SIDE):
        w, x = load(rooms.weights, at), load(rooms.weights, at + 1)
        u = choose(w == 0.0, nothing, load(rooms.responses, at) - anchor)
        v = choose(x == 0.0, nothing, load(rooms.responses, at + 1) - other)
        store(rooms.responses, at, w * u)
        store(rooms.responses, at + 1, x * v)
        squares, others = fma(w * u, u, squares), fma(x * v, v, others)
    store(out, to, squares)
    store(out, to + 1, others)


@compiled
def sum_strip(
    y: Sheet,
    w: Sheet,
    table: Table,
    first: int,
    count: int,
    kind: tuple[bool, bool],
    centered: bool,
    rooms: Rooms,
) -> int:
    """Sums about the anchors of a strip, to the bottom of a stack; vectors from panel to panel.

    Its pieces are passed three times: to count rows, to find the middle ones, to sum them. `kind`
    is whether there are weights, and whether what misses a value is left out.
    """
    n, sides, panels = len(table.kinds), (count + WIDTH - 1) // WIDTH, (count + PANEL - 1) // PANEL
    products, columns = table.products.widths.sum(), table.columns.widths.sum()
    vectors, pieces = SIDE * (1 + products + columns), max(1, (n + ROWS - 1) // ROWS)
    weighted, drop = kind
    forget(rooms.marks, sides)
    depth = 0
    for visit in range(3 * pieces):
        turn, piece = visit // pieces, visit % pieces
        start = piece * ROWS
        rows = min(ROWS, n - start)
        if turn == 1 and not (centered and is_wanted(rooms, sides, start, rows)):
            continue
        if turn == 0 or pieces > 1:
            marks = rooms.marks if turn == 0 else rooms.spare
            bring(y, start, rows, first, count, rooms.responses)
            if weighted:
                bring(w, start, rows, first, count, rooms.weights)
            else:
                rooms.weights[:] = 1.0
            for side in range(sides):
                if turn > 0:
                    before = load(rooms.counts, start // RUN * SIDES + side)
                    store(marks.seen, side, before)
                mark(rooms, marks, side, table.kinds, start, rows, 1.0 if drop else 0.0)
                if turn == 0 and weighted:
                    measure(rooms, marks, side, rows)
            if visit == pieces - 1:
                number_middles(rooms, sides, n)
        if turn == 1:
            seek(rooms, sides, start, rows)
        if turn < 2:
            continue
        if piece == 0:
            find_anchors(rooms, sides, centered)
        out = rooms.stack[depth]
        for panel in range(panels):
            shift(rooms, panel, rows, out, panel * vectors)
        of, at = SIDE * (1 + products), SIDE
        multiply(table.products, start, rows, rooms.weights, panels, out, at, vectors)
        multiply(table.columns, start, rows, rooms.responses, panels, out, of, vectors)
        depth = settle(rooms.stack, depth + 1, piece + 1)
    collapse(rooms.stack, depth)
    return int(vectors)


@compiled
def arrange(rooms: Rooms, table: Table, side: int, vectors: int) -> Lanes:
    """Sums of eight responses to where `solve` reads them; above zero where they are doubtful."""
    v, stack, marks = rooms.sums, rooms.stack[0], rooms.marks
    k = len(table.anchor)
    q, at = k + 1, side // SIDE * vectors + side % SIDE
    first, pairs = 3 + 3 * q, k * (k + 1) // 2
    cross = at + SIDE * (1 + table.products.widths.sum())
    weight = load(stack, at + SIDE)
    store(v, 0, load(marks.seen, side))
    store(v, 1, weight)
    for lane in range(WIDTH):
        power, size = marks.power[side, lane], marks.size[side, lane]
        v[2, lane] = power * math.log(2.0) + math.log(size)
    for j in range(k):
        store(v, 3 + j, every(table.anchor[j]))
        store(v, 3 + q + j, load(stack, at + SIDE * (2 + j)))
        store(v, first + pairs + j, load(stack, cross + SIDE * (1 + j)))
        own = load(stack, at + SIDE * (2 + k + j * (j + 1) // 2 + j))
        store(v, 3 + 2 * q + j, own)
    for e in range(pairs):
        store(v, first + e, load(stack, at + SIDE * (2 + k + e)))
    store(v, 3 + k, load(rooms.near, side))
    store(v, 3 + q + k, load(stack, cross))
    store(v, 3 + 2 * q + k, load(stack, at))
    store(v, first + pairs + k, load(stack, at))
    light = choose(weight < table.heavy, every(0.0), every(1.0))
    return choose(light > 0.0, light, load(marks.doubt, side))


@compiled
def deliver(rooms: Rooms, outputs: Outputs, first: int, count: int) -> None:
    """Write moments, answers and statuses of up to eight responses to their places."""
    size = outputs.moments.shape[1]
    for e in range(len(rooms.moments)):
        keep(outputs.moments, e * size + first, count, load(rooms.moments, e))
    for e in range(len(rooms.answers)):
        keep(outputs.answers, e * size + first, count, load(rooms.answers, e))
    for lane in range(count):
        outputs.status[0, first + lane] = rooms.status[0, lane]


def _fit_masked(fingerprint: int) -> Callable[..., int]:
    def fit_masked(
        y: Sheet,
        w: Sheet,
        table: Table,
        kind: tuple[bool, bool],
        centered: bool,
        tol: float,
        ridge: Array,
        rooms: Rooms,
        outputs: Outputs,
        doubtful: NDArray[np.bool_],
        first: int,
        count: int,
    ) -> int:
        """Answer responses, the first of which is number `first` of the outputs.

        `kind` is whether there are weights, else `w` is not looked at, and whether what misses a
        value is left out. Gives how many call for a closer look; those that are doubtful are to be
        answered otherwise.
        """
        k, rejected, base = len(table.anchor), 0 * fingerprint, 0
        solving, penalties = room_in(address(rooms.solving, 0), k), address(rooms.penalties, 0)
        v, found = address(rooms.sums, 0), address(rooms.moments, 0)
        target = Target(found, address(rooms.answers, 0), address(rooms.status, 0), WIDTH, 0)
        number = y.ahead or STRIP * PANEL
        while base < count:
            number = min(number, count - base)
            vectors = sum_strip(y, w, table, base, number, kind, centered, rooms)
            for lane in range(0, number, WIDTH):
                place, own = first + base + lane, min(WIDTH, number - lane)
                doubt = arrange(rooms, table, lane // WIDTH, vectors)
                store(rooms.marks.doubt, lane // WIDTH, doubt)
                for i in range(own):
                    rooms.penalties[i] = ridge[place + i]
                    doubtful[place + i] = rooms.marks.doubt[lane // WIDTH, i] > 0.0
                rooms.penalties[own:] = rooms.penalties[0]
                calls = solve(v, k, 1, centered, penalties, tol, solving, target)
                rejected += tally(calls, own)
                deliver(rooms, outputs, place, own)
            base, number = base + number, STRIP * PANEL
        return rejected

    return fit_masked


fit_masked = kept(_fit_masked)
