"""How right a number is: digits, and errors in the units of what is known about it."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

MOST = 16.0


def lre(value: Any, exact: Any) -> Array:
    """Correct significant digits, -log10 of the relative error, between 0 and 16.

    Where the exact number is zero the error is taken as it is; NaN has no digit.
    """
    value, exact = np.broadcast_arrays(np.asarray(value, float), np.asarray(exact, float))
    size = np.where(exact == 0, 1.0, np.abs(exact))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        digits = -np.log10(np.abs(value - exact) / size)
    # fmax takes NaN for none, and the sum makes minus zero plain.
    return np.asarray(np.fmin(np.fmax(digits, 0.0), MOST) + 0.0)


def relative(value: Any, exact: Any, size: Any) -> Array:
    """Errors in units of a size; a number that is not finite is infinitely wrong."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.abs(np.asarray(value, float) - exact)
        return np.asarray(
            np.where(error == 0, 0.0, np.nan_to_num(error / size, nan=np.inf, posinf=np.inf))
        )
