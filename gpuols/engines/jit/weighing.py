"""Weighing: strips of responses that have weights.

Rows are passed three times: to count them, to find the middle ones, to sum them. A row that is not
there has weight zero.
"""

from gpuols.engines.jit.columns import ALONE, multiply, multiply_shifted
from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import WIDTH
from gpuols.engines.jit.marks import (
    RUN,
    SIDES,
    Marks,
    anchor_of,
    find_ends,
    forget,
    is_wanted,
    mark,
    measure,
    seek,
)
from gpuols.engines.jit.memory import Memory, address, load, store
from gpuols.engines.jit.panels import PANEL, ROWS, SIDE, bring
from gpuols.engines.jit.strips import (
    Rooms,
    Strip,
    Table,
    bring_responses,
    following,
    is_held,
    layout,
    panels_in,
    place_of,
    sides_in,
    vectors_in,
)


@compiled
def fill(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms, marks: Marks) -> None:
    """Rows of a strip into panels, weights zero where one is not there."""
    place, first = place_of(start, table.columns.rows), strip.first
    bring_responses(strip, start, rows, rooms, table.columns.rows)
    for lane in range(0, strip.number, PANEL):
        side = lane // WIDTH
        u, own = vectors_in(strip, rooms, place, side)
        bring(strip.w, start, rows, first + lane, min(PANEL, strip.number - lane), own)
        mark(u, own, strip.drop, table.kinds, start, rows, rooms.counts, marks, side)


@compiled
def look(strip: Strip, table: Table, rooms: Rooms) -> None:
    """Count rows, and find what is to be known of them before they are summed."""
    sides, n, marks, counts = sides_in(strip), table.columns.rows, rooms.marks, rooms.counts
    forget(marks, sides)
    for start in range(0, max(n, 1), ROWS):
        rows, place = min(ROWS, n - start), place_of(start, n)
        fill(strip, table, start, rows, rooms, marks)
        for side in range(sides):
            u, own = vectors_in(strip, rooms, place, side)
            measure(own, rows, marks, side)
            if strip.centered:
                before = load(counts, start // RUN * SIDES + side)
                find_ends(u, own, rows, before, marks, side)
    for side in range(sides):
        store(counts, (n + RUN - 1) // RUN * SIDES + side, load(marks.seen, side))
    for start in range(0, n if strip.centered else 0, ROWS):
        rows, place = min(ROWS, n - start), place_of(start, n)
        if not is_wanted(counts, marks, sides, start, rows):
            continue
        refill(strip, table, start, rows, rooms)
        for side in range(sides):
            u, own = vectors_in(strip, rooms, place, side)
            seek(u, own, start, rows, counts, marks, side)
    for side in range(sides):
        store(rooms.near, side, anchor_of(marks, side))


@compiled
def refill(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms) -> None:
    """Rows of a strip into panels once more, unless they are there yet; all marks stay."""
    if is_held(table.columns.rows):
        return
    for side in range(sides_in(strip)):
        store(rooms.spare.seen, side, load(rooms.counts, start // RUN * SIDES + side))
    fill(strip, table, start, rows, rooms, rooms.spare)


@compiled
def sum_piece(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms, out: Memory) -> None:
    """Sums over rows `start` ... of a strip, which are in panels.

    Responses that come into panels next are brought near meanwhile, if they lie side by side.
    """
    refill(strip, table, start, rows, rooms)
    products, columns, panels = table.products, table.columns, panels_in(strip)
    to, apart = layout(table)
    place = place_of(start, columns.rows)
    ahead, down = following(strip, columns.rows, start)
    _, own = vectors_in(strip, rooms, place, 0)
    multiply(products, start, rows, own, panels, out, SIDE * ALONE, apart)
    for panel in range(panels):
        u, own = vectors_in(strip, rooms, place, SIDE * panel)
        near, line = address(rooms.near, PANEL * panel), address(ahead, PANEL * panel)
        into = panel * apart
        multiply_shifted(columns, start, rows, own, u, near, out, into, into + to, line, down)
