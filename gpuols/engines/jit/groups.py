"""Groups: rows of regressions of unequal size to moments and answers, eight side by side."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Array, Outputs, answer_some, find_one, rooms_in, sizes_of
from gpuols.engines.jit.buckets import Buckets, settle
from gpuols.engines.jit.compiling import kept
from gpuols.engines.jit.memory import address, settle_streams


class Stretches(NamedTuple):
    """Rows of groups, one row after the other in the memory of arrays, a stretch at a time.

    Attributes
    ----------
    x, y, w : (numbers,)
        Rows of X, of responses, and weights or None. Where each response is a regression of its
        own, they lie one after the other.
    counts : (g,)
        Rows of each group.
    edges : (s + 1,)
        Groups of which each stretch is made.
    """

    x: Array
    y: Array
    w: Array | None
    counts: NDArray[np.int64]
    edges: NDArray[np.int64]


@kept
def fit_groups(
    rows: Stretches,
    buckets: Buckets,
    each: int,
    options: tuple[int, int, bool, bool, float],
    columns: tuple[int, ...] | None,
    weights: Array | None,
    room: tuple[Array, NDArray[np.int64], NDArray[np.int8]],
    places: NDArray[np.int64],
    ridge: Array,
    outputs: Outputs,
    first: int,
) -> int:
    """Answer groups, of `each` regressions, the first of which has number `first`.

    Each stretch is a bucket that is settled first, if there are buckets. Other arguments are
    those of `batch.fit_some`; the room is for the largest group. Gives how many regressions
    call for a closer look.
    """
    k, m = sizes_of(columns, options[0], options[1])
    rooms = rooms_in(room[0], room[1], room[2], k)
    heavy, rejected = address(weights, 0), 0
    given = options, columns, places, rooms
    x, y, w = address(rows.x, 0), address(rows.y, 0), address(rows.w, 0)
    counts, edges, pitch = rows.counts, rows.edges, len(rows.y) // each
    at, done, total = np.empty(len(counts), np.int64), 0, each * len(counts)
    for stretch in range(len(edges) - 1):
        if len(buckets.records) > 0:
            row = 0
            for g in range(edges[stretch], edges[stretch + 1]):
                at[g] = row
                row += counts[g]
            settle(
                address(buckets.records, 0),
                buckets.stretches[stretch],
                (k, each * m),
                columns,
                address(at, edges[stretch]),
                address(buckets.x, 0),
                address(buckets.y, 0),
                address(buckets.w, 0),
                pitch if each > 1 else 0,
            )
        row = 0
        for g in range(edges[stretch], edges[stretch + 1]):
            for r in range(each):
                lane = done % 8
                rooms.penalties[lane] = ridge[first + done]
                rows_x, rows_w = address(x, row * k), address(w, row)
                rows_y = address(y, r * pitch + row * m)
                find_one(rows_x, rows_y, rows_w, counts[g], options, columns, heavy, rooms, lane)
                done += 1
                if lane == 7 or done == total:
                    base = first + done - 1 - lane
                    rejected += answer_some(lane + 1, *given, outputs, base)
            row += counts[g]
    settle_streams()
    return rejected
