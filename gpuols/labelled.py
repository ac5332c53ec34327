"""Numbers and names in arrays that carry names: data frames, columns, xarray's arrays.

Rows are matched by position; where two arrays of xarray name the same axis otherwise, or disagree
in its coordinates, that is an error, for there position and label would differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputError, InputTypeError


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of an array of xarray.

    Attributes
    ----------
    name : str
        The dimension.
    size : int
        Its length.
    index : pandas.Index or None
        Its coordinates, where it has some.
    """

    name: str
    size: int
    index: Any

    def labels(self) -> tuple[str, ...] | None:
        """The coordinates as names, where there are some and no two are the same."""
        labels = () if self.index is None else tuple(map(str, self.index))
        return labels if labels and len(set(labels)) == len(labels) else None


def check_dtype(argument: str, array: Any) -> None:
    """Refuse an array (...) that holds neither real numbers nor booleans."""
    if array.dtype.kind not in "biuf":
        raise InputTypeError(
            argument, f"dtype {array.dtype}", "real numbers or booleans", _CURES[array.dtype.kind]
        )


def numbers(argument: str, array: NDArray[Any]) -> NDArray[Any]:
    """Check the dtype of an array (...), and make it float64 where it is wider."""
    check_dtype(argument, array)
    return array if array.dtype.itemsize <= 8 else array.astype(np.float64)


_STRINGS = "encode categories as 0/1 columns, or convert digits with .astype(float)"
_TIMES = 'convert to numbers first, e.g. (t - t.min()) / numpy.timedelta64(1, "s")'
_CURES = {
    "O": "convert with .astype(float); missing values are NaN, not None",
    "c": "fit the real and the imaginary part as two responses",
    "U": _STRINGS,
    "S": _STRINGS,
    "T": _STRINGS,
    "M": _TIMES,
    "m": _TIMES,
    "V": "pass the fields as columns of one plain array",
}


def from_frame(argument: str, value: Any, names: Any) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Numbers (n, k) and names of the columns of a data frame."""
    labels = tuple(str(name) for name in names)
    if len(set(labels)) < len(labels):
        raise InputError(
            argument, f"columns {list(labels)}", "each name once", "rename the repeated columns"
        )
    array = value.to_numpy() if hasattr(value, "to_numpy") else None
    if array is None or array.dtype.kind not in "biuf":
        columns = [from_column(f"{argument}[{name!r}]", value[name]) for name in names]
        array = np.stack(columns, axis=1) if columns else np.empty((len(value), 0))
    return numbers(argument, array), labels


def from_column(argument: str, column: Any) -> NDArray[Any]:
    """Numbers of what has ``to_numpy``, a null as NaN."""
    if hasattr(column, "null_count") and hasattr(column, "to_pylist"):
        options = {} if hasattr(column, "chunks") else {"zero_copy_only": False}
        return numbers(argument, _without_nulls(np.asarray(column.to_numpy(**options))))
    array = np.asarray(column.to_numpy())
    nullable = getattr(getattr(column, "dtype", None), "kind", "O") in "biuf"
    if array.dtype.kind == "O" and nullable:
        return numbers(argument, column.to_numpy(dtype="float64", na_value=np.nan))
    return numbers(argument, _without_nulls(array))


def _without_nulls(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers and booleans among objects, None as NaN; other objects as they are."""
    if array.dtype.kind != "O" or not all(
        value is None or isinstance(value, Real) for value in array.flat
    ):
        return array
    plain = [np.nan if value is None else float(value) for value in array.flat]
    return np.array(plain).reshape(array.shape)


def from_xarray(argument: str, value: Any) -> tuple[NDArray[Any], tuple[Axis, ...]]:
    """Numbers (...) and axes of a DataArray, in the order that they lie in."""
    if not hasattr(value, "to_numpy"):
        raise InputTypeError(
            argument,
            f"an xarray {type(value).__name__}",
            "one array",
            'for one column a variable use .to_dataarray("column").transpose(..., "column")',
        )
    indexes, sizes = getattr(value, "indexes", {}), zip(value.dims, value.shape, strict=True)
    axes = tuple(Axis(str(name), size, indexes.get(name)) for name, size in sizes)
    return from_column(argument, value), axes


def check_same_axes(came: Mapping[str, Sequence[Axis]]) -> None:
    """Refuse arrays whose axes are not the same, counted from the last; length 1 fits any.

    Parameters
    ----------
    came : mapping
        By argument the axes (..., n) that it has in common with the others.

    Raises
    ------
    InputError
        If two names, or the coordinates of one name, differ.
    """
    named = {argument: axes for argument, axes in came.items() if axes}
    for (first, one), (second, other) in combinations(named.items(), 2):
        for a, b in zip(reversed(one), reversed(other), strict=False):
            if 1 in (a.size, b.size):
                continue
            if a.name != b.name:
                raise InputError(
                    second,
                    f"axis {b.name!r} where {first} has {a.name!r}",
                    "axes of the same names in the same order",
                    f"put them in order with {second}.transpose(...), or pass {second}.to_numpy()",
                )
            if not (a.index is None or b.index is None or a.index.equals(b.index)):
                raise InputError(
                    second,
                    f"other coordinates of {b.name!r} than {first}",
                    "the same coordinates in the same order",
                    f"use xarray.align({first}, {second}), or pass {second}.to_numpy()",
                )
