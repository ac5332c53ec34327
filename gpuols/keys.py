"""Rows sorted into groups, by keys or by offsets.

One mechanism serves every dtype and any number of keys: a column becomes one or more columns of
64-bit integers ("words") whose lexicographic order is the order of the keys, nulls last; the words
are joined like digits into one integer a row, and the distinct integers ranked.

- SciPy's transpose of a sparse matrix with one entry a row brings the rows into group order: a
  counting sort in compiled code, stable, linear, and faster than NumPy's radix sort. Where the
  compiled engine is asked for, `engines.labels` groups rows, and lists them when asked.
- Columns of pandas, polars, pyarrow and torch convert themselves to NumPy. Where that rounds
  integers or spells numbers as strings, the elements are taken as Python objects instead.
- Keys that are on a device are sorted there (`ordering`); their counts, and each distinct key, are
  copied to the host, the order of the rows only where the rows are there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import count
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.exchange import adopt
from gpuols.engines.ordering import order_rows
from gpuols.engines.transfer import at, to_host
from gpuols.errors import InputError, InputTypeError
from gpuols.numerics.ranks import join, rank
from gpuols.places import CPU, place_of
from gpuols.words import is_null, words

Array = NDArray[Any]
Codes = NDArray[Any]  # integers, as small as SciPy takes them


@dataclass(frozen=True)
class Grouping:
    """Rows sorted into groups."""

    keys: Array | tuple[Array, ...] | None  # (G,) ascending, nulls last; None for offsets
    counts: NDArray[np.int64]  # (G,) rows in each group
    _order: Any
    labels: Any = None  # `engines.labels.Labels`, or None

    @cached_property
    def order(self) -> Any:
        """Rows, group after group, in table order, (N,), where the keys are; None: as they lie."""
        return self._order if self.labels is None else self.labels.order()

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each group begins, (G,), group after group."""
        return np.cumsum(self.counts) - self.counts

    def for_rows(self, place: str) -> "Grouping":
        """The same, its order in host memory or where the rows are, "cpu" or "cuda:N"."""
        if self._order is None or place_of(self._order) in (CPU, place):
            return self
        return replace(self, _order=to_host(self._order))

    @property
    def first(self) -> NDArray[Any]:
        """First row of each group, (G,), where none is empty and the order is in host memory."""
        if self.labels is not None:
            return np.asarray(self.labels.first)
        return self.starts if self.order is None else self.order[self.starts]


def group_by_keys(groups: object, n_rows: int, *, compiled: bool = False) -> Grouping:
    """Group the rows that have equal keys.

    Parameters
    ----------
    groups : array-like or tuple of array-like
        A key for each row, or a tuple of several such columns, to be sorted by the first one
        first. None, NaN, NaT and pandas.NA are one and the same key, the last. All on one CUDA
        device, they stay there, and so does the order of the rows.
    n_rows : int
        Rows of the data.
    compiled : bool
        Whether code that Numba compiles is to find the groups of keys in host memory.

    Returns
    -------
    Grouping
        The groups in ascending order of their keys.

    Raises
    ------
    InputError
        A key isn't one-dimensional, or doesn't have n_rows entries.
    InputTypeError
        A key is of a type without an order, or holds objects that can't be ordered.
    DeviceError
        The memory of the device that the keys are on does not hold them in order.
    """
    place = _place_of(groups)
    columns = _as_columns(groups, n_rows, place)
    if place == CPU:
        found = Grouping(None, *(_label if compiled and n_rows else _sort)(columns))
        keys = tuple(_tidy(column[found.first]) for column in columns)
    else:
        with at(place):
            counts, order, first = order_rows(columns)
            found = Grouping(None, counts, order)
            keys = tuple(_tidy(to_host(column[first])) for column in columns)
    return replace(found, keys=keys if isinstance(groups, tuple) else keys[0])


