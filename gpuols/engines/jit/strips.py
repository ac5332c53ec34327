"""Strips: responses that are summed together, each with weights or missing rows of its own.

A strip comes into panels, sixteen responses side by side, and their weights into others. Its pieces
are passed to count rows, then to sum them. Few stay in the panels; of many, one is there at a time,
and is brought each time.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.bits import words_in
from gpuols.engines.jit.columns import ALONE, Columns, columns_at
from gpuols.engines.jit.compiling import compiled, portable
from gpuols.engines.jit.design import Room, room_in, room_size
from gpuols.engines.jit.lanes import WIDTH
from gpuols.engines.jit.marks import MARKS, SIDES, Marks, counts_size, marks_in
from gpuols.engines.jit.memory import Memory, address
from gpuols.engines.jit.panels import (
    PANEL,
    ROWS,
    SIDE,
    STRIP,
    VECTORS,
    Sheet,
    bring,
    stack_size,
    vector_of,
)
from gpuols.engines.launches import Shape
from gpuols.engines.workspace import Workspace

Array = NDArray[np.float64]
Parts: TypeAlias = tuple[Array, NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]

_HELD = 4  # pieces that are kept until they are summed


class Whole(NamedTuple):
    """What gaps are taken from; nothing where there are weights.

    Attributes
    ----------
    totals : (pieces, c)
        Sums of the products over the rows of a piece that are there for someone.
    there, wild : (words,)
        Bits of these rows, and of those that are wild.
    places : (c,)
        Vectors of a side where sums go, from the second on.
    """

    totals: Memory
    there: Memory
    wild: Memory
    places: Memory


class Table(NamedTuple):
    """What all responses share.

    Attributes
    ----------
    products, columns : Columns
        [1, z, z ⊗ z], the lower triangle row by row, and z.
    anchor : (k,)
        Of the design.
    kinds : (n,)
        Zero, `WILD` where the products of a row are not finite, `ABSENT` where it is not there for
        anyone.
    heavy : float
        Sum of weights from which on a response is doubtful.
    whole : Whole
        What gaps are taken from. For these all products are taken together, to full vectors.
    """

    products: Columns
    columns: Columns
    anchor: Memory
    kinds: Memory
    heavy: float
    whole: Whole


@compiled
def table_at(table: Table) -> Table:
    """A table by its addresses."""
    products, columns, anchor, kinds, heavy, (totals, there, wild, places) = table
    whole = address(totals, 0), address(there, 0), address(wild, 0), address(places, 0)
    given = columns_at(products), columns_at(columns), address(anchor, 0), address(kinds, 0)
    return Table(*given, heavy, Whole(*whole))


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
    few: Memory
    found: Memory
    bits: Memory
    status: Memory
    codes: Memory


@portable
def layout(table: Table) -> tuple[int, int]:
    """Vectors of a panel's sums before those with the columns, and all of them.

    The first are those of squares and of responses, two each, then those of products.
    """
    first = SIDE * (ALONE + table.products.total)
    return first, first + SIDE * table.columns.total


def room_for(shape: Shape, table: Table, weighted: bool, space: Workspace) -> Parts:
    """Memory for a thread to work in: numbers, where their parts begin, words and codes."""
    panels = min(_HELD, shape.n // ROWS + 1) * STRIP * VECTORS * WIDTH
    _, vectors = layout(table)
    words = 0 if weighted else SIDES * WIDTH * words_in(shape.n)
    sizes = (
        panels if weighted else 0,
        panels,
        MARKS,
        MARKS if weighted else 0,
        counts_size(shape.n) if weighted else 0,
        SIDES * WIDTH,
        stack_size(shape.n, STRIP * vectors),
        shape.sums * WIDTH,
        room_size(shape.k),
        WIDTH,
        shape.moments * WIDTH,
        shape.answers * WIDTH,
        WIDTH,
        0 if weighted else table.products.total * WIDTH,
    )
    bits = space.array("bits", (words,)).view(np.int64)
    return *space.room(sizes), bits, np.empty(WIDTH + SIDES * ROWS, np.int8)


@compiled
def rooms_in(parts: Parts, k: int) -> Rooms:
    """The parts of a thread's memory."""
    memory, starts, bits, status = parts
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
        address(memory, starts[12]),
        address(memory, starts[13]),
        address(bits, 0),
        address(status, 0),
        address(status, WIDTH),
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
def sides_in(strip: Strip) -> int:
    """Vectors of eight responses."""
    return (strip.number + WIDTH - 1) // WIDTH


@compiled
def panels_in(strip: Strip) -> int:
    """Panels of sixteen."""
    return (strip.number + PANEL - 1) // PANEL


@compiled
def is_held(n: int) -> bool:
    """Whether all pieces are in panels at a time, one after the other; else one is."""
    return n <= _HELD * ROWS


@compiled
def place_of(start: int, n: int) -> int:
    """First vector of the piece that begins at a row, in panels."""
    return start // ROWS * STRIP * VECTORS if is_held(n) else 0


@compiled
def vectors_in(strip: Strip, rooms: Rooms, place: int, side: int) -> tuple[Memory, Memory]:
    """Where eight responses of a piece, and their weights, begin in panels.

    `place` is the piece's first vector; all responses may be the same.
    """
    own = place + vector_of(WIDTH * side, 0)
    at = place + side % SIDE if strip.y.across == 0 else own
    return address(rooms.responses, WIDTH * at), address(rooms.weights, WIDTH * own)


@compiled
def bring_responses(strip: Strip, start: int, rows: int, rooms: Rooms, n: int) -> None:
    """Rows of a strip's responses into panels; a panel of them where all are the same."""
    number = min(strip.number, PANEL) if strip.y.across == 0 else strip.number
    panels = address(rooms.responses, WIDTH * place_of(start, n))
    bring(strip.y, start, rows, strip.first, number, panels)


@compiled
def following(strip: Strip, n: int, start: int) -> tuple[Memory, int]:
    """Where responses lie that come into panels after a piece, and the step from row to row.

    The step is zero if they don't lie side by side.
    """
    y, row, first = strip.y, start, strip.first + strip.number
    if not is_held(n):
        row, first = (start + ROWS, strip.first) if start + ROWS < n else (0, first)
    place = y.start + row * y.down + first * y.across
    return address(y.memory, place), y.down if y.across == 1 else 0
