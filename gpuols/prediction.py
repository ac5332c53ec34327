"""Fitted values and residuals at given rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays
from gpuols.engines.transfer import to_host
from gpuols.errors import InputError
from gpuols.keys import codes_of
from gpuols.selection import listed

Array = NDArray[np.float64]


def predict(X: Any, params: Array, intercept: int, keys: Any, groups: Any) -> Array:
    """Fitted values.

    Parameters
    ----------
    X : (..., n, k)
        Regressors; (N, k) with groups.
    params : L+(p,m)
        Coefficients, the intercept first.
    intercept : int
        1 with an intercept, else 0.
    keys : array, tuple of arrays or None
        Keys of the groups of the fit.
    groups : array-like or None
        Key of each row.

    Returns
    -------
    L+(n,m), or (N,m) with groups
        The values, NaN where the key is unseen.

    Raises
    ------
    InputError
        If X has the wrong number of columns, its leading axes don't broadcast with L, or there
        are groups where the fit had none.
    """
    # Of rows in another order in memory the terms of a value are added in another order, too.
    x = np.ascontiguousarray(to_host(arrays.read("X", X).array))
    k = params.shape[-2] - intercept
    if x.ndim < 2 or x.shape[-1] != k:
        raise InputError(
            "X",
            f"shape {x.shape}",
            f"(..., n, {k}), the columns of the fit",
            "leave out the column of ones: the intercept is added",
        )
    with np.errstate(all="ignore"):
        if groups is not None:
            return _predict_groups(x, params, intercept, keys, groups)
        try:
            fitted: Array = np.matmul(x, params[..., intercept:, :])
        except ValueError:
            raise InputError(
                "X",
                f"shape {x.shape}",
                f"leading axes that broadcast with {params.shape[:-2]}",
                "give each regression its rows, or all of them the same (n, k)",
            ) from None
        return fitted + params[..., :1, :] if intercept else fitted


def residuals(y: Any, fitted: Array, single: bool) -> Array:
    """Responses minus fitted values.

    Parameters
    ----------
    y : (..., n) or (..., n, m)
        Responses.
    fitted : (..., n, m)
        Fitted values.
    single : bool
        Whether y comes without an axis of responses.

    Returns
    -------
    (..., n, m)
        The residuals.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    came = to_host(arrays.read("y", y).array)
    full = came[..., None] if single else came
    try:
        shape = np.broadcast_shapes(full.shape, fitted.shape)
    except ValueError:
        shape = ()
    if shape != fitted.shape:
        expected = fitted.shape[:-1] if single else fitted.shape
        raise InputError(
            "y", f"shape {came.shape}", f"{expected} as the fitted values", "give it the rows of X"
        )
    with np.errstate(all="ignore"):
        return np.asarray(full - fitted)


def _predict_groups(
    x: NDArray[Any], params: Array, intercept: int, keys: Any, groups: Any
) -> Array:
    if keys is None:
        raise InputError("groups", "keys", "none without groups in the fit", "leave them out")
    if params.ndim == 2:
        params = params[None]
        keys = tuple(map(listed, keys)) if isinstance(keys, tuple) else listed(keys)
    if x.ndim != 2:
        raise InputError("X", f"shape {x.shape}", "(N, k): one long table", "stack the rows")
    codes = codes_of(keys, groups)
    if len(codes) != len(x):
        raise InputError("groups", f"{len(codes)} keys", f"{len(x)}, one a row of X", "check both")
    own = params[codes] if len(params) else np.full((len(x), *params.shape[1:]), np.nan)
    fitted: Array = np.einsum("nk,nkm->nm", x, own[:, intercept:])
    if intercept:
        fitted += own[:, 0]
    fitted[codes < 0] = np.nan
    return fitted
