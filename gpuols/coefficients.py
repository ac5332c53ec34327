"""Coefficients: a result as a data frame, one row each."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputError, Status
from gpuols.extras import needed
from gpuols.selection import listed

Array = NDArray[Any]

BACKENDS = ("pandas", "polars", "pyarrow")

_OURS = (
    *("response", "term", "coef", "std_err", "t", "p_value"),
    *("nobs", "rsquared", "status"),
)
_NAMES = np.array([status.name for status in Status])


def to_frame(result: Any, backend: str | None) -> Any:
    """Make a data frame of the coefficients.

    Parameters
    ----------
    result : Result
        With NumPy arrays and an axis of responses, L+(m,).
    backend : str or None
        Library of the frame; the first that is installed where None.

    Returns
    -------
    data frame
        Rows by regression, then response, then coefficient.

    Raises
    ------
    ImportError
        If narwhals or the library is not installed.
    InputError
        If narwhals has no such library.
    """
    narwhals = needed("narwhals", "frame")
    backend = backend or next((name for name in BACKENDS if find_spec(name)), BACKENDS[0])
    if backend not in BACKENDS:
        raise InputError("backend", repr(backend), f"one of {', '.join(BACKENDS)}", "choose one")
    needed(backend, "frame")
    columns = {**_places(result), **_numbers(result)}
    # Libraries tell the type of objects from a list alone.
    plain = {name: a.tolist() if a.dtype == object else a for name, a in columns.items()}
    found = narwhals.from_dict(plain, backend=backend)
    if backend == result.frame:
        changed = zip(plain, result.key_types, strict=False)
        found = found.with_columns(*(_typed(found[name], dtype) for name, dtype in changed))
    return found.to_native()


def _typed(key: Any, dtype: Any) -> Any:
    """A column of keys of the type that it had in the frame, as far as NumPy did not keep it."""
    narwhals = needed("narwhals", "frame")
    if dtype in (key.dtype, narwhals.Object, narwhals.Unknown):
        return key
    if dtype == narwhals.Datetime and key.dtype.time_zone is None and dtype.time_zone is not None:
        key = key.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    if key.dtype.is_float() and not dtype.is_float():
        key = key.fill_nan(None)
    has_nulls = key.implementation.is_pandas() and bool(key.is_null().any())
    whole = dtype.is_integer() or dtype == narwhals.Boolean
    return key if has_nulls and whole else key.cast(dtype)  # pandas' plain ones know no null


def _numbers(result: Any) -> dict[str, Array]:
    p = len(result.terms)

    def each(array: Array) -> Array:
        return np.moveaxis(array, -2, -1).reshape(-1)

    def every(array: Array) -> Array:
        return np.repeat(array.reshape(-1), p)

    return {
        "coef": each(result.params),
        "std_err": each(result.bse),
        "t": each(result.tvalues),
        "p_value": each(result.pvalues),
        "nobs": every(result.nobs),
        "rsquared": every(result.rsquared),
        "status": _NAMES[every(result.status)],
    }


def _places(result: Any) -> dict[str, Array]:
    """Which regression, response and coefficient each row is of."""
    *lead, m = result.status.shape
    p, count = len(result.terms), int(np.prod(lead))
    return {
        **{name: np.repeat(index, m * p) for name, index in _regressions(result, lead).items()},
        "response": np.tile(np.repeat(np.array(result.responses), p), count),
        "term": np.tile(np.array(result.terms), count * m),
    }


def _regressions(result: Any, lead: list[int]) -> dict[str, Array]:
    if result.keys is not None:
        keys = result.keys if isinstance(result.keys, tuple) else (result.keys,)
        columns = [key if isinstance(key, np.ndarray) and key.ndim else listed(key) for key in keys]
        names = (f"{name}_key" if name in _OURS else name for name in _names(result, len(columns)))
        return dict(zip(names, columns, strict=True))
    index = [place.reshape(-1) for place in np.indices(lead)]
    return dict(zip(_numbered("regression", len(lead)), index, strict=True))


def _names(result: Any, count: int) -> tuple[str, ...]:
    return result.by or _numbered("group", count)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return (name,) if count == 1 else tuple(f"{name}{i}" for i in range(count))
