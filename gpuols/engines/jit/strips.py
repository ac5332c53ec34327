"""Strips: responses that are summed together, each with weights or missing rows of its own.

A strip comes into panels, one of w and one of y for sixteen responses side by side. Its pieces are
passed three times: to count rows, to find the middle ones, to sum them. Few pieces stay in the
panels; of many, one is there at a time, and is brought each time.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.columns import Columns, columns_at, multiply, multiply_shifted
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.design import Room, room_in, room_size
from gpuols.engines.jit.gaps import add_gaps
from gpuols.engines.jit.lanes import WIDTH
from gpuols.engines.jit.marks import (
    MARKS,
    RUN,
    SIDES,
    Marks,
    anchor_of,
    counts_size,
    find_ends,
    forget,
    is_wanted,
    mark,
    marks_in,
    measure,
    seek,
)
from gpuols.engines.jit.memory import Memory, address, load, store
from gpuols.engines.jit.panels import (
    PANEL,
    ROWS,
    SIDE,
    STRIP,
    VECTORS,
    Sheet,
    bring,
    collapse,
    room_of,
    settle,
    stack_size,
    vector_of,
)
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace

Array = NDArray[np.float64]

_HELD = 4  # pieces that are kept until they are summed


class Table(NamedTuple):
    """What all responses share.

    Attributes
    ----------
    products, columns : Columns
        [1, z, z ⊗ z], the lower triangle row by row, and [1, z].
    anchor : (k,)
        Of the design.
    kinds : (n,)
        Zero, `WILD` where the products of a row are not finite, `ABSENT` where it is not there for
        anyone.
    heavy : float
        Sum of weights from which on a response is doubtful.
    together : bool
        Whether products are taken together, all of them, as `add_gaps` reads them.
    """

    products: Columns
    columns: Columns
    anchor: Memory
    kinds: Memory
    heavy: float
    together: bool


@compiled
def table_at(table: Table) -> Table:
    """A table by its addresses."""
    products, columns, anchor, kinds, heavy, together = table
    given = columns_at(products), columns_at(columns), address(anchor, 0), address(kinds, 0)
    return Table(*given, heavy, together)


class Rooms(NamedTuple):
    """What a thread works in, as the functions that take it say."""

    weights: Memory
    responses: Memory
    marks: Marks
    spare: Marks
    counts: Memory
    near: Memory
    stack: Memory
    sums: Memory
    solving: Room
    penalties: Memory
    moments: Memory
    answers: Memory
    status: Memory


def room_for(
    shape: Shape, table: Table, space: Workspace
) -> tuple[Array, NDArray[np.int64], NDArray[np.int8]]:
    """Memory for a thread to work in, where its parts begin, as `rooms_in` has them, and codes."""
    panels = min(_HELD, shape.n // ROWS + 1) * STRIP * VECTORS * WIDTH
    vectors = SIDE * (1 + table.products.total + table.columns.total)
    sizes = [
        panels,
        panels,
        MARKS,
        MARKS,
        counts_size(shape.n),
        SIDES * WIDTH,
        stack_size(shape.n, STRIP * vectors),
        shape.sums * WIDTH,
        room_size(shape.k),
        WIDTH,
        shape.moments * WIDTH,
        shape.answers * WIDTH,
    ]
    return *room_of(sizes, space), np.empty(WIDTH, np.int8)


@compiled
def rooms_in(memory: Memory, starts: NDArray[np.int64], status: Memory, k: int) -> Rooms:
    """The parts of a thread's memory."""
    return Rooms(
        address(memory, starts[0]),
        address(memory, starts[1]),
        marks_in(address(memory, starts[2])),
        marks_in(address(memory, starts[3])),
        address(memory, starts[4]),
        address(memory, starts[5]),
        address(memory, starts[6]),
        address(memory, starts[7]),
        room_in(address(memory, starts[8]), k),
        address(memory, starts[9]),
        address(memory, starts[10]),
        address(memory, starts[11]),
        status,
    )


class Strip(NamedTuple):
    """Responses that are summed together.

    Attributes
    ----------
    y, w : Sheet
        Responses and weights.
    first, number : int
        The first of them, and how many.
    weighted, drop, centered : bool
        Whether there are weights, else w is not looked at; whether what misses a value is left
        out; whether there is an intercept.
    """

    y: Sheet
    w: Sheet
    first: int
    number: int
    weighted: bool
    drop: bool
    centered: bool


@compiled
def is_held(n: int) -> bool:
    """Whether all pieces are in panels at a time, one after the other; else one is."""
    return n <= _HELD * ROWS


@compiled
def vectors_in(rooms: Rooms, shared: bool, place: int, side: int) -> tuple[Memory, Memory]:
    """Where eight responses of a piece, and their weights, begin in panels.

    `place` is the piece's first vector; all responses may be the same, `shared`.
    """
    own = place + vector_of(WIDTH * side, 0)
    at = place + side % SIDE if shared else own
    return address(rooms.responses, WIDTH * at), address(rooms.weights, WIDTH * own)


