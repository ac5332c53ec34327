"""Groups: rows of regressions of unequal size to moments and answers, eight side by side."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.jit.batch import Array, Outputs, answer_some, find_one, rooms_in
from gpuols.engines.jit.compiling import kept
from gpuols.engines.jit.memory import address


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
        options: tuple[int, int, bool, bool, float],
        columns: tuple[int, ...] | None,
        weights: Array | None,
        room: tuple[Array, NDArray[np.int64]],
        places: NDArray[np.int64],
        ridge: Array,
        outputs: Outputs,
        first: int,
    ) -> int:
        """Answer groups, the first of which is number `first` of the outputs.

        Arguments are those of `batch.fit_some`; the room is for the largest group. Gives how many
        call for a closer look.
        """
        k, m = options[:2]
        x, y, w, starts, counts = rows
        rooms, own = rooms_in(room[0], room[1], k), np.empty(8)
        penalties, heavy, rejected = address(own, 0), address(weights, 0), 0 * fingerprint
        for base in range(0, len(counts), 8):
            number = min(8, len(counts) - base)
            for lane in range(number):
                g = base + lane
                start = starts[g]
                penalties[lane] = ridge[first + g]
                rows_x, rows_y, rows_w = (
                    address(x, start * k),
                    address(y, start * m),
                    address(w, start),
                )
                find_one(rows_x, rows_y, rows_w, counts[g], options, columns, heavy, rooms, lane)
            rejected += answer_some(
                number, penalties, options, places, rooms, outputs, first + base
            )
        return rejected

    return fit_groups


fit_groups = kept(_fit_groups)
