"""Missing values: NaN in X, y or weights.

With missing="drop" a row counts as one of zero weight where a value is missing, for each response
by itself. So responses that come as columns are answered apart, as a batch of L+(m,): always,
whatever the data holds, so that its bits don't depend on what is missing elsewhere.
"""

from typing import Any

import numpy as np

from gpuols.engines.transfer import at
from gpuols.errors import InputError
from gpuols.options import Options
from gpuols.rows import Rows

_SCAN = 2**22


def keeps_apart(rows: Rows, options: Options) -> bool:
    """Whether every response keeps rows of its own."""
    return options.missing == "drop" and not rows.single


def refuse_missing(rows: Rows) -> None:
    """Raise if any value is missing (NaN).

    Parameters
    ----------
    rows : Rows
        What to look through.

    Raises
    ------
    InputError
        Naming the argument, how many values are missing, and the first one's place.
    """
    for name, array in rows.arrays:
        if array.dtype.kind != "f" or not array.size:
            continue
        with at(rows.place, rows.kind):
            number, first = _count_missing(array)
        if number:
            raise InputError(
                name,
                f"{number:,} missing values (NaN), the first at {first}",
                'none with missing="raise"',
                'use missing="drop" to leave such rows out, or missing="nan" to flag their '
                "regressions",
            )


def _count_missing(array: Any) -> tuple[int, tuple[int, ...] | None]:
    number, first = 0, None
    step = max(1, _SCAN * len(array) // array.size)
    for start in range(0, len(array), step):
        missing = np.isnan(array[start : start + step])
        found = int(missing.sum())
        if found and first is None:
            place = np.unravel_index(int(missing.argmax()), missing.shape)
            first = (start + int(place[0]), *(int(i) for i in place[1:]))
        number += found
    return number, first