def group_by_offsets(offsets: object, n_rows: int) -> Grouping:
    """Group consecutive rows.

    Parameters
    ----------
    offsets : array-like of int
        (G+1,) group g is the rows from offsets[g] up to, not including, offsets[g+1].
    n_rows : int
        Rows of the data.

    Returns
    -------
    Grouping
        The groups, without keys; a group may be empty.

    Raises
    ------
    InputError
        The offsets don't go from 0 to n_rows, or step down.
    InputTypeError
        The offsets aren't integers.
    """
    bounds = _as_array(offsets, "offsets")
    if bounds.size and bounds.dtype.kind not in "iu":
        remedy = "convert them with astype(int)"
        raise InputTypeError("offsets", f"dtype {bounds.dtype}", "integers", remedy)
    if not bounds.size or bounds[0] != 0 or bounds[-1] != n_rows:
        came = f"{bounds[0]} first and {bounds[-1]} last" if bounds.size else "an empty array"
        remedy = "give the first row of each group, then the number of rows"
        raise InputError("offsets", came, f"0 first and {n_rows} (the rows) last", remedy)
    bounds = bounds.astype(np.int64)
    counts = bounds[1:] - bounds[:-1]
    if (counts < 0).any():
        at = int(np.argmax(counts < 0)) + 1
        came = f"{bounds[at]} after {bounds[at - 1]} at position {at}"
        raise InputError("offsets", came, "no offset below the one before", "sort the rows first")
    return Grouping(None, counts, None)


def codes_of(grouping_keys: Array | tuple[Array, ...], groups: object) -> Codes:
    """Find the group that each row belongs to.

    Parameters
    ----------
    grouping_keys : ndarray or tuple of ndarray
        The keys of a Grouping.
    groups : array-like or tuple of array-like
        A key for each row, as for `group_by_keys`.

    Returns
    -------
    ndarray
        (N,) position of each row's key among grouping_keys, -1 where it isn't there. Keys match
        by value whatever their dtypes: 1 and 1.0 do, 1 and "1" don't; nulls match nulls.

    Raises
    ------
    InputError
        There are more or fewer keys than in grouping_keys, or they differ in length.
    InputTypeError
        A key is of a type without an order, or holds objects that can't be ordered.
    """
    new = _as_columns(groups)
    old = grouping_keys if isinstance(grouping_keys, tuple) else (grouping_keys,)
    if len(new) != len(old):
        remedy = "give the keys of the fit"
        raise InputError("groups", f"{len(new)} key(s)", f"{len(old)}, as in the fit", remedy)
    codes = _encode(new)
    rows = np.empty(codes.max(initial=-1) + 1, np.int64)
    rows[codes] = np.arange(codes.size)
    new = [column[rows] for column in new]
    code_of = dict(zip(zip(*map(_scalars, old, new), strict=True), count(), strict=False))
    found = (code_of.get(key, -1) for key in zip(*map(_scalars, new, old), strict=True))
    return np.fromiter(found, np.int64, rows.size)[codes]


def _place_of(groups: object) -> str:
    """Device that all keys are on, or else the host."""
    places = {place_of(key) for key in (groups if isinstance(groups, tuple) else (groups,))}
    return places.pop() if len(places) == 1 else CPU


def _as_columns(groups: object, n_rows: int | None = None, place: str = CPU) -> list[Any]:
    keys = {"groups": groups}
    if isinstance(groups, tuple):
        keys = {f"groups[{i}]": key for i, key in enumerate(groups)}
    if not keys:
        raise InputError("groups", "an empty tuple", "at least one key", "pass an array of keys")
    columns = [_as_array(key, name, place) for name, key in keys.items()]
    size = columns[0].size if n_rows is None else n_rows
    for name, column in zip(keys, columns, strict=True):
        if column.size != size:
            remedy = "give a key for every row"
            raise InputError(name, f"{column.size} keys", f"{size}, one a row", remedy)
    return columns


