"""Words: 64-bit integers whose order is that of the keys that they stand for."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputTypeError

Array = NDArray[Any]


def words(column: Array) -> Iterator[Array]:
    """Yield 64-bit integers whose lexicographic order is the order of the keys, nulls last.

    Parameters
    ----------
    column : (N,)
        Keys of any dtype with an order, N > 0.

    Yields
    ------
    (N,)
        Integers, signed or unsigned; those of longer strings take several.

    Raises
    ------
    InputTypeError
        The keys are objects that can't be ordered.
    """
    kind = column.dtype.kind
    if kind in "bi":
        yield column.astype(np.int64, copy=False)
    elif kind == "u":
        yield column.astype(np.uint64, copy=False)
    elif kind in "mM":
        yield column.astype(np.int64).view(np.uint64) - np.uint64(2**63 + 1)
    elif kind == "f" and column.itemsize <= 8:
        with np.errstate(invalid="ignore"):  # a signalling NaN is a null like any other
            numbers = column.astype(np.float64) + 0.0
        bits = np.where(np.isnan(numbers), np.nan, numbers).view(np.int64)
        yield bits ^ ((bits >> 63) & np.int64(2**63 - 1))
    elif kind in "US":
        yield from _string_words(column)
    else:
        yield _object_word(column)


def _string_words(column: Array) -> Array:
    """Put as many characters as fit in a word, each in as few bytes as the widest needs."""
    native = np.ascontiguousarray(column, column.dtype.newbyteorder("="))
    points = native.view(np.uint8 if column.dtype.kind == "S" else np.uint32)
    points = points.reshape(column.size, -1)
    narrow = np.min_scalar_type(points.max()).newbyteorder(">")
    padding = -points.shape[1] * narrow.itemsize % 8 // narrow.itemsize
    padded = np.pad(points.astype(narrow), ((0, 0), (0, padding)))
    return padded.view(">u8").T.astype(np.uint64, order="C")


def _object_word(column: Array) -> Array:
    label_of: defaultdict[Any, int] = defaultdict(count().__next__)
    labels = map(label_of.__getitem__, column.tolist())
    try:
        label = np.fromiter(labels, np.int64, column.size)
        keys = sorted(key for key in label_of if not is_null(key))
    except TypeError as error:
        remedy = "convert the keys to one type, such as strings"
        raise InputTypeError("groups", str(error), "keys that can be ordered", remedy) from error
    rank_of = np.full(len(label_of), len(keys))
    rank_of[[label_of[key] for key in keys]] = np.arange(len(keys))
    return rank_of[label]


def is_null(key: Any) -> bool:
    """Whether a key is None, NaN, NaT or pandas.NA."""
    try:
        return key is None or bool(key != key)
    except TypeError:  # pandas.NA is neither true nor false
        return True