@compiled
def fill(
    strip: Strip, kinds: Memory, start: int, rows: int, place: int, rooms: Rooms, marks: Marks
) -> None:
    """Rows of a strip into panels from vector `place` on, weights zero where one is not there."""
    y, w, shared = strip.y, strip.w, strip.y.across == 0
    panels = address(rooms.responses, WIDTH * place)
    bring(y, start, rows, strip.first, min(strip.number, PANEL) if shared else strip.number, panels)
    for lane in range(0, strip.number, PANEL):
        side = lane // WIDTH
        u, own = vectors_in(rooms, shared, place, side)
        if strip.weighted:
            bring(w, start, rows, strip.first + lane, min(PANEL, strip.number - lane), own)
        weighted, drop = strip.weighted, strip.drop
        mark(u, own, weighted, drop, kinds, start, rows, rooms.counts, marks, side)


@compiled
def look(strip: Strip, kinds: Memory, n: int, rooms: Rooms) -> None:
    """Count rows, and find what is to be known of them before they are summed."""
    sides, held, shared = (strip.number + WIDTH - 1) // WIDTH, is_held(n), strip.y.across == 0
    marks, counts = rooms.marks, rooms.counts
    forget(marks, sides)
    for start in range(0, max(n, 1), ROWS):
        rows, place = min(ROWS, n - start), start // ROWS * STRIP * VECTORS if held else 0
        fill(strip, kinds, start, rows, place, rooms, marks)
        for side in range(sides):
            u, own = vectors_in(rooms, shared, place, side)
            if strip.weighted:
                measure(own, rows, marks, side)
            if strip.centered:
                before = load(counts, start // RUN * SIDES + side)
                find_ends(u, own, rows, before, marks, side)
    for side in range(sides):
        store(counts, (n + RUN - 1) // RUN * SIDES + side, load(marks.seen, side))
    for start in range(0, n if strip.centered else 0, ROWS):
        rows, place = min(ROWS, n - start), start // ROWS * STRIP * VECTORS if held else 0
        if not is_wanted(counts, marks, sides, start, rows):
            continue
        if not held:
            refill(strip, kinds, start, rows, rooms)
        for side in range(sides):
            u, own = vectors_in(rooms, shared, place, side)
            seek(u, own, start, rows, counts, marks, side)
    for side in range(sides):
        store(rooms.near, side, anchor_of(marks, side))


@compiled
def refill(strip: Strip, kinds: Memory, start: int, rows: int, rooms: Rooms) -> None:
    """Rows of a strip into panels once more, as they were when all before them were seen."""
    for side in range((strip.number + WIDTH - 1) // WIDTH):
        store(rooms.spare.seen, side, load(rooms.counts, start // RUN * SIDES + side))
    fill(strip, kinds, start, rows, 0, rooms, rooms.spare)


@compiled
def sum_piece(
    strip: Strip, table: Table, k: int, start: int, rows: int, place: int, rooms: Rooms, out: Memory
) -> None:
    """Sums over rows `start` ... of a strip, in panels from vector `place` on.

    Responses that come into panels next are brought near meanwhile, if they lie side by side.
    """
    y, products, columns = strip.y, table.products, table.columns
    shared, panels = y.across == 0, (strip.number + PANEL - 1) // PANEL
    apart, to = SIDE * (1 + products.total + columns.total), SIDE * (1 + products.total)
    down = y.down if y.across == 1 else 0
    row, first = start, strip.first + strip.number
    if not is_held(columns.rows):
        more = start + ROWS < columns.rows
        row, first = (start + ROWS, strip.first) if more else (0, first)
    following = address(y.memory, y.start + row * y.down + first * y.across)
    if table.together:
        line = address(products.memory, start * products.total)
        for side in range(SIDE * panels):
            u, own = vectors_in(rooms, shared, place, side)
            near, ahead = address(rooms.near, WIDTH * side), address(following, WIDTH * side)
            into = address(out, WIDTH * (side // SIDE * apart + side % SIDE))
            add_gaps(line, k, own, u, near, rows, into, ahead, down)
        return
    _, own = vectors_in(rooms, shared, place, 0)
    multiply(products, start, rows, own, panels, out, SIDE, apart)
    for panel in range(panels):
        u, own = vectors_in(rooms, shared, place, SIDE * panel)
        near, ahead = address(rooms.near, PANEL * panel), address(following, PANEL * panel)
        into = panel * apart
        multiply_shifted(columns, start, rows, own, u, near, out, into, into + to, ahead, down)


@compiled
def sum_strip(strip: Strip, table: Table, k: int, rooms: Rooms) -> None:
    """Sums about the anchors of a strip, to the bottom of a stack.

    Of a panel, two vectors each: squares, products, columns.
    """
    n, depth = table.columns.rows, 0
    size = STRIP * SIDE * (1 + table.products.total + table.columns.total) * WIDTH
    look(strip, table.kinds, n, rooms)
    for start in range(0, max(n, 1), ROWS):
        rows, place = min(ROWS, n - start), start // ROWS * STRIP * VECTORS if is_held(n) else 0
        if not is_held(n):
            refill(strip, table.kinds, start, rows, rooms)
        out = address(rooms.stack, depth * size)
        sum_piece(strip, table, k, start, rows, place, rooms, out)
        depth = settle(rooms.stack, size, depth + 1, start // ROWS + 1)
    collapse(rooms.stack, size, depth)
