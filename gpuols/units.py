"""Units: powers of two by which extreme columns were divided before their squares were summed.

What has units is computed in those and scaled back at the end; ratios are the same in any units.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Units = NDArray[np.int32]

RATIOS = frozenset({"tvalues", "rsquared", "rsquared_adj", "fvalue"})
_COEFFICIENTS = frozenset({"params", "bse"})
_SQUARES = frozenset({"ssr", "scale", "centered_tss", "uncentered_tss"})
SCALED = RATIOS | _COEFFICIENTS | _SQUARES


def scale_back(name: str, value: Any, units: Any, m: int, intercept: int) -> Any:
    """Bring a statistic to the caller's units.

    Parameters
    ----------
    name : str
        One of `SCALED`.
    value : L+(p,m) or L+(m,)
        The statistic in the moments' units.
    units : L+(k+m+1,)
        Exponents of the columns, the responses and the weights.
    m : int
        Responses.
    intercept : int
        1 with an intercept, else 0.

    Returns
    -------
    as value
        Infinite or zero where the caller's units can't hold it.
    """
    if name in RATIOS:
        return value
    if name in _SQUARES:
        return np.ldexp(value, exponent_of_squares(units, m))
    columns, responses = units[..., : -m - 1], units[..., -m - 1 : -1]
    columns = np.concatenate([np.zeros_like(units[..., :intercept]), columns], axis=-1)
    return np.ldexp(value, responses[..., None, :] - columns[..., None])


def exponent_of_squares(units: Any, m: int) -> Any:
    """Powers of two of sums of squares of the m responses, L+(m,)."""
    return 2 * units[..., -m - 1 : -1] + units[..., -1:]


def magnitude(weights: Array, units: Units, m: int, intercept: int) -> NDArray[np.int64]:
    """Exponents of combinations (r, p) of coefficients in the caller's units, L+(r,)."""
    shift = np.zeros((*units.shape[:-1], weights.shape[1]), np.int64)
    shift[..., intercept:] = -units[..., : -m - 1]
    _, size = np.frexp(weights)
    lowest = np.iinfo(np.int32).min
    found = np.where(weights != 0, size + shift[..., None, :], lowest).max(axis=-1, initial=lowest)
    return np.asarray(np.where((weights != 0).any(axis=-1), found, 0))


def exponents(units: Units, k: int) -> dict[str, NDArray[np.int32]]:
    """Powers of two of each array of moments of k columns, L+(q+1,) to the arrays' shapes."""
    weight, both = units[..., -1], units[..., :-1]
    x, y = both[..., :k], both[..., k:]
    return {
        "sumw": weight,
        "anchor": both,
        "mean": both,
        "sxx": x[..., None] + x[..., None, :] + weight[..., None, None],
        "sxy": x[..., None] + y[..., None, :] + weight[..., None, None],
        "syy": 2 * y + weight[..., None],
        "raw": 2 * both + weight[..., None],
    }
