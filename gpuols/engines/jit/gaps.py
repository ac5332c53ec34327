"""Gaps: strips of responses that miss rows, each of its own.

Of the products of the design's columns, few rows are added for a response: those that it misses,
whose sum is taken from that of all rows; or those that it has, where it misses more than a quarter
of a piece's rows, or half of a column's squares there. The sum of all rows is formed in pairs, so
that its rounding, and that of what is taken, is within what is counted for a chain.

Where nothing may be missing a response that has a NaN is doubtful.
"""

import numpy as np

from gpuols.engines.jit.bits import (
    TOGETHER,
    WORD,
    add_rows,
    bit_of,
    first_of,
    last_of,
    ones,
    words_in,
    write_words,
)
from gpuols.engines.jit.columns import ALONE, multiply_shifted
from gpuols.engines.jit.compiling import compiled, inlined
from gpuols.engines.jit.lanes import WIDTH, choose, every
from gpuols.engines.jit.marks import ABSENT, Marks, anchor_of, forget
from gpuols.engines.jit.memory import Memory, address, load, put_bits, store, transpose
from gpuols.engines.jit.panels import PANEL, ROWS, SIDE, bring_neighbours
from gpuols.engines.jit.products import fetch_rows
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

_ROWS = 0.25  # of a piece, may be left out of its sums at most
_SQUARES = 0.5  # of a column there, at most


@compiled
def fill(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms) -> None:
    """Rows of a strip into panels, and which are there."""
    y, n = strip.y, table.columns.rows
    place = place_of(start, n)
    if y.across == 1:
        panels = address(rooms.responses, WIDTH * place)
        source = address(y.memory, y.start + start * y.down + strip.first)
        bring_neighbours(source, y.down, rows, strip.number, panels, rooms.codes)
    else:
        bring_responses(strip, start, rows, rooms, n)
        for side in range(sides_in(strip)):
            u, _ = vectors_in(strip, rooms, place, side)
            for i in range(rows):
                own = load(u, SIDE * i)
                put_bits(rooms.codes, ROWS * side + i, own == own)
    blank(strip, table, start, rows, rooms)


@compiled
def refill(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms) -> None:
    """Rows of a strip into panels once more, unless they are there yet."""
    if not is_held(table.columns.rows):
        bring_responses(strip, start, rows, rooms, table.columns.rows)
        blank(strip, table, start, rows, rooms)


@compiled
def blank(strip: Strip, table: Table, start: int, rows: int, rooms: Rooms) -> None:
    """NaN into panels where a row is not there for anyone."""
    for i in range(rows):
        if table.kinds[start + i] == ABSENT:
            for side in range(sides_in(strip)):
                u, _ = vectors_in(strip, rooms, place_of(start, table.columns.rows), side)
                store(u, SIDE * i, every(np.nan))


