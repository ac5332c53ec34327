"""Rows: those of one regression to sums about its anchor, in functions that Numba compiles.

Rows lie side by side as doubles, a regression's at an element of memory. They are summed in pieces,
which are added as a tree. What is found of a regression lies side by side, too: the products, as
`narrow` or `multiply` leaves them, the anchors, the number of rows, the sum of their weights and of
the logarithms of these.

The sums of a regression are a column of an array, eight regressions side by side: rows, sum of the
weights and of their logarithms; the anchor of every column, their means and sums of squares about
it; the products of the columns of X, (0, 0), (1, 0), (1, 1) ...; of each response its products with
the columns of X and with itself.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.compiling import compiled, portable
from gpuols.engines.jit.memory import Memory, address, load, store, transpose
from gpuols.engines.jit.products import NARROW, entries, narrow, shift, tile
from gpuols.numerics.bound import BLOCK

PIECE = 2048  # rows that eight chains add up
_TABLE = 3072  # numbers of a table whose products are formed together


@cache
def places_of(k: int, m: int) -> NDArray[np.int64]:
    """Where what is found goes: of eight neighbours the first one's place, then rows of lanes.

    What nobody wants goes to one row more.
    """
    q, pitch, size = k + m, pitch_of(k, m), size_of(k, m)
    wanted: list[tuple[int, ...]] = [(c,) for c in range(q)]
    wanted += [(c, i) for c in range(k) for i in range(c + 1)]
    wanted += [(r, i) for r in range(k, q) for i in (*range(k), r)]
    if is_narrow(k, m):
        listed = entries(k)
        places = [listed.index(entry) for entry in wanted]
    else:
        columns = [*range(k), *range(k + 1, 1 + q)]
        pairs = [(columns[entry[0]], columns[entry[1]] if entry[1:] else k) for entry in wanted]
        places = [max(pair) * pitch + min(pair) for pair in pairs]
    targets = [*range(3 + q, 3 + 2 * q), *range(3 + 3 * q, 3 + 2 * q + len(wanted))]
    rows = dict(zip(places, targets, strict=True))
    rows |= {size + c: 3 + c for c in range(q)} | {size + q + i: i for i in range(3)}
    nobody = 3 + 2 * q + len(wanted)
    blocks = sorted({8 * (place // 8) for place in rows})
    return np.array([[at, *(rows.get(at + i, nobody) for i in range(8))] for at in blocks])


@portable
def size_of(k: int, m: int) -> int:
    """Numbers that the products of a regression's columns take up, many not used."""
    if is_narrow(k, m):
        return int(((k + 1) * (k + 4) // 2 + 7) // 8 * 8)
    return int(pitch_of(k, m) ** 2)


@portable
def found_size(k: int, m: int) -> int:
    """Numbers that all that is found of a regression takes up."""
    return int(size_of(k, m) + (k + m + 3 + 7) // 8 * 8)


def stack_size(n: int, k: int, m: int) -> int:
    """Numbers that the products of pieces take up that wait to be joined."""
    pieces = n // rows_of(k, m) + 1
    return int(pieces.bit_length() * size_of(k, m))


@portable
def table_size(k: int, m: int) -> int:
    """Numbers of the table that rows are shifted into."""
    return 0 if is_narrow(k, m) else table_rows(k, m) * pitch_of(k, m)


@portable
def is_narrow(k: int, m: int) -> bool:
    """Whether `narrow` sums the rows."""
    return m == 1 and k <= NARROW


@portable
def pitch_of(k: int, m: int) -> int:
    """Numbers of a row of a table: the columns of X, 1, the responses, and zeros."""
    return (1 + k + m + 7) // 8 * 8


@portable
def table_rows(k: int, m: int) -> int:
    """Rows of a table."""
    return int(max(8, min(BLOCK, _TABLE // pitch_of(k, m) // 8 * 8)))


@portable
def rows_of(k: int, m: int) -> int:
    """Rows of a piece."""
    if is_narrow(k, m):
        return PIECE
    own = table_rows(k, m)
    return int(own * (BLOCK // own))


@compiled
def fill_table(
    x: Memory,
    k: int,
    y: Memory,
    m: int,
    w: Any,
    start: int,
    rows: int,
    near: Memory,
    table: Memory,
    heavy: Memory,
) -> None:
    """Shift some rows into a table, and weigh them in another, if so; blank rows of no weight."""
    pitch = pitch_of(k, m)
    shift(address(x, start * k), k, rows, near, table, pitch)
    shift(address(y, start * m), m, rows, address(near, k), address(table, 1 + k), pitch)
    for i in range(rows):
        at = i * pitch
        table[at + k] = 1.0
        if w is not None:
            weight = w[start + i]
            for c in range(at, at + pitch):
                if weight == 0.0:
                    table[c] = 0.0
                heavy[c] = weight * table[c]


@compiled
def multiply(
    left: Memory, right: Memory, rows: int, k: int, pitch: int, ahead: Memory, out: Memory
) -> None:
    """Add products of all columns of tables with those of X, and of each with itself.

    Meanwhile memory from `ahead` on is brought near.
    """
    own, fetched = (1 + k + 7) // 8, 0
    for group in range(pitch // 8):
        first, last, v = 8 * group, min(group + 1, own), 0
        while v < last:
            line = address(ahead, fetched)
            if last - v >= 3:
                tile(left, right, rows, pitch, first, 8 * v, (0, 0, 0), line, out)
            elif last - v == 2:
                tile(left, right, rows, pitch, first, 8 * v, (0, 0), line, out)
            else:
                tile(left, right, rows, pitch, first, 8 * v, (0,), line, out)
            v, fetched = v + 3, fetched + 8 * rows
        if group >= own:
            tile(left, right, rows, pitch, first, first, (0,), ahead, out)


@compiled
def join(below: Memory, above: Memory, size: int) -> None:
    """Add products to others."""
    for e in range(size):
        below[e] += above[e]


@compiled
def sum_one(
    x: Memory,
    y: Memory,
    w: Any,
    n: int,
    near: Memory,
    columns: Any,
    k: int,
    m: int,
    table: Memory,
    heavy: Memory,
    stack: Memory,
    out: Memory,
) -> None:
    """Products of the columns of a regression with weights w (n,), or None.

    Where `columns` is a tuple, as `narrow` takes it, that sums the rows.
    """
    depth, number, start, size = 0, 0, 0, size_of(k, m)
    while start < n or number == 0:
        rows = min(rows_of(k, m), n - start)
        own = out if depth == 0 else address(stack, (depth - 1) * size)
        if columns is None:
            for e in range(size):
                own[e] = 0.0
            for i in range(start, start + rows, table_rows(k, m)):
                some = min(table_rows(k, m), start + rows - i)
                fill_table(x, k, y, m, w, i, some, near, table, heavy)
                left, ahead = table if w is None else heavy, address(x, (i + some) * k)
                multiply(left, table, some, k, pitch_of(k, m), ahead, own)
        else:
            narrow(x, start * k, y, start * m, w, start, rows, near, columns, own)
        depth, number, start = depth + 1, number + 1, start + rows
        joined = number
        # Pieces are joined as a counter in base two carries; at the end all that are left.
        while depth > 1 and (joined % 2 == 0 or start >= n):
            depth, joined = depth - 1, joined // 2
            below = out if depth == 1 else address(stack, (depth - 2) * size)
            join(below, address(stack, (depth - 1) * size), size)


@compiled
def turn(found: Memory, k: int, m: int, places: Memory, blocks: int, v: Memory) -> None:
    """What was found of eight regressions, one after the other, to columns of sums."""
    q, pitch = k + m, found_size(k, m)
    for block in range(blocks):
        transpose(found, places[9 * block], pitch, v, places, 9 * block + 1)
    at = 3 + 3 * q
    for c in range(q):
        at += min(c, k)
        store(v, 3 + 2 * q + c, load(v, at))
        at += 1