def _as_array(key: Any, name: str, place: str = CPU) -> Any:
    """Keys in host memory, or, on a device, as they are there."""
    if isinstance(key, np.ma.MaskedArray):
        came, remedy = "a masked array", "mark missing keys by None or NaN instead"
        raise InputTypeError(name, came, "an array without a mask", remedy)
    if hasattr(key, "combine_chunks"):  # in chunks, pyarrow's dictionaries lose their nulls
        key = key.combine_chunks()
    # As NumPy reads them, strings of polars would all be as long as the longest.
    polars = type(key).__module__.startswith("polars.")
    given = polars or (hasattr(key, "to_numpy") and not hasattr(key, "__array__"))
    try:
        array = to_host(key.to_numpy() if given else key) if place == CPU else _adopted(key, place)
    except Exception as error:  # libraries have errors of their own
        came, remedy = f"{type(key).__name__} ({error})", "convert it to a NumPy array first"
        raise InputTypeError(name, came, "something NumPy can convert", remedy) from error
    if array.ndim != 1:
        remedy = "give a key as an array or a list, several keys as a tuple of them"
        raise InputError(name, f"{array.ndim} dimensions", "1 dimension", remedy)
    if array.dtype.kind in "cV":
        remedy = "convert it to numbers, strings or dates, or give its fields as a tuple"
        raise InputTypeError(name, f"dtype {array.dtype}", "a dtype with an order", remedy)
    return array if isinstance(key, np.ndarray) or place != CPU else _keep_exact(key, array)


def _adopted(key: Any, place: str) -> Any:
    with at(place):
        return adopt(key)


def _keep_exact(key: Any, array: Array) -> Array:
    """Take the elements as objects where their conversion rounded or spelt them."""
    large = array.dtype == np.float64 and (np.abs(array) >= 2.0**53).any()
    if not large and array.dtype.kind not in "US":
        return array
    elements = key.to_pylist() if hasattr(key, "to_pylist") else list(key)
    types = set(map(type, elements))
    changed = any(issubclass(kind, Integral) for kind in types) if large else len(types) > 1
    return np.fromiter(elements, object, array.size) if changed else array


def _encode(columns: list[Array]) -> Codes:
    """Rank the rows by their keys, equal keys alike, without gaps."""
    if not columns[0].size:
        return np.empty(0, np.int32)
    codes = rank(reduce(join, _digits(word for column in columns for word in words(column))))
    return codes.astype(np.int32 if codes.size < 2**31 else np.int64, copy=False)


def _digits(each: Iterable[Array]) -> Iterator[Array]:
    """Words less the least of them, each from 0 up."""
    return ((word - word.min()).view(np.uint64) for word in each)


def _label(columns: list[Array]) -> tuple[Any, None, Any]:
    """Count the rows of each group; label the rows, by compiled code, unless they lie so."""
    from gpuols.engines.labels import group  # a slow import, where it is asked for

    each = [word for column in columns for word in words(column)]
    return group(each[0] if len(each) == 1 else reduce(join, _digits(each)))


def _sort(columns: list[Array]) -> tuple[Codes, NDArray[Any] | None]:
    """Count the rows of each group; list the rows in group order unless they lie so."""
    codes = _encode(columns)
    if (codes[1:] >= codes[:-1]).all():
        return np.bincount(codes), None
    from scipy.sparse import csr_array  # a slow import, for groups in disorder alone

    each = np.arange(codes.size + 1, dtype=codes.dtype)
    present = csr_array(
        (np.ones(codes.size, np.int8), codes, each), shape=(codes.size, int(codes.max()) + 1)
    )
    by_group = present.tocsc()
    return np.diff(by_group.indptr).astype(np.int64), by_group.indices


def _tidy(keys: Array) -> Array:
    """Spell zero without a sign, and nulls among objects as None."""
    if keys.dtype.kind == "f":
        keys[keys == 0] = 0
    return np.fromiter(_scalars(keys, keys), object, keys.size) if keys.dtype == object else keys


def _scalars(keys: Array, others: Array) -> list[Any]:
    """List the keys as Python values that equal those of the others where the keys are equal."""
    kind = keys.dtype.kind
    if kind not in "mM":
        return [None if is_null(key) else key for key in keys.tolist()]
    if kind == others.dtype.kind:
        keys = keys.astype(np.result_type(keys, others))
    return [None if is_null(key) else (kind, key) for key in keys]
