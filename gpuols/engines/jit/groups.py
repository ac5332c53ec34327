"""Groups: rows of regressions of unequal size to moments and answers, eight side by side."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Array, Outputs, Rooms, put
from gpuols.engines.jit.compiling import kept
from gpuols.engines.jit.rows import count_rows, find_anchors, sum_one, weigh
from gpuols.engines.jit.solve import solve


class Stretches(NamedTuple):
    """Rows of groups, one row after the other in the memory of arrays.

    Attributes
    ----------
    x, y, w : (numbers,)
        Rows of X, of responses, and weights or None.
    starts, counts : (g,)
        First row of each group, and how many it has.
    """

    x: Array
    y: Array
    w: Array | None
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]


def _fit_groups(fingerprint: int) -> Callable[..., int]:
    def fit_groups(
        rows: Stretches,
        weighted: Array | None,
        options: tuple[int, int, bool, bool, float],
        columns: tuple[int, ...] | None,
        rooms: Rooms,
        ridge: Array,
        outputs: Outputs,
        first: int,
    ) -> int:
        """Answer groups, the first of which is number `first` of the outputs.

        Arguments are those of `batch.fit_some`, the options without n; rooms are for the largest of
        the groups. Gives how many call for a closer look.
        """
        k, m, centered, drop, tol = options
        x, y, w, starts, counts = rows
        near, v = rooms.near, rooms.sums
        penalties, rejected = np.empty(8), 0 * fingerprint
        for base in range(0, len(counts), 8):
            number = min(8, len(counts) - base)
            for lane in range(8):
                if lane >= number:
                    for e in range(v.shape[0]):
                        v[e, lane] = v[e, 0]
                    continue
                g = base + lane
                start, n = starts[g], counts[g]
                penalties[lane] = ridge[first + g]
                at_x, at_y = start * k, start * m
                if weighted is not None:
                    weigh(x, at_x, k, y, at_y, m, w, start, n, drop, weighted)
                here = count_rows(weighted, n, v, lane)
                near[:] = 0.0
                if centered and here[0] >= 0:
                    find_anchors(x, at_x, k, here, near)
                    find_anchors(y, at_y, m, here, near[k:])
                sum_one(
                    x,
                    at_x,
                    y,
                    at_y,
                    weighted,
                    n,
                    near,
                    columns,
                    k,
                    m,
                    rooms.order,
                    rooms.table,
                    rooms.heavy,
                    rooms.stack,
                    v,
                    lane,
                )
            penalties[number:] = penalties[0]
            calls = solve(
                v,
                k,
                m,
                centered,
                penalties,
                tol,
                rooms.solving,
                rooms.moments,
                rooms.answers,
                rooms.status,
            )
            for lane in range(number):
                rejected += calls[lane] != 0.0
            put(rooms.moments, outputs.moments, first + base, number)
            put(rooms.answers, outputs.answers, first + base, number)
            put(rooms.status, outputs.status, first + base, number)
        return rejected

    return fit_groups


fit_groups = kept(_fit_groups)
