"""Coefficients: a result as a data frame, one row each."""

from collections.abc import Iterator
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
    each = len(result.terms) * result.status.shape[-1]
    keys = _regressions(result)
    own: Any = None
    if result.key_frame is not None:
        own = narwhals.from_native(result.key_frame, eager_only=True)
        own = own.rename(dict(zip(own.columns, keys, strict=True)))
    there = own is not None and backend == result.frame
    columns = {} if there else {name: np.repeat(values, each) for name, values in keys.items()}
    columns |= {**_places(result), **_numbers(result)}
    # Libraries tell the type of objects from a list alone.
    plain = {name: a.tolist() if a.dtype == object else a for name, a in columns.items()}
    found = narwhals.from_dict(plain, backend=backend)
    if there:
        kept = own[np.repeat(np.atleast_1d(result.key_rows), each)]
        found = narwhals.concat([narwhals.maybe_reset_index(kept), found], how="horizontal")
    elif own is not None:
        found = found.with_columns(*(_zoned(found[name], own[name].dtype) for name in keys))
    return found.to_native()


def _zoned(key: Any, dtype: Any) -> Any:
    """A column of keys in the time zone that it had, which NumPy does not know."""
    narwhals = needed("narwhals", "frame")
    zone = dtype.time_zone if dtype == narwhals.Datetime else None
    if zone is None or key.dtype != narwhals.Datetime or key.dtype.time_zone is not None:
        return key
    return key.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


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
    """Which response and coefficient each row is of."""
    *lead, m = result.status.shape
    p, count = len(result.terms), int(np.prod(lead))
    return {
        "response": np.tile(np.repeat(np.array(result.responses), p), count),
        "term": np.tile(np.array(result.terms), count * m),
    }


def _regressions(result: Any) -> dict[str, Array]:
    """Keys of the regressions, or their numbers, one a regression."""
    *lead, _ = result.status.shape
    if result.keys is not None:
        keys = result.keys if isinstance(result.keys, tuple) else (result.keys,)
        columns = [key if isinstance(key, np.ndarray) and key.ndim else listed(key) for key in keys]
        return dict(zip(_unlike_ours(_names(result, len(columns))), columns, strict=True))
    index = [place.reshape(-1) for place in np.indices(lead)]
    return dict(zip(_numbered("regression", len(lead)), index, strict=True))


def _names(result: Any, count: int) -> tuple[str, ...]:
    return result.by or _numbered("group", count)


def _unlike_ours(names: tuple[str, ...]) -> Iterator[str]:
    """Names of keys, those of columns of ours changed until there is none such."""
    for name in names:
        own = name
        while own in _OURS or (own != name and own in names):
            own += "_key"
        yield own


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return (name,) if count == 1 else tuple(f"{name}{i}" for i in range(count))