@compiled
def look(strip: Strip, table: Table, rooms: Rooms) -> None:
    """Find which rows are there, and what is to be known of them before they are summed."""
    n, sides, apart = table.columns.rows, sides_in(strip), words_in(table.columns.rows)
    forget(rooms.marks, sides)
    for start in range(0, n, ROWS):
        fill(strip, table, start, min(ROWS, n - start), rooms)
        whole, bits = address(table.whole.there, start // WORD), address(rooms.bits, start // WORD)
        for side in range(sides):
            codes, own = address(rooms.codes, ROWS * side), address(bits, WIDTH * side * apart)
            write_words(codes, whole, own, apart)
    inspect(strip, rooms.marks, table.whole.wild, rooms.bits, n)
    for side in range(sides):
        store(rooms.near, side, anchor_of(rooms.marks, side))


@compiled
def inspect(strip: Strip, marks: Marks, wild: Memory, bits: Memory, n: int) -> None:
    """Count the rows of responses, and take down those in the first, the middle and the last."""
    words = words_in(n)
    for lane in range(strip.number):
        own, seen, doubt = address(bits, lane * words), 0, 0
        for i in range(words):
            seen, doubt = seen + ones(own[i]), doubt | own[i] & wild[i]
        doubtful = doubt != 0 or (seen < n and not strip.drop)
        marks.seen[lane], marks.doubt[lane] = float(seen), 1.0 if doubtful else 0.0
        if not strip.centered or not seen:
            continue
        first, middle, last, before = 0, 0, words - 1, 0
        while not own[first]:
            first += 1
        while not own[last]:
            last -= 1
        while before + ones(own[middle]) <= seen // 2:
            before, middle = before + ones(own[middle]), middle + 1
        place = WORD * middle + bit_of(own[middle], seen // 2 - before)
        marks.first[lane] = response_of(strip, lane, WORD * first + first_of(own[first]))
        marks.middle[lane] = response_of(strip, lane, place)
        marks.last[lane] = response_of(strip, lane, WORD * last + last_of(own[last]))


@compiled
def response_of(strip: Strip, lane: int, row: int) -> float:
    """A number of a strip."""
    y = strip.y
    return float(y.memory[y.start + row * y.down + (strip.first + lane) * y.across])


@compiled
def sum_piece(
    strip: Strip, table: Table, k: int, start: int, rows: int, rooms: Rooms, out: Memory
) -> None:
    """Sums over rows `start` ... of a strip.

    Responses that come into panels next are brought near meanwhile, if they lie side by side.
    """
    refill(strip, table, start, rows, rooms)
    columns, n, (to, apart) = table.columns, table.columns.rows, layout(table)
    words = words_in(n)
    ahead, down = following(strip, n, start)
    for side in range(sides_in(strip)):
        bits = address(rooms.bits, WIDTH * side * words + start // WORD)
        into = address(out, WIDTH * (side // SIDE * apart + side % SIDE))
        line = address(ahead, WIDTH * side)
        sum_products(table, k, start, rows, bits, words, rooms, into, line, down)
    for panel in range(panels_in(strip)):
        u, _ = vectors_in(strip, rooms, place_of(start, n), SIDE * panel)
        near, into = address(rooms.near, PANEL * panel), panel * apart
        multiply_shifted(columns, start, rows, None, u, near, out, into, into + to, None, 0)


@inlined
def sum_products(
    table: Table,
    k: int,
    start: int,
    rows: int,
    bits: Memory,
    apart: int,
    rooms: Rooms,
    out: Memory,
    ahead: Memory,
    down: int,
) -> None:
    """Sums of products of the design's columns, of eight responses, to every other vector."""
    pitch, words = table.products.total, (rows + WORD - 1) // WORD
    whole = address(table.whole.there, start // WORD)
    totals = address(table.whole.totals, start // ROWS * pitch)
    first = address(table.products.memory, start * pitch)
    there = 0
    for i in range(words):
        there += ones(whole[i])
    for lane in range(WIDTH):
        own, missing = address(bits, lane * apart), there
        for i in range(words):
            missing -= ones(own[i])
        rooms.few[lane] = 1.0 if missing <= _ROWS * there else 0.0
    for c in range(0, pitch, WIDTH * TOGETHER):
        for lane in range(WIDTH):
            if down and not c:
                fetch_rows(ahead, rows * lane // WIDTH, rows * (lane + 1) // WIDTH, down)
            own, found = address(bits, lane * apart), address(rooms.found, lane * pitch)
            sum_rows(first, pitch, c, own, whole, rooms.few[lane] > 0.0, words, found)
    for lane in range(WIDTH):
        own, found = address(bits, lane * apart), address(rooms.found, lane * pitch)
        if rooms.few[lane] > 0.0 and not are_small(found, totals, k):
            rooms.few[lane] = 0.0
            for c in range(0, pitch, WIDTH * TOGETHER):
                sum_rows(first, pitch, c, own, whole, False, words, found)
    for c in range(0, pitch, WIDTH):
        transpose(rooms.found, c, pitch, out, table.whole.places, c)
    few = load(rooms.few, 0) > 0.0
    for c in range(1 + k + k * (k + 1) // 2):
        own, at = load(out, SIDE * (ALONE + c)), SIDE * (ALONE + c)
        store(out, at, choose(few, totals[c] - own, own))


@inlined
def sum_rows(
    first: Memory,
    pitch: int,
    column: int,
    own: Memory,
    whole: Memory,
    missing: bool,
    words: int,
    found: Memory,
) -> None:
    """Sums over the rows that a response has, or misses, of some columns of a table."""
    width, turned = min(TOGETHER, (pitch - column) // WIDTH), -1 if missing else 0
    table, out = address(first, column), address(found, column)
    add_rows(table, pitch, width, own, whole, turned, words, out)


@inlined
def are_small(found: Memory, totals: Memory, k: int) -> bool:
    """Whether squares of all columns over some rows are but a part of those over all."""
    place, fine = 1 + k, True
    for j in range(k):
        fine, place = fine and found[place] <= _SQUARES * totals[place], place + j + 2
    return fine
